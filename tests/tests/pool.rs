//! `pinchpoint pool`: the size that is advised, and what it does not do to a server.

use std::fs;
use std::path::Path;

use pinchpoint_measure::{ExitCode, RunResult, RunStatus, TrialStatus, factor_u64};
use pinchpoint_sql::{Connection, TlsSetup};
use rustix::process::Signal;

use crate::command::{Running, pinchpoint, result};
use crate::processes::{assert_nothing_left, postmaster, signal, until};
use crate::server::{Server, block_on};

/// The sizes that were tried, and the most rounds of one.
fn sizes(result: &RunResult) -> (Vec<u64>, usize) {
    let sizes = result.variants.iter().filter_map(|v| factor_u64(&v.factors, "pool")).collect();
    (sizes, result.variants.iter().map(|v| v.trials.len()).max().unwrap_or(0))
}

#[test]
fn the_advised_size_gives_nearly_the_best_throughput_of_all_that_were_tried() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let run = pinchpoint(&[
        "pool",
        "-b",
        "select-only",
        "-c",
        "12",
        "--cpus",
        "0.5",
        "-T",
        "300ms",
        "--rounds",
        "2",
        "--out",
        &out.display().to_string(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_nothing_left(run.pid);
    let result = result(&out);
    assert_eq!(sizes(&result), (vec![1, 2, 3, 4, 6, 8, 12], 2));
    let advice = result.pool.clone().expect("advice");
    let rate = |size: u64| {
        let variant = result.variant(&size.to_string()).expect("a size");
        // Of those that were measured in each round, whose rounds can be compared as they are.
        let rates: Vec<f64> = variant.trials.iter().map(|t| t.throughput_per_s.ln()).collect();
        (rates.len() == 2).then(|| (rates.iter().sum::<f64>() / 2.0).exp())
    };
    let best = [1, 2, 3, 4, 6, 8, 12].into_iter().filter_map(rate).fold(0.0, f64::max);
    let advised = rate(advice.size).expect("a size that was measured to the end");
    assert!(advised >= 0.95 * best - 1.0, "{advice:?}");
    assert!(advice.throughput_per_s >= 0.95 * advice.best_per_s, "{advice:?}");
    assert!(advice.curve.as_ref().is_none_or(|c| c.points.len() == 7), "{advice:?}");
    assert!(
        run.stdout.contains(&advice.sentence.split(':').next().expect("text")[..20]),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("← advised"), "{}", run.stdout);
    // Every client was kept waiting for one of the pool's connections, and nothing failed.
    for trial in result.variants.iter().flat_map(|v| &v.trials) {
        assert_eq!((trial.status, trial.failed), (TrialStatus::Ok, 0), "{trial:?}");
    }
    let png = fs::read(out.join("plots/pool.png")).expect("a plot");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // The derived files can be made again.
    let before = fs::read(out.join("summary_report.md")).expect("a report");
    let again = pinchpoint(&["report", &out.display().to_string()]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(fs::read(out.join("summary_report.md")).expect("a report"), before);
}

#[test]
fn a_server_keeps_connections_for_others_and_sizes_that_do_not_fit_are_refused() {
    let server = Server::start(&["max_connections=16"]);
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("a.sql");
    fs::write(&script, "SELECT 1;\n").expect("written");
    let script = script.display().to_string();
    let base = ["pool", "--dsn", &server.dsn, "-f", &script, "-c", "100", "-T", "100ms"];
    let mut arguments = base.to_vec();
    arguments.extend(["--rounds", "1", "--json"]);
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = RunResult::from_json(&run.stdout).expect("a result");
    assert_eq!(result.status, RunStatus::Complete);
    let (sizes, _) = sizes(&result);
    // 16 less three for superusers, ourselves, three to spare, and a tenth of what is free.
    assert!(sizes.iter().all(|size| *size <= 8) && sizes.len() >= 4, "{sizes:?}");
    let mut arguments = base.to_vec();
    arguments.extend(["--sizes", "4,15"]);
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("a pool of 15 does not fit"), "{}", run.stderr);
}

#[test]
fn without_a_script_there_is_nothing_to_run() {
    for arguments in [&["pool"][..], &["pool", "-b", "select-only", "--sizes", "0"]] {
        let run = pinchpoint(arguments);
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{}", run.stderr);
    }
}

/// A search that would take a minute, of which the first size has been measured.
fn until_measured(arguments: &[&str], out: &Path) -> Running {
    let out_text = out.display().to_string();
    let mut all = vec!["pool", "-c", "12", "-T", "300ms", "--rounds", "90", "--out", &out_text];
    all.extend(arguments);
    let running = Running::spawn(&all);
    until("a size that was measured", || {
        let events = fs::read_to_string(out.join("logs/events.jsonl")).unwrap_or_default();
        events.contains("\"trial_ended\"").then_some(())
    });
    running
}

#[test]
fn a_server_killed_in_mid_search_ends_it_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let running = until_measured(&["-b", "select-only", "--sizes", "2,4"], &out);
    signal(postmaster(running.pid()), Signal::KILL);
    let run = running.wait();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("SIGKILL"), "{}", run.stderr);
    assert_eq!(result(&out).status, RunStatus::Failed);
    assert_nothing_left(run.pid);
}

#[test]
fn an_interrupted_search_keeps_what_it_has_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let running = until_measured(&["-b", "select-only", "--sizes", "2,4"], &out);
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.status, RunStatus::Interrupted);
    let measured = result.variants.iter().flat_map(|v| &v.trials);
    assert!(measured.filter(|t| t.status == TrialStatus::Ok).count() >= 1);
    assert_nothing_left(run.pid);
}

/// Somebody else takes all connections while sizes are tried: the sizes that no longer fit fail with
/// what the server said, nothing is advised from them, and no session of ours stays behind.
#[test]
fn a_server_that_fills_up_in_mid_search_costs_the_sizes_that_no_longer_fit() {
    let server = Server::start(&["max_connections=20", "superuser_reserved_connections=0"]);
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let script = directory.path().join("a.sql");
    fs::write(&script, "SELECT 1;\n").expect("written");
    let script = script.display().to_string();
    let arguments = ["--dsn", &server.dsn, "-f", &script, "--sizes", "2,8", "--max-time", "15s"];
    let running = until_measured(&arguments, &out);
    let dsn = server.parsed();
    let run = block_on(async {
        let tls = TlsSetup::new(&dsn).expect("TLS");
        let (mut taken, mut refused) = (Vec::new(), 0);
        // Until there has been no room for a while: the search opens its pools in between.
        while refused < 300 && taken.len() < 18 {
            match Connection::connect(&dsn, &tls).await {
                Ok(connection) => taken.push(connection),
                Err(_) => {
                    refused += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
        assert!(taken.len() >= 12, "{} connections", taken.len());
        let run = tokio::task::spawn_blocking(move || running.wait()).await.expect("it ends");
        drop(taken);
        run
    });
    let result = result(&out);
    let failed: Vec<_> = result
        .variants
        .iter()
        .flat_map(|v| &v.trials)
        .filter(|t| t.status == TrialStatus::Failed)
        .filter_map(|t| t.reason.clone())
        .collect();
    assert!(failed.iter().any(|reason| reason.contains("too many clients")), "{failed:?}");
    assert!(run.code.is_some_and(|code| code == 0 || code == 1), "{}", run.stderr);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pinchpoint%' \
                AND pid <> pg_backend_pid()";
    until("no session of ours", || (server.value(ours) == "0").then_some(()));
}
