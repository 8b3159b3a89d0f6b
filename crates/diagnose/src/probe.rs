//! Probes: a demand made larger on purpose, and what throughput did. A slow-down can be had where a
//! speed-up cannot, and the slope at the point where the system runs is that of both (causal
//! profiling: Curtsinger & Berger, "Coz", SOSP 2015).

use pinchpoint_measure::{Demand, Probe, ProbeFigures, Verdict, significant};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Limits,
    Hidden,
    Between,
}

fn says(figures: &ProbeFigures) -> Says {
    match figures.ci95 {
        [lo, _] if lo >= LIMITS => Says::Limits,
        [_, hi] if hi <= HIDDEN => Says::Hidden,
        _ => Says::Between,
    }
}

/// Verdicts that stand and fall with a demand.
const fn verdicts_of(demand: Demand) -> &'static [&'static str] {
    match demand {
        Demand::ServerCpu => &["server-cpu", "cpu-throttling", "machine-cpu"],
        Demand::RoundTrip => &["serial-round-trips", "n-plus-one"],
        Demand::WalFlush => &["wal-flush"],
        Demand::Hold => &["pool-wait", "pooler-slots", "idle-in-transaction"],
    }
}

/// Verdicts that name no cause, so that a probe may.
const UNDECIDED: [&str; 2] = ["balanced", "server-wait"];

