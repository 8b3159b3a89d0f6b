//! `run cache` and `run sessions`, shortened: a real PostgreSQL, Redis and the service.

use std::path::Path;

use pinchpoint_measure::{ExitCode, HttpFigures, RunResult, StackFigures, TrialStatus};

use crate::command::{Run, pinchpoint, result};
use crate::processes::assert_nothing_left;

fn run(name: &str, only: &[&str]) -> (Run, RunResult, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("result");
    let out_text = out.display().to_string();
    let mut arguments = vec!["run", name, "--quick", "--duration", "1s", "--out", &out_text];
    arguments.extend(only.iter().flat_map(|only| ["--only", only]));
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(i32::from(ExitCode::Ok.code())), "{}\n{}", run.stdout, run.stderr);
    let result = result(&out);
    (run, result, directory)
}

fn stack<'a>(result: &'a RunResult, variant: &str) -> &'a StackFigures {
    let variant = result.variants.iter().find(|v| v.name == variant).expect("the variant");
    let trial = variant.trials.first().expect("a trial");
    assert_eq!(trial.status, TrialStatus::Ok, "{:?}", trial.reason);
    assert_eq!(trial.failed, 0);
    trial.stack.as_ref().expect("figures of its processes")
}

fn sum(metrics: &std::collections::BTreeMap<String, f64>, family: &str) -> f64 {
    metrics.iter().filter(|(series, _)| series.starts_with(family)).map(|(_, value)| value).sum()
}

#[test]
fn a_cache_is_measured_before_and_after() {
    let (run, result, directory) = run("cache", &["app=off,cold,warm,no-indexes", "users=10"]);
    let off = stack(&result, "off-direct-10");
    assert!(sum(&off.app_metrics, "cache_hits_total") < 0.5, "{:?}", off.app_metrics);
    let transactions = off.sessions.as_ref().and_then(|s| s.transactions).expect("transactions");
    assert!(transactions > 0);
    for name in ["cold-direct-10", "warm-direct-10"] {
        let stack = stack(&result, name);
        assert!(sum(&stack.app_metrics, "cache_hits_total") > 0.0, "{name}");
        assert!(stack.redis.get("total_commands_processed").is_some_and(|n| *n > 0.0), "{name}");
        assert!(stack.process("redis").is_some() && stack.process("app").is_some());
    }
    let cold = &result.variants.iter().find(|v| v.name == "cold-direct-10").expect("it").trials[0];
    assert!(
        cold.warm_up.duration_s < 0.5,
        "measured from the first request: {}",
        cold.warm_up.duration_s
    );
    // The changes of profiles were made by their owners.
    let http = cold.http.as_ref().expect("HTTP");
    let change = http.endpoints.iter().find(|e| e.method == "PUT").expect("changes");
    assert!(change.requests > 0 && change.failures == 0, "{change:?}");
    assert_eq!((change.hits, change.misses), (None, None), "no cache answers a change");
    tells_hits_from_misses(http);
    assert!(run.stdout.contains("hits"), "{}", run.stdout);
    for (name, lever) in [("warm-direct-10", "cache"), ("no-indexes-direct-10", "index")] {
        is_foreseen(&directory.path().join("result"), &result, name, lever);
    }
    let report = std::fs::read_to_string(directory.path().join("result/summary_report.md"));
    let report = report.expect("the report");
    for heading in [
        "What the cache gave",
        "Response times by request",
        "Misses and hits by request",
        "Hits and misses inside",
    ] {
        assert!(report.contains(heading), "{heading}");
    }
    assert!(report.contains("plots/memory.png"), "memory over time");
    let plot = std::fs::read(directory.path().join("result/plots/memory.png")).expect("the plot");
    assert!(plot.starts_with(b"\x89PNG"));
    assert_nothing_left(run.pid);
}

/// A request that the cache may answer is told apart by whether it did, with its times.
fn tells_hits_from_misses(http: &HttpFigures) {
    let user = http.endpoints.iter().find(|e| e.name == "user").expect("users are read");
    let both = [user.hits.expect("hits"), user.misses.expect("misses")];
    let answers: u64 = both.iter().map(|lookups| lookups.answers).sum();
    assert!(answers <= user.requests, "{both:?} of {}", user.requests);
    for lookups in both {
        let times = lookups.p50_ms.zip(lookups.p95_ms);
        assert!(lookups.answers > 0 && lookups.mean_ms > 0.0, "{lookups:?}");
        assert!(times.is_some_and(|(p50, p95)| 0.0 < p50 && p50 <= p95), "{lookups:?}");
    }
}

/// What a step gives was stated, and sealed, before it was run for the first time, from what a few
/// users took of its stack; what became of it is told.
fn is_foreseen(place: &Path, result: &RunResult, name: &str, lever: &str) {
    let variant = result.variants.iter().find(|v| v.name == name).expect("the variant");
    let Some(prediction) = &variant.prediction else {
        panic!("no prediction of {name}: {:?}", variant.unpredicted)
    };
    assert_eq!((prediction.lever.as_str(), prediction.from.as_str()), (lever, "off-direct-10"));
    assert_eq!(prediction.seal_holds(), Some(true), "{prediction:?}");
    let stated = prediction.stated_at.as_ref().expect("when it was stated");
    assert!(*stated < variant.trials[0].started_at, "{stated}");
    assert!(prediction.judgement.is_some() && prediction.limit.is_some(), "{prediction:?}");
    let [lo, hi] = prediction.range_per_s;
    assert!(0.0 < lo && hi < 6.0 * lo, "{prediction:?}");
    // Not a run of the case: fewer users, for a moment.
    let tried = "s before, 3 users at a time, on the changed stack";
    assert!(prediction.basis.contains(tried), "{}", prediction.basis);

    let events = std::fs::read_to_string(place.join("logs/events.jsonl")).expect("the events");
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let first = |kind: &str| {
        events.iter().position(|e| e["event"] == kind && e["variant"] == name).expect("the event")
    };
    let (stated, begun) = (first("prediction"), first("trial_started"));
    assert!(stated < begun, "{stated} {begun}");
    assert_eq!(events[stated]["prediction"]["held"], serde_json::Value::Null);

    let place = place.display().to_string();
    let explained = pinchpoint(&["report", &place, "--explain", name]).stdout;
    for text in ["expected of it before it was run", "to limit, found", lever] {
        assert!(explained.contains(text), "{text}: {explained}");
    }
}

#[test]
fn a_shared_client_is_measured_against_one_per_request() {
    let (run, result, directory) = run("sessions", &["users=10"]);
    let accepted = |name: &str| {
        let stack = stack(&result, name);
        assert!(stack.process("beside").is_some());
        sum(&stack.beside_metrics, "http_connections_accepted_total")
    };
    let prediction = result.variant("shared-direct-10").and_then(|v| v.prediction.as_ref());
    assert_eq!(prediction.expect("a prediction").lever, "client");
    let (each, shared) = (accepted("per-request-direct-10"), accepted("shared-direct-10"));
    assert!(each > 20.0 * shared, "{each} against {shared}");
    let report = std::fs::read_to_string(directory.path().join("result/summary_report.md"));
    assert!(report.expect("the report").contains("Connections between the services"));
    assert_nothing_left(run.pid);
}
