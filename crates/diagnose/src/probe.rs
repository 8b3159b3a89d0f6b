//! Probes: a demand made larger on purpose, and what throughput did. A slow-down can be had where a
//! speed-up cannot, and the slope at the point where the system runs is that of both (causal
//! profiling: Curtsinger & Berger, "Coz", SOSP 2015).

#[cfg(test)]
mod tests;

use pinchpoint_measure::{Demand, Probe, ProbeFigures, ProbeFinding, Proof, Verdict, significant};
use pinchpoint_stats::{mean, std_dev, student_t_975};

use crate::reading::positive;

/// Criticality from which a demand is what limits: more than half of the cycle is its doing.
const LIMITS: f64 = 0.5;
/// Criticality up to which it is hidden behind something else.
const HIDDEN: f64 = 0.2;
/// Milliseconds of cycle for each of a round trip, from which round trips are in nobody's shadow.
const ONE_BY_ONE: f64 = 0.8;

/// What a probe read.
#[derive(Debug, Clone, Copy)]
pub struct ProbeReading<'a> {
    /// Users of the closed load.
    pub users: f64,
    /// Operations per second in neighbouring slices: as it was, and slowed.
    pub pairs: &'a [[f64; 2]],
    /// The demand as it was, in milliseconds for each operation.
    pub demand_ms: f64,
    /// What was added to it, in milliseconds.
    pub added_ms: f64,
}

/// How much of the cycle a demand decides. `None` when the slices give no answer: fewer than three
/// pairs, a slice without an operation, a demand of nothing.
///
/// With the cycle C = N ÷ X (Little 1961), slope = ΔC ÷ ΔD and criticality = slope × D ÷ C. Each
/// pair of neighbours gives one ratio of cycles, so that drift between pairs cancels; the interval is
/// Student's t over the logarithms of these ratios.
pub fn probe_figures(reading: &ProbeReading<'_>) -> Option<ProbeFigures> {
    let (users, demand) = (positive(reading.users)?, positive(reading.demand_ms)?);
    let added = positive(reading.added_ms)?;
    let logs: Vec<f64> = reading
        .pairs
        .iter()
        .map(|[base, slowed]| Some((positive(*base)? / positive(*slowed)?).ln()))
        .collect::<Option<_>>()?;
    if logs.len() < 3 {
        return None;
    }
    let (centre, spread) = (mean(&logs)?, std_dev(&logs)?);
    let half =
        student_t_975(u32::try_from(logs.len() - 1).ok()?) * spread / (logs.len() as f64).sqrt();
    let base_rate = mean(&reading.pairs.iter().map(|[base, _]| *base).collect::<Vec<_>>())?;
    let cycle = 1000.0 * users / base_rate;
    let criticality = |log: f64| log.exp_m1() * demand / added;
    Some(ProbeFigures {
        demand_ms: demand,
        added_ms: added,
        cycle_ms: cycle,
        slowed_cycle_ms: cycle * centre.exp(),
        slope: criticality(centre) * cycle / demand,
        criticality: criticality(centre),
        ci95: [criticality(centre - half), criticality(centre + half)],
        pairs: logs.len() as u64,
    })
}

/// What a probe says of its demand.
fn says(figures: &ProbeFigures) -> ProbeFinding {
    match figures.ci95 {
        [lo, _] if lo >= LIMITS => ProbeFinding::Confirmed,
        [_, hi] if hi <= HIDDEN => ProbeFinding::Refuted,
        _ => ProbeFinding::Undecided,
    }
}

/// Verdicts that stand and fall with a demand.
const fn verdicts_of(demand: Demand) -> &'static [&'static str] {
    match demand {
        Demand::ServerCpu => &["server-cpu", "cpu-throttling", "machine-cpu"],
        Demand::AppCpu => &["app-cpu"],
        Demand::RoundTrip => &["serial-round-trips", "n-plus-one"],
        Demand::WalFlush => &["wal-flush"],
        Demand::Hold => &["pool-wait", "pooler-slots", "idle-in-transaction"],
    }
}

/// Verdicts that name no cause, so that a probe may.
const UNDECIDED: [&str; 2] = ["balanced", "server-wait"];

/// What a probe says to a verdict of this name: whether the probe's demand limits. `None` without
/// figures.
fn finding(bottleneck: &str, probe: &Probe) -> Option<ProbeFinding> {
    let figures = probe.figures.as_ref()?;
    let own = verdicts_of(probe.demand).contains(&bottleneck);
    Some(if own { answer_to(probe.demand, figures) } else { says(figures) })
}

