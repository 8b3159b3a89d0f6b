//! `pinchpoint sql`'s transaction log, latency limit and thresholds, held against pgbench's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pinchpoint_measure::{ExitCode, RunResult, Trial};

use crate::command::{Run, pinchpoint};
use crate::server::Server;

/// Lines of all files that begin with the prefix, in words; and how many files there are.
fn log(directory: &Path, prefix: &str) -> (Vec<Vec<String>>, usize) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)))
        .collect();
    names.sort();
    let text: String = names.iter().map(|p| fs::read_to_string(p).expect("text")).collect();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    (text.lines().map(words).collect(), names.len())
}

/// What kinds of line there are: how many fields, and what stands where the time stands.
fn kinds(lines: &[Vec<String>]) -> BTreeSet<(usize, String)> {
    let kind = |word: &str| if word.parse::<u64>().is_ok() { "time" } else { word }.to_owned();
    lines.iter().map(|words| (words.len(), kind(&words[2]))).collect()
}

/// A number in a line.
fn number(words: &[String], at: usize) -> u64 {
    words[at].parse().unwrap_or_else(|_| panic!("{words:?}"))
}

/// A line of a summary without its figures.
fn without_figures(line: &str) -> String {
    let mut text = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() || c == '.' { '#' } else { c };
        if c != '#' || !text.ends_with('#') {
            text.push(c);
        }
    }
    text
}

/// Lines of a summary that tell of counted transactions.
fn counted(summary: &str) -> BTreeSet<String> {
    summary
        .lines()
        .filter(|line| line.starts_with("number of ") || line.starts_with("total number"))
        .map(without_figures)
        .collect()
}

/// Both tools with the same options; `None` where pgbench is older than 15 or not there.
fn both(server: &Server, directory: &Path, arguments: &[&str]) -> Option<(Run, Output)> {
    let version = Command::new("pgbench").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.split_whitespace().find_map(|w| w.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < 15) {
        return None;
    }
    let prefix = |name: &str| directory.join(name).display().to_string();
    let pgbench = Command::new("pgbench")
        .args(["-n", "-l", "--log-prefix", &prefix("theirs")])
        .args(arguments)
        .arg(&server.dsn)
        .output()
        .expect("pgbench runs");
    assert!(pgbench.status.success(), "{}", String::from_utf8_lossy(&pgbench.stderr));
    let ours = prefix("ours");
    let mut all = vec!["sql", "--dsn", &server.dsn, "--warmup", "0s", "-l"];
    all.extend(["--log-prefix", &ours]);
    all.extend(arguments);
    let run = pinchpoint(&all);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    Some((run, pgbench))
}

/// Lines of progress without their figures.
fn progress(stderr: &str) -> Vec<String> {
    stderr.lines().filter(|l| l.starts_with("progress: ")).map(without_figures).collect()
}

/// Each client's transactions are numbered from 1 without a gap, in the order of their ends.
fn assert_numbered(lines: &[Vec<String>]) {
    let mut by_client: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for words in lines {
        by_client.entry(number(words, 0)).or_default().push(number(words, 1));
    }
    assert!(by_client.len() > 1, "{lines:?}");
    for (client, numbers) in by_client {
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected, "client {client}");
    }
}

#[test]
fn a_log_has_pgbenchs_fields_and_names() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (n bigint); INSERT INTO t VALUES (0)");
    let scripts = tempfile::tempdir().expect("a directory");
    let race = scripts.path().join("race.sql");
    let text = "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT n FROM t;\n\\sleep 1 ms\n\
                UPDATE t SET n = n + 1;\nCOMMIT;\n";
    fs::write(&race, text).expect("written");
    let race = race.display().to_string();
    let slow = scripts.path().join("slow.sql");
    fs::write(&slow, "\\sleep 2 ms\nSELECT 1;\n").expect("written");
    let slow = slow.display().to_string();
    let cases: [(&[&str], usize); 4] = [
        (&["-c", "3", "-j", "2", "-t", "40", "-f", &slow, "-L", "3"], 2),
        (&["-c", "2", "-j", "1", "-T", "1", "-f", &slow, "-R", "3000", "-L", "6"], 1),
        (&["-c", "4", "-j", "1", "-t", "25", "-f", &race, "--max-tries", "3"], 1),
        (&["-c", "4", "-j", "1", "-t", "25", "-f", &race, "--failures-detailed"], 1),
    ];
    for (arguments, files) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let Some((run, theirs)) = both(&server, directory.path(), arguments) else { return };
        let (their_lines, their_files) = log(directory.path(), "theirs.");
        let (our_lines, our_files) = log(directory.path(), "ours.");
        assert_eq!((our_files, their_files), (files, files), "{arguments:?}");
        assert_eq!(kinds(&our_lines), kinds(&their_lines), "{arguments:?}");
        assert_numbered(&our_lines);
        assert_numbered(&their_lines);
        let theirs = String::from_utf8_lossy(&theirs.stdout);
        assert_eq!(counted(&run.stdout), counted(&theirs), "{arguments:?}\n{}", run.stdout);
        assert!(directory.path().join(format!("ours.{}", run.pid)).is_file(), "{arguments:?}");
    }
}

