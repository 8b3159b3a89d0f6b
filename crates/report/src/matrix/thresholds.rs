use pinchpoint_measure::{RunResult, ThresholdOutcome, significant};

use crate::text::clean;

/// What became of one limit over all trials of a run.
#[derive(Debug)]
pub(crate) struct Threshold {
    /// `http_req_duration: p(95)<75, 21.6 to 31.2`.
    text: String,
    trials: usize,
    missed: usize,
}

impl Threshold {
    /// Whether every trial kept it.
    pub(crate) const fn is_kept(&self) -> bool {
        self.missed == 0
    }

    /// `threshold kept: …`, `threshold MISSED in 1 of 3 trials: …`.
    pub(crate) fn line(&self) -> String {
        let Self { text, trials, missed } = self;
        match (*missed, *trials) {
            (0, _) => format!("threshold kept: {text}"),
            (_, 1) => format!("threshold MISSED: {text}"),
            (missed, trials) => format!("threshold MISSED in {missed} of {trials} trials: {text}"),
        }
    }
}

/// The limits of a run, in the order in which they were given.
pub(crate) fn thresholds(result: &RunResult) -> Vec<Threshold> {
    let trials = result.variants.iter().flat_map(|variant| &variant.trials);
    let outcomes: Vec<&ThresholdOutcome> = trials.flat_map(|trial| &trial.thresholds).collect();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for outcome in &outcomes {
        let name = (outcome.metric.as_str(), outcome.expression.as_str());
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    let of = |(metric, expression): (&str, &str)| {
        let own = outcomes.iter().filter(|o| o.metric == metric && o.expression == expression);
        let own: Vec<_> = own.collect();
        Threshold {
            text: format!("{}: {}, {}", clean(metric), clean(expression), values(&own)),
            trials: own.len(),
            missed: own.iter().filter(|outcome| !outcome.passed).count(),
        }
    };
    seen.into_iter().map(of).collect()
}

/// The lowest and the highest figure.
fn values(outcomes: &[&&ThresholdOutcome]) -> String {
    let figures = || outcomes.iter().filter_map(|outcome| outcome.value);
    let bounds = figures().reduce(f64::min).zip(figures().reduce(f64::max));
    match bounds.map(|(lo, hi)| (significant(lo, 3), significant(hi, 3))) {
        None => "no sample".to_owned(),
        Some((lo, hi)) if lo == hi => lo,
        Some((lo, hi)) => format!("{lo} to {hi}"),
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::Trial;

    use super::*;
    use crate::matrix::fixture;

    fn outcome(expression: &str, value: Option<f64>, passed: bool) -> ThresholdOutcome {
        let (metric, expression) = ("http_req_duration".to_owned(), expression.to_owned());
        ThresholdOutcome { metric, expression, value, passed }
    }

    #[test]
    fn a_limit_is_told_once_with_all_its_trials() {
        let mut result = fixture::matrix();
        let one = result.variants[0].trials[0].clone();
        let of = |value: f64| {
            vec![
                outcome("p(95)<75", Some(value), value < 75.0),
                outcome("p(99)<500", Some(90.0), true),
                outcome("p(50)<9", None, false),
            ]
        };
        for variant in &mut result.variants {
            variant.trials.clear();
        }
        let trial = |value| Trial { thresholds: of(value), ..one.clone() };
        result.variants[0].trials = vec![trial(21.6), trial(80.0)];
        let lines: Vec<String> = thresholds(&result).iter().map(Threshold::line).collect();
        assert_eq!(
            lines,
            [
                "threshold MISSED in 1 of 2 trials: http_req_duration: p(95)<75, 21.6 to 80.0",
                "threshold kept: http_req_duration: p(99)<500, 90.0",
                "threshold MISSED in 2 of 2 trials: http_req_duration: p(50)<9, no sample",
            ]
        );
        result.variants[0].trials.truncate(1);
        assert!(thresholds(&result)[0].is_kept());
        assert_eq!(
            thresholds(&result)[2].line(),
            "threshold MISSED: http_req_duration: p(50)<9, no sample"
        );
    }
}