/// Holds a verdict, made from what was seen, against probes, which are stronger: they have moved the
/// cause and seen the effect.
pub fn weigh_probes(verdict: &mut Verdict, mut probes: Vec<Probe>) {
    for probe in &mut probes {
        probe.finding = finding(&verdict.bottleneck, probe);
    }
    let claim = verdict.bottleneck.clone();
    let own = probes.iter().find(|p| verdicts_of(p.demand).contains(&verdict.bottleneck.as_str()));
    let strongest = probes
        .iter()
        .filter_map(|p| Some((p, p.figures?)))
        .filter(|(_, figures)| says(figures) == ProbeFinding::Confirmed)
        .max_by(|(_, a), (_, b)| a.criticality.total_cmp(&b.criticality));
    let answer = own.and_then(|p| Some((p, answer_to(p.demand, &p.figures?))));
    match (answer, strongest) {
        (Some((probe, ProbeFinding::Confirmed)), _) => {
            verdict.confidence = verdict.confidence.max(0.9);
            verdict.evidence.push(sentence(probe));
        }
        (Some((probe, ProbeFinding::Refuted)), Some((other, _))) => {
            verdict.against.push(sentence(probe));
            replace(verdict, other);
        }
        (Some((probe, ProbeFinding::Refuted)), None) => {
            verdict.confidence = verdict.confidence.min(0.2);
            verdict.against.push(sentence(probe));
        }
        (Some((probe, ProbeFinding::Undecided)), _) => {
            let shown = probe.figures.is_some_and(|f| f.criticality >= LIMITS);
            if shown {
                verdict.evidence.push(sentence(probe));
            } else {
                verdict.confidence = verdict.confidence.min(0.6);
                verdict.against.push(sentence(probe));
            }
        }
        (None, Some((other, _))) if UNDECIDED.contains(&verdict.bottleneck.as_str()) => {
            replace(verdict, other);
        }
        // A lock's hold may be made of a flush: what a probe finds beneath is no contradiction.
        (None, Some((other, _))) => verdict.evidence.push(sentence(other)),
        (None, None) => (),
    }
    verdict.confidence = verdict.confidence.clamp(0.05, 0.95);
    verdict.proof = Some(proof(claim, verdict, &probes));
    verdict.probes = probes;
}

/// What became of the claim, now that the verdict has been held against the probes.
fn proof(claim: String, verdict: &Verdict, probes: &[Probe]) -> Proof {
    if UNDECIDED.contains(&claim.as_str()) && verdict.bottleneck != claim {
        // Nothing was claimed; the probe has named a cause by itself.
        let claim = verdict.bottleneck.clone();
        return Proof { claim, finding: ProbeFinding::Confirmed, reason: None };
    }
    let own = probes.iter().find(|p| verdicts_of(p.demand).contains(&claim.as_str()));
    let reason = match own {
        Some(Probe { finding: Some(finding), .. }) => {
            return Proof { claim, finding: *finding, reason: None };
        }
        Some(Probe { demand, reason, .. }) => {
            let why = reason.as_deref().unwrap_or("no figures");
            format!("{} could not be made larger: {why}", demand.title())
        }
        None => "it is no demand that can be made larger on purpose".to_owned(),
    };
    Proof { claim, finding: ProbeFinding::Undecided, reason: Some(reason) }
}

/// What a probe says to a verdict of its own demand. Round trips limit one at a time: their own
/// length may be small, what counts is that each adds to the cycle in full.
fn answer_to(demand: Demand, figures: &ProbeFigures) -> ProbeFinding {
    if demand != Demand::RoundTrip {
        return says(figures);
    }
    let to_slope = figures.cycle_ms / figures.demand_ms;
    match figures.ci95 {
        [lo, _] if lo * to_slope >= ONE_BY_ONE => ProbeFinding::Confirmed,
        [_, hi] if hi * to_slope <= HIDDEN => ProbeFinding::Refuted,
        _ => ProbeFinding::Undecided,
    }
}

/// The probe wins.
fn replace(verdict: &mut Verdict, probe: &Probe) {
    let Some(figures) = probe.figures else { return };
    let Some(name) = verdicts_of(probe.demand).first() else { return };
    verdict.against.push(format!("what was seen alone pointed to {}", verdict.bottleneck));
    (*name).clone_into(&mut verdict.bottleneck);
    verdict.share = figures.criticality.clamp(0.0, 1.0);
    verdict.confidence = 0.8;
    verdict.evidence = vec![sentence(probe)];
    // These were of the verdict that fell.
    verdict.advice.clear();
    verdict.gain = None;
    for line in &mut verdict.elimination {
        line.limits = false;
    }
}

/// A probe in one line.
fn sentence(probe: &Probe) -> String {
    let title = probe.demand.title();
    let Some(figures) = &probe.figures else {
        return format!("{title}: not probed, {}", probe.reason.as_deref().unwrap_or("no figures"));
    };
    let [lo, hi] = figures.ci95;
    format!(
        "probe of {title}: {} ms more make the cycle {} ms longer, criticality {:.2} ({lo:.2} to {hi:.2})",
        significant(figures.added_ms, 2),
        significant(figures.slowed_cycle_ms - figures.cycle_ms, 2),
        figures.criticality,
    )
}
