use pinchpoint_measure::{Elimination, PHASES, Variant, Verdict, significant};

use crate::Machine;
use crate::reading::Reading;
use crate::rule::{Candidate, Finding, RULES, Rule};

/// A gain below which removing a cause is not worth its name.
const WORTH_IT: f64 = 1.1;
/// Share of an open load's target from which it counts as met.
const TARGET_MET: f64 = 0.95;

/// What limited a variant, by elimination: each cause is looked at, and of those that could limit
/// the one wins whose removal could raise throughput most. `None` without figures that count.
///
/// Confidence is 0.5 when the runner-up's possible gain equals the winner's, and rises to 0.9
/// where there is no other candidate. It loses 0.1 for each figure that speaks against the winner
/// and for each missing source (CPU, a second trial); it is at most 0.6 with a single piece of
/// evidence and at most 0.3 when a gate failed.
pub fn verdict(variant: &Variant, machine: &Machine) -> Option<Verdict> {
    let reading = Reading::of(variant, machine.cores())?;
    let findings: Vec<(&Rule, Finding)> =
        RULES.iter().map(|rule| (rule, (rule.examine)(&reading, machine))).collect();
    let mut candidates: Vec<(&Rule, &Candidate)> = findings
        .iter()
        .filter_map(|(rule, finding)| Some((*rule, finding.candidate.as_ref()?)))
        .filter(|(_, candidate)| candidate.gain >= WORTH_IT)
        .collect();
    candidates.sort_by(|(_, a), (_, b)| {
        b.gain.total_cmp(&a.gain).then_with(|| b.share.total_cmp(&a.share))
    });

    let mut verdict = match candidates.first() {
        _ if target_met(&reading) => nothing_limits(&reading),
        Some((rule, candidate)) => named(rule, candidate, candidates.get(1)),
        None => balanced(&reading),
    };
    verdict.elimination = findings
        .iter()
        .map(|(rule, finding)| Elimination {
            cause: rule.cause.to_owned(),
            finding: finding.text.clone(),
            limits: rule.bottleneck == verdict.bottleneck,
        })
        .collect();
    doubt(&mut verdict, &reading);
    verdict.arithmetic = Some(arithmetic(&reading));
    Some(verdict)
}

fn named(rule: &Rule, winner: &Candidate, second: Option<&(&Rule, &Candidate)>) -> Verdict {
    let mut against = winner.against.clone();
    let doubts = 0.1 * against.len() as f64;
    let mut lead = 1.0;
    if let Some((other, candidate)) = second {
        lead = 1.0 - (candidate.gain - 1.0) / (winner.gain - 1.0);
        let gain = significant(candidate.gain, 2);
        against.push(format!("{} could limit as well: without it up to {gain} ×", other.cause));
    }
    Verdict {
        bottleneck: rule.bottleneck.to_owned(),
        share: winner.share,
        confidence: 0.5 + 0.4 * lead - doubts,
        evidence: winner.evidence.clone(),
        against,
        ..Verdict::default()
    }
}

/// An open load that reached its target: there is room left, and no telling what would limit.
fn nothing_limits(reading: &Reading) -> Verdict {
    let target = significant(reading.target_per_s.unwrap_or(0.0), 3);
    let mut evidence = vec![format!("the target of {target} rows/s was met")];
    evidence.extend(reading.idle_cpu());
    Verdict { bottleneck: "none".to_owned(), confidence: 0.9, evidence, ..Verdict::default() }
}

/// No single cause stands out.
fn balanced(reading: &Reading) -> Verdict {
    let largest = PHASES
        .into_iter()
        .max_by(|a, b| reading.phase_ms(|p| p == *a).total_cmp(&reading.phase_ms(|p| p == *b)));
    let share = largest.map_or(0.0, |phase| reading.share(|p| p == phase));
    let evidence = largest
        .map(|phase| format!("the largest phase, {}, takes {:.0} %", phase.name(), share * 100.0));
    Verdict {
        bottleneck: "balanced".to_owned(),
        share,
        confidence: 0.5,
        evidence: evidence.into_iter().collect(),
        against: vec!["no single cause stands out".to_owned()],
        ..Verdict::default()
    }
}

fn target_met(reading: &Reading) -> bool {
    reading.target_per_s.is_some_and(|target| reading.rows_per_s >= TARGET_MET * target)
}

/// Lowers the confidence for what is missing or wrong, and says so.
fn doubt(verdict: &mut Verdict, reading: &Reading) {
    if verdict.evidence.len() < 2 {
        verdict.confidence = verdict.confidence.min(0.6);
    }
    if reading.cpu.is_none() {
        verdict.confidence -= 0.1;
    }
    if reading.trials < 2 {
        verdict.confidence -= 0.1;
        verdict.against.push("one trial only".to_owned());
    }
    if !reading.failed_gates.is_empty() {
        verdict.confidence = verdict.confidence.min(0.3);
        verdict.against.push(format!("checks that failed: {}", reading.failed_gates.join(", ")));
    }
    verdict.confidence = verdict.confidence.clamp(0.05, 0.95);
}

