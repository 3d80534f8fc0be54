//! Events, conversations, messages and jobs as the rest of the house sees them.
//!
//! Everything here is a value or a pure function: no database, no clock, no network. Decisions live here so that both
//! stores take the same ones, and so that they can be tested without either.

pub mod callback;
pub mod context;
pub mod conversation;
pub mod customer;
pub mod dedupe;
pub mod event;
pub mod id;
pub mod job;
pub mod json;
pub mod message;
pub mod outcome;
pub mod outgoing;
pub mod pauses;
pub mod payload;
pub mod replies;
pub mod retention;
pub mod sending;
pub mod state;
pub mod stats;
pub mod template;
