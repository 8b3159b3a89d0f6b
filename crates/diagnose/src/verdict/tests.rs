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
        verdict
            .elimination
            .iter()
            .map(|e| format!("{} {}: {}", if e.limits { "*" } else { " " }, e.cause, e.finding)),
    );
    lines.extend(verdict.arithmetic.clone());
    lines.join("\n")
}

#[test]
fn the_documents_first_rung() {
    assert_snapshot!(text(&verdict(&Sample::rung_1().variant(), &N100).unwrap()), @r#"
    connection-setup 67 % (confidence 0.83)
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
    serial-round-trips 100 % (confidence 0.85)
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
    server-cpu 100 % (confidence 0.44)
    + 95 % of 2 cores busy
    + 59.9 µs of CPU a row × 31,740 rows/s = 1.9 cores
    + the load threads' part of it is 19 %
    - 60 % of the time is the commit, not all of it CPU
    - WAL flush could limit as well: without it up to 1.8 ×
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
    for trial in &mut variant.trials {
        trial.gates = vec![Gate { name: "phase-sum".into(), passed: false, detail: String::new() }];
    }
    let impossible = verdict(&variant, &N100).unwrap();
    assert_eq!(impossible.bottleneck, "inconclusive", "figures that cannot be true meet nothing");
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
