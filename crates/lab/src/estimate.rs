use pinchpoint_plan::Batch;

use crate::prove::probes_s;
use crate::run::Run;
use crate::{sounding, sweep};

impl Run<'_> {
    /// About how long the whole run takes.
    pub(crate) fn expected_s(&self, prove: bool) -> f64 {
        let trials = self.experiment.rungs.len() as f64 * f64::from(self.experiment.load.trials);
        let points: usize = self
            .experiment
            .rungs
            .iter()
            .filter_map(|r| match (&r.batch, &r.like) {
                (Batch::Sweep(sizes), None) => Some(sizes.len() * 2),
                _ => None,
            })
            .sum();
        let point_s = sweep::length(self.experiment).as_secs_f64() + 0.5;
        let steps = self.experiment.rungs.iter().filter(|r| r.lever.is_some()).count() as f64;
        let soundings_s = steps * sounding::expected_s(self.experiment);
        let probes_s = if prove { probes_s(self.experiment.load.duration) } else { 0.0 };
        let probes_s = probes_s * self.experiment.rungs.len() as f64;
        2.0 + points as f64 * point_s + soundings_s + probes_s + trials * self.trial_s()
    }

    fn trial_s(&self) -> f64 {
        self.experiment.load.duration.as_secs_f64() + self.overhead.mean_s(self.experiment)
    }

    pub(crate) fn left_after_s(&self, index: usize, number: u32) -> f64 {
        let rungs = self.experiment.rungs.len();
        let rounds_left = f64::from(self.experiment.load.trials - number);
        let left = (rungs - index - 1) as f64 + rounds_left * rungs as f64;
        left * self.trial_s()
    }
}
