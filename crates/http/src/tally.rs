use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pinchpoint_measure::Cause;

/// Statuses are counted up to this one.
const STATUSES: usize = 600;

/// What one load thread counted. Only that thread writes, so a load and a store do what a locked
/// add would, at no cost; anyone may read.
#[derive(Debug)]
pub(crate) struct ThreadTally {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    opened: AtomicU64,
    reopened: AtomicU64,
    statuses: Box<[AtomicU64]>,
    endpoints: Box<[EndpointCounts]>,
}

#[derive(Debug)]
struct EndpointCounts {
    succeeded: AtomicU64,
    body_bytes: AtomicU64,
    failures: [AtomicU64; Class::ALL.len()],
    /// Passed and failed, check by check.
    checks: Box<[[AtomicU64; 2]]>,
}

/// The class of a failure: every operation that fails is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    WrongAnswer,
    Status,
    TimedOut,
    Refused,
    Reset,
    Other,
}

impl Class {
    const ALL: [Self; 6] =
        [Self::WrongAnswer, Self::Status, Self::TimedOut, Self::Refused, Self::Reset, Self::Other];

    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::CheckFailed | Cause::WrongAnswer => Self::WrongAnswer,
            Cause::Status(_) => Self::Status,
            Cause::TimedOut | Cause::PoolTimedOut => Self::TimedOut,
            Cause::Refused => Self::Refused,
            Cause::Closed => Self::Reset,
            Cause::SqlState(_) | Cause::Tls | Cause::Authentication | Cause::Io | Cause::Script => {
                Self::Other
            }
        }
    }
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

fn zeros(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

impl ThreadTally {
    /// For requests with so many checks each.
    pub(crate) fn new(checks: impl Iterator<Item = usize>) -> Self {
        Self {
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
            statuses: zeros(STATUSES),
            endpoints: checks
                .map(|count| EndpointCounts {
                    succeeded: AtomicU64::new(0),
                    body_bytes: AtomicU64::new(0),
                    failures: std::array::from_fn(|_| AtomicU64::new(0)),
                    checks: (0..count).map(|_| [const { AtomicU64::new(0) }; 2]).collect(),
                })
                .collect(),
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        bump(&self.bytes_out, bytes as u64);
    }

    pub(crate) fn received(&self, bytes: usize) {
        bump(&self.bytes_in, bytes as u64);
    }

    pub(crate) fn opened(&self) {
        bump(&self.opened, 1);
    }

    pub(crate) fn reopened(&self) {
        bump(&self.reopened, 1);
    }

    pub(crate) fn answered(&self, endpoint: usize, status: u16, body_bytes: u64) {
        if let Some(counter) = self.statuses.get(usize::from(status)) {
            bump(counter, 1);
        }
        if let Some(own) = self.endpoints.get(endpoint) {
            bump(&own.body_bytes, body_bytes);
        }
    }

    pub(crate) fn checked(&self, endpoint: usize, check: usize, passed: bool) {
        if let Some(counts) = self.endpoints.get(endpoint).and_then(|e| e.checks.get(check)) {
            bump(&counts[usize::from(!passed)], 1);
        }
    }

    pub(crate) fn succeeded(&self, endpoint: usize) {
        if let Some(own) = self.endpoints.get(endpoint) {
            bump(&own.succeeded, 1);
        }
    }

    pub(crate) fn failed(&self, endpoint: usize, cause: Cause) {
        if let Some(own) = self.endpoints.get(endpoint) {
            bump(&own.failures[Class::of(cause) as usize], 1);
        }
    }

    pub(crate) fn add_to(&self, sum: &mut Tally) {
        sum.bytes_received += self.bytes_in.load(Relaxed);
        sum.bytes_sent += self.bytes_out.load(Relaxed);
        sum.opened += self.opened.load(Relaxed);
        sum.reopened += self.reopened.load(Relaxed);
        for (status, counter) in self.statuses.iter().enumerate() {
            let count = counter.load(Relaxed);
            if count > 0 {
                *sum.statuses.entry(status as u16).or_default() += count;
            }
        }
        sum.endpoints.resize_with(self.endpoints.len(), EndpointTally::default);
        for (mine, sum) in self.endpoints.iter().zip(&mut sum.endpoints) {
            sum.succeeded += mine.succeeded.load(Relaxed);
            sum.body_bytes += mine.body_bytes.load(Relaxed);
            let failures = Class::ALL.map(|class| mine.failures[class as usize].load(Relaxed));
            for (sum, count) in sum.failures_mut().into_iter().zip(failures) {
                *sum += count;
            }
            sum.checks.resize(mine.checks.len(), [0, 0]);
            for (sum, counts) in sum.checks.iter_mut().zip(&mine.checks) {
                sum[0] += counts[0].load(Relaxed);
                sum[1] += counts[1].load(Relaxed);
            }
        }
    }
}

/// What all threads counted since the load was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes received, heads included.
    pub bytes_received: u64,
    /// Bytes sent, heads included.
    pub bytes_sent: u64,
    /// Connections opened.
    pub opened: u64,
    /// Of these, the ones that took the place of a kept connection which the server had closed
    /// before a byte of an answer came.
    pub reopened: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// By request, in the order of the specification.
    pub endpoints: Vec<EndpointTally>,
}

/// What was counted of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointTally {
    /// Answered rightly.
    pub succeeded: u64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// Answers in which a check failed.
    pub wrong_answer: u64,
    /// Answers with a status that counts as a failure.
    pub status: u64,
    /// No answer in time.
    pub timed_out: u64,
    /// Connection refused.
    pub refused: u64,
    /// Connection closed before the answer was whole.
    pub reset: u64,
    /// Other failures.
    pub other: u64,
    /// By check: passed, failed.
    pub checks: Vec<[u64; 2]>,
}

