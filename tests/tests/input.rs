//! Bad input is refused before anything starts, with what to do.

use std::fs;
use std::path::Path;

use crate::command::{Run, pinchpoint, pinchpoint_after, pinchpoint_in, pinchpoint_with};
use crate::processes::assert_nothing_left;

/// What the command says, with the test's own directory replaced.
fn said(run: &Run, directory: &Path) -> String {
    let place = directory.display().to_string();
    run.stderr.replace(&place, "<dir>")
}

#[test]
fn bad_experiment_files_are_refused_with_their_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = pinchpoint(&["list", "--show", "ladder"]).stdout;
    let cases = [
        ("key.toml", good.replace("trials = 3", "trails = 3")),
        ("type.toml", good.replace("trials = 3 ", "trials = \"three\" ")),
        ("batch.toml", good.replace("batch = 500", "batch = 0")),
        ("pool.toml", good.replace("max = 200", "max = 400")),
        ("syntax.toml", good.replace("[load]", "[load")),
        ("empty.toml", String::new()),
    ];
    let mut all = String::new();
    for (name, text) in cases {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("written");
        let out = directory.path().join("out");
        let run =
            pinchpoint(&["run", &path.display().to_string(), "--out", &out.display().to_string()]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.stderr);
        assert!(!out.exists(), "{name}: something was started");
        assert_nothing_left(run.pid);
        all.push_str(&format!("--- {name}\n{}", said(&run, directory.path())));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn bad_arguments_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display().to_string();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let large = directory.path().join("large.toml");
    fs::write(&large, format!("a = {}", "[".repeat(2 << 20))).expect("written");
    let large = large.display().to_string();
    let binary = directory.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00]).expect("written");
    let binary = binary.display().to_string();
    let missing = format!("{place}/missing.toml");
    let cases: &[&[&str]] = &[
        &["run", "lader"],
        &["run", &missing],
        &["run", &binary],
        &["run", &large],
        &["run", "/dev/zero"],
        &["run", &place],
        &["run", "ladder", "--rungs", "2-Z"],
        &["run", "ladder", "--duration", "0s"],
        &["run", "ladder", "--warmup", "soon"],
        &["run", "ladder", "--target-tps", "-5"],
        &["run", "ladder", "--target-tps", "NaN"],
        &["run", "ladder", "--trials", "0"],
        &["run", "ladder", "--dsn", "mysql://x"],
        &["run", "ladder", "--dsn", "postgresql://h:99999/x"],
        &["run", "ladder", "--dsn", ""],
        &["postgres", "--cpus", "NaN"],
        &["postgres", "--cpus", "-1"],
        &["postgres", "--cpus", "1e30"],
        &["postgres", "--memory", "1MB"],
        &["postgres", "--set", "fsync"],
        &["report", &place],
        &["list", "--show", "lader"],
    ];
    let mut all = String::new();
    for arguments in cases {
        let run = pinchpoint_in(elsewhere.path(), arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert_nothing_left(run.pid);
        let made = fs::read_dir(elsewhere.path()).expect("the directory").count();
        assert_eq!(made, 0, "{arguments:?} left something");
        let shown = arguments.join(" ").replace(&place, "<dir>");
        all.push_str(&format!("$ pinchpoint {shown}\n{}\n", said(&run, directory.path())));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_result_directory_that_cannot_be_is_refused_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    let taken = directory.path().join("taken");
    fs::create_dir(&taken).expect("made");
    fs::write(taken.join("result.json"), "{}").expect("written");
    let cases = [
        (file.join("below"), "Not a directory"),
        ("/proc/self/below".into(), "No such file or directory"),
        ("/dev/full".into(), "File exists"),
        (taken, "already holds a result"),
    ];
    for (out, part) in cases {
        let run = pinchpoint(&["run", "ladder", "--out", &out.display().to_string()]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        assert!(!run.stderr.contains("starting"), "{}", run.stderr);
    }
}

#[test]
fn without_postgresql_the_packages_are_named() {
    let run = pinchpoint(&["run", "ladder", "--pg-bin", "/nowhere"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("/nowhere is not a directory"), "{}", run.stderr);
    let run = pinchpoint_with(("PINCHPOINT_PG_BIN", "/usr/share"), &["doctor"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("no initdb"), "{}", run.stderr);
}

#[test]
fn a_machine_without_postgresql_is_told_what_to_install() {
    let hidden = "mount -t tmpfs hidden /usr/lib/postgresql; PATH=/nowhere";
    let Some(run) = pinchpoint_after(hidden, &["run", "ladder"]) else {
        // Without the right to hide the server's programs there is a directory without any.
        let run = pinchpoint(&["run", "ladder", "--pg-bin", "/usr/share"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        return;
    };
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_nothing_left(run.pid);
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn a_full_disk_fails_the_run_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display().to_string();
    let out = directory.path().join("out").display().to_string();
    let small = ["--rungs", "2", "--trials", "1", "--duration", "300ms", "--out", &out];
    let arguments: Vec<&str> = ["run", "ladder"].into_iter().chain(small).collect();
    let disk = format!("mount -t tmpfs -o size=16k full {place}");
    let Some(run) = pinchpoint_after(&disk, &arguments) else {
        // Without the right to mount there is /dev/full, which is a disk that is always full.
        let run = pinchpoint(&["run", "ladder", "--out", "/dev/full"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        return;
    };
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    assert_nothing_left(run.pid);
}
