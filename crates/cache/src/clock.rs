//! The time by which values in memory age.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// The system's coarse monotonic clock: a few milliseconds of resolution, for a fifth of the cost.
    Coarse,
    /// Tokio's, which tests pause; from this moment on.
    Tokio(Instant),
}

impl Clock {
    pub(crate) fn tokio() -> Self {
        Self::Tokio(Instant::now())
    }

    /// Milliseconds since some moment before the first reading.
    #[inline]
    pub(crate) fn now_ms(self) -> u64 {
        match self {
            Self::Coarse => coarse(),
            Self::Tokio(start) => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn coarse() -> u64 {
    ms(rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse))
}

#[cfg(target_os = "linux")]
fn ms(now: rustix::time::Timespec) -> u64 {
    let (s, ns) = (now.tv_sec.unsigned_abs(), u64::try_from(now.tv_nsec).unwrap_or(0));
    s.saturating_mul(1000).saturating_add(ns / 1_000_000)
}

#[cfg(not(target_os = "linux"))]
fn coarse() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, which processes agree on as far as their clocks do.
pub(crate) fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The same, as coarse and as cheap as [`Clock::Coarse`].
#[cfg(target_os = "linux")]
pub(crate) fn coarse_wall_ms() -> u64 {
    ms(rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse))
}

#[cfg(not(target_os = "linux"))]
pub(crate) use wall_ms as coarse_wall_ms;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_goes_on() {
        let before = Clock::Coarse.now_ms();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let passed = Clock::Coarse.now_ms() - before;
        assert!(passed >= 15, "{passed}");
    }

    #[test]
    fn the_coarse_time_of_day_is_the_time_of_day() {
        let (before, coarse, after) = (wall_ms(), coarse_wall_ms(), wall_ms());
        assert!(before <= coarse + 15 && coarse <= after, "{before} {coarse} {after}");
    }
}
