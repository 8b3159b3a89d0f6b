//! Results to render in tests: a ladder as it is measured, and spoilt ones.

use std::collections::BTreeMap;

use pinchpoint_measure::{
    BudgetLine, BudgetSource, Crash, Elimination, Environment, Factors, Gate, Interval, Latency,
    Ledger, Limit, Pace, PerRow, Phase, PlanFacts, Prediction, RunResult, RunStatus,
    SCHEMA_VERSION, Software, Spread, Summary, Suspect, Sweep, SweepPoint, Trial, TrialStatus,
    Variant, VariantStatus, Verdict, WarmUp,
};
use serde_json::json;

/// Name, title, method, batch, rows/s, mean statement ms, (connect, execute, commit) in ms.
type Sketch = (&'static str, &'static str, &'static str, u64, f64, f64, (f64, f64, f64));

const LADDER: [Sketch; 9] = [
    (
        "0",
        "no write: the ceiling of client and wire",
        "copy",
        5000,
        6_886_621.0,
        2.8,
        (0.0, 1.5, 1.3),
    ),
    ("1", "a new connection for every row", "insert", 1, 271.1, 0.55, (3.12, 0.31, 0.24)),
    ("2", "a pool instead", "insert", 1, 6707.4, 0.148, (0.0, 0.052, 0.096)),
    ("2-B", "50 at once", "insert", 1, 35_724.5, 1.37, (0.0, 0.29, 1.08)),
    ("2-C", "batches of 100, pipelined", "executemany", 100, 221_118.2, 22.5, (0.0, 13.8, 8.7)),
    ("2-D", "batches of 500, pool of 200", "executemany", 500, 264_752.0, 94.8, (0.0, 81.9, 12.9)),
    (
        "3-A",
        "a batch as one unnest, few connections",
        "unnest",
        10_000,
        344_788.0,
        218.0,
        (0.0, 199.8, 18.2),
    ),
    ("3-B", "a batch as one binary COPY", "copy", 5000, 557_046.0, 34.6, (0.0, 29.2, 5.4)),
    (
        "4-A",
        "the best of these, commits not awaited",
        "copy",
        5000,
        607_151.0,
        37.4,
        (0.0, 36.0, 1.4),
    ),
];

pub(crate) fn ladder() -> RunResult {
    let mut variants: Vec<Variant> =
        LADDER.iter().enumerate().map(|(i, s)| variant(i, s)).collect();
    variants[1].verdict = Some(connection_setup());
    variants[2].prediction = Some(Prediction {
        from: "1".to_owned(),
        lever: "pool".to_owned(),
        range_per_s: [1734.0, 3600.0],
        basis: "3.69 ms − 3.12 ms of connection set-up".to_owned(),
        measured_per_s: Some(6707.4),
        held: Some(false),
        ..Prediction::default()
    });
    for trial in &mut variants[8].trials {
        trial.crash = Some(Crash {
            lost_rows: 5000 * u64::from(trial.number),
            oldest_lost_ms: Some(0.26 * f64::from(trial.number)),
            oldest_lost_is_lower_bound: false,
            recovery_s: 1.7,
        });
    }
    variants[3].trials[1].gates.push(Gate {
        name: "littles-law".to_owned(),
        passed: false,
        detail: "50 users, but 43.1 by throughput × response time".to_owned(),
    });
    variants[3].trials[0].errors.insert("53300 too_many_connections".to_owned(), 3);
    result(variants)
}

pub(crate) fn interrupted() -> RunResult {
    let mut result = ladder();
    result.status = RunStatus::Interrupted;
    result.reason = Some("interrupted".to_owned());
    for variant in &mut result.variants[5..] {
        variant.trials.clear();
        variant.summary = None;
        variant.status = VariantStatus::Pending;
    }
    let last = &mut result.variants[8];
    last.status = VariantStatus::Skipped;
    last.reason = Some("no durable rung before it has a result to take after".to_owned());
    let failed = &mut result.variants[4];
    failed.status = VariantStatus::Failed;
    failed.summary = None;
    failed.reason = Some(
        "the ledger does not balance: 10 rows acknowledged, 0 in doubt, 9 in the table".to_owned(),
    );
    result
}

/// A ladder held to 200 rows per second, with a rung that could not keep to it.
pub(crate) fn open() -> RunResult {
    let mut result = ladder();
    result.plan.target_per_s = Some(200.0);
    result.variants.truncate(4);
    for (i, variant) in result.variants.iter_mut().enumerate() {
        let behind = i == 1;
        if let Some(summary) = &mut variant.summary {
            let rate = &mut summary.throughput_per_s;
            rate.median = if behind { 171.0 } else { 200.0 };
            rate.ci95 = Some([rate.median * 0.99, rate.median * 1.01]);
            summary.phases_ms.insert(Phase::Schedule, if behind { 140.0 } else { 0.05 });
        }
        for trial in &mut variant.trials {
            trial.pace = Pace::Open { target_per_s: 200.0, poisson: false };
            trial.backlog_max = if behind { 87 } else { 1 };
            trial.backlog_end = if behind { 87 } else { 0 };
        }
    }
    result
}

/// One rung whose operations left no time in any phase, with one trial and no interval.
pub(crate) fn bare() -> RunResult {
    let mut result = ladder();
    result.variants.drain(2..);
    result.variants.remove(0);
    result.variants[0].trials.truncate(1);
    if let Some(summary) = &mut result.variants[0].summary {
        summary.phases_ms.values_mut().for_each(|ms| *ms = 0.0);
        summary.throughput_per_s.ci95 = None;
    }
    result
}

/// Names and figures that try to break out.
pub(crate) fn hostile() -> RunResult {
    let mut result = ladder();
    let bad = "<script>alert(1)</script>|\u{1b}[31m\n\"x\u{202e}y".repeat(3);
    result.experiment.clone_from(&bad);
    result.description.clone_from(&bad);
    result.plan.experiment_file.clone_from(&bad);
    result.warnings.push(bad.clone());
    for (i, variant) in result.variants.iter_mut().enumerate() {
        variant.name = if i % 2 == 0 { bad.clone() } else { String::new() };
        variant.title.clone_from(&bad);
        variant.reason = Some(bad.clone());
        if let Some(summary) = &mut variant.summary {
            let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE];
            summary.throughput_per_s.median = odd[i % odd.len()];
            summary.throughput_per_s.ci95 = Some([f64::NAN, f64::NEG_INFINITY]);
            summary.statement_latency_ms.p99 = odd[(i + 1) % odd.len()];
            summary.phases_ms.insert(Phase::Commit, odd[(i + 2) % odd.len()]);
        }
    }
    result
}

