//! `pinchpoint sql --next`: a lever is predicted before it is run, and held against what came.

use std::fs;

use pinchpoint_measure::{ExitCode, PredictionRecord, Variant};

use crate::command::{pinchpoint, pinchpoint_with_all, result};
use crate::processes::assert_nothing_left;
use crate::server::Server;

/// Sealed before it was run, and judged after it.
fn assert_kept(variant: &Variant, lever: &str) {
    let prediction = variant.prediction.as_ref().unwrap_or_else(|| panic!("{variant:?}"));
    assert_eq!((prediction.from.as_str(), prediction.lever.as_str()), ("sql", lever));
    assert_eq!(prediction.seal_holds(), Some(true), "{prediction:?}");
    let stated = prediction.stated_at.as_ref().expect("when it was stated");
    assert!(*stated < variant.trials[0].started_at, "{stated} {}", variant.trials[0].started_at);
    assert!(prediction.judgement.is_some(), "{prediction:?}");
    assert_eq!(variant.unpredicted, None);
    let measured = variant.summary.as_ref().map(|s| s.throughput_per_s.median);
    assert_eq!(prediction.measured_per_s, measured);
}

#[test]
fn levers_are_predicted_run_judged_and_remembered() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out").display().to_string();
    let ledger = directory.path().join("ledger.jsonl").display().to_string();
    let variables = [("PINCHPOINT_LEDGER", ledger.as_str()), ("COLUMNS", "80")];
    let levers = ["synchronous_commit=off", "clients=6"];
    let mut arguments = vec!["sql", "-N", "-c", "4", "-T", "1", "--warmup", "200ms"];
    arguments.extend(["--out", &out, "--next", levers[0], "--next", levers[1]]);
    let run = pinchpoint_with_all(&variables, &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_nothing_left(run.pid);

    let result = result(out.as_ref());
    let names: Vec<&str> = result.variants.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["sql", levers[0], levers[1]]);
    assert_eq!(result.variants[0].prediction, None);
    assert_kept(&result.variants[1], "synchronous_commit");
    assert_kept(&result.variants[2], "concurrency");
    let factor = |at: usize, name: &str| result.variants[at].factors[name].clone();
    assert_eq!([0, 1, 2].map(|at| factor(at, "synchronous_commit")), ["on", "off", "on"]);
    assert_eq!([0, 1, 2].map(|at| factor(at, "concurrency")), [4, 4, 6]);

    let records: Vec<PredictionRecord> = fs::read_to_string(&ledger)
        .expect("a ledger")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    let kept: Vec<_> = records.iter().map(|r| (&*r.experiment, &*r.variant)).collect();
    assert_eq!(kept, [("sql", levers[0]), ("sql", levers[1])]);
    assert_eq!(records[0].prediction, result.variants[1].prediction.clone().expect("it"));

    for lever in levers {
        let (_, after) =
            run.stdout.split_once(&format!("\nnext lever: {lever}\n")).expect("a section");
        let lines: Vec<&str> = after.lines().take(3).collect();
        for (line, begins) in lines.iter().zip(["predicted: ", "measured: ", "the prediction: "]) {
            assert!(line.starts_with(begins), "{line:?} in {after}");
        }
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert!(!run.stdout.contains("try --next"), "{}", run.stdout);
    let explained = pinchpoint(&["report", &out, "--explain", "clients=6"]);
    assert!(explained.stdout.contains("by concurrency, from sql: "), "{}", explained.stdout);
    let report = fs::read_to_string(directory.path().join("out/summary_report.md"));
    assert!(report.expect("a report").contains("next lever: clients=6"));
}

/// What each session says of itself: a lever changes the one thing that it names, for sessions of the
/// load alone, and on a server of somebody else's too.
#[test]
fn a_lever_changes_nothing_but_what_it_names() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE said (commit text, prepared boolean)");
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("say.sql");
    let text = "INSERT INTO said SELECT current_setting('synchronous_commit'), \
                (SELECT count(*) > 0 FROM pg_prepared_statements);\n";
    fs::write(&script, text).expect("written");
    let script = script.display().to_string();
    let arguments = ["sql", "--dsn", &server.dsn, "-f", &script, "-c", "2", "--json"];
    let run = pinchpoint(
        &[
            &arguments[..],
            &["-t", "20", "--next", "synchronous_commit=off", "--next", "protocol=prepared"],
        ]
        .concat(),
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = server.query("SELECT DISTINCT commit, prepared::text FROM said ORDER BY 1, 2");
    let said: Vec<String> =
        said.iter().map(|row| row.iter().flatten().cloned().collect()).collect();
    assert_eq!(said, ["offfalse", "onfalse", "ontrue"]);
    assert_eq!(server.value("SHOW synchronous_commit"), "on");
    assert_eq!(server.value("SELECT count(*) FROM pg_db_role_setting"), "0");

    // Nothing honest can be said of what a schedule sets; it is run all the same.
    let run = pinchpoint(
        &[&arguments[..], &["-R", "100", "-T", "500ms", "--warmup", "0s", "--next", "clients=4"]]
            .concat(),
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = pinchpoint_measure::RunResult::from_json(&run.stdout).expect("a result");
    let four = &result.variants[1];
    assert_eq!((four.name.as_str(), &four.prediction), ("clients=4", &None));
    let reason = four.unpredicted.as_deref().expect("a reason");
    assert!(reason.contains("the load follows a schedule"), "{reason}");
    assert!(four.trials[0].succeeded > 0, "{:?}", four.trials[0]);
}

#[test]
fn a_lever_that_cannot_be_is_refused_before_anything_starts() {
    let mut all = String::new();
    for arguments in [
        &["--next", "work_mem=64MB"][..],
        &["--next", "clients"],
        &["--next", "clients=0"],
        &["--next", "synchronous_commit=local"],
        &["-c", "8", "--next", "clients=8"],
        &["-M", "prepared", "--next", "protocol=prepared"],
        &["--pool", "4", "--next", "pool=4"],
        &["--next", "connect=off"],
        &["--next", "pool=4", "--next", "clients=2", "--next", "pool=4"],
    ] {
        let run = pinchpoint(&[&["sql", "-S"], arguments].concat());
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{arguments:?}");
        assert_nothing_left(run.pid);
        all.push_str(&format!("--- {}\n{}", arguments.join(" "), run.stderr));
    }
    insta::assert_snapshot!(all);
}
