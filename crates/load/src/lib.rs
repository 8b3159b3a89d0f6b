//! Drives load that knows no protocol.
//!
//! A [`Driver`] opens [`User`]s on each load thread; the engine tells each user when to do its
//! next operation, times it, and records the result in histograms that belong to the thread.
//!
//! The intended start is an argument: the schedule computes instants, and the operation receives
//! that instant, never the time at which somebody got round to it.

mod driver;
mod probe;

pub use driver::{Driver, DriverError, Seat, User};
pub use probe::Probe;