fn connection_setup() -> Verdict {
    Verdict {
        bottleneck: "connection-setup".to_owned(),
        share: 0.84,
        confidence: 0.79,
        evidence: vec!["3.12 ms of 3.69 ms".to_owned()],
        against: vec!["the machine is 60 % busy".to_owned()],
        elimination: vec![
            Elimination { cause: "CPU".to_owned(), finding: "60 %".to_owned(), limits: false },
            Elimination {
                cause: "connection set-up".to_owned(),
                finding: "84 % of the time".to_owned(),
                limits: true,
            },
        ],
        gain: Some([1.9, 6.3]),
        runner_up: Some(Suspect {
            bottleneck: "serial-round-trips".to_owned(),
            share: 0.15,
            gain: 1.4,
        }),
        next: Some("serial-round-trips".to_owned()),
        where_time_goes: Some(Suspect {
            bottleneck: "connection-setup".to_owned(),
            share: 0.84,
            gain: 6.3,
        }),
        budget: vec![
            line("connect: authentication", 3.12, None, BudgetSource::Clock),
            line("server: WAL flush", 0.26, Some(0.03), BudgetSource::Samples),
            line("network and driver", 0.29, None, BudgetSource::Rest),
        ],
        closure: Some(1.0),
        advice: vec![
            "keep connections: a pool in the application, or its driver's keep-alive".to_owned(),
            "a pooler such as PgBouncer, where many processes each need connections".to_owned(),
        ],
        slow: Some(
            "the slowest operations (from 8.1 ms on, 9.2 ms on average) spent 7.9 ms (86 %) in \
             auth, where the mean is 3.12 ms; their sessions: running 62 %, WAL flush 31 %"
                .to_owned(),
        ),
        arithmetic: Some("1000 ms ÷ 3.69 ms × 1 = 271/s expected, 271/s measured".to_owned()),
        ..Verdict::default()
    }
}

fn line(name: &str, ms: f64, error_ms: Option<f64>, source: BudgetSource) -> BudgetLine {
    BudgetLine { name: name.to_owned(), ms, error_ms, source }
}

