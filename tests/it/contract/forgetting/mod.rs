//! What is taken away: by retention, and of one customer for good.

mod erasing;
mod purging;
mod steps;
mod traces;
