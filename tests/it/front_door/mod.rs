//! The public listener, met by clients that mean no good or cannot do better.
//!
//! None of these tests measures time: what must be quick is asked beside something that would take minutes if it were in
//! the way, and what must end is waited for.

mod crowds;
mod reload;
mod shapes;
mod slowness;
mod tls;