impl EndpointTally {
    fn failures_mut(&mut self) -> [&mut u64; 6] {
        [
            &mut self.wrong_answer,
            &mut self.status,
            &mut self.timed_out,
            &mut self.refused,
            &mut self.reset,
            &mut self.other,
        ]
    }

    /// Failures of every class.
    pub const fn failed(&self) -> u64 {
        self.wrong_answer + self.status + self.timed_out + self.refused + self.reset + self.other
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut now = self.clone();
        let mut then = earlier.clone();
        now.succeeded = now.succeeded.saturating_sub(then.succeeded);
        now.body_bytes = now.body_bytes.saturating_sub(then.body_bytes);
        for (now, then) in now.failures_mut().into_iter().zip(then.failures_mut()) {
            *now = now.saturating_sub(*then);
        }
        for (now, then) in now.checks.iter_mut().zip(&then.checks) {
            *now = [now[0].saturating_sub(then[0]), now[1].saturating_sub(then[1])];
        }
        now
    }
}

impl Tally {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let none = EndpointTally::default();
        Self {
            bytes_received: self.bytes_received.saturating_sub(earlier.bytes_received),
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            opened: self.opened.saturating_sub(earlier.opened),
            reopened: self.reopened.saturating_sub(earlier.reopened),
            statuses: self
                .statuses
                .iter()
                .map(|(s, n)| (*s, n - earlier.statuses.get(s).copied().unwrap_or(0).min(*n)))
                .filter(|(_, n)| *n > 0)
                .collect(),
            endpoints: self
                .endpoints
                .iter()
                .enumerate()
                .map(|(at, e)| e.since(earlier.endpoints.get(at).unwrap_or(&none)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_what_came_between() {
        let thread = ThreadTally::new([2, 0].into_iter());
        let read = || {
            let mut sum = Tally::default();
            thread.add_to(&mut sum);
            sum
        };
        thread.answered(0, 200, 10);
        thread.succeeded(0);
        thread.checked(0, 1, true);
        let before = read();
        thread.answered(0, 200, 5);
        thread.checked(0, 1, false);
        thread.failed(0, Cause::CheckFailed);
        thread.failed(1, Cause::Refused);
        thread.answered(1, 999, 0);
        let between = read().since(&before);
        assert_eq!(between.statuses, BTreeMap::from([(200, 1)]));
        assert_eq!(between.endpoints[0].body_bytes, 5);
        assert_eq!(between.endpoints[0].checks, [[0, 0], [0, 1]]);
        assert_eq!((between.endpoints[0].wrong_answer, between.endpoints[0].failed()), (1, 1));
        assert_eq!((between.endpoints[1].refused, between.endpoints[1].succeeded), (1, 0));
    }
}
