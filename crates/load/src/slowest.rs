use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use pinchpoint_measure::{PHASES, Phase};

use crate::Probe;

/// Operations kept at most: 60 kB.
const CAPACITY: usize = 512;

/// An operation that took longer than most.
#[derive(Debug, Clone, Copy)]
pub struct SlowOperation {
    /// Its response time.
    pub response: Duration,
    /// When it had been answered.
    pub ended: Instant,
    /// Who served it ([`Probe::set_tag`]); 0 when that is not known.
    pub tag: u32,
    phases: [u64; PHASES.len()],
}

impl SlowOperation {
    /// The time of one of its phases.
    pub const fn phase(&self, phase: Phase) -> Duration {
        Duration::from_nanos(self.phases[phase.index()])
    }
}

// The order is that of the response times alone.
impl Ord for SlowOperation {
    fn cmp(&self, other: &Self) -> Ordering {
        self.response.cmp(&other.response)
    }
}

impl PartialOrd for SlowOperation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SlowOperation {
    fn eq(&self, other: &Self) -> bool {
        self.response == other.response
    }
}

impl Eq for SlowOperation {}

/// The slowest operations of a slice of time, the fastest of them on top. Its memory is fixed.
#[derive(Debug)]
pub(crate) struct Slowest(BinaryHeap<Reverse<SlowOperation>>);

impl Slowest {
    pub(crate) fn new() -> Self {
        Self(BinaryHeap::with_capacity(CAPACITY))
    }

    /// Keeps an operation if it is among the slowest. It allocates nothing.
    pub(crate) fn offer(&mut self, response: Duration, ended: Instant, probe: &Probe) {
        if self.0.len() == CAPACITY
            && self.0.peek().is_some_and(|Reverse(fastest)| fastest.response >= response)
        {
            return;
        }
        self.keep(SlowOperation { response, ended, tag: probe.tag(), phases: probe.phases() });
    }

    fn keep(&mut self, operation: SlowOperation) {
        if self.0.len() < CAPACITY {
            self.0.push(Reverse(operation));
        } else if let Some(mut fastest) = self.0.peek_mut()
            && fastest.0.response < operation.response
        {
            *fastest = Reverse(operation);
        }
    }

    /// Adds another's, and keeps the slowest of both.
    pub(crate) fn add(&mut self, other: &Self) {
        for Reverse(operation) in &other.0 {
            self.keep(*operation);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SlowOperation> {
        self.0.iter().map(|Reverse(operation)| operation)
    }

    /// Whether slow operations may have been let go.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() == CAPACITY
    }
}

impl Clone for Slowest {
    /// With room for as many: a heap's own clone has room for what is in it only.
    fn clone(&self) -> Self {
        let mut copy = Self::new();
        copy.add(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // However operations are split over threads and slices, the slowest are the same.
        #[test]
        fn the_slowest_are_kept(times in prop::collection::vec((0u64..5_000, 0usize..3), 1..2_000)) {
            let at = Instant::now();
            let mut parts = vec![Slowest::new(); 3];
            for (us, part) in &times {
                let mut probe = Probe::new();
                probe.set_tag(*us as u32);
                parts[*part].offer(Duration::from_micros(*us), at, &probe);
            }
            let mut all = Slowest::new();
            for part in &parts {
                all.add(part);
                prop_assert_eq!(part.0.capacity(), CAPACITY);
            }
            let mut kept: Vec<u64> = all.iter().map(|o| o.response.as_micros() as u64).collect();
            kept.sort_unstable_by_key(|us| Reverse(*us));
            let mut expected: Vec<u64> = times.iter().map(|(us, _)| *us).collect();
            expected.sort_unstable_by_key(|us| Reverse(*us));
            expected.truncate(CAPACITY);
            prop_assert_eq!(kept, expected);
            prop_assert!(all.iter().all(|o| u128::from(o.tag) == o.response.as_micros()));
            prop_assert_eq!(all.is_full(), times.len() >= CAPACITY);
            prop_assert_eq!(all.0.capacity(), CAPACITY);
        }
    }
}