/// The estimate held against the measurement: X = N ÷ R (Little 1961).
fn arithmetic(reading: &Reading) -> String {
    let one_row = (reading.rows - 1.0).abs() < 1e-9;
    let rows = if one_row { String::new() } else { format!(" × {} rows", figure(reading.rows)) };
    let expected = 1000.0 / reading.service_ms * reading.users * reading.rows;
    format!(
        "1000 ms ÷ {} ms × {}{rows} = {}/s {}, {}/s measured",
        significant(reading.service_ms, 3),
        figure(reading.users),
        significant(expected, 3),
        if reading.target_per_s.is_some() { "possible" } else { "expected" },
        significant(reading.rows_per_s, 3)
    )
}

/// A number that is usually whole.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { significant(value, 3) }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pinchpoint_measure::{Gate, Pace, Phase, VariantStatus};
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Sample, any_variant};

    const N100: Machine = Machine { cpus: 4, fsync_us: None };
    const HERE: Machine = Machine { cpus: 2, fsync_us: Some(85.0) };

    fn text(verdict: &Verdict) -> String {
        let mut lines = vec![format!(
            "{} {:.0} % (confidence {:.2})",
            verdict.bottleneck,
            verdict.share * 100.0,
            verdict.confidence
        )];
        lines.extend(verdict.evidence.iter().map(|e| format!("+ {e}")));
        lines.extend(verdict.against.iter().map(|a| format!("- {a}")));
        lines.extend(
            verdict.elimination.iter().map(|e| {
                format!("{} {}: {}", if e.limits { "*" } else { " " }, e.cause, e.finding)
            }),
        );
        lines.extend(verdict.arithmetic.clone());
        lines.join("\n")
    }

    #[test]
    fn the_documents_first_rung() {
        assert_snapshot!(text(&verdict(&Sample::rung_1().variant(), &N100).unwrap()), @r#"
        connection-setup 67 % (confidence 0.78)
        + opening and closing takes 10.0 ms of 15.0 ms (67 %)
        + the statement itself takes 5.00 ms
        + most of it, 9.40 ms, is authentication and the backend's start
        + CPU 35 % busy: it does not limit
        - one at a time could limit as well: without it up to 1.6 ×
          load generator: load threads 10 % busy, 3 % of the machine's CPU
          CPU: 35 % of 4 cores busy
          memory: 12 % in use
          network: waiting for the socket takes 0 ms of 15.0 ms (0 %)
        * connection set-up: opening and closing takes 10.0 ms of 15.0 ms (67 %)
          pool: waiting for a connection takes 0 ms of 15.0 ms (0 %)
          one at a time: 1 operation at a time, of which 0 % is the commit
          WAL flush: commit was not told apart from execute
          server: the server executes for 5.00 ms of 15.0 ms (33 %)
        1000 ms ÷ 15.0 ms × 1 = 66.7/s expected, 67.0/s measured
        "#);
    }

    #[test]
    fn the_documents_second_rung() {
        assert_snapshot!(text(&verdict(&Sample::rung_2().variant(), &N100).unwrap()), @r#"
        serial-round-trips 100 % (confidence 0.84)
        + 1 operation at a time: every 5.70 ms one round trip, and nothing overlaps
        + CPU 15 % busy: it does not limit
        - WAL flush could limit as well: without it up to 1.8 ×
          load generator: load threads 10 % busy, 1 % of the machine's CPU
          CPU: 15 % of 4 cores busy
          memory: 12 % in use
          network: waiting for the socket takes 0 ms of 5.70 ms (0 %)
          connection set-up: opening and closing takes 0 ms of 5.70 ms (0 %)
          pool: waiting for a connection takes 0.100 ms of 5.70 ms (2 %)
        * one at a time: 1 operation at a time, of which 46 % is the commit
          WAL flush: commit takes 2.60 ms of 5.70 ms (46 %)
          server: the server executes for 3.00 ms of 5.70 ms (53 %)
        1000 ms ÷ 5.70 ms × 1 = 175/s expected, 175/s measured
        "#);
    }

    #[test]
    fn many_users_that_use_up_the_cores() {
        assert_snapshot!(text(&verdict(&Sample::rung_2b().variant(), &HERE).unwrap()), @r#"
        server-cpu 100 % (confidence 0.80)
        + 95 % of 2 cores busy
        + 59.9 µs of CPU a row × 31,740 rows/s = 1.9 cores
        + the load threads' part of it is 19 %
        - 60 % of the time is the commit, not all of it CPU
          load generator: load threads 20 % busy, 18 % of the machine's CPU
        * CPU: 95 % of 2 cores busy
          memory: 12 % in use
          network: waiting for the socket takes 0 ms of 1.57 ms (0 %)
          connection set-up: opening and closing takes 0 ms of 1.57 ms (0 %)
          pool: waiting for a connection takes 0 ms of 1.57 ms (0 %)
          one at a time: 50 operations at a time
          WAL flush: commit takes 0.945 ms of 1.57 ms (60 %), 11 × one fdatasync of 0.0850 ms
          server: the server executes for 0.620 ms of 1.57 ms (39 %)
        1000 ms ÷ 1.57 ms × 50 = 31,746/s expected, 31,740/s measured
        "#);
    }

    #[test]
    fn every_cause_is_found_where_it_is_planted() {
        let plants: [(&str, Sample); 8] = [
            ("connection-setup", Sample { cpu: 99.0, users: 50, ..Sample::rung_1() }),
            ("serial-round-trips", Sample::rung_2()),
            ("server-cpu", Sample::rung_2b()),
            ("client-cpu", Sample { client_share: 0.95, ..Sample::rung_2b() }),
            ("pool-wait", Sample::waiting(Phase::Checkout)),
            ("wal-flush", Sample::waiting(Phase::Commit)),
            ("network", Sample::waiting(Phase::Transfer)),
            ("server-wait", Sample::waiting(Phase::Execute)),
        ];
        for (planted, sample) in plants {
            let found = verdict(&sample.variant(), &HERE).unwrap();
            assert_eq!(found.bottleneck, planted, "{}", text(&found));
            assert_eq!(found.elimination.iter().filter(|e| e.limits).count(), 1);
        }
    }

    #[test]
    fn an_asynchronous_commit_is_not_a_flush() {
        let sample = Sample { sync: "off", ..Sample::waiting(Phase::Commit) };
        assert_ne!(verdict(&sample.variant(), &HERE).unwrap().bottleneck, "wal-flush");
    }

    #[test]
    fn a_target_that_is_met_leaves_nothing_to_blame() {
        let mut variant = Sample { rows_per_s: 49.8, ..Sample::rung_1() }.variant();
        for trial in &mut variant.trials {
            trial.pace = Pace::Open { target_per_s: 50.0, poisson: false };
        }
        let found = verdict(&variant, &N100).unwrap();
        assert_eq!(found.bottleneck, "none");
        assert!(found.elimination.iter().all(|e| !e.limits));
        assert!(found.arithmetic.unwrap().contains("possible"));
    }

    #[test]
    fn failed_gates_and_single_trials_are_held_against_it() {
        let mut variant = Sample::rung_1().variant();
        let sure = verdict(&variant, &N100).unwrap().confidence;
        variant.trials.truncate(1);
        let single = verdict(&variant, &N100).unwrap();
        assert!(single.confidence < sure && single.against.contains(&"one trial only".to_owned()));
        let failed = Gate { name: "phase-sum".into(), passed: false, detail: String::new() };
        variant.trials[0].gates = vec![failed];
        assert!(verdict(&variant, &N100).unwrap().confidence <= 0.3);
    }

    #[test]
    fn no_figures_no_verdict() {
        let mut variant = Sample::rung_1().variant();
        variant.status = VariantStatus::Skipped;
        variant.trials.clear();
        assert_eq!(verdict(&variant, &N100), None);
        variant.summary = None;
        assert_eq!(verdict(&variant, &N100), None);
    }

    proptest! {
        #[test]
        fn whatever_the_figures_the_verdict_is_sane(variant in any_variant(), cpus in 0..64_u32, fsync in any::<f64>()) {
            if let Some(found) = verdict(&variant, &Machine { cpus, fsync_us: Some(fsync) }) {
                prop_assert!((0.0..=1.0).contains(&found.share), "{}", text(&found));
                prop_assert!((0.0..=1.0).contains(&found.confidence), "{}", text(&found));
                prop_assert!(!text(&found).contains("NaN"), "{}", text(&found));
            }
        }

        /// Doubling all times changes no share, so it must not change the verdict.
        #[test]
        fn the_unit_of_time_does_not_matter(sample in Sample::any()) {
            let slow = Machine { cpus: 2, fsync_us: HERE.fsync_us.map(|us| us * 2.0) };
            let one = verdict(&sample.variant(), &HERE).unwrap();
            let two = verdict(&sample.slower(2.0).variant(), &slow).unwrap();
            prop_assert_eq!(&one.bottleneck, &two.bottleneck);
            prop_assert!((one.confidence - two.confidence).abs() < 1e-9);
            prop_assert!((one.share - two.share).abs() < 1e-9);
        }
    }
}
