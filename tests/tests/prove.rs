//! `--prove`: demands made larger on purpose, and put back.

use std::path::Path;

use pinchpoint_measure::{DEMANDS, Demand, Probe, ProbeFinding};
use rustix::process::Signal;

use crate::command::{Running, experiment, pinchpoint, result};
use crate::processes::assert_nothing_left;
use crate::server::Server;

/// More users than connections, so that there is something to hold.
const SCARCE: &str = "[load]\nduration = \"400ms\"\nwarmup = \"100ms\"\ntrials = 1\n\
    [[rung]]\nname = \"r\"\npool = { max = 2 }\nconcurrency = 8\nmethod = \"insert\"\n";

/// What a load demands that has no application.
fn demands() -> Vec<Demand> {
    DEMANDS.into_iter().filter(|demand| *demand != Demand::AppCpu).collect()
}

/// Holds a result and what was printed of it against each other: every demand has figures or a
/// reason, and only the CPU may have one here.
fn all_is_probed(out: &Path, stdout: &str) {
    let result = result(out);
    let verdict = result.variants[0].verdict.as_ref().expect("a verdict");
    let probed: Vec<_> = verdict.probes.iter().map(|p| p.demand).collect();
    assert_eq!(probed, demands());
    let proof = verdict.proof.as_ref().expect("a proof, whatever it says");
    if proof.finding != ProbeFinding::Refuted {
        assert_eq!(proof.claim, verdict.bottleneck);
    }
    assert!(stdout.contains(proof.finding.name()), "{proof:?}: {stdout}");
    for probe in &verdict.probes {
        assert_eq!(probe.finding.is_some(), probe.figures.is_some(), "{probe:?}");
        match (&probe.figures, &probe.reason) {
            (Some(figures), None) => {
                assert_eq!(figures.pairs, 6);
                assert!(figures.demand_ms > 0.0 && figures.added_ms > 0.0, "{probe:?}");
            }
            // Without control groups, or beside others who keep the machine busy.
            (None, Some(reason)) => {
                assert!(probe.demand == Demand::ServerCpu, "{:?}: {reason}", probe.demand);
            }
            other => panic!("{other:?}"),
        }
        let line = format!("probe of {}", probe.demand.title());
        assert!(stdout.contains(&line), "{line}: {stdout}");
    }
}

/// The probe of a demand, and all of them for a message.
fn probe_of(out: &Path, demand: Demand) -> (Probe, String) {
    let result = result(out);
    let probes = &result.variants[0].verdict.as_ref().expect("a verdict").probes;
    let probe = probes.iter().find(|p| p.demand == demand).expect("its probe");
    (probe.clone(), format!("{probes:#?}"))
}

#[test]
fn every_demand_is_probed_or_says_why_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", SCARCE);
    let out = directory.path().join("out");
    let run = pinchpoint(&["run", &file, "--prove", "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    all_is_probed(&out, &run.stdout);
    assert_nothing_left(run.pid);
}

#[test]
fn a_probe_that_is_stopped_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", SCARCE);
    let out = directory.path().join("out");
    let mut running =
        Running::spawn(&["run", &file, "--prove", "--out", &out.display().to_string()]);
    running.wait_for("probing flush");
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_eq!(result(&out).variants[0].trials.len(), 1, "what was measured is there");
    assert_nothing_left(run.pid);
}

#[test]
fn a_server_that_is_not_ours_is_not_slowed_down() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", SCARCE);
    let out = directory.path().join("out");
    let place = out.display().to_string();
    let run = pinchpoint(&["run", &file, "--prove", "--dsn", &server.dsn, "--out", &place]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    let verdict = result.variants[0].verdict.as_ref().expect("a verdict");
    for probe in &verdict.probes {
        let on_the_server = matches!(probe.demand, Demand::ServerCpu | Demand::WalFlush);
        let refused = probe.reason.as_deref().is_some_and(|r| r.contains("not ours"));
        assert_eq!(refused, on_the_server, "{probe:?}");
    }
    let left = server.query("SELECT name FROM pg_settings WHERE source = 'configuration file' AND sourcefile LIKE '%auto.conf'");
    assert!(left.is_empty(), "{left:?}");
}

/// A short load of scripts with `--prove`, its result in a directory.
const SCRIPTS: [&str; 6] = ["sql", "-T", "400ms", "--warmup", "100ms", "--prove"];

#[test]
fn every_demand_of_scripts_is_probed_on_a_server_of_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let place = out.display().to_string();
    let more = ["-b", "simple-update", "-c", "8", "--pool", "2", "--out", &place];
    let run = pinchpoint(&[&SCRIPTS[..], &more].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    all_is_probed(&out, &run.stdout);
    // BEGIN, three statements and END, one after the other.
    let (way, all) = probe_of(&out, Demand::RoundTrip);
    assert!(way.means.ends_with("5.0 times an operation"), "{all}");
    let (flush, all) = probe_of(&out, Demand::WalFlush);
    assert!(!flush.means.contains("times"), "one transaction is one flush: {all}");
    assert_nothing_left(run.pid);
}

