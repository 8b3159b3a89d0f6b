use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle time that may be made up for: a sleeper that wakes late must not lose what the line could
/// have carried meanwhile.
const CREDIT: Duration = Duration::from_millis(5);

/// A line that carries so many bytes a second for all who share it: a token bucket, kept as the
/// instant at which the line is free again.
#[derive(Debug, Default)]
pub(crate) struct Line {
    free_at: Mutex<Option<Instant>>,
}

impl Line {
    /// Takes the line's next turn for `bytes`; says when they are through.
    pub(crate) fn reserve(&self, bytes: usize, bytes_per_s: u64, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let begins = free_at.map_or(earliest, |at| at.max(earliest));
        let through = begins + Duration::from_secs_f64(bytes as f64 / bytes_per_s.max(1) as f64);
        *free_at = Some(through);
        through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_one_another_whoever_takes_them() {
        let (line, now) = (Line::default(), Instant::now());
        let first = line.reserve(1_000, 10_000, now);
        assert_eq!(first + CREDIT, now + Duration::from_millis(100), "a line at rest has credit");
        let second = line.reserve(500, 10_000, now);
        assert_eq!(second - first, Duration::from_millis(50));
    }

    #[test]
    fn rest_is_made_up_for_only_so_far() {
        let (line, now) = (Line::default(), Instant::now());
        line.reserve(1, 1_000, now);
        let later = now + Duration::from_secs(60);
        let through = line.reserve(1_000, 1_000, later);
        assert_eq!(through + CREDIT, later + Duration::from_secs(1));
    }

    #[test]
    fn a_late_sleeper_costs_the_line_nothing() {
        let (line, mut now) = (Line::default(), Instant::now());
        let began = now;
        for _ in 0..1_000 {
            now = now.max(line.reserve(100, 1_000_000, now)) + Duration::from_micros(60);
        }
        let took = now - began;
        // 100,000 bytes at 1,000,000 a second are 100 ms; each sleeper woke 60 µs late.
        let bound = Duration::from_millis(101);
        assert!(took > Duration::from_millis(94) && took < bound, "{took:?}");
    }
}
