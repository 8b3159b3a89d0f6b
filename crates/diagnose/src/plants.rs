//! Every cause planted, and its nearest neighbour: what must be named, and what must not.

mod cases;
mod pooled;
mod waits;

use std::collections::BTreeMap;

use pinchpoint_measure::{
    BackendCpu, Counter, HostFigures, HttpFigures, Observation, Phase, SessionSamples,
    StackFigures, Trial, Variant, Verdict, WaitClass, WaitFigures,
};

use crate::sample::Sample;
use crate::{Machine, verdict};
pub(crate) use cases::cases;

const HERE: Machine = Machine { cpus: 2, fsync_us: Some(100.0) };

/// A load as it is seen from both ends: times of one operation in milliseconds, from which rates
/// and mean sessions follow.
#[derive(Debug, Clone)]
pub(crate) struct Plant {
    pub users: u32,
    /// Milliseconds of an operation by phase.
    pub phases: Vec<(Phase, f64)>,
    /// Milliseconds of an operation on the server by class, and what the class is called.
    pub waits: Vec<(WaitClass, &'static str, f64)>,
    /// Milliseconds of an operation idle in a transaction.
    pub held: f64,
    /// Milliseconds of an operation on a CPU and waiting for one, of the server's processes.
    pub backends: Option<(f64, f64)>,
    /// Share of the machine's CPU.
    pub cpu: f64,
    pub client_share: f64,
    pub requests: bool,
    pub factors: Vec<(&'static str, serde_json::Value)>,
    /// Growth for each operation.
    pub counters: Vec<(Counter, f64)>,
    pub change: fn(&mut Trial, &mut Observation, &mut StackFigures),
}

const SECONDS: f64 = 10.0;

impl Plant {
    /// Eight users that mostly compute and flush in balance; nothing is full.
    pub(crate) fn quiet() -> Self {
        Self {
            users: 8,
            phases: vec![(Phase::Encode, 0.01), (Phase::Execute, 0.60), (Phase::Commit, 0.20)],
            waits: vec![
                (WaitClass::Running, "running", 0.30),
                (WaitClass::WalFlush, "IO:WALSync", 0.10),
            ],
            held: 0.0,
            backends: Some((0.12, 0.15)),
            cpu: 0.80,
            client_share: 0.30,
            requests: false,
            factors: vec![],
            counters: vec![],
            change: |_, _, _| (),
        }
    }

    /// The same with a wait within the statement, and an idle machine.
    pub(crate) fn waiting(class: WaitClass, event: &'static str, ms: f64) -> Self {
        let mut plant = Self::quiet();
        plant.phases.push((Phase::Execute, ms));
        plant.waits.push((class, event, ms));
        plant.cpu = 0.2;
        plant
    }

    /// An application of 20 users whose requests take 50 ms; nobody is busy.
    pub(crate) fn application() -> Self {
        Self {
            users: 20,
            phases: vec![(Phase::FirstByte, 49.0), (Phase::Receive, 1.0)],
            waits: vec![(WaitClass::Running, "running", 2.0)],
            requests: true,
            cpu: 0.4,
            client_share: 0.05,
            backends: None,
            ..Self::quiet()
        }
    }

    fn response_ms(&self) -> f64 {
        self.phases.iter().map(|(_, ms)| ms).sum()
    }

    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.users) * 1000.0 / self.response_ms()
    }

    fn observation(&self) -> Observation {
        let rate = self.rate();
        let sessions = |ms: f64| ms / 1000.0 * rate;
        let waits: Vec<WaitFigures> = self
            .waits
            .iter()
            .map(|(class, event, ms)| WaitFigures {
                class: *class,
                event: (*event).to_owned(),
                sessions: sessions(*ms),
                error: Some(sessions(*ms) * 0.02),
            })
            .collect();
        let active: f64 = waits.iter().map(|w| w.sessions).sum();
        let operations = rate * SECONDS;
        let mut counters: BTreeMap<Counter, f64> =
            self.counters.iter().map(|(c, each)| (*c, each * operations)).collect();
        counters.insert(Counter::ActiveMs, active * SECONDS * 1000.0);
        Observation {
            seconds: SECONDS,
            server_version: Some(150_018),
            round_trip_ms: Some(0.05),
            sessions: Some(SessionSamples {
                looks: 1000,
                active,
                idle_in_transaction: sessions(self.held),
                idle: 1.0,
                most: u64::from(self.users),
                waits,
                ..SessionSamples::default()
            }),
            counters,
            backends: self.backends.map(|(cpu, delay)| BackendCpu {
                cpu_s: cpu / 1000.0 * operations,
                run_delay_s: delay / 1000.0 * operations,
                preemptions: operations,
                processes: u64::from(self.users),
            }),
            host: Some(HostFigures {
                cpu_share: Some(self.cpu),
                steal_share: Some(0.0),
                foreign_cpu_s: Some(0.0),
                memory_pressure: Some(0.0),
                ..HostFigures::default()
            }),
            ..Observation::default()
        }
    }

    /// Three equal trials of it.
    pub(crate) fn variant(&self) -> Variant {
        let mut phases: BTreeMap<Phase, f64> = BTreeMap::new();
        for (phase, ms) in &self.phases {
            *phases.entry(*phase).or_default() += ms;
        }
        let rows_per_s = self.rate();
        let sample = Sample {
            users: self.users,
            pool: self.users,
            rows_per_s,
            phases: phases.into_iter().collect(),
            cpu: self.cpu * 100.0,
            client_share: self.client_share,
            client_us_per_op: 0.2 * self.cpu * 2.0 / rows_per_s * 1e6,
            ..Sample::rung_2()
        };
        let mut variant = sample.variant();
        for (name, level) in &self.factors {
            variant.factors.insert((*name).to_owned(), level.clone());
        }
        for trial in &mut variant.trials {
            let (mut observation, mut stack) = (self.observation(), StackFigures::default());
            if self.requests {
                trial.http = Some(HttpFigures::default());
            }
            (self.change)(trial, &mut observation, &mut stack);
            trial.observation = Some(observation);
            trial.stack = (stack != StackFigures::default()).then_some(stack);
        }
        variant
    }

    pub(crate) fn verdict(&self) -> Verdict {
        verdict(&self.variant(), &HERE).expect("figures")
    }
}

#[test]
fn each_cause_is_named_where_it_is_planted_and_its_neighbour_is_not() {
    for (name, plant, wanted) in cases() {
        let found = plant.verdict();
        assert_eq!(found.bottleneck, wanted, "{name}: {found:#?}");
    }
}

#[test]
fn every_rule_has_a_plant() {
    let planted: Vec<&str> = cases().into_iter().map(|(_, _, wanted)| wanted).collect();
    for rule in crate::rule::RULES {
        assert!(planted.contains(&rule.bottleneck), "nothing plants {}", rule.bottleneck);
    }
}
