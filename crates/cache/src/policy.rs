//! How long values live and how long callers wait.

use std::time::Duration;

/// What holds for the values of one cached function.
///
/// ```
/// use pinchpoint_cache::Policy;
/// use std::time::Duration;
/// const PROFILE: Policy = Policy::new(Duration::from_secs(300)).stale(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub(crate) ttl: Duration,
    pub(crate) absent_ttl: Option<Duration>,
    pub(crate) stale: Duration,
    pub(crate) jitter: f64,
    pub(crate) refresh_at: Option<f64>,
    pub(crate) timeout: Duration,
}

impl Policy {
    /// Values are fresh for `ttl`, absent ones too; nothing stale is served; a call may take 10 s.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            absent_ttl: None,
            stale: Duration::ZERO,
            jitter: 0.1,
            refresh_at: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// How long "there is none" is believed; as long as a value when not set.
    #[must_use]
    pub const fn absent_ttl(mut self, ttl: Duration) -> Self {
        self.absent_ttl = Some(ttl);
        self
    }

    /// How long after its time a value may still be served: while it is fetched anew in the
    /// background, or when the function or Redis fail.
    #[must_use]
    pub const fn stale(mut self, limit: Duration) -> Self {
        self.stale = limit;
        self
    }

    /// The share of the TTL, from 0 to 1, by which each value's is shortened at random, so that
    /// what was stored together does not expire together. 0.1 when not set.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share.clamp(0.0, 1.0);
        self
    }

    /// The share of the TTL, from 0 to 1, after which a hit fetches the value anew in the
    /// background.
    #[must_use]
    pub const fn refresh_at(mut self, share: f64) -> Self {
        self.refresh_at = Some(share.clamp(0.0, 1.0));
        self
    }

    /// How long a call of the function may take, with its wait for a turn.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How long a lease on an absent value holds: as long as its holder may take, and a little.
    pub(crate) fn lease(&self) -> Duration {
        self.timeout + Duration::from_millis(500)
    }

    /// How long a value loaded now is fresh.
    pub(crate) fn fresh_for(&self, absent: bool, own: Option<Duration>) -> Duration {
        let absent_ttl = self.absent_ttl.filter(|_| absent);
        let ttl = own.or(absent_ttl).unwrap_or(self.ttl);
        ttl.mul_f64(1.0 - self.jitter * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let policy = Policy::new(Duration::from_secs(100)).jitter(0.2);
        let times: Vec<_> = (0..1000).map(|_| policy.fresh_for(false, None)).collect();
        assert!(times.iter().all(|t| (80.0..=100.0).contains(&t.as_secs_f64())));
        assert!(times.iter().any(|t| t.as_secs_f64() < 85.0));
        assert!(times.iter().any(|t| t.as_secs_f64() > 95.0));
    }

    #[test]
    fn absent_values_and_those_with_their_own_time_keep_it() {
        let policy = Policy::new(Duration::from_secs(100)).jitter(0.0);
        let policy = policy.absent_ttl(Duration::from_secs(5));
        assert_eq!(policy.fresh_for(true, None), Duration::from_secs(5));
        assert_eq!(policy.fresh_for(false, None), Duration::from_secs(100));
        assert_eq!(policy.fresh_for(true, Some(Duration::from_secs(1))), Duration::from_secs(1));
    }
}
