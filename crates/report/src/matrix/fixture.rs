//! A matrix with everything that can be in one, for tests.

use std::collections::BTreeMap;

use pinchpoint_measure::{
    Census, CheckFigures, Endpoint, EvidenceFigures, Factors, Gate, HttpFigures, Knee, Latency,
    Pace, PoolerFigures, ProcessFigures, RunResult, Second, SessionFigures, Spread, StackFigures,
    Summary, ThresholdOutcome, Trial, TrialStatus, Variant, VariantStatus, Verdict,
};
use serde_json::json;

use crate::fixture;

fn factors(app: &str, framework: &str, mode: &str, users: u64) -> Factors {
    Factors::from([
        ("app".to_owned(), json!(app)),
        ("framework".to_owned(), json!(framework)),
        ("driver".to_owned(), json!("psycopg 3.3.9")),
        ("profile".to_owned(), json!("documents")),
        ("connection".to_owned(), json!(mode)),
        ("users".to_owned(), json!(users)),
        ("processes".to_owned(), json!(3)),
        ("threads".to_owned(), json!(4)),
        ("pool".to_owned(), json!("10")),
        ("connections".to_owned(), json!(12)),
    ])
}

fn stack(mode: &str, requests: u64) -> StackFigures {
    let process = |name: &str, cpu_s: f64| ProcessFigures {
        name: name.to_owned(),
        cpu_s: Some(cpu_s),
        cpu_us_per_op: Some(cpu_s * 1e6 / requests as f64),
        cpus: Some(1.0),
        throttled_share: Some(0.8),
        throttled_s: Some(1.2),
        memory_peak_bytes: Some(90 << 20),
        resident_bytes: vec![40 << 20, 60 << 20],
        restarts: 0,
        ..ProcessFigures::default()
    };
    let totals = [("total_xact_count", 2 * requests), ("total_wait_time", 5_000)];
    StackFigures {
        processes: vec![process("postgres", 1.5), process("app", 2.0)],
        sessions: Some(SessionFigures {
            most: 12,
            opened: 300,
            allowed: Some(12),
            samples: 30,
            transactions: None,
        }),
        pooler: (mode == "pgbouncer").then(|| PoolerFigures {
            totals: totals.map(|(n, v)| (n.to_owned(), v)).into(),
            clients_waiting_most: 9,
            clients_waiting_mean: 4.5,
            longest_wait_ms: 31.5,
            servers_active_most: 20,
            servers_active_mean: 18.0,
            servers_ready: 5,
            clients_most: 60,
            samples: 30,
            ..PoolerFigures::default()
        }),
        evidence: Some(EvidenceFigures {
            requests: 100,
            statements: 200,
            expected_per_request: 2.0,
            other_per_request: 1.0,
        }),
        ..StackFigures::default()
    }
}

fn http(requests: u64, failed: u64, latency_ms: Latency) -> HttpFigures {
    let endpoint = Endpoint {
        method: "GET".to_owned(),
        name: "db-test".to_owned(),
        requests: requests + failed,
        failures: failed,
        body_bytes: requests * 500,
        latency_ms,
        min_ms: 0.5,
        percentiles_ms: BTreeMap::from([("p66".to_owned(), 3.0), ("p100".to_owned(), 40.0)]),
        ..Endpoint::default()
    };
    HttpFigures {
        percentiles_ms: endpoint.percentiles_ms.clone(),
        endpoints: vec![endpoint],
        census: Census { ok: requests, status: failed, ..Census::default() },
        service_latency_ms: latency_ms,
        schedule_lag_ms: None,
        bytes_received: requests * 700,
        bytes_sent: requests * 100,
        connections_opened: 10,
        statuses: BTreeMap::from([(200, requests), (503, failed)]),
        checks: vec![CheckFigures { name: "status is 200".to_owned(), passed: requests, failed }],
        seconds: vec![
            Second {
                unix_s: 1_795_225_111,
                users: 10,
                succeeded: requests / 2,
                failed,
                latency_ms,
            },
            Second { unix_s: 1_795_225_112, users: 10, succeeded: 0, failed: 0, latency_ms },
        ],
    }
}

fn trial(number: u32, rps: f64, failed: u64, factors: &Factors, mode: &str) -> Trial {
    let mut trial = fixture::ladder().variants[1].trials[0].clone();
    let requests = (rps * 3.0) as u64;
    let ms = 1000.0 * 10.0 / rps;
    let latency_ms = Latency {
        avg: ms,
        p50: ms * 0.9,
        p90: ms * 1.5,
        p95: ms * 1.8,
        p99: ms * 3.0,
        max: ms * 5.0,
    };
    trial.number = number;
    trial.factors = factors.clone();
    trial.pace = Pace::Closed;
    (trial.succeeded, trial.rows, trial.failed, trial.rows_failed) =
        (requests, requests, failed, failed);
    trial.duration_s = 3.0;
    trial.throughput_per_s = rps;
    trial.latency_ms = latency_ms;
    (trial.ledger, trial.rows_in_table, trial.crash) = (None, None, None);
    trial.errors =
        if failed > 0 { [("status 503".to_owned(), failed)].into() } else { BTreeMap::new() };
    let detail = "2 statements for a request, 2 expected".to_owned();
    trial.gates = vec![Gate { name: "statements".to_owned(), passed: true, detail }];
    trial.http = Some(http(requests, failed, latency_ms));
    trial.stack = Some(stack(mode, requests.max(1)));
    trial.thresholds = vec![ThresholdOutcome {
        metric: "http_req_failed".to_owned(),
        expression: "rate<0.01".to_owned(),
        value: Some(trial.error_rate()),
        passed: failed == 0,
    }];
    trial
}

