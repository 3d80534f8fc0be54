//! Switchboard: the one webhook URL a business gives Connectly, and everything behind it.
//!
//! It verifies each delivery, stores it durably, decodes it, shows what became of every message, and hands each event to the
//! handlers that care, which may answer the customer while WhatsApp's 24-hour window is open.
//!
//! # Layout
//!
//! | Module | What it is for |
//! |---|---|
//! | [`connectly`] | the protocol: signature, events, messages, client, errors, rate |
//! | [`model`] | events, conversations, messages and jobs as values, and the decisions about them |
//! | [`routing`] | which routes an event goes to |
//! | [`handler`] | what to do with an event: the trait, rules, and brokers |
//! | [`store`] | what is remembered: the trait with its guarantees, on PostgreSQL and on SQLite |
//! | [`ingest`] | verified bytes become committed events, in groups |
//! | [`worker`] | claiming, delivering, sending, settling |
//! | [`http`] | the outside: webhook, admin API, health |
//! | [`emulator`] | a Connectly on your desk, for `dev` and for tests |
//! | [`testing`] | trying a handler without a server |
//! | [`app`] | all of it put together |
//! | [`cli`] | one file per command |
//! | [`clock`], [`config`], [`telemetry`] | leaves that everybody may use |
//!
//! Arrows point down only: `cli > app > {http, worker, emulator} > ingest > {store, routing, handler} > model > connectly`. A
//! test holds them.
//!
//! # The walk of an event
//!
//! 1. [`http::public`] reads the raw bytes within its limits and has them checked by [`connectly::signature`].
//! 2. [`ingest`] decodes them ([`connectly::event`]), matches routes ([`routing`]) and puts the arrival into the queue.
//! 3. Its writer takes everything that has come together and commits it as one group ([`store::Store::commit`]): what is
//!    new, decided by [`store::plan::dedupe`]; whose conversation it is, by [`store::plan::people`]; its events, bodies and
//!    jobs; what its statuses tell of messages, by [`store::plan::journal`]. On PostgreSQL the next group's statements run while this
//!    one is being made durable ([`store::work::GroupTurn`]).
//! 4. Only then [`http::public`] answers 200 with the event's id.
//! 5. [`worker`] claims the job under a lease ([`store::Store::claim_deliveries`]), the head of its lane only. What its handler
//!    may ask for is read while more is claimed ([`store::Store::deliveries`]).
//! 6. The [`handler`] is called with the event and its context, in a task of its own.
//! 7. [`worker`] settles what it handed back ([`store::Store::settle`]): done, again later, or parked.
//!
//! # The walk of a reply
//!
//! 1. A [`handler`] hands back a [`Reply`]; [`handler::reply`] checks it against WhatsApp's limits.
//! 2. [`store::Store::settle`] writes the message and the job that sends it, together with the completion of the job that
//!    caused it, by [`store::plan::settle`].
//! 3. [`worker`] claims it, one per conversation in the order queued.
//! 4. [`store::Store::dispatch`] decides under lock whether it may leave ([`model::sending`]): window, opt-out, loop limit,
//!    rate. If so it sets the fence, so that no other claim will ever send it again.
//! 5. [`connectly::client`] makes one request and classifies its answer.
//! 6. [`store::Store::settle_send`] settles the message by that answer, by [`store::plan::journal`].
//! 7. Its statuses come back as events and are folded into it on the walk above.
//!
//! # Invariants
//!
//! - `connectly` knows no database, router or configuration file.
//! - `http` calls no handler and no provider; accepting and working meet in what was committed.
//! - A handler sees no store: it is a function from an event and its context to an outcome.
//! - Policy lives in pure code. The store holds atomic steps, and never reads in one call what it writes in another.
//! - Retries exist once, in the queue; the client makes one attempt.
//! - Time is read in [`clock`] only, the environment in [`config`] only.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connectly;
pub mod emulator;
pub mod handler;
pub mod http;
pub mod ingest;
pub mod model;
pub mod routing;
pub mod store;
pub mod telemetry;
pub mod testing;
pub mod worker;

pub use app::App;
pub use connectly::template::Template;
pub use handler::Handler;
pub use model::context::Context;
pub use model::conversation::Conversation;
pub use model::event::{Event, EventKind, EventType};
pub use model::message::Message;
pub use model::outcome::{Effect, HandlerError, HandlerResult, Outcome, Reply, StateChange};
