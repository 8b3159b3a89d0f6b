//! The climb itself, against a real server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pinchpoint_measure::{RunStatus, TrialStatus, VariantStatus};
use rustix::process::Signal;

use crate::command::{Running, experiment, pinchpoint, result};
use crate::processes::{assert_nothing_left, postmaster, signal};

const POOL: &str = "pool = { max = 4 }\nconcurrency = 4\nmethod = \"insert\"\n";

fn bytes_below(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.path().is_dir() {
            found.extend(bytes_below(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).expect("a file"));
        }
    }
    found
}

#[test]
fn every_rung_of_the_ladder_keeps_its_promises() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let place = out.display().to_string();
    let run = pinchpoint(&[
        "run",
        "ladder",
        "--duration",
        "400ms",
        "--warmup",
        "200ms",
        "--trials",
        "1",
        "--seed",
        "1",
        "--json",
        "--out",
        &place,
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(printed["schema_version"], 1);
    for key in ["experiment", "started_at", "environment", "variants"] {
        assert!(!printed[key].is_null(), "{key}");
    }
    let result = result(&out);
    assert_eq!(result.status, RunStatus::Complete);
    let names: Vec<_> = result.variants.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2", "2-B", "2-C", "2-D", "3-A", "3-B", "4-A"]);
    for variant in &result.variants {
        assert_eq!(variant.status, VariantStatus::Ok, "{}: {:?}", variant.name, variant.reason);
        let trial = &variant.trials[0];
        let ledger = trial.ledger.expect("a ledger");
        assert!(ledger.balanced, "{}: {ledger:?}", variant.name);
        assert!(trial.rows > 0 && trial.failed == 0, "{}: {:?}", variant.name, trial.errors);
        let phases = trial.phase_sum_ms(|_| true);
        let whole = trial.latency_ms.avg;
        assert!((phases - whole).abs() <= whole * 0.1, "{}: {phases} of {whole}", variant.name);
        match variant.name.as_str() {
            "0" => assert_eq!(ledger.rows_in_table, 0, "the null rung stores nothing"),
            "4-A" => assert!(trial.crash.is_some()),
            _ => assert_eq!(ledger.rows_in_table, ledger.acknowledged_rows, "{}", variant.name),
        }
    }
    let swept: Vec<_> = result.sweeps.iter().map(|s| s.variant.as_str()).collect();
    assert_eq!(swept, ["3-A", "3-B"]);
    let copy = result.variant("3-B").expect("3-B");
    let null = result.variant("0").expect("0");
    assert_eq!(null.factors["batch"], copy.factors["batch"], "the null rung takes after 3-B");
    derived_files_are_made_again(&out, &place);
}

fn derived_files_are_made_again(out: &Path, place: &str) {
    let before = bytes_below(out);
    for name in
        ["metrics.csv", "summary.csv", "summary_report.md", "report.html", "plots/ladder.png"]
    {
        assert!(before.contains_key(&out.join(name)), "{name} is missing");
        fs::remove_file(out.join(name)).expect("removed");
    }
    assert!(before.keys().any(|p| p.extension().is_some_and(|e| e == "hlog")));
    let csv = String::from_utf8_lossy(&before[&out.join("metrics.csv")]).into_owned();
    assert_eq!(
        csv.lines().next(),
        Some(
            "timestamp,tps,success_count,error_count,error_rate,latency_avg_ms,latency_p50_ms,\
             latency_p95_ms,latency_p99_ms,cpu_percent,memory_percent,queue_length"
        )
    );
    let run = pinchpoint(&["report", place]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(bytes_below(out) == before, "a derived file is not the same again");
}

#[test]
fn a_crash_costs_nothing_synchronously_and_something_asynchronously() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = format!(
        "[load]\nduration = \"400ms\"\nwarmup = \"100ms\"\ntrials = 5\n\
         [[rung]]\nname = \"sync\"\n{POOL}crash = true\n\
         [[rung]]\nname = \"async\"\n{POOL}crash = true\nsynchronous_commit = false\n"
    );
    let file = experiment(directory.path(), "", &rungs);
    let out = directory.path().join("out");
    let run = pinchpoint(&["run", &file, "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    let lost = |name: &str| -> Vec<u64> {
        let trials = &result.variant(name).expect("a rung").trials;
        trials.iter().map(|t| t.crash.as_ref().expect("a crash").lost_rows).collect()
    };
    assert_eq!(lost("sync"), [0; 5], "an acknowledged row is a promise");
    // A crash just after the WAL writer's flush loses nothing, but five in a row do not fall there.
    assert!(lost("async").iter().any(|n| *n > 0), "{:?}", lost("async"));
    for trial in &result.variant("async").expect("async").trials {
        let (crash, ledger) = (trial.crash.as_ref().expect("a crash"), trial.ledger.expect("one"));
        assert!(ledger.rows_in_table <= ledger.acknowledged_rows + ledger.in_doubt_rows);
        assert_eq!(crash.oldest_lost_ms.is_some(), crash.lost_rows > 0);
    }
}

#[test]
fn a_rate_below_capacity_is_met() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = format!("[[rung]]\nname = \"r\"\n{POOL}");
    let file = experiment(directory.path(), "", &rungs);
    for arrivals in ["constant", "poisson"] {
        let out = directory.path().join(arrivals);
        let run = pinchpoint(&[
            "run",
            &file,
            "--target-tps",
            "300",
            "--arrivals",
            arrivals,
            "--duration",
            "2s",
            "--warmup",
            "200ms",
            "--trials",
            "1",
            "--seed",
            "7",
            "--out",
            &out.display().to_string(),
        ]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let trial = &result(&out).variants[0].trials[0];
        assert!((240.0..360.0).contains(&trial.throughput_per_s), "{}", trial.throughput_per_s);
    }
}

#[test]
fn a_rate_above_capacity_is_a_backlog_that_nobody_cuts() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = "[[rung]]\nname = \"r\"\nconnection = \"per-operation\"\nconcurrency = 1\nmethod = \"insert\"\n";
    let file = experiment(directory.path(), "", rungs);
    let out = directory.path().join("out");
    let run = pinchpoint(&[
        "run",
        &file,
        "--target-tps",
        "20000",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--trials",
        "1",
        "--out",
        &out.display().to_string(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let trial = &result(&out).variants[0].trials[0];
    let scheduled = 20_000.0 * trial.duration_s;
    let accounted = trial.succeeded as f64 + trial.backlog_end as f64;
    assert!((accounted / scheduled - 1.0).abs() < 0.1, "{accounted} of {scheduled}");
    assert_eq!(trial.intervals.last().map(|i| i.queue_length), Some(trial.backlog_end));
    assert!(trial.latency_ms.p99 > 10.0 * trial.statement_latency_ms.p99, "{:?}", trial.latency_ms);
}

#[test]
fn a_server_killed_in_mid_trial_fails_that_trial_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = format!(
        "[load]\nduration = \"3s\"\nwarmup = \"100ms\"\ntrials = 1\n\
         [[rung]]\nname = \"one\"\n{POOL}[[rung]]\nname = \"two\"\n{POOL}"
    );
    let file = experiment(directory.path(), "", &rungs);
    let out = directory.path().join("out");
    let mut running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
    let pid = running.pid();
    running.wait_for("ready in");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    signal(postmaster(pid), Signal::KILL);
    let run = running.wait();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("SIGKILL"), "{}", run.stderr);
    let result = result(&out);
    let status = |name: &str| result.variant(name).expect("a rung").trials[0].status;
    assert_eq!(status("one"), TrialStatus::Failed);
    assert_eq!(status("two"), TrialStatus::Ok);
    assert_nothing_left(pid);
}

#[test]
fn a_backend_killed_in_mid_trial_is_counted_and_the_run_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = format!(
        "[load]\nduration = \"3s\"\nwarmup = \"100ms\"\ntrials = 1\n[[rung]]\nname = \"r\"\n{POOL}"
    );
    let file = experiment(directory.path(), "", &rungs);
    let out = directory.path().join("out");
    let mut running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
    let pid = running.pid();
    running.wait_for("ready in");
    std::thread::sleep(std::time::Duration::from_secs(1));
    // The server takes all its sessions down when one of them dies so, and recovers by itself.
    let parent = postmaster(pid).to_string();
    let backends = fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent) && command.contains("127.0.0.1")
    });
    let victim = backends.map(|e| e.file_name().to_string_lossy().into_owned()).next();
    signal(victim.expect("a backend").parse().expect("a number"), Signal::KILL);
    let run = running.wait();
    let result = result(&out);
    let trial = &result.variants[0].trials[0];
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(trial.errors.values().sum::<u64>() > 0, "{:?}", trial.errors);
    let ledger = trial.ledger.expect("a ledger");
    assert!(ledger.balanced, "{ledger:?}");
    let last = trial.intervals.last().expect("an interval");
    assert!(last.success_count > 0, "it went on");
}
