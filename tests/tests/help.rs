//! What the command says of itself.

use std::fs;

use crate::command::{pinchpoint, pinchpoint_with};
use crate::tree::root;

#[test]
fn help_teaches() {
    for name in ["", "run", "http", "list", "doctor", "report", "ledger", "postgres", "watch"] {
        let arguments: Vec<&str> = [name, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let run = pinchpoint_with(("COLUMNS", "80"), &arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let label = if name.is_empty() { "pinchpoint" } else { name };
        insta::assert_snapshot!(format!("help_{label}"), run.stdout);
    }
}

#[test]
fn no_command_at_all_is_bad_input() {
    let run = pinchpoint(&[]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("Usage: pinchpoint <COMMAND>"), "{}", run.stderr);
}

#[test]
fn the_ladder_is_printed_as_it_is() {
    let file = fs::read_to_string(root().join("experiments/ladder.toml")).expect("the ladder");
    assert!(pinchpoint(&["list", "--show", "ladder"]).stdout == file);
}

#[test]
fn the_list_says_what_each_experiment_is() {
    let run = pinchpoint(&["list"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn the_version_is_that_of_the_package() {
    let run = pinchpoint(&["--version"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout, format!("pinchpoint {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_doctor_finds_a_server() {
    let run = pinchpoint(&["doctor"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in [
        "machine",
        "kernel",
        "data in",
        "limits",
        "servers",
        "PgBouncer",
        "Python",
        "PostgreSQL",
        "looked in",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}
