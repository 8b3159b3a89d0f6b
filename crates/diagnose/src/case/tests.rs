//! Cases planted with what the gates are to find.

use pinchpoint_measure::{
    CheckFigures, EvidenceFigures, Gate, HttpFigures, ProcessFigures, SessionFigures, StackFigures,
    Trial,
};
use proptest::prelude::*;

use super::{CaseLoad, case_gates};
use crate::sample::Sample;

fn process(name: &str, cpus: f64, cpu_s: f64, throttled: f64) -> ProcessFigures {
    ProcessFigures {
        name: name.to_owned(),
        cpu_s: Some(cpu_s),
        cpu_us_per_op: Some(cpu_s * 1e4),
        cpus: Some(cpus),
        throttled_share: Some(throttled),
        ..ProcessFigures::default()
    }
}

/// 100 requests a second for 10 s by 10 users, each answered after 100 ms; nobody is busy.
fn sound() -> (Trial, StackFigures, CaseLoad) {
    let mut trial = Sample::rung_2b().trial();
    trial.duration_s = 10.0;
    (trial.succeeded, trial.rows, trial.failed, trial.rows_failed) = (1000, 1000, 0, 0);
    trial.errors.clear();
    let scale = 100.0 / trial.latency_ms.avg;
    trial.latency_ms.avg = 100.0;
    trial.phases_ms.values_mut().for_each(|ms| *ms *= scale);
    trial.client_cpu_share = 0.05;
    trial.cpu_percent = Some(40.0);
    let check = CheckFigures { name: "status is 200".to_owned(), passed: 1000, failed: 0 };
    trial.http = Some(HttpFigures { checks: vec![check], ..HttpFigures::default() });
    let stack = StackFigures {
        processes: vec![process("postgres", 0.5, 1.0, 0.0), process("app", 1.0, 3.0, 0.1)],
        sessions: Some(SessionFigures {
            most: 8,
            opened: 0,
            allowed: Some(20),
            samples: 90,
            transactions: None,
        }),
        pooler: None,
        evidence: Some(EvidenceFigures {
            requests: 100,
            statements: 200,
            expected_per_request: 2.0,
            other_per_request: 0.0,
        }),
        ..StackFigures::default()
    };
    (trial, stack, CaseLoad { users: 10, think_s: 0.0, threads: 2 })
}

fn failed(gates: &[Gate]) -> Vec<&str> {
    gates.iter().filter(|g| !g.passed).map(|g| g.name.as_str()).collect()
}

#[test]
fn a_sound_case_passes_every_gate() {
    let (trial, stack, load) = sound();
    let gates = case_gates(&trial, &load, &stack);
    assert_eq!(failed(&gates), Vec::<&str>::new(), "{gates:#?}");
    let names: Vec<&str> = gates.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "littles-law",
            "phase-sum",
            "generator-headroom",
            "settled",
            "answers",
            "statements",
            "connections",
            "restarts"
        ]
    );
}

/// What is planted, and the gate that must find it.
type Plant = (&'static str, fn(&mut Trial, &mut StackFigures, &mut CaseLoad));

#[test]
fn each_gate_finds_what_is_planted_for_it_and_nothing_else() {
    let plants: [Plant; 9] = [
        ("littles-law", |_, _, load| load.users = 12),
        ("littles-law", |_, _, load| load.think_s = 0.05),
        ("phase-sum", |trial, _, _| trial.phases_ms.values_mut().for_each(|ms| *ms *= 0.9)),
        ("generator-headroom", |trial, _, _| trial.client_cpu_share = 0.95),
        ("settled", |trial, _, _| trial.warm_up.settled = false),
        ("statements", |_, stack, _| {
            stack.evidence.as_mut().expect("evidence").statements = 205;
        }),
        ("connections", |_, stack, _| stack.sessions.as_mut().expect("sessions").most = 21),
        ("connections", |_, stack, _| stack.sessions.as_mut().expect("sessions").samples = 0),
        ("restarts", |_, stack, _| stack.processes[1].restarts = 1),
    ];
    for (gate, plant) in plants {
        let (mut trial, mut stack, mut load) = sound();
        plant(&mut trial, &mut stack, &mut load);
        assert_eq!(failed(&case_gates(&trial, &load, &stack)), [gate]);
    }
    let (mut trial, stack, load) = sound();
    trial.http.as_mut().expect("figures").census.wrong_answer = 1;
    assert_eq!(failed(&case_gates(&trial, &load, &stack)), ["answers"]);
}

#[test]
fn failures_keep_littles_law_from_being_judged_and_say_so() {
    let (mut trial, stack, load) = sound();
    (trial.failed, trial.rows_failed) = (500, 500);
    let gates = case_gates(&trial, &load, &stack);
    assert!(gates[0].passed && gates[0].detail.contains("not judged"), "{:?}", gates[0]);
}

proptest! {
    #[test]
    fn nonsense_never_panics(
        numbers in prop::collection::vec(prop::sample::select(vec![0.0, -1.0, 1e300, f64::NAN, f64::INFINITY, 0.5]), 8),
        counts in prop::collection::vec(prop::sample::select(vec![0_u64, 1, 1000, u64::MAX / 4]), 6),
    ) {
        let (mut trial, mut stack, mut load) = sound();
        (trial.duration_s, trial.latency_ms.avg) = (numbers[0], numbers[1]);
        (trial.client_cpu_share, trial.cpu_percent) = (numbers[2], Some(numbers[3]));
        stack.processes[0] = process("postgres", numbers[4], numbers[5], numbers[6]);
        load.think_s = numbers[7];
        (trial.succeeded, trial.failed) = (counts[0], counts[1]);
        stack.sessions = Some(SessionFigures { most: counts[2], opened: counts[3], allowed: Some(counts[4]), samples: 1, transactions: None });
        stack.evidence.as_mut().expect("evidence").requests = counts[5];
        case_gates(&trial, &load, &stack);
    }
}
