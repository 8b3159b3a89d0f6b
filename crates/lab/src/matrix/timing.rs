use pinchpoint_plan::WarmUp;

use crate::matrix::run::MatrixRun;

impl MatrixRun<'_> {
    /// About how long the whole run takes.
    pub(crate) fn expected_s(&self) -> f64 {
        let left: usize = self
            .result
            .variants
            .iter()
            .map(|v| (self.matrix.load.trials as usize).saturating_sub(v.trials.len()))
            .sum();
        10.0 + left as f64 * self.trial_s() + self.soundings_s() + self.proof_s()
    }

    fn trial_s(&self) -> f64 {
        let beyond = if self.spent.1 > 0 {
            self.spent.0 / f64::from(self.spent.1)
        } else {
            3.0 + match self.matrix.load.warmup {
                WarmUp::Fixed(length) => length.as_secs_f64(),
                WarmUp::Auto { .. } => 3.0,
            }
        };
        self.matrix.load.duration.as_secs_f64() + beyond
    }

    pub(crate) fn left_after_s(&self, at: usize, number: u32) -> f64 {
        let rounds_left = f64::from(self.matrix.load.trials - number.min(self.matrix.load.trials));
        let cases = self.cases.len();
        let left = cases.saturating_sub(at + 1) as f64 + rounds_left * cases as f64;
        left * self.trial_s()
    }
}
