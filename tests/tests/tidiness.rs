//! What the compiler cannot check about the tree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tree::root;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in ["crates", "apps", "tests", "bench"] {
        sources(&root().join(directory), &mut found);
    }
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

#[test]
fn files_hold_one_subject() {
    // Tests may be as long as what they test has ways to fail.
    let is_test = |path: &Path| path.components().any(|c| c.as_os_str() == "tests");
    for path in all_sources().into_iter().filter(|p| !is_test(p)) {
        let text = fs::read_to_string(&path).expect("a source");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().count();
        assert!(lines <= 400, "{} has {lines} lines; split it by subject", path.display());
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(
            !["utils", "util", "common", "helpers", "imp", "misc"].contains(&name.as_str()),
            "{} says nothing about its subject",
            path.display()
        );
    }
}

#[test]
fn the_caches_example_is_a_service_of_forty_lines() {
    let path = root().join("crates/cache/examples/service.rs");
    let lines = fs::read_to_string(path).expect("the example").lines().count();
    assert!(lines <= 40, "{lines} lines: what a reader needs first should fit on a screen");
}

#[test]
fn nothing_is_left_behind() {
    // Spelled in pieces, so that this file does not find itself.
    let banned = [
        (["to", "do!("].concat(), "finish it"),
        (["#[ig", "nore"].concat(), "a test that does not run proves nothing"),
        (["FIX", "ME"].concat(), "fix it or say it in an issue"),
        (["/ro", "ot/"].concat(), "a path of one machine"),
    ];
    for path in all_sources() {
        let text = fs::read_to_string(&path).expect("a source");
        for (word, why) in &banned {
            assert!(!text.contains(word), "{} contains {word:?}: {why}", path.display());
        }
    }
}

#[test]
fn every_exception_to_a_lint_has_its_reason() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).expect("a source");
        for (i, line) in text.lines().enumerate() {
            let allow = ["#[al", "low("].concat();
            // What a macro writes into somebody else's crate may find nothing to except there.
            let macro_of_ours = path.parent().is_some_and(|d| d.ends_with("cache-macros/src"));
            let fits = macro_of_ours || !line.contains(&allow);
            assert!(fits, "{}:{}: use #[expect]", path.display(), i + 1);
        }
    }
}
