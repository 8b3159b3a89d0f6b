use std::time::Duration;

use pinchpoint_plan::{Experiment, WarmUp};

/// What trials take beyond their measured part.
pub(crate) struct Overhead {
    total: Duration,
    trials: u32,
}

impl Overhead {
    pub(crate) const fn new() -> Self {
        Self { total: Duration::ZERO, trials: 0 }
    }

    pub(crate) fn saw(&mut self, took: Duration, measured_s: f64) {
        self.total += took.saturating_sub(Duration::from_secs_f64(measured_s.max(0.0)));
        self.trials += 1;
    }

    /// The mean so far, or a guess: a warm-up, emptying the table, counting it.
    pub(crate) fn mean_s(&self, experiment: &Experiment) -> f64 {
        if self.trials > 0 {
            return self.total.as_secs_f64() / f64::from(self.trials);
        }
        0.5 + match experiment.load.warmup {
            WarmUp::Fixed(length) => length.as_secs_f64(),
            WarmUp::Auto { .. } => 1.5,
        }
    }
}
