use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pinchpoint_measure::{SlowFigures, WaitClass, WaitFigures};

/// Sessions kept at most, over all looks: 8 MB. The oldest looks go first.
const MOST: usize = 1 << 20;

/// What single sessions were doing at single instants, for the requests that they served.
#[derive(Debug, Default)]
pub struct Looks {
    /// The instant, and how many of `seen` belong to it.
    instants: VecDeque<(Instant, usize)>,
    /// Process, and wait by its place in `waits`; of each look in the order of the processes.
    seen: VecDeque<(u32, u16)>,
    waits: Vec<(WaitClass, String)>,
}

/// A slow operation, while a session of the server worked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The server process.
    pub process: u32,
    /// When the session was given it.
    pub from: Instant,
    /// When it was answered.
    pub until: Instant,
}

/// What the session of an operation under way is called when it is not at work.
const NOT_AT_WORK: &str = "not at work: request or answer on the way";

impl Looks {
    /// A wait that can be seen from now on; they are numbered in this order.
    pub(crate) fn name_wait(&mut self, class: WaitClass, event: String) {
        self.waits.push((class, event));
    }

    /// Keeps a look at sessions that were at work.
    pub(crate) fn keep(&mut self, at: Instant, sessions: &mut Vec<(u32, u16)>) {
        while self.seen.len() + sessions.len() > MOST {
            let Some((_, count)) = self.instants.pop_front() else { break };
            self.seen.drain(..count);
        }
        sessions.sort_unstable();
        self.instants.push_back((at, sessions.len()));
        self.seen.extend(sessions.drain(..));
    }

    /// What the sessions that served these operations were doing: shares of the looks that fell
    /// into one of them, filled into `figures`.
    pub fn attribute(&self, operations: &[Served], figures: &mut SlowFigures) {
        let mut counts = vec![0_u64; self.waits.len()];
        let (mut idle, mut begin) = (0_u64, 0);
        let mut sorted = operations.to_vec();
        sorted.sort_unstable_by_key(|served| served.from);
        let longest = sorted.iter().map(|s| s.until.saturating_duration_since(s.from)).max();
        for (at, count) in &self.instants {
            let earliest = at.checked_sub(longest.unwrap_or(Duration::ZERO)).unwrap_or(*at);
            let first = sorted.partition_point(|served| served.from < earliest);
            for served in sorted[first..].iter().take_while(|served| served.from <= *at) {
                if served.until < *at {
                    continue;
                }
                match self.wait_of(served.process, begin, *count) {
                    Some(wait) => counts[usize::from(wait)] += 1,
                    None => idle += 1,
                }
            }
            begin += count;
        }
        figures.looks = counts.iter().sum::<u64>() + idle;
        let all = figures.looks.max(1) as f64;
        let named = self.waits.iter().map(|(class, event)| (*class, event.as_str()));
        let named = named.zip(counts).chain([((WaitClass::ClientRead, NOT_AT_WORK), idle)]);
        figures.waits = named
            .filter(|(_, count)| *count > 0)
            .map(|((class, event), count)| WaitFigures {
                class,
                event: event.to_owned(),
                sessions: count as f64 / all,
                error: None,
            })
            .collect();
        figures.waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
    }

    /// What a process waited for in the look that begins here; `None` when it was not at work.
    fn wait_of(&self, process: u32, begin: usize, count: usize) -> Option<u16> {
        let (mut low, mut high) = (begin, begin + count);
        while low < high {
            let middle = usize::midpoint(low, high);
            let (pid, wait) = *self.seen.get(middle)?;
            match pid.cmp(&process) {
                std::cmp::Ordering::Equal => return Some(wait),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_attributed_to_the_operations_that_they_fall_into() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut looks = Looks::default();
        looks.name_wait(WaitClass::Running, "running".to_owned());
        looks.name_wait(WaitClass::RowLock, "Lock:tuple".to_owned());
        looks.keep(at(10), &mut vec![(7, 1), (3, 0)]);
        looks.keep(at(20), &mut vec![(7, 1)]);
        looks.keep(at(30), &mut vec![(7, 0), (9, 1)]);
        looks.keep(at(40), &mut vec![(9, 1)]);
        let slow = |process, from, until| Served { process, from: at(from), until: at(until) };
        let mut figures = SlowFigures::default();
        // Process 7 from 5 to 25: two looks at the lock. Process 3 from 12 to 32: two looks at
        // which it did not work. Process 9 from 31 to 39: none.
        looks.attribute(&[slow(7, 5, 25), slow(3, 12, 32), slow(9, 31, 39)], &mut figures);
        assert_eq!(figures.looks, 4);
        let shares: Vec<_> = figures.waits.iter().map(|w| (w.class, w.sessions)).collect();
        assert_eq!(shares, [(WaitClass::RowLock, 0.5), (WaitClass::ClientRead, 0.5)]);
    }

    #[test]
    fn the_oldest_looks_make_room() {
        let start = Instant::now();
        let mut looks = Looks::default();
        looks.name_wait(WaitClass::Running, "running".to_owned());
        for ms in 0..40_u64 {
            let mut sessions = (0..50_000).map(|pid| (pid, 0)).collect();
            looks.keep(start + Duration::from_millis(ms), &mut sessions);
        }
        assert!(looks.seen.len() <= MOST);
        assert_eq!(looks.seen.len(), looks.instants.iter().map(|(_, count)| count).sum::<usize>());
        assert_eq!(looks.instants.back().unwrap().0, start + Duration::from_millis(39));
    }
}
