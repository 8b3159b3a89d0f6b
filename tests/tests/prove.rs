//! `--prove`: demands made larger on purpose, and put back.

use pinchpoint_measure::{DEMANDS, Demand, ProbeFinding};
use rustix::process::Signal;

use crate::command::{Running, experiment, pinchpoint, result};
use crate::processes::assert_nothing_left;
use crate::server::Server;

/// More users than connections, so that there is something to hold.
const SCARCE: &str = "[load]\nduration = \"400ms\"\nwarmup = \"100ms\"\ntrials = 1\n\
    [[rung]]\nname = \"r\"\npool = { max = 2 }\nconcurrency = 8\nmethod = \"insert\"\n";

#[test]
fn every_demand_is_probed_or_says_why_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", SCARCE);
    let out = directory.path().join("out");
    let run = pinchpoint(&["run", &file, "--prove", "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    let verdict = result.variants[0].verdict.as_ref().expect("a verdict");
    let probed: Vec<_> = verdict.probes.iter().map(|p| p.demand).collect();
    assert_eq!(probed, DEMANDS);
    let proof = verdict.proof.as_ref().expect("a proof, whatever it says");
    if proof.finding != ProbeFinding::Refuted {
        assert_eq!(proof.claim, verdict.bottleneck);
    }
    assert!(run.stdout.contains(proof.finding.name()), "{proof:?}: {}", run.stdout);
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
        assert!(run.stdout.contains(&line), "{line}: {}", run.stdout);
    }
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
