//! Constructed variants for tests.

use std::collections::BTreeMap;

use pinchpoint_measure::{
    Factors, Latency, Pace, PerRow, Phase, Prediction, Spread, Summary, Trial, TrialStatus,
    Variant, VariantStatus, WarmUp,
};
use proptest::prelude::*;
use serde_json::json;

/// The figures that matter; the rest follows from them.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub name: &'static str,
    pub connection: &'static str,
    pub users: u32,
    pub pool: u32,
    pub batch: u32,
    pub method: &'static str,
    pub sync: &'static str,
    pub rows_per_s: f64,
    pub phases: Vec<(Phase, f64)>,
    pub cpu: f64,
    pub client_share: f64,
    pub client_us_per_op: f64,
}

impl Sample {
    /// The documents: 15 ms, about 10 of them connection set-up, 35 % of an N100, 67 rows/s.
    pub(crate) fn rung_1() -> Self {
        let phases = vec![
            (Phase::Tcp, 0.3),
            (Phase::Auth, 9.4),
            (Phase::Execute, 5.0),
            (Phase::Disconnect, 0.3),
        ];
        Self {
            name: "1",
            connection: "new",
            users: 1,
            pool: 0,
            batch: 1,
            method: "insert",
            sync: "on",
            rows_per_s: 67.0,
            phases,
            cpu: 35.0,
            client_share: 0.1,
            client_us_per_op: 1_500.0,
        }
    }

    /// The documents: pooled, one at a time, 175 rows/s at 15 % of the CPU.
    pub(crate) fn rung_2() -> Self {
        let phases = vec![(Phase::Checkout, 0.1), (Phase::Execute, 3.0), (Phase::Commit, 2.6)];
        Self {
            name: "2",
            connection: "pool",
            pool: 50,
            rows_per_s: 175.0,
            phases,
            cpu: 15.0,
            client_us_per_op: 300.0,
            ..Self::rung_1()
        }
    }

    /// 50 users on two cores, as pgbench has it on a 2-core machine.
    pub(crate) fn rung_2b() -> Self {
        let phases = vec![(Phase::Encode, 0.01), (Phase::Execute, 0.62), (Phase::Commit, 0.945)];
        Self {
            name: "2-B",
            users: 50,
            rows_per_s: 31_740.0,
            phases,
            cpu: 95.0,
            client_share: 0.2,
            client_us_per_op: 11.6,
            ..Self::rung_2()
        }
    }

    /// 8 users that mostly wait in one phase, on an idle machine.
    pub(crate) fn waiting(phase: Phase) -> Self {
        let mut phases: BTreeMap<Phase, f64> =
            [(Phase::Execute, 0.02), (Phase::Encode, 0.01), (Phase::Commit, 0.01)].into();
        *phases.entry(phase).or_default() += 0.16;
        Self {
            users: 8,
            pool: 4,
            rows_per_s: 40_000.0,
            phases: phases.into_iter().collect(),
            cpu: 20.0,
            client_us_per_op: 1.0,
            ..Self::rung_2()
        }
    }

