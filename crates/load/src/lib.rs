//! Drives load that knows no protocol.
//!
//! A [`Driver`] opens [`User`]s on each load thread; the engine tells each user when to do its
//! next operation, times it, and records the result in histograms that belong to the thread.
//!
//! The intended start is an argument: the schedule computes instants, and the response time
//! counts from that instant, never from the time at which somebody got round to it.
//!
//! A thread per core runs its own single-threaded runtime. The hot path takes no lock: a thread
//! records into histograms of its own, which [`Session::rotate`] swaps for empty ones.

mod acks;
mod counters;
mod desk;
mod driver;
mod histograms;
mod hlog;
mod latch;
mod probe;
mod schedule;
mod session;
mod slowest;
mod thread;
mod timer;
mod turnstile;
mod warm_up;
mod zipf;

pub use acks::OldestAck;
pub use counters::Totals;
pub use driver::{Driver, DriverError, Ended, Seat, User};
pub use histograms::{Distribution, Histograms};
pub use hlog::{HistogramLog, HistogramLogError, serializer};
pub use probe::Probe;
pub use schedule::{Arrivals, Process, Ramp, Schedule};
pub use session::{Harvest, LoadError, LoadSpec, Rest, Session};
pub use slowest::SlowOperation;
pub use timer::Timer;
pub use warm_up::{SLICE, WarmUpPolicy, WarmUpTick, WarmedUp, warm_up};
pub use zipf::Zipf;
