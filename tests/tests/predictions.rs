//! Predictions are stated before the step is taken, judged after it, and remembered.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::command::{experiment, pinchpoint, pinchpoint_with, result};

const RUNGS: &str = "[load]\nduration = \"300ms\"\nwarmup = \"100ms\"\ntrials = 1\n\
                     [[rung]]\nname = \"one\"\npool = { max = 4 }\nconcurrency = 1\n\
                     method = \"insert\"\n\
                     [[rung]]\nname = \"four\"\npool = { max = 4 }\nconcurrency = 4\n\
                     method = \"insert\"\nlever = \"concurrency\"\n";

#[test]
fn a_prediction_is_sealed_before_its_rung_is_run_and_remembered_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", RUNGS);
    let ledger = directory.path().join("data/ledger.jsonl");
    let kept = ledger.display().to_string();
    for name in ["first", "second"] {
        let out = directory.path().join(name).display().to_string();
        let run = pinchpoint_with(("PINCHPOINT_LEDGER", &kept), &["run", &file, "--out", &out]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    let result = result(&directory.path().join("first"));
    let four = result.variant("four").expect("the rung");
    let prediction = four.prediction.as_ref().expect("a prediction");
    assert_eq!(prediction.seal_holds(), Some(true), "{prediction:?}");
    let stated = prediction.stated_at.as_ref().expect("when it was stated");
    assert!(*stated < four.trials[0].started_at, "{stated}");
    assert!(prediction.judgement.is_some(), "{prediction:?}");

    let mode = fs::metadata(&ledger).expect("the ledger").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let show = |arguments: &[&str]| {
        let run = pinchpoint_with(("PINCHPOINT_LEDGER", &kept), arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let table = show(&["ledger"]);
    assert!(table.contains("of 2 predictions held"), "{table}");
    // The directory of a run that the ledger knows adds nothing.
    let first = directory.path().join("first").display().to_string();
    let both = show(&["ledger", "--json", &kept, &first]);
    let both: serde_json::Value = serde_json::from_str(&both).expect("JSON");
    assert_eq!(both["all"]["predictions"], 2);
    assert_eq!(both["levers"][0]["lever"], "concurrency");
    a_changed_prediction_is_found_out(&first);
}

/// A range that is moved after the fact to where the measurement came.
fn a_changed_prediction_is_found_out(place: &str) {
    let path = format!("{place}/result.json");
    let mut result = result(place.as_ref());
    let prediction = result.variants[1].prediction.as_mut().expect("a prediction");
    prediction.range_per_s[1] *= 2.0;
    fs::write(&path, result.to_json().expect("JSON")).expect("written");
    let report = pinchpoint(&["report", place]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stdout.contains("does not match its hash"), "{}", report.stdout);
    let ledger = pinchpoint(&["ledger", place]);
    assert!(ledger.stdout.contains("Left out"), "{}", ledger.stdout);
}

#[test]
fn a_ledger_that_cannot_be_written_fails_no_run_and_none_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", RUNGS);
    fs::write(directory.path().join("occupied"), "").expect("written");
    let nowhere = directory.path().join("occupied/ledger.jsonl").display().to_string();
    let out = directory.path().join("out").display().to_string();
    let run = pinchpoint_with(("PINCHPOINT_LEDGER", &nowhere), &["run", &file, "--out", &out]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("not remembered"), "{}", run.stderr);

    let ledger = directory.path().join("ledger.jsonl").display().to_string();
    let out = directory.path().join("again").display().to_string();
    let run = pinchpoint_with(
        ("PINCHPOINT_LEDGER", &ledger),
        &["run", &file, "--out", &out, "--no-ledger"],
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!fs::exists(&ledger).expect("looked for"));
}

#[test]
fn an_empty_ledger_says_how_to_begin_and_none_is_bad_input() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger.jsonl").display().to_string();
    let empty = pinchpoint_with(("PINCHPOINT_LEDGER", &ledger), &["ledger"]);
    assert_eq!(empty.code, Some(0), "{}", empty.stderr);
    assert!(empty.stdout.contains("No prediction has been judged yet"), "{}", empty.stdout);
    let none = pinchpoint(&["ledger"]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    let nothing = directory.path().display().to_string();
    assert_eq!(pinchpoint(&["ledger", &nothing]).code, Some(2));
}
