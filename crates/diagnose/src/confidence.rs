//! How far to trust a verdict. All that is to be calibrated on planted bottlenecks stands here.

use crate::reading::Reading;
use crate::rival::Rival;
use crate::rule::Candidate;

/// Relative uncertainty of a gain that comes from the model, not from sampling: balanced job bounds
/// are within 30 % of the truth in 19 of 20 random networks, so one standard deviation is about half
/// of that on each side, and two gains are compared.
const MODEL: f64 = 0.2;
/// A gain below which removing a cause is not worth its name.
pub(crate) const WORTH_IT: f64 = 1.1;
/// What a lead that is certain to the model is worth: it has not seen everything.
const MOST: f64 = 0.95;
/// The same for a draw.
pub(crate) const DRAW: f64 = 0.45;
/// Most that a verdict from a single source can have.
const ONE_SOURCE: f64 = 0.6;
/// Taken off for each figure that speaks against it, for missing CPU figures, for a single trial.
const DOUBT: f64 = 0.1;
/// At most so many figures against it count.
const DOUBTS: usize = 3;
/// Taken off where nobody sampled the server's sessions.
const NO_SAMPLES: f64 = 0.1;
/// The least: below it there is nothing to say.
const LEAST: f64 = 0.05;

/// From the lead over the runner-up, in standard errors of both gains, and over another part of the
/// time that is close; and what is missing.
pub(crate) fn confidence(
    winner: &Candidate,
    second: Option<&Candidate>,
    rival: Option<&Rival>,
    reading: &Reading,
    against: usize,
) -> f64 {
    let runner_up = second.map_or(WORTH_IT, |other| other.gain[1]);
    let error = error(winner).hypot(second.map_or(MODEL, error));
    let lead = normal((winner.gain[1].ln() - runner_up.ln()) / error);
    let lead = lead.min(rival.map_or(1.0, lead_in_time));
    let mut confidence = DRAW + (MOST - DRAW) * (2.0 * lead - 1.0).clamp(0.0, 1.0);
    confidence -= DOUBT * against.min(DOUBTS) as f64;
    if winner.signals() < 2 {
        confidence = confidence.min(ONE_SOURCE);
    }
    missing(confidence.min(winner.most.unwrap_or(MOST)), reading)
}

/// How sure it is that the cause which is named takes more of the time than the other part: by the
/// gains 1 ÷ (1 − s) that removing either would give.
fn lead_in_time(rival: &Rival) -> f64 {
    let [own, other] = rival.shares.map(|share| -(1.0 - share).max(0.01).ln());
    normal((own - other) / MODEL.hypot(MODEL))
}

/// What is not known lowers it, whatever the verdict.
pub(crate) fn missing(mut confidence: f64, reading: &Reading) -> f64 {
    if reading.cpu.is_none() {
        confidence -= DOUBT;
    }
    if reading.trials < 2 {
        confidence -= DOUBT;
    }
    if reading.seen().and_then(|seen| seen.samples()).is_none() {
        confidence -= NO_SAMPLES;
    }
    if !reading.failed_gates.is_empty() {
        confidence = confidence.min(0.3);
    }
    confidence.clamp(LEAST, MOST)
}

/// Standard error of the logarithm of a gain 1 ÷ (1 − s): gain × that of the share s.
fn error(candidate: &Candidate) -> f64 {
    (candidate.gain[1] * candidate.error).min(1.0).hypot(MODEL)
}

/// The normal distribution function by a logistic curve, within 0.01 (Bowling et al. 2009).
fn normal(z: f64) -> f64 {
    1.0 / (1.0 + (-1.702 * z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Signal;
    use crate::sample::Sample;

    fn candidate(gain: f64, error: f64) -> Candidate {
        let evidence = vec![Signal::Clock.says("a"), Signal::Kernel.says("b")];
        Candidate { share: 0.5, error, gain: [1.0, gain], evidence, ..Candidate::default() }
    }

    #[test]
    fn a_larger_lead_is_surer_and_sampling_error_less_sure() {
        let reading = Reading::of(&Sample::rung_1().variant(), 2.0).unwrap();
        let of = |a: &Candidate, b: Option<&Candidate>| confidence(a, b, None, &reading, 0);
        let draw = of(&candidate(3.0, 0.0), Some(&candidate(3.0, 0.0)));
        let lead = of(&candidate(3.0, 0.0), Some(&candidate(2.0, 0.0)));
        let vague = of(&candidate(3.0, 0.2), Some(&candidate(2.0, 0.2)));
        let alone = of(&candidate(3.0, 0.0), None);
        assert!(draw < vague && vague < lead && lead < alone, "{draw} {vague} {lead} {alone}");
        assert!((draw - (DRAW - NO_SAMPLES)).abs() < 1e-9);
        let doubted = confidence(&candidate(3.0, 0.0), None, None, &reading, 2);
        assert!((alone - doubted - 2.0 * DOUBT).abs() < 1e-9);
    }

    #[test]
    fn one_source_is_never_trusted_much() {
        let reading = Reading::of(&Sample::rung_1().variant(), 2.0).unwrap();
        let mut single = candidate(9.0, 0.0);
        single.evidence.truncate(1);
        assert!(confidence(&single, None, None, &reading, 0) <= ONE_SOURCE);
        let undecided = Candidate { most: Some(DRAW), ..candidate(9.0, 0.0) };
        assert!(confidence(&undecided, None, None, &reading, 0) <= DRAW);
    }
}
