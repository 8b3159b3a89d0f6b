use std::future::Future;
use std::time::{Duration, Instant};

use pinchpoint_measure::Outcome;

use crate::Probe;

/// A protocol: opens the virtual users of one load thread.
///
/// The engine calls [`Driver::open`] once on every load thread, inside that thread's
/// single-threaded tokio runtime; what it returns never leaves the thread, so users may share
/// state (a pool, say) through `Rc`.
pub trait Driver: Send + Sync + 'static {
    /// A virtual user.
    type User: User + 'static;

    /// Opens the users of one thread, with whatever they need (connections that a pool keeps
    /// open from the start, for instance).
    fn open(
        &self,
        seat: Seat,
    ) -> impl Future<Output = Result<Vec<Self::User>, DriverError>> + use<'_, Self>;
}

/// One thread's part of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The thread, from 0.
    pub thread: usize,
    /// How many threads drive the load.
    pub threads: usize,
    /// Virtual users to open on this thread; at least 1.
    pub users: usize,
    /// Virtual users on all threads.
    pub all_users: usize,
    /// A seed of this thread's own, derived from the run's.
    pub seed: u64,
}

impl Seat {
    /// This thread's part of something that is shared out by users, such as the connections of a
    /// pool: the parts of all threads add up to `total`, but none is below 1.
    pub fn share(&self, total: usize) -> usize {
        let base = total / self.threads;
        let extra = usize::from(self.thread < total % self.threads);
        (base + extra).max(1)
    }
}

/// One virtual user: does one operation at a time.
pub trait User {
    /// Does one operation, reports its phases to the probe, and says how it ended.
    ///
    /// It may take its own time to recover from a failure (a bounded backoff, say) in
    /// [`User::recover`], which is not part of the operation.
    fn operate(&mut self, probe: &mut Probe) -> impl Future<Output = Outcome>;

    /// Called after a failed operation, before the next one.
    fn recover(&mut self) -> impl Future<Output = ()>;

    /// Called when an operation has been counted, or was skipped, while a log is kept (see
    /// [`crate::Session::keep_log`]): a driver that writes a line for each writes it here. It counts
    /// as part of no operation, and of the time between two of them; so it must be quick.
    fn note(&mut self, _ended: &Ended<'_>) {}

    /// Called once after the last operation: closes what the user holds.
    fn close(self) -> impl Future<Output = ()>;
}

/// How one operation of a user ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// When.
    pub at: Instant,
    /// Time since its intended start.
    pub response: Duration,
    /// The part of that before it was started; zero in closed load.
    pub lag: Duration,
    /// Which kind of operation it was; see [`Probe::set_label`].
    pub label: u16,
    /// Its outcome; absent when it was skipped, as it came too late (see
    /// [`crate::LoadSpec::latency_limit`]).
    pub outcome: Option<&'a Outcome>,
}

/// Why a driver could not open its users: a whole sentence for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DriverError(
    /// What failed, with which value, and what to do.
    pub String,
);
