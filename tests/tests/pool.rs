//! `pinchpoint pool`: the size that is advised, and what it does not do to a server.

use std::fs;

use pinchpoint_measure::{ExitCode, RunResult, RunStatus, TrialStatus, factor_u64};

use crate::command::{pinchpoint, result};
use crate::processes::assert_nothing_left;
use crate::server::Server;

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
