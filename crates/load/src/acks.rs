use std::time::Instant;

/// The most recent acknowledgements of a thread: when, and how many rows. A ring of fixed size.
///
/// After a crash the server has lost a suffix of what it acknowledged (commits reach the log in
/// order), so the age of the oldest lost row follows from how many rows are gone.
#[derive(Debug, Clone)]
pub(crate) struct Acks {
    ring: Vec<(Instant, u64)>,
    next: usize,
}

/// Acknowledgements remembered by each thread: at 50,000 statements a second, more than a second.
const CAPACITY: usize = 1 << 16;

impl Acks {
    pub(crate) fn new() -> Self {
        Self { ring: Vec::with_capacity(CAPACITY), next: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, rows: u64) {
        if self.ring.len() < CAPACITY {
            self.ring.push((at, rows));
        } else {
            self.ring[self.next] = (at, rows);
            self.next = (self.next + 1) % CAPACITY;
        }
    }
}

/// When the oldest of the last rows was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestAck {
    /// When the server acknowledged it.
    pub at: Instant,
    /// The memory does not reach back far enough: it was acknowledged at this time or before.
    pub or_earlier: bool,
}

/// When the oldest of the last `rows` rows of all threads was acknowledged.
pub(crate) fn oldest_of_last(threads: &[Acks], rows: u64) -> Option<OldestAck> {
    if rows == 0 {
        return None;
    }
    let mut all: Vec<(Instant, u64)> =
        threads.iter().flat_map(|t| t.ring.iter().copied()).collect();
    all.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut left = rows;
    for (at, acknowledged) in &all {
        left = left.saturating_sub(*acknowledged);
        if left == 0 {
            return Some(OldestAck { at: *at, or_earlier: false });
        }
    }
    all.last().map(|(at, _)| OldestAck { at: *at, or_earlier: true })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_lost_row_is_found_over_all_threads() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut a, mut b) = (Acks::new(), Acks::new());
        for ms in [1, 3, 5] {
            a.push(at(ms), 10);
            b.push(at(ms + 1), 10);
        }
        let threads = [a, b];
        let oldest = |rows| oldest_of_last(&threads, rows).map(|o| (o.at, o.or_earlier));
        assert_eq!(oldest(0), None);
        assert_eq!(oldest(1), Some((at(6), false)));
        assert_eq!(oldest(11), Some((at(5), false)));
        assert_eq!(oldest(60), Some((at(1), false)));
        assert_eq!(oldest(61), Some((at(1), true)));
    }

    #[test]
    fn the_ring_does_not_grow() {
        let start = Instant::now();
        let mut acks = Acks::new();
        for i in 0..(CAPACITY as u64 * 2 + 5) {
            acks.push(start + Duration::from_nanos(i), 1);
        }
        assert_eq!(acks.ring.len(), CAPACITY);
        let oldest = oldest_of_last(&[acks], CAPACITY as u64);
        let expected = start + Duration::from_nanos(CAPACITY as u64 + 5);
        assert_eq!(oldest, Some(OldestAck { at: expected, or_earlier: false }));
    }
}