#[test]
fn only_the_way_to_a_server_of_somebody_else_is_slowed_down_for_scripts() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("four.sql");
    std::fs::write(&script, "SELECT 1;\n".repeat(4)).expect("written");
    let (script, out) = (script.display().to_string(), directory.path().join("out"));
    let place = out.display().to_string();
    let more = ["-f", &script, "--dsn", &server.dsn, "--out", &place];
    let run = pinchpoint(&[&SCRIPTS[..], &more].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (way, all) = probe_of(&out, Demand::RoundTrip);
    assert!(way.means.ends_with("4.0 times an operation"), "{all}");
    // A single client waits for each of them in full.
    let figures = way.figures.expect("figures");
    assert!(figures.slope > 0.6 && figures.ci95[1] > 0.0, "{all}");
    for (demand, why) in [
        (Demand::ServerCpu, "not ours"),
        (Demand::WalFlush, "not ours"),
        (Demand::Hold, "a connection of its own"),
    ] {
        let (probe, all) = probe_of(&out, demand);
        assert!(probe.reason.as_deref().is_some_and(|r| r.contains(why)), "{all}");
    }
    let left = server.query("SELECT name FROM pg_settings WHERE sourcefile LIKE '%auto.conf'");
    assert!(left.is_empty(), "{left:?}");
    // To a schedule nothing answers at all.
    let (out, rated) = (directory.path().join("rated"), ["-R", "200"]);
    let place = out.display().to_string();
    let more = ["-f", &script, "--dsn", &server.dsn, "--out", &place];
    let run = pinchpoint(&[&SCRIPTS[..], &rated, &more].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for demand in demands() {
        let (probe, all) = probe_of(&out, demand);
        assert!(probe.reason.is_some_and(|r| r.contains("schedule")), "{all}");
    }
    assert!(run.stdout.contains("schedule"), "{}", run.stdout);
}

#[test]
fn scripts_that_write_nothing_are_not_slowed_down_by_flushes() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("one.sql");
    std::fs::write(&script, "SELECT 1;\n").expect("written");
    let (script, out) = (script.display().to_string(), directory.path().join("out"));
    let place = out.display().to_string();
    let run = pinchpoint(&[&SCRIPTS[..], &["-f", &script, "--out", &place]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (flush, all) = probe_of(&out, Demand::WalFlush);
    assert_eq!(flush.reason.as_deref(), Some("nothing is written"), "{all}");
}

/// An application of ours on a small blog, on limits of its own.
const CASES: &str = r#"
experiment = "small"

[postgres]
cpus = 1.0

[dataset]
users = 200
posts = 1000
comments = 3000
seed = 1

[http]
timeout = "5s"

[[request]]
name = "db-test"
path = "/benchmark/db-test"
checks = [{ status = 200 }]

[load]
duration = "800ms"
warmup = "200ms"
trials = 1

[matrix]
connections = ["direct"]
users = [8]

[[app]]
name = "axum"
framework = "axum"
language = "Rust"
driver = "sqlx"
command = ["pinchpoint-app-axum"]
cpus = 0.2

[[app.profile]]
name = "documents"
pool = "10"
connections = 10
env = { DB_POOL_SIZE = 10, DB_POOL_TIMEOUT = 20 }
"#;

#[test]
fn a_case_is_probed_on_a_stack_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("small.toml");
    std::fs::write(&file, CASES).expect("written");
    let (file, out) = (file.display().to_string(), directory.path().join("out"));
    let run = pinchpoint(&["run", &file, "--prove", "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    let verdict = result.variants[0].verdict.as_ref().expect("a verdict");
    let probed: Vec<_> = verdict.probes.iter().map(|p| p.demand).collect();
    assert_eq!(probed, DEMANDS);
    assert!(verdict.proof.is_some(), "{verdict:#?}");
    let (way, all) = probe_of(&out, Demand::RoundTrip);
    // Two statements, and what the driver asks before it lends a connection.
    let times = way.means.rsplit(", ").next().and_then(|t| t.split(' ').next()?.parse().ok());
    assert!(times.is_some_and(|times: f64| (2.0..6.0).contains(&times)), "{all}");
    for (demand, why) in [(Demand::WalFlush, "nothing is written"), (Demand::Hold, "decides")] {
        let (probe, all) = probe_of(&out, demand);
        assert!(probe.reason.is_some_and(|r| r.contains(why)), "{all}");
    }
    // A fifth of a CPU is less than eight users ask for.
    let (app, all) = probe_of(&out, Demand::AppCpu);
    match (&app.figures, &app.reason) {
        (Some(figures), None) => assert!(figures.ci95[1] > 0.5, "{all}"),
        (None, Some(reason)) => assert!(reason.contains("control group"), "{all}"),
        other => panic!("{other:?}"),
    }
    for demand in DEMANDS {
        let line = format!("probe of {}", demand.title());
        assert!(run.stdout.contains(&line), "{line}: {}", run.stdout);
    }
    let page = std::fs::read_to_string(out.join("report.html")).expect("the report");
    assert!(page.contains("probe of CPU of the application"), "{page}");
    assert_nothing_left(run.pid);
}