/// Holds a verdict, made from what was seen, against probes, which are stronger: they have moved the
/// cause and seen the effect.
pub fn weigh_probes(verdict: &mut Verdict, probes: Vec<Probe>) {
    let own = probes.iter().find(|p| verdicts_of(p.demand).contains(&verdict.bottleneck.as_str()));
    let strongest = probes
        .iter()
        .filter_map(|p| Some((p, p.figures?)))
        .filter(|(_, figures)| says(figures) == Says::Limits)
        .max_by(|(_, a), (_, b)| a.criticality.total_cmp(&b.criticality));
    let answer = own.and_then(|p| Some((p, answer_to(p.demand, &p.figures?))));
    match (answer, strongest) {
        (Some((probe, Says::Limits)), _) => {
            verdict.confidence = verdict.confidence.max(0.9);
            verdict.evidence.push(sentence(probe));
        }
        (Some((probe, Says::Hidden)), Some((other, _))) => {
            verdict.against.push(sentence(probe));
            replace(verdict, other);
        }
        (Some((probe, Says::Hidden)), None) => {
            verdict.confidence = verdict.confidence.min(0.2);
            verdict.against.push(sentence(probe));
        }
        (Some((probe, Says::Between)), _) => {
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
    verdict.probes = probes;
}

/// What a probe says to a verdict of its own demand. Round trips limit one at a time: their own
/// length may be small, what counts is that each adds to the cycle in full.
fn answer_to(demand: Demand, figures: &ProbeFigures) -> Says {
    if demand != Demand::RoundTrip {
        return says(figures);
    }
    let to_slope = figures.cycle_ms / figures.demand_ms;
    match figures.ci95 {
        [lo, _] if lo * to_slope >= ONE_BY_ONE => Says::Limits,
        [_, hi] if hi * to_slope <= HIDDEN => Says::Hidden,
        _ => Says::Between,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs of a system whose cycle grows by `slope` for each millisecond added, with a little
    /// noise that favours neither side.
    fn pairs(users: f64, cycle: f64, slope: f64, added: f64) -> Vec<[f64; 2]> {
        let rate = |cycle: f64| 1000.0 * users / cycle;
        [0.99, 1.01, 1.0, 1.01, 0.99, 1.0]
            .map(|noise| [rate(cycle) * noise, rate(cycle + slope * added)])
            .to_vec()
    }

    fn probe(demand: Demand, slope: f64, demand_ms: f64) -> Probe {
        let pairs = pairs(16.0, 10.0, slope, 1.0);
        let reading = ProbeReading { users: 16.0, pairs: &pairs, demand_ms, added_ms: 1.0 };
        Probe { demand, means: String::new(), figures: probe_figures(&reading), reason: None }
    }

    fn verdict(bottleneck: &str) -> Verdict {
        Verdict {
            bottleneck: bottleneck.to_owned(),
            share: 0.6,
            confidence: 0.6,
            evidence: vec!["seen".to_owned()],
            ..Verdict::default()
        }
    }

    fn weighed(bottleneck: &str, probes: Vec<Probe>) -> Verdict {
        let mut verdict = verdict(bottleneck);
        weigh_probes(&mut verdict, probes);
        verdict
    }

    #[test]
    fn the_slope_and_what_it_means_are_read_back() {
        let figures = probe(Demand::WalFlush, 2.0, 4.0).figures.unwrap();
        assert!((figures.cycle_ms - 10.0).abs() < 0.1, "{figures:?}");
        assert!((figures.slope - 2.0).abs() < 0.05, "{figures:?}");
        assert!((figures.criticality - 0.8).abs() < 0.02, "{figures:?}");
        assert!(figures.ci95[0] < figures.criticality && figures.criticality < figures.ci95[1]);
        assert!(probe(Demand::WalFlush, 0.0, 4.0).figures.unwrap().ci95[1] < HIDDEN);
    }

    #[test]
    fn a_probe_that_finds_the_verdicts_cause_confirms_it() {
        let found = weighed("wal-flush", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
        assert_eq!((found.bottleneck.as_str(), found.confidence), ("wal-flush", 0.9));
        assert!(found.evidence[1].contains("flush of the WAL"), "{found:?}");
        assert_eq!(found.probes.len(), 1);
    }

    #[test]
    fn a_probe_that_clears_the_verdicts_cause_wins() {
        let cleared = probe(Demand::WalFlush, 0.0, 4.0);
        let found = weighed("wal-flush", vec![cleared.clone()]);
        assert!(found.confidence <= 0.2 && found.against.len() == 1, "{found:?}");
        let found = weighed("wal-flush", vec![cleared, probe(Demand::ServerCpu, 1.0, 9.0)]);
        assert_eq!(found.bottleneck, "server-cpu");
        assert!((found.share - 0.9).abs() < 0.05 && found.confidence >= 0.7, "{found:?}");
        assert!(found.against.iter().any(|a| a.contains("pointed to wal-flush")), "{found:?}");
    }

    #[test]
    fn a_probe_beneath_another_cause_is_no_contradiction() {
        let found = weighed("row-lock", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
        assert_eq!(found.bottleneck, "row-lock");
        assert_eq!(found.evidence.len(), 2);
        let found = weighed("balanced", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
        assert_eq!(found.bottleneck, "wal-flush", "where nothing was named, the probe names");
    }

    #[test]
    fn round_trips_one_by_one_count_by_their_slope() {
        // A short way, but each operation waits for it in full.
        let found = weighed("serial-round-trips", vec![probe(Demand::RoundTrip, 1.0, 0.05)]);
        assert!(found.confidence >= 0.9, "{found:?}");
        let found = weighed("serial-round-trips", vec![probe(Demand::RoundTrip, 0.05, 0.05)]);
        assert!(found.confidence <= 0.2, "{found:?}");
    }

    #[test]
    fn a_probe_that_could_not_be_made_changes_nothing() {
        let none = Probe {
            demand: Demand::WalFlush,
            means: String::new(),
            figures: None,
            reason: Some("the server is not ours".to_owned()),
        };
        let found = weighed("wal-flush", vec![none.clone()]);
        assert_eq!(found, Verdict { probes: vec![none], ..verdict("wal-flush") });
    }

    #[test]
    fn slices_without_an_answer_give_none() {
        let good = pairs(16.0, 10.0, 1.0, 1.0);
        let read = |users, pairs: &[[f64; 2]], demand_ms, added_ms| {
            probe_figures(&ProbeReading { users, pairs, demand_ms, added_ms })
        };
        assert!(read(16.0, &good, 1.0, 1.0).is_some());
        assert!(read(16.0, &good[..2], 1.0, 1.0).is_none());
        assert!(read(16.0, &good, 0.0, 1.0).is_none() && read(16.0, &good, 1.0, 0.0).is_none());
        let mut stalled = good;
        stalled[3][1] = 0.0;
        assert!(read(16.0, &stalled, 1.0, 1.0).is_none());
    }

    proptest! {
        #[test]
        fn whatever_the_slices_figures_are_sane(
            pairs in proptest::collection::vec(any::<[f64; 2]>(), 0..8),
            users: f64, demand_ms: f64, added_ms: f64,
        ) {
            if let Some(f) = probe_figures(&ProbeReading { users, pairs: &pairs, demand_ms, added_ms }) {
                prop_assert!(!f.ci95[0].is_nan() && f.ci95[0] <= f.ci95[1]);
            }
        }

        /// The unit of time does not matter.
        #[test]
        fn criticality_has_no_unit(slope in 0.0..2.0_f64, demand in 0.1..9.0_f64, scale in 0.1..10.0_f64) {
            let one = pairs(8.0, 10.0, slope, 1.0);
            let other = pairs(8.0, 10.0 * scale, slope, scale);
            let a = probe_figures(&ProbeReading { users: 8.0, pairs: &one, demand_ms: demand, added_ms: 1.0 }).unwrap();
            let b = probe_figures(&ProbeReading { users: 8.0, pairs: &other, demand_ms: demand * scale, added_ms: scale }).unwrap();
            prop_assert!((a.criticality - b.criticality).abs() < 1e-9);
        }
    }
}
