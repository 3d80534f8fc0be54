//! The guarantees of the store, one named behaviour per function, each on both backends.

mod accepting;
mod asking;
mod claiming;
mod conversations;
mod forgetting;
mod handing_over;
mod inspecting;
mod merging;
mod pausing;
mod permutations;
mod reading;
mod replaying;
mod round_trips;
mod sending;
mod settling;
mod submitting;
mod upkeep;
