//! What must not change a verdict, what may not make it surer, and what no figure may break.

mod unseen;

use pinchpoint_measure::{
    Counter, Gate, HostFigures, Observation, Phase, PoolerFigures, SlowFigures, StackFigures,
    StatementFigures, Trial, Variant, Verdict, WAIT_CLASSES, WaitClass, WaitFigures,
};
use proptest::prelude::*;

use crate::budget::cause;
use crate::plants::{Plant, cases};
use crate::sample::any_variant;
use crate::{Machine, verdict};

const HERE: Machine = Machine { cpus: 2, fsync_us: Some(100.0) };

fn found(variant: &Variant) -> Verdict {
    verdict(variant, &HERE).expect("figures")
}

fn observations(variant: &mut Variant) -> impl Iterator<Item = &mut Observation> {
    variant.trials.iter_mut().filter_map(|trial| trial.observation.as_mut())
}

/// Twice the times are half the rates and the same shares.
#[test]
fn the_unit_of_time_changes_no_verdict() {
    for (name, mut plant, _) in cases() {
        let before = plant.verdict();
        plant.phases.iter_mut().for_each(|(_, ms)| *ms *= 2.0);
        plant.waits.iter_mut().for_each(|(_, _, ms)| *ms *= 2.0);
        plant.held *= 2.0;
        plant.backends = plant.backends.map(|(cpu, delay)| (cpu * 2.0, delay * 2.0));
        let mut variant = plant.variant();
        for observation in observations(&mut variant) {
            observation.round_trip_ms = observation.round_trip_ms.map(|ms| ms * 2.0);
        }
        let slow = Machine { cpus: 2, fsync_us: Some(200.0) };
        let after = verdict(&variant, &slow).unwrap();
        assert_eq!(after.bottleneck, before.bottleneck, "{name}");
        let change = (after.confidence - before.confidence).abs();
        // Counts are whole, so rates are not halved to the last digit.
        assert!(change < 1e-3, "{name}: {after:#?} {before:#?}");
    }
}

/// Names of waits and the version that they come from are for people: rules see classes.
#[test]
fn what_a_version_calls_a_wait_changes_nothing() {
    for (name, plant, _) in cases() {
        let mut variant = plant.variant();
        let before = found(&variant);
        for observation in observations(&mut variant) {
            observation.server_version = Some(180_004);
            for wait in observation.sessions.iter_mut().flat_map(|s| &mut s.waits) {
                wait.event =
                    wait.event.replace("WALSync", "WalSync").replace("IO:WALWrite", "IO:WalWrite");
            }
        }
        let after = found(&variant);
        let figures = |v: &Verdict| {
            (v.bottleneck.clone(), v.share, v.confidence, v.gain, v.runner_up.clone(), v.closure)
        };
        assert_eq!(figures(&after), figures(&before), "{name}");
    }
}

