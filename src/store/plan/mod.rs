//! What a store decides, as pure functions of what it has locked: both backends call these, so they cannot differ.
//!
//! A verb in a backend reads: lock rows, hand them to a plan, write what the plan says. Nothing here touches a database.

pub mod arrived;
pub mod callback;
pub mod conversations;
pub mod dedupe;
pub mod delivery;
pub mod directory;
pub mod group;
pub mod journal;
pub mod merge;
pub mod outbox;
pub mod pauses;
pub mod people;
pub mod replay;
pub mod retention;
pub mod sending;
pub mod settle;
pub mod submit;
pub mod timeline;