/// A log of intervals has pgbench's fields, and its sums are those of the transactions.
#[test]
fn a_log_of_intervals_has_pgbenchs_fields_and_every_transaction_is_in_it() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (n bigint); INSERT INTO t VALUES (0)");
    let scripts = tempfile::tempdir().expect("a directory");
    let race = scripts.path().join("race.sql");
    let text = "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT n FROM t;\n\\sleep 2 ms\n\
                UPDATE t SET n = n + 1;\nCOMMIT;\n";
    fs::write(&race, text).expect("written");
    let race = race.display().to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = ["-c", "3", "-j", "1", "-T", "2", "--aggregate-interval=1", "-f", &race];
    let more = ["--max-tries=2", "--failures-detailed", "-R", "2000", "-L", "20", "-P", "1"];
    let arguments = [&arguments[..], &more].concat();
    let Some((run, pgbench)) = both(&server, directory.path(), &arguments) else { return };
    let told = progress(&run.stderr);
    assert_eq!(told.len(), 2, "{}", run.stderr);
    // pgbench also tells how often it tried again.
    let theirs = progress(&String::from_utf8_lossy(&pgbench.stderr));
    assert!(!theirs.is_empty(), "{pgbench:?}");
    assert!(theirs.iter().all(|line| line.starts_with(&told[0])), "{told:?} {theirs:?}");
    let (theirs, _) = log(directory.path(), "theirs.");
    let (ours, files) = log(directory.path(), "ours.");
    assert_eq!((ours.len(), theirs.len(), files), (2, 2, 1), "{ours:?} {theirs:?}");
    assert!(ours.iter().chain(&theirs).all(|words| words.len() == 15), "{ours:?} {theirs:?}");
    for at in 1..14 {
        // What either tool counts, the other does too; deadlocks, the last field, may not come.
        let counted = |lines: &[Vec<String>]| lines.iter().any(|words| number(words, at) > 0);
        assert!(counted(&ours) && counted(&theirs), "{at}: {ours:?} {theirs:?}");
    }
    assert_eq!(number(&ours[1], 0) - number(&ours[0], 0), 1, "{ours:?}");
    let sum = |at| ours.iter().map(|words| number(words, at)).sum::<u64>();
    let said = "number of transactions actually processed: ";
    let done = run.stdout.lines().find_map(|line| line.strip_prefix(said)).expect("a count");
    assert_eq!(sum(1).to_string(), done, "{}", run.stdout);
    for words in &ours {
        let [count, total, squares, least, most] = [1, 2, 3, 4, 5].map(|at| number(words, at));
        assert!(least * count <= total && total <= most * count, "{words:?}");
        assert!(total * total <= squares * count && least > 2000, "{words:?}");
    }
}

/// Runs with `--json`, and the only trial.
fn json(arguments: &[&str]) -> (Run, Trial) {
    let mut all = vec!["sql", "--json"];
    all.extend(arguments);
    let run = pinchpoint(&all);
    let mut result = RunResult::from_json(&run.stdout).unwrap_or_else(|e| panic!("{e}{run:?}"));
    let trial = result.variants[0].trials.pop().unwrap_or_else(|| panic!("{}", run.stderr));
    (run, trial)
}

