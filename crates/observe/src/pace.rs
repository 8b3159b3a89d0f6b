use std::time::{Duration, Instant};

/// Part of one core that watching may take, on both sides together; and the part of it that is for
/// looking, when reading the counters leaves so much, and at least.
const WHOLE: f64 = 0.009;
const LOOKING: f64 = 0.005;
const AT_LEAST: f64 = 0.0025;
/// Between two looks on average, when they are cheap, and when they are dear.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(200);
/// Looks after which the rate is set anew.
const EVERY: u32 = 8;

/// When to look next: as often as the budget allows, and never in step with the load.
#[derive(Debug)]
pub(crate) struct Pace {
    budget: f64,
    mean: Duration,
    rng: fastrand::Rng,
    /// Looks since the cost was taken stock of, and the costs then.
    looks: u32,
    spent: Duration,
}

impl Pace {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { budget: LOOKING, mean: SHORTEST, rng, looks: 0, spent: Duration::ZERO }
    }

    /// Reading the counters takes so much of each stretch of time: looking makes do with the rest.
    pub(crate) fn share_with(&mut self, reading: Duration, stretch: Duration) {
        let rest = WHOLE - reading.as_secs_f64() / stretch.as_secs_f64().max(1e-3);
        self.budget = rest.clamp(AT_LEAST, LOOKING);
    }

    /// The next look: half to one and a half of the mean from now.
    pub(crate) fn next(&mut self) -> Instant {
        Instant::now() + self.mean.mul_f64(0.5 + self.rng.f64())
    }

    /// Starts counting from these costs.
    pub(crate) fn reset(&mut self, spent: Duration) {
        (self.looks, self.spent) = (0, spent);
    }

    /// A look was taken; `spent` says, now and then, what looking has cost so far in CPU time.
    pub(crate) fn looked(&mut self, spent: impl FnOnce() -> Duration) {
        self.looks += 1;
        if self.looks < EVERY {
            return;
        }
        let spent = spent();
        let each = spent.saturating_sub(self.spent) / self.looks;
        self.mean = each.div_f64(self.budget).clamp(SHORTEST, LONGEST);
        self.reset(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_looks_become_rare() {
        let mut pace = Pace::new(1);
        let mut spent = Duration::ZERO;
        let mut run = |pace: &mut Pace, each_us: u64| {
            for _ in 0..EVERY {
                spent += Duration::from_micros(each_us);
                pace.looked(|| spent);
            }
            pace.mean
        };
        assert_eq!(run(&mut pace, 50), SHORTEST);
        assert_eq!(run(&mut pace, 250), Duration::from_millis(50));
        assert_eq!(run(&mut pace, 50_000), LONGEST);
        assert_eq!(run(&mut pace, 1), SHORTEST);
    }

    #[test]
    fn what_counters_cost_is_taken_from_the_looks() {
        let second = Duration::from_secs(1);
        let mean = |reading_ms| {
            let mut pace = Pace::new(1);
            pace.share_with(Duration::from_millis(reading_ms), second);
            let mut spent = Duration::ZERO;
            for _ in 0..EVERY {
                spent += Duration::from_micros(200);
                pace.looked(|| spent);
            }
            pace.mean
        };
        assert_eq!(mean(0), Duration::from_millis(40));
        assert_eq!(mean(5), Duration::from_millis(50));
        assert_eq!(mean(50), Duration::from_millis(80));
    }

    #[test]
    fn gaps_differ_and_keep_their_bounds() {
        let mut pace = Pace::new(7);
        let from = Instant::now();
        let gaps: Vec<_> = (0..200).map(|_| pace.next().saturating_duration_since(from)).collect();
        assert!(gaps.iter().all(|gap| *gap >= SHORTEST / 2));
        assert!(gaps.iter().any(|gap| *gap < SHORTEST) && gaps.iter().any(|gap| *gap > SHORTEST));
    }
}