/// What is no longer known, and how it is taken away.
type Removal = (&'static str, fn(&mut Trial));

/// Ways to know less.
fn without() -> Vec<Removal> {
    fn observed(trial: &mut Trial) -> &mut Observation {
        trial.observation.as_mut().expect("an observation")
    }
    vec![
        ("everything seen", |t| (t.observation, t.stack) = (None, None)),
        ("sessions", |t| observed(t).sessions = None),
        ("counters", |t| observed(t).counters.clear()),
        ("backends", |t| observed(t).backends = None),
        ("host", |t| observed(t).host = None),
        ("statements", |t| observed(t).statements.clear()),
        ("round trip", |t| observed(t).round_trip_ms = None),
        ("version", |t| observed(t).server_version = None),
        ("blockers", |t| {
            observed(t).sessions.iter_mut().for_each(|s| s.blockers.clear());
        }),
        ("machine's CPU", |t| t.cpu_percent = None),
        ("memory", |t| t.memory_percent = None),
    ]
}

#[test]
fn knowing_less_never_makes_a_verdict_surer() {
    for (name, plant, _) in cases() {
        let variant = plant.variant();
        let before = found(&variant);
        for (signal, remove) in without() {
            let mut less = variant.clone();
            less.trials.iter_mut().for_each(remove);
            let after = found(&less);
            // Without what it stands on it is another verdict, and without what the runner-up stands
            // on it has another field to win against.
            let rival = before.runner_up.as_ref().map(|s| &s.bottleneck);
            let same_rival = after.runner_up.as_ref().map(|s| &s.bottleneck) == rival;
            if after.bottleneck == before.bottleneck && (rival.is_none() || same_rival) {
                assert!(
                    after.confidence <= before.confidence + 1e-9,
                    "{name} without {signal}: {} after {}",
                    after.confidence,
                    before.confidence
                );
            }
        }
    }
}

/// A disturbance, and whether nothing can be concluded under it.
type Disturbance = (&'static str, fn(&mut Trial), bool);

fn disturbances() -> Vec<Disturbance> {
    fn host(trial: &mut Trial) -> &mut HostFigures {
        trial.observation.as_mut().and_then(|o| o.host.as_mut()).expect("a host")
    }
    fn failed(trial: &mut Trial, name: &str) {
        let gate = Gate { name: name.to_owned(), passed: false, detail: String::new() };
        trial.gates.push(gate);
    }
    vec![
        ("little", |t| failed(t, "littles-law"), true),
        ("phases", |t| failed(t, "phase-sum"), true),
        ("unsettled", |t| failed(t, "settled"), false),
        ("steal", |t| host(t).steal_share = Some(0.2), true),
        ("a little steal", |t| host(t).steal_share = Some(0.03), false),
        (
            "strangers on a full machine",
            |t| {
                host(t).foreign_cpu_s = Some(8.0);
                t.cpu_percent = Some(99.0);
                let backends = t.observation.as_mut().and_then(|o| o.backends.as_mut());
                backends.expect("backends").run_delay_s = 30.0;
            },
            true,
        ),
        (
            "strangers that are in nobody's way",
            |t| {
                host(t).foreign_cpu_s = Some(8.0);
                t.cpu_percent = Some(99.0);
                let backends = t.observation.as_mut().and_then(|o| o.backends.as_mut());
                backends.expect("backends").run_delay_s = 0.0;
            },
            false,
        ),
        (
            "samples that contradict the server's clock",
            |t| {
                let counters = &mut t.observation.as_mut().expect("an observation").counters;
                counters.entry(Counter::ActiveMs).and_modify(|ms| *ms *= 0.3);
            },
            true,
        ),
    ]
}

#[test]
fn what_disturbs_a_measurement_voids_it_or_is_held_against_it() {
    let plant = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 1.0);
    let sure = plant.verdict();
    for (name, disturb, void) in disturbances() {
        let mut variant = plant.variant();
        variant.trials.iter_mut().for_each(disturb);
        let found = found(&variant);
        assert_eq!(found.inconclusive.is_some(), void, "{name}: {found:#?}");
        assert_eq!(found.bottleneck == "inconclusive", void, "{name}");
        assert!(found.confidence <= sure.confidence, "{name}");
        assert!(void || found.against.len() > sure.against.len(), "{name}: {found:#?}");
        assert!(!found.budget.is_empty(), "{name}: the budget is shown all the same");
    }
}

/// Two witnesses against one: a server that is late with its counters voids nothing when the load's
/// clock says what the samples say; and the samples stand alone against both others.
#[test]
fn the_loads_clock_decides_between_the_samples_and_the_servers() {
    let mut plant = Plant::waiting(WaitClass::RowLock, "Lock:tuple", 100.0);
    let late = |plant: &Plant, active_ms: f64| {
        let mut variant = plant.variant();
        for observation in observations(&mut variant) {
            observation.counters.entry(Counter::ActiveMs).and_modify(|ms| *ms *= active_ms);
        }
        found(&variant)
    };
    let doubted = late(&plant, 0.1);
    assert_eq!((doubted.bottleneck.as_str(), doubted.inconclusive), ("row-lock", None));
    assert!(doubted.against.iter().any(|a| a.contains("our own clock agrees")));
    plant.phases.push((Phase::Execute, 100.0));
    assert!(late(&plant, 0.1).inconclusive.is_some(), "the load was there twice as long");
}

#[test]
fn a_gate_that_failed_in_one_of_three_trials_leaves_a_verdict() {
    let mut variant = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 1.0).variant();
    let gate = Gate { name: "littles-law".to_owned(), passed: false, detail: String::new() };
    variant.trials[0].gates.push(gate);
    let found = found(&variant);
    assert_eq!(found.bottleneck, "wal-flush");
    assert!(found.confidence <= 0.3);
}