fn case(app: &str, framework: &str, mode: &str, users: u64, rps: f64, failed: u64) -> Variant {
    let factors = factors(app, framework, mode, users);
    let trials =
        vec![trial(1, rps, failed, &factors, mode), trial(2, rps * 1.1, failed, &factors, mode)];
    let summary = fixture::ladder().variants[1].summary.clone();
    let summary = summary.map(|summary| Summary {
        throughput_per_s: Spread {
            median: rps * 1.05,
            ci95: Some([rps * 0.9, rps * 1.2]),
            ci_method: "Student t on logs over 2 trials".to_owned(),
        },
        latency_ms: trials[0].latency_ms,
        failed: failed * 2,
        ..summary
    });
    Variant {
        name: format!("{app}-{mode}-{users}"),
        title: format!("{framework}, {mode}, {users} users"),
        factors,
        status: VariantStatus::Ok,
        reason: None,
        trials,
        summary,
        verdict: Some(Verdict {
            bottleneck: "postgres-cpu".to_owned(),
            share: 1.0,
            confidence: 0.9,
            evidence: vec!["postgres used 0.50 of its 0.50 CPUs".to_owned()],
            against: vec!["app used 0.90 of its 1.0 CPUs".to_owned()],
            ..Verdict::default()
        }),
        prediction: None,
        unpredicted: None,
    }
}

fn without(mut variant: Variant, status: VariantStatus, reason: &str) -> Variant {
    variant.status = status;
    variant.reason = Some(reason.to_owned());
    (variant.trials, variant.summary, variant.verdict) = (Vec::new(), None, None);
    variant
}

fn step(mut variant: Variant, number: u64, title: &str) -> Variant {
    variant.factors.insert("waterfall".to_owned(), json!("django"));
    variant.factors.insert("step".to_owned(), json!(number));
    variant.name = format!("django-step-{number}");
    variant.title = title.to_owned();
    variant
}

/// Two frameworks, both ways, two levels; a void row, a failed and a skipped case, a waterfall.
pub(crate) fn matrix() -> RunResult {
    let mut result = fixture::ladder();
    result.experiment = "frameworks".to_owned();
    result.sweeps.clear();
    let mut void = case("django", "Django", "direct", 1000, 85.0, 0);
    void.trials[1].gates.push(Gate {
        name: "littles-law".to_owned(),
        passed: false,
        detail: "1,200 users, 1,000 were there".to_owned(),
    });
    let dead =
        "Django ended by itself (exit status: 1); the end of its log:\nImportError: no <module>";
    let prepared = case("django", "Django", "pgbouncer", 100, 1.0, 0);
    result.variants = vec![
        case("axum", "axum", "direct", 10, 6000.0, 0),
        case("axum", "axum", "pgbouncer", 10, 2000.0, 0),
        case("django", "Django", "direct", 10, 104.0, 3),
        case("django", "Django", "pgbouncer", 10, 898.0, 0),
        void,
        without(case("django", "Django", "pgbouncer", 1000, 1.0, 0), VariantStatus::Failed, dead),
        step(
            case("django", "Django", "direct", 100, 100.0, 0),
            1,
            "a connection for every request",
        ),
        step(case("django", "Django", "direct", 100, 850.0, 0), 2, "connections kept"),
        step(
            without(prepared, VariantStatus::Skipped, "PgBouncer 1.18.0 is too old"),
            3,
            "prepared statements",
        ),
    ];
    result.knees = vec![Knee {
        app: "axum".to_owned(),
        connection: "direct".to_owned(),
        users: 100,
        throughput_per_s: 6100.0,
        detail: "the least users within 5 % of the best".to_owned(),
    }];
    result
}

/// The same, interrupted before anything but its first case.
pub(crate) fn interrupted() -> RunResult {
    let mut result = matrix();
    result.status = pinchpoint_measure::RunStatus::Interrupted;
    result.reason = Some("interrupted".to_owned());
    for variant in &mut result.variants[1..] {
        variant.status = VariantStatus::Pending;
        (variant.trials, variant.summary, variant.verdict) = (Vec::new(), None, None);
        variant.reason = None;
    }
    result.variants[0].trials[1].status = TrialStatus::Interrupted;
    result
}

/// The same with texts that want to break out of every format.
pub(crate) fn hostile() -> RunResult {
    let mut result = matrix();
    let evil = "a|b\u{1b}[31m<script>\n\"x\",\u{202e}`*_";
    result.experiment = evil.to_owned();
    for variant in &mut result.variants {
        variant.name = format!("{evil}{}", variant.name);
        variant.title = evil.to_owned();
        for key in ["framework", "driver", "pool"] {
            variant.factors.insert(key.to_owned(), json!(evil));
        }
        if variant.reason.is_some() {
            variant.reason = Some(evil.repeat(200));
        }
        for trial in &mut variant.trials {
            trial.latency_ms.p95 = f64::NAN;
            for gate in &mut trial.gates {
                gate.detail = evil.to_owned();
            }
        }
    }
    result.variants[1].factors.clear();
    result.variants[1].factors.insert("app".to_owned(), json!(null));
    result
}