fn variant(index: usize, sketch: &Sketch) -> Variant {
    let (name, title, method, batch, rate, ..) = *sketch;
    let factors: Factors = [
        ("connection", json!(if name == "1" { "per-operation" } else { "pool" })),
        ("concurrency", json!(if index < 3 { 1 } else { 50 })),
        ("batch", json!(batch)),
        ("method", json!(method)),
        ("synchronous_commit", json!(if name == "4-A" { "off" } else { "on" })),
        ("write", json!(name != "0")),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .into();
    let trials: Vec<Trial> = (1..=2).map(|n| trial(index, n, sketch, &factors)).collect();
    let (latency, statement) = latencies(sketch);
    Variant {
        name: name.to_owned(),
        title: title.to_owned(),
        factors,
        status: VariantStatus::Ok,
        reason: None,
        summary: Some(Summary {
            throughput_per_s: Spread {
                median: rate,
                ci95: Some([rate * 0.96, rate * 1.04]),
                ci_method: "Student t over 2 trials".to_owned(),
            },
            latency_ms: latency,
            statement_latency_ms: statement,
            per_row_latency_ms: statement.avg / batch as f64,
            phases_ms: phases(sketch),
            client_cpu_us_per_op: 12.5,
            client_cpu_us_per_row: 12.5 / batch as f64,
            failed: 0,
        }),
        trials,
        verdict: None,
        prediction: None,
        unpredicted: None,
    }
}

fn latencies(sketch: &Sketch) -> (Latency, Latency) {
    let at = |avg: f64| Latency {
        avg,
        p50: avg * 0.9,
        p90: avg * 1.2,
        p95: avg * 1.4,
        p99: avg * 2.0,
        max: avg * 5.0,
    };
    (at(sketch.5 + sketch.6.0), at(sketch.5))
}

fn phases(sketch: &Sketch) -> BTreeMap<Phase, f64> {
    let (connect, execute, commit) = sketch.6;
    let mut phases = BTreeMap::from([(Phase::Execute, execute), (Phase::Commit, commit)]);
    if connect > 0.0 {
        phases.insert(Phase::Auth, connect);
    } else {
        phases.insert(Phase::Checkout, 0.0003);
    }
    phases
}

fn trial(index: usize, number: u32, sketch: &Sketch, factors: &Factors) -> Trial {
    let (name, _, _, batch, rate, ..) = *sketch;
    let (latency_ms, statement_latency_ms) = latencies(sketch);
    let rows = (rate * 3.0) as u64;
    let stored = if name == "0" { 0 } else { rows };
    let timestamp = format!("2026-11-20T23:{number:02}:{:02}.000000Z", index + 10);
    Trial {
        number,
        status: TrialStatus::Ok,
        reason: None,
        started_at: timestamp.clone(),
        factors: factors.clone(),
        pace: Pace::Closed,
        warm_up: WarmUp { duration_s: 1.2, settled: true, note: None },
        duration_s: 3.0,
        succeeded: rows / batch,
        failed: 0,
        rows,
        rows_failed: 0,
        throughput_per_s: rate,
        throughput_ci95: None,
        operations_per_s: rate / batch as f64,
        latency_ms,
        statement_latency_ms,
        per_row_latency_ms: PerRow { avg: statement_latency_ms.avg / batch as f64 },
        phases_ms: phases(sketch),
        client_cpu_us_per_op: 12.5,
        client_cpu_us_per_row: 12.5 / batch as f64,
        client_cpu_share: 0.2,
        cpu_percent: Some(93.5),
        memory_percent: Some(11.0),
        backlog_max: 0,
        backlog_end: 0,
        acknowledged_rows: stored,
        rows_in_table: Some(stored),
        ledger: Some(Ledger {
            acknowledged_rows: stored,
            in_doubt_rows: 0,
            rows_in_table: stored,
            balanced: true,
        }),
        crash: None,
        errors: BTreeMap::new(),
        gates: Vec::new(),
        intervals: vec![Interval {
            timestamp,
            duration_s: 3.0,
            tps: rate,
            success_count: rows,
            error_count: 0,
            latency_ms,
            cpu_percent: Some(93.5),
            memory_percent: Some(11.0),
            queue_length: 0,
        }],
        http: None,
        sql: None,
        stack: None,
        observation: None,
        thresholds: Vec::new(),
    }
}

fn result(variants: Vec<Variant>) -> RunResult {
    RunResult {
        schema_version: SCHEMA_VERSION,
        pinchpoint_version: "0.1.0".to_owned(),
        experiment: "ladder".to_owned(),
        description: "Write the same rows in ever better ways.".to_owned(),
        started_at: "2026-11-20T23:00:00.000000Z".to_owned(),
        finished_at: Some("2026-11-20T23:03:00.000000Z".to_owned()),
        status: RunStatus::Complete,
        reason: None,
        environment: Environment {
            kernel: "Linux 6.18".to_owned(),
            cpu_model: "AMD EPYC".to_owned(),
            cpus: 2,
            memory_bytes: 24 << 30,
            steal_share: Some(0.001),
            filesystem: Some("ext4".to_owned()),
            fsync_us: Some(69.2),
            software: vec![Software {
                name: "PostgreSQL".to_owned(),
                version: "15.18".to_owned(),
                managed: true,
                transport: "tcp".to_owned(),
                settings: BTreeMap::from([("fsync".to_owned(), "on".to_owned())]),
            }],
            limits: vec![Limit {
                name: "postgres cpus".to_owned(),
                asked: "0.5".to_owned(),
                in_force: false,
                how: "no right to use the cpu controller".to_owned(),
            }],
            dataset: None,
        },
        plan: PlanFacts {
            duration_s: 3.0,
            warmup: "auto, at most 10 s".to_owned(),
            trials: 2,
            interval_s: 10.0,
            target_per_s: None,
            seed: 1,
            load_threads: 2,
            experiment_file: "experiment = \"ladder\"\n".to_owned(),
        },
        knees: Vec::new(),
        pool: None,
        sweeps: vec![Sweep {
            variant: "3-B".to_owned(),
            points: vec![
                SweepPoint { batch: 100, throughput_per_s: 367_484.0, p95_ms: 1.4 },
                SweepPoint { batch: 5000, throughput_per_s: 596_490.0, p95_ms: 41.0 },
            ],
            chosen_batch: 5000,
        }],
        variants,
        warnings: Vec::new(),
    }
}