#[test]
fn trials_that_differ_by_more_than_their_median_leave_no_verdict() {
    let mut variant = Plant::quiet().variant();
    variant.trials[0].throughput_per_s *= 2.5;
    assert_eq!(found(&variant).bottleneck, "inconclusive");
}

/// The parts of a budget add up to the mean response time.
#[test]
fn budgets_close() {
    for (name, plant, _) in cases() {
        let found = plant.verdict();
        let closure = found.closure.expect("a closure");
        assert!((0.9..=1.1).contains(&closure), "{name}: {closure} {:#?}", found.budget);
        assert!(found.where_time_goes.is_some());
    }
}

/// Clocks and samples that cannot both be true are said, and lower the confidence.
#[test]
fn a_budget_that_does_not_close_is_a_doubt() {
    let told = |plant: &Plant| {
        let found = plant.verdict();
        let adds_up = |text: &String| text.contains("add up to");
        (found.against.iter().any(adds_up), found.confidence)
    };
    let plant = Plant::waiting(WaitClass::WalFlush, "IO:WALSync", 3.0);
    let (doubted, confidence) = told(&plant);
    assert!(!doubted);
    let mut off = plant.clone();
    off.waits.push((WaitClass::WalFlush, "IO:WALWrite", 2.0));
    let (doubted, less) = told(&off);
    assert!(doubted && less < confidence, "{less} < {confidence}");
}

#[test]
fn a_pause_within_a_transaction_is_told_from_one_outside() {
    let mut plant = Plant::quiet();
    plant.phases.push((Phase::Sleep, 3.0));
    let line = |plant: &Plant, name: &str| {
        let found = plant.verdict();
        found.budget.iter().find(|l| l.name == name).map_or(0.0, |l| l.ms)
    };
    assert!((line(&plant, "pause of the script") - 3.0).abs() < 0.01);
    plant.held = 3.0;
    assert!(line(&plant, "pause of the script") < 0.01);
    assert!((line(&plant, "in transaction, waiting for the client") - 3.0).abs() < 0.01);
    assert!((plant.verdict().closure.unwrap() - 1.0).abs() < 0.01);
}

#[test]
fn slow_operations_are_told_in_one_line() {
    let mut variant = Plant::quiet().variant();
    for observation in observations(&mut variant) {
        observation.slow = Some(SlowFigures {
            from_ms: 5.0,
            operations: 100,
            mean_ms: 8.0,
            phases_ms: [(Phase::Commit, 7.0)].into(),
            looks: 60,
            waits: vec![WaitFigures {
                class: WaitClass::WalFlush,
                event: "LWLock:WALWrite".to_owned(),
                sessions: 0.9,
                error: None,
            }],
        });
    }
    insta::assert_snapshot!(found(&variant).slow.unwrap(), @"the slowest operations (from 5.00 ms on, 8.00 ms on average) spent 7.00 ms (88 %) in commit, where the mean is 0.200 ms; their sessions: WAL flush 90 %");
}

fn odd() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, -1.0, 1e300, 1e-300, f64::NAN, f64::INFINITY, 0.5, 3.0])
}