    /// Any closed load that obeys Little's law.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let times = prop::collection::btree_map(
            prop::sample::select(pinchpoint_measure::PHASES[1..].to_vec()),
            1e-3..10.0_f64,
            1..6,
        );
        (
            times,
            1..100_u32,
            prop::sample::select(vec![1, 100]),
            1.0..99.0_f64,
            0.0..1.0_f64,
            0.1..1.0_f64,
        )
            .prop_map(|(phases, users, batch, cpu, client_share, client)| {
                let response: f64 = phases.values().sum();
                let operations = 1000.0 * f64::from(users) / response;
                Self {
                    users,
                    batch,
                    cpu,
                    client_share,
                    phases: phases.into_iter().collect(),
                    rows_per_s: operations * f64::from(batch),
                    client_us_per_op: client * cpu / 100.0 * 2.0 / operations * 1e6,
                    ..Self::rung_2()
                }
            })
    }

    /// The same with every time multiplied.
    pub(crate) fn slower(&self, factor: f64) -> Self {
        Self {
            rows_per_s: self.rows_per_s / factor,
            phases: self.phases.iter().map(|(p, ms)| (*p, ms * factor)).collect(),
            client_us_per_op: self.client_us_per_op * factor,
            ..self.clone()
        }
    }

    pub(crate) fn factors(&self) -> Factors {
        [
            ("connection", json!(self.connection)),
            ("concurrency", json!(self.users)),
            ("pool", json!(self.pool)),
            ("batch", json!(self.batch)),
            ("method", json!(self.method)),
            ("synchronous_commit", json!(self.sync)),
        ]
        .map(|(name, level)| (name.to_owned(), level))
        .into()
    }

    fn latency(&self) -> Latency {
        let avg = self.phases.iter().map(|(_, ms)| ms).sum();
        Latency { avg, p50: avg, p90: avg, p95: avg, p99: avg, max: avg }
    }

    pub(crate) fn trial(&self) -> Trial {
        let duration_s = 10.0;
        let operations_per_s = self.rows_per_s / f64::from(self.batch);
        // Rows are whole, and rows ÷ operations is the batch exactly.
        let succeeded = (operations_per_s * duration_s).ceil() as u64;
        let latency_ms = self.latency();
        Trial {
            number: 1,
            status: TrialStatus::Ok,
            reason: None,
            started_at: String::new(),
            factors: Factors::new(),
            pace: Pace::Closed,
            warm_up: WarmUp { duration_s: 3.0, settled: true, note: None },
            duration_s,
            succeeded,
            failed: 0,
            rows: succeeded * u64::from(self.batch),
            rows_failed: 0,
            throughput_per_s: self.rows_per_s,
            throughput_ci95: None,
            operations_per_s,
            latency_ms,
            statement_latency_ms: latency_ms,
            per_row_latency_ms: PerRow { avg: latency_ms.avg / f64::from(self.batch) },
            phases_ms: self.phases.iter().copied().collect(),
            client_cpu_us_per_op: self.client_us_per_op,
            client_cpu_us_per_row: self.client_us_per_op / f64::from(self.batch),
            client_cpu_share: self.client_share,
            cpu_percent: Some(self.cpu),
            memory_percent: Some(12.0),
            backlog_max: 0,
            backlog_end: 0,
            acknowledged_rows: 0,
            rows_in_table: None,
            ledger: None,
            crash: None,
            errors: BTreeMap::new(),
            gates: vec![],
            intervals: vec![],
            http: None,
            sql: None,
            stack: None,
            observation: None,
            thresholds: vec![],
        }
    }

    /// The sample as a variant of three equal trials.
    pub(crate) fn variant(&self) -> Variant {
        let latency_ms = self.latency();
        Variant {
            name: self.name.to_owned(),
            title: String::new(),
            factors: self.factors(),
            status: VariantStatus::Ok,
            reason: None,
            trials: vec![self.trial(); 3],
            summary: Some(Summary {
                throughput_per_s: spread(self.rows_per_s, None),
                latency_ms,
                statement_latency_ms: latency_ms,
                per_row_latency_ms: latency_ms.avg / f64::from(self.batch),
                phases_ms: self.phases.iter().copied().collect(),
                client_cpu_us_per_op: self.client_us_per_op,
                client_cpu_us_per_row: self.client_us_per_op / f64::from(self.batch),
                failed: 0,
            }),
            verdict: None,
            prediction: None,
            unpredicted: None,
        }
    }
}

/// A variant with figures that nobody measured: zero, negative, huge, infinite, not a number.
pub(crate) fn any_variant() -> impl Strategy<Value = Variant> {
    let times = prop::collection::vec(
        (prop::sample::select(pinchpoint_measure::PHASES.to_vec()), any::<f64>()),
        0..6,
    );
    let figures = prop::array::uniform5(prop_oneof![any::<f64>(), Just(0.0), 0.0..100.0_f64]);
    let method = prop::sample::select(vec!["insert", "executemany", "unnest", "copy", "?"]);
    (times, figures, 0..u32::MAX, 0..1000_u32, method, any::<bool>()).prop_map(
        |(
            phases,
            [rows_per_s, cpu, client_share, client_us_per_op, open],
            users,
            batch,
            method,
            paced,
        )| {
            let connection = if batch % 2 == 0 { "new" } else { "pool" };
            let sample = Sample {
                phases,
                rows_per_s,
                cpu,
                client_share,
                client_us_per_op,
                users,
                batch: 1,
                method,
                connection,
                ..Sample::rung_1()
            };
            let mut variant = sample.variant();
            variant.factors.insert("batch".to_owned(), json!(batch));
            for trial in &mut variant.trials {
                trial.rows = u64::from(batch);
                if paced {
                    trial.pace = Pace::Open { target_per_s: open, poisson: true };
                }
            }
            variant
        },
    )
}

pub(crate) fn spread(median: f64, ci95: Option<[f64; 2]>) -> Spread {
    Spread { median, ci95, ci_method: String::new() }
}

pub(crate) fn prediction(lo: f64, hi: f64) -> Prediction {
    Prediction {
        from: "1".to_owned(),
        lever: "pool".to_owned(),
        range_per_s: [lo, hi],
        basis: String::new(),
        ..Prediction::default()
    }
}