/// After a warm-up, with a rate that cannot be kept: the lines are the transactions of the measured
/// part, one by one.
#[test]
fn a_log_and_the_figures_tell_of_the_same_transactions() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let slow = directory.path().join("slow.sql");
    fs::write(&slow, "\\sleep 2 ms\nSELECT 1;\n").expect("written");
    let (slow, prefix) = (slow.display().to_string(), directory.path().join("log"));
    let prefix = prefix.display().to_string();
    let base = ["--dsn", &server.dsn, "-f", &slow, "-c", "2", "-j", "2", "--warmup", "300ms"];
    let mut arguments = base.to_vec();
    arguments.extend(["-T", "1", "-R", "3000", "-L", "6", "-l", "--log-prefix", &prefix]);
    let (run, trial) = json(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let figures = trial.sql.clone().expect("figures");
    let (late, skipped) = (figures.late.expect("late"), figures.skipped.expect("skipped"));
    let (lines, files) = log(directory.path(), "log.");
    let kept = figures.log.clone().expect("a log");
    assert_eq!((kept.files.len(), kept.lines, kept.lost), (files, lines.len() as u64, 0));
    let of = |word: &str| lines.iter().filter(|l| l[2] == word).count() as u64;
    assert_eq!(of("skipped"), skipped);
    assert_eq!(lines.len() as u64, trial.succeeded + trial.failed + skipped);
    let times: Vec<u64> = lines.iter().filter_map(|l| l[2].parse().ok()).collect();
    assert_eq!(times.iter().filter(|us| **us > 6000).count() as u64, late);
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64 / 1000.0;
    assert!((mean / trial.latency_ms.avg - 1.0).abs() < 0.005, "{mean} {:?}", trial.latency_ms);
    // Nothing was begun that was late by more than the limit.
    assert!(lines.iter().all(|l| number(l, 6) <= 6000));
    assert!(skipped > 100 && late > 10, "{figures:?}");
    // A share of the lines, and the second trial in a file of its own.
    let sampled = directory.path().join("some").display().to_string();
    let mut arguments = base.to_vec();
    arguments.extend(["-T", "1", "--trials", "2", "-l", "--sampling-rate", "0.2"]);
    arguments.extend(["--log-prefix", &sampled]);
    let (run, trial) = json(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let share = log(directory.path(), "some_2.").0.len() as f64 / trial.succeeded as f64;
    assert!((0.1..0.3).contains(&share), "{share}");
    assert!(!log(directory.path(), "some.").0.is_empty());
}

#[test]
fn a_log_that_cannot_be_written_ends_the_run_and_one_without_a_run_leaves_no_file() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = directory.path().join("missing/log").display().to_string();
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-t", "1", "-l", "--log-prefix", &prefix]);
    assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{}", run.stderr);
    assert!(run.stderr.contains("missing/log"), "{}", run.stderr);
    let prefix = directory.path().join("log").display().to_string();
    // Its tables are not there.
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-S", "-l", "--log-prefix", &prefix]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(log(directory.path(), "log").1, 0);
}

#[test]
fn a_missed_threshold_has_its_exit_code() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.sql");
    fs::write(&path, "SELECT pg_sleep(0.02);\n").expect("written");
    let path = path.display().to_string();
    let base = ["sql", "--dsn", &server.dsn, "-f", &path, "-t", "5", "-q", "-L", "10"];
    let with = |threshold: &str| {
        let mut all = base.to_vec();
        all.extend(["--threshold", threshold]);
        pinchpoint(&all)
    };
    for (threshold, kept) in [
        ("transaction_duration: p(95)<1000", true),
        ("transaction_duration: p(99.9)<10", false),
        ("transactions_failed: rate==0", true),
        ("transactions: count==5", true),
        ("transactions: rate>1000", false),
        ("transactions_late: rate<0.5", false),
    ] {
        let run = with(threshold);
        let missed = ExitCode::ThresholdMissed.code();
        assert_eq!(run.code, Some(if kept { 0 } else { missed.into() }), "{threshold}");
        let word = if kept { "threshold kept" } else { "threshold MISSED" };
        assert!(run.stdout.contains(&format!("{word}: {threshold} (")), "{}", run.stdout);
    }
    for (threshold, word) in [
        ("http_reqs: count>1", "no metric"),
        ("transactions_skipped: rate==0", "give a rate with -R"),
    ] {
        let run = with(threshold);
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{threshold}");
        assert!(run.stderr.contains(word), "{}", run.stderr);
    }
}

#[test]
fn options_of_pgbench_that_are_not_taken_are_refused_by_name() {
    for (arguments, word) in [
        (&["--debug"][..], "events.jsonl"),
        (&["--aggregate-interval=1"], "--log"),
        (&["-l", "--aggregate-interval=0"], "--aggregate-interval"),
        (&["-l", "--aggregate-interval=3", "-T", "10"], "no multiple"),
        (&["-l", "--aggregate-interval=20", "-T", "10"], "no multiple"),
        (&["-l", "--aggregate-interval=1", "--sampling-rate=0.5"], "--sampling-rate"),
        (&["--log-prefix=x"], "--log"),
        (&["-L", "0"], "--latency-limit"),
        (&["-l", "--sampling-rate", "0"], "--sampling-rate"),
        (&["-l", "--sampling-rate", "1.5"], "--sampling-rate"),
    ] {
        let mut all = vec!["sql"];
        all.extend(arguments);
        let run = pinchpoint(&all);
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{arguments:?}");
        assert!(run.stderr.contains(word), "{arguments:?}: {}", run.stderr);
    }
    let list = pinchpoint(&["sql", "-b", "list"]);
    assert_eq!((list.code, list.stdout.contains("select-only")), (Some(0), true));
    let shown = pinchpoint(&["sql", "--show-script", "select-only"]);
    assert!(shown.stdout.contains("SELECT abalance"), "{}", shown.stdout);
}