/// A variant whose surroundings are nonsense.
fn nonsense() -> impl Strategy<Value = Variant> {
    let numbers = prop::collection::vec(odd(), 24);
    (any_variant(), numbers, any::<u64>(), any::<bool>()).prop_map(
        |(mut variant, n, count, http)| {
            let mut observation =
                Plant::quiet().variant().trials[0].observation.clone().expect("one");
            observation.seconds = n[0];
            observation.round_trip_ms = Some(n[1]);
            let sessions = observation.sessions.as_mut().expect("sessions");
            (sessions.active, sessions.idle_in_transaction, sessions.looks) = (n[2], n[3], count);
            sessions.autovacuum_workers = n[4];
            for (i, wait) in sessions.waits.iter_mut().enumerate() {
                (wait.sessions, wait.error) = (n[5 + i], Some(n[7 + i]));
            }
            for (i, counter) in pinchpoint_measure::COUNTERS.iter().enumerate() {
                observation.counters.insert(*counter, n[i % 24]);
            }
            let backends = observation.backends.as_mut().expect("backends");
            (backends.cpu_s, backends.run_delay_s, backends.preemptions) = (n[9], n[10], n[11]);
            observation.host = Some(HostFigures {
                steal_share: Some(n[12]),
                foreign_cpu_s: Some(n[13]),
                memory_pressure: Some(n[14]),
                swapped_pages: Some(n[15]),
                major_faults: Some(n[16]),
                disk_flush_ms: Some(n[17]),
                ..HostFigures::default()
            });
            observation.statements = vec![StatementFigures {
                calls: n[18],
                calls_per_op: Some(n[19]),
                execute_ms: n[20],
                plan_ms: Some(n[21]),
                rows: n[22],
                blocks: n[23],
                ..StatementFigures::default()
            }];
            let pooler = PoolerFigures {
                clients_waiting_mean: n[3],
                totals: [("total_wait_time".to_owned(), count)].into(),
                samples: count,
                ..PoolerFigures::default()
            };
            let stack = StackFigures { pooler: Some(pooler), ..StackFigures::default() };
            for trial in &mut variant.trials {
                trial.observation = Some(observation.clone());
                trial.stack = Some(stack.clone());
                trial.http = http.then(Default::default);
            }
            variant
        },
    )
}

/// Waits of up to 3 ms in every class.
fn mixture() -> impl Strategy<Value = Plant> {
    let times = prop::collection::vec(0.0..3.0_f64, WAIT_CLASSES.len());
    (times, 2..60_u32, 0.05..0.8_f64).prop_map(|(times, users, cpu)| {
        let mut plant = Plant { users, cpu, backends: None, ..Plant::quiet() };
        for (class, ms) in WAIT_CLASSES.into_iter().zip(times) {
            plant.phases.push((Phase::Execute, ms));
            plant.waits.push((class, class.name(), ms));
        }
        plant
    })
}

proptest! {
    #[test]
    fn whatever_was_seen_the_verdict_is_sane(variant in nonsense(), cpus in 0..64_u32) {
        if let Some(found) = verdict(&variant, &Machine { cpus, fsync_us: Some(85.0) }) {
            prop_assert!((0.0..=1.0).contains(&found.share), "{found:?}");
            prop_assert!((0.0..=1.0).contains(&found.confidence), "{found:?}");
            prop_assert!(!format!("{found:?}").contains("NaN"), "{found:?}");
            if let Some([lo, hi]) = found.gain {
                prop_assert!(1.0 <= lo && lo <= hi && hi.is_finite(), "{found:?}");
            }
            for line in &found.budget {
                prop_assert!(line.ms.is_finite() && line.ms >= 0.0, "{line:?}");
            }
        }
    }

    /// What takes half of the time that it took is not named where it was not before.
    #[test]
    fn halving_a_wait_never_raises_its_rank(plant in mixture(), which in 0..WAIT_CLASSES.len()) {
        let class = WAIT_CLASSES[which];
        let name = cause(class);
        let mut less = plant.clone();
        let at = less.waits.len() - WAIT_CLASSES.len() + which;
        let half = less.waits[at].2 / 2.0;
        less.waits[at].2 = half;
        less.phases.push((Phase::Execute, -half));
        if less.verdict().bottleneck == name {
            prop_assert_eq!(plant.verdict().bottleneck, name);
        }
    }
}
