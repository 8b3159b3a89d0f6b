//! `pinchpoint sql`: pgbench's scripts, held against pgbench where that is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use pinchpoint_measure::{ExitCode, Phase, RunResult, Trial};
use rustix::process::Signal;

use crate::command::{Run, Running, pinchpoint, pinchpoint_with};
use crate::processes::{assert_nothing_left, postmaster, signal, until};
use crate::server::Server;

/// Writes a script; its path.
fn script(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Runs `pinchpoint sql` with `--json`; the run and its only trial.
fn json(arguments: &[&str]) -> (Run, Trial) {
    let mut all = vec!["sql", "--json", "--warmup", "0s"];
    all.extend(arguments);
    let run = pinchpoint(&all);
    let mut result = RunResult::from_json(&run.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", run.stdout, run.stderr));
    let trial = result.variants[0].trials.pop().unwrap_or_else(|| panic!("{}", run.stderr));
    (run, trial)
}

/// With the test's own directory replaced.
fn said(run: &Run, directory: &Path) -> String {
    run.stderr.replace(&directory.display().to_string(), "<dir>")
}

#[test]
fn a_script_that_cannot_run_is_refused_before_anything_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let scripts = [
        ("shell.sql", "SELECT 1;\n\\shell rm -rf x\n"),
        ("setshell.sql", "\\setshell x date\nSELECT 1;\n"),
        ("function.sql", "\n\\set x rand(1, 2)\nSELECT :x;\n"),
        ("variable.sql", "SELECT 1;\nSELECT :missing;\n"),
        ("quoted.sql", "\\set x 1\nSELECT ':x';\n"),
        ("if.sql", "\\if true\nSELECT 1;\n"),
        ("copy.sql", "COPY t FROM STDIN;\n"),
        ("open.sql", "SELECT 'never closed;\n"),
        ("empty.sql", "-- nothing\n"),
    ];
    let mut all = String::new();
    for (name, text) in scripts {
        let path = script(directory.path(), name, text);
        let out = directory.path().join("out");
        let run = pinchpoint(&[
            "sql",
            "-M",
            "prepared",
            "-f",
            &path,
            "--out",
            &out.display().to_string(),
        ]);
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{name}: {}", run.stderr);
        assert!(!out.exists(), "{name}: something was started");
        assert_nothing_left(run.pid);
        all.push_str(&format!("--- {name}\n{}", said(&run, directory.path())));
    }
    for arguments in [
        &["sql", "-b", "nothing"][..],
        &["sql", "-c", "0"],
        &["sql", "-f", "missing.sql"],
        &["sql", "-f", "a.sql@many"],
        &["sql", "-D", "x"],
        &["sql", "-b", "select-only", "-s", "0"],
        &["sql", "--dsn", " "],
    ] {
        let run = pinchpoint(arguments);
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{arguments:?}");
        all.push_str(&format!("--- {}\n{}", arguments.join(" "), run.stderr));
    }
    insta::assert_snapshot!(all);
}

/// Whatever the protocol and the connections, the four sums are equal and nothing acknowledged is
/// missing; pgbench's own tables and ours are of one make.
#[test]
fn transactions_like_tpcb_keep_their_sums() {
    let server = Server::start(&[]);
    for arguments in [
        &["-i", "-M", "simple"][..],
        &["-M", "extended", "--pool", "2"],
        &["-M", "prepared", "-R", "50"],
        &["-C"],
    ] {
        let count = || server.value("SELECT count(*) FROM pgbench_history").parse::<u64>();
        let before = if arguments[0] == "-i" { 0 } else { count().expect("a number") };
        let mut all = vec!["--dsn", &server.dsn, "-c", "4", "-T", "1"];
        all.extend(arguments);
        let (run, trial) = json(&all);
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.stderr);
        assert!(trial.succeeded > 0 && trial.failed == 0, "{arguments:?}: {trial:?}");
        let stored = count().expect("a number") - before;
        assert_eq!(stored, trial.acknowledged_rows, "{arguments:?}");
        let sums = server.value(
            "SELECT count(DISTINCT s) FROM (VALUES \
             ((SELECT sum(abalance) FROM pgbench_accounts)), ((SELECT sum(tbalance) FROM pgbench_tellers)), \
             ((SELECT sum(bbalance) FROM pgbench_branches)), ((SELECT sum(delta) FROM pgbench_history))) v(s)",
        );
        assert_eq!(sums, "1", "{arguments:?}");
    }
}

/// On a server of somebody else's nothing of pgbench's name is touched unless that is said.
#[test]
fn tables_that_are_there_are_not_made_anew_unless_that_is_said() {
    let server = Server::start(&[]);
    let state = "SELECT string_agg(relname || relfilenode, ' ' ORDER BY relname) FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace";
    for theirs in [
        "CREATE TABLE pgbench_accounts (aid int)",
        "CREATE TABLE pgbench_history_of_2019 AS SELECT 1 AS a",
        "CREATE VIEW pgbench_tellers AS SELECT 1 AS tid",
    ] {
        server.query(theirs);
        let before = server.value(state);
        for command in ["sql", "pool"] {
            let run = pinchpoint(&[command, "--dsn", &server.dsn, "-i", "-b", "select-only"]);
            assert_eq!(run.code, Some(1), "{theirs}: {}", run.stderr);
            assert!(run.stderr.contains("--drop-tables"), "{theirs}: {}", run.stderr);
            assert_eq!(server.value(state), before, "{theirs}");
        }
        server.query("DROP TABLE IF EXISTS pgbench_accounts, pgbench_history_of_2019");
    }
    server.query("DROP VIEW pgbench_tellers; CREATE TABLE pgbench_accounts (aid int)");
    let run =
        pinchpoint(&["sql", "--dsn", &server.dsn, "-i", "--drop-tables", "-S", "-t", "1", "-q"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.value("SELECT count(*) FROM pgbench_accounts"), "100000");
}

const EXPRESSIONS: [&str; 40] = [
    "1 + 2 * 3 - 4 / 2 % 3",
    "-7 / 2",
    "7 % -3",
    "~5 + 1",
    "1 | 6 & 3 # 2",
    "1 << 3 >> 1",
    "1.0 / 3",
    "2 ^ 1",
    "1e300 * 1e300",
    "not 1 = 2 and 2 > 1 or false",
    "null and false",
    "null or true",
    "1 is not null",
    "null isnull",
    "case when 1 > 2 then 'x' end",
    "case when 0 then 1 when 3 then 2 else 5 end",
    "abs(-3.5)",
    "int(2.5)",
    "int(-2.5)",
    "double(7)",
    "greatest(1, 5, 2.5)",
    "least(4, 3)",
    "sqrt(2)",
    "ln(10)",
    "exp(1)",
    "pi()",
    "pow(2, 0.5)",
    "power(2, 10)",
    "mod(17, 5)",
    "hash(42)",
    "hash_fnv1a(42, 3)",
    "hash_murmur2(-1, 3)",
    "permute(17, 1000, 5)",
    "permute(-17, 1000, 5)",
    "random(1, 1000000)",
    "random(-5, 5)",
    "random_zipfian(1, 100000, 1.3)",
    "random_gaussian(1, 100000, 3.0)",
    "random_exponential(1, 100000, 4.0)",
    ":client_id + :scale",
];

/// Every expression of the list has with us the value that it has with pgbench, random ones of one
/// seed included, and is refused by us where pgbench refuses it.
#[test]
fn expressions_have_the_values_that_pgbench_gives_them() {
    let Ok(version) = Command::new("pgbench").arg("--version").output() else { return };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major: u32 = version
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse().ok())
        .unwrap_or(0);
    if major < 15 {
        return;
    }
    let server = Server::start(&[]);
    server.query("CREATE TABLE ours (n int, v text); CREATE TABLE theirs (n int, v text)");
    let directory = tempfile::tempdir().expect("a directory");
    for (n, expression) in EXPRESSIONS.iter().enumerate() {
        let text = |table: &str| {
            // What hashes start from is drawn at random by either tool.
            format!(
                "\\set default_seed 9\n\\set x {expression}\nINSERT INTO {table} VALUES ({n}, ':x');\n"
            )
        };
        let theirs = script(directory.path(), "theirs.sql", &text("theirs"));
        let ours = script(directory.path(), "ours.sql", &text("ours"));
        let pgbench = Command::new("pgbench")
            .args(["-n", "-t", "1", "--random-seed=42", "-f", &theirs, &server.dsn])
            .output()
            .expect("pgbench runs");
        let run = pinchpoint(&[
            "sql",
            "--dsn",
            &server.dsn,
            "-t",
            "1",
            "--random-seed",
            "42",
            "-f",
            &ours,
            "-q",
        ]);
        assert_eq!(
            run.code == Some(0),
            pgbench.status.success(),
            "{expression}: {}{}",
            run.stderr,
            String::from_utf8_lossy(&pgbench.stderr)
        );
    }
    let differences = server.query(
        "SELECT n::text, ours.v, theirs.v FROM ours FULL JOIN theirs USING (n) \
         WHERE ours.v IS DISTINCT FROM theirs.v ORDER BY n",
    );
    assert!(differences.is_empty(), "expression, ours, pgbench's: {differences:?}");
    assert!(server.value("SELECT count(*) FROM ours").parse::<usize>().expect("a number") > 35);
}

#[test]
fn pipelines_conditions_and_rows_as_variables_do_what_they_say() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (a int, b text)");
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\\startpipeline\nINSERT INTO t VALUES (1, 'p');\nINSERT INTO t VALUES (2, 'p');\n\
                \\syncpipeline\nINSERT INTO t VALUES (3, 'p');\n\\endpipeline\n\
                SELECT count(*) AS n, max(a) AS m FROM t \\gset got_\n\
                \\if :got_n = 3\nINSERT INTO t VALUES (:got_n * 10 + :got_m, 'right');\n\
                \\else\nINSERT INTO t VALUES (0, 'wrong');\n\\endif\n";
    let path = script(directory.path(), "a.sql", text);
    for mode in ["extended", "prepared"] {
        server.query("TRUNCATE t");
        let (run, trial) = json(&["--dsn", &server.dsn, "-f", &path, "-t", "1", "-M", mode, "-r"]);
        assert_eq!(run.code, Some(0), "{mode}: {}", run.stderr);
        let rows = server.value("SELECT string_agg(a || b, ' ' ORDER BY a) FROM t");
        assert_eq!(rows, "1p 2p 3p 33right", "{mode}");
        let statements = &trial.sql.as_ref().expect("figures").statements;
        let counted: Vec<_> = statements.iter().map(|s| s.succeeded).collect();
        assert_eq!(counted, [1, 1, 1, 1, 1, 0], "{mode}");
    }
}

#[test]
fn transactions_in_each_others_way_are_tried_again_when_that_is_asked() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (n bigint); INSERT INTO t VALUES (0)");
    let directory = tempfile::tempdir().expect("a directory");
    let text = "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT n FROM t;\n\\sleep 1 ms\n\
                UPDATE t SET n = n + 1;\nCOMMIT;\n";
    let path = script(directory.path(), "a.sql", text);
    let arguments = ["--dsn", &server.dsn, "-f", &path, "-c", "4", "-t", "25"];
    let (_, once) = json(&arguments);
    assert!(once.failed > 0, "four clients never met at one row");
    assert!(once.errors.keys().all(|cause| cause.starts_with("40001")), "{:?}", once.errors);
    assert_eq!(server.value("SELECT n FROM t"), once.succeeded.to_string());
    server.query("UPDATE t SET n = 0");
    let mut again = arguments.to_vec();
    again.extend(["--max-tries", "1000"]);
    let (run, trial) = json(&again);
    assert_eq!((trial.succeeded, trial.failed), (100, 0), "{}", run.stderr);
    assert_eq!(server.value("SELECT n FROM t"), "100");
    let figures = trial.sql.expect("figures");
    assert!(figures.retried > 0 && figures.retries >= figures.retried, "{figures:?}");
}

#[test]
fn a_script_without_a_value_fails_with_its_line_and_the_run_says_so() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        ("SELECT 1;\n\\set x 1 / 0\nSELECT :x;\n", "line 2: division by zero"),
        ("SELECT no_such_column;\n", "line 1: column \"no_such_column\" does not exist"),
        ("BEGIN;\nSELECT 1;\n", "line 2: the script ends within a transaction"),
        ("SELECT 1 WHERE false \\gset\n", "line 1: \\gset wants one row, and 0 came"),
    ];
    for (text, expected) in cases {
        let path = script(directory.path(), "a.sql", text);
        let run =
            pinchpoint(&["sql", "--dsn", &server.dsn, "-f", &path, "-t", "2", "-M", "prepared"]);
        assert_eq!(run.code, Some(1), "{text}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{text}: {}", run.stderr);
        assert_eq!(server.value("SELECT count(*) FROM pg_stat_activity WHERE state LIKE '%transaction%' AND application_name LIKE 'pinchpoint%'"), "0");
    }
}

#[test]
fn a_server_of_somebody_else_is_left_as_it_was() {
    let server = Server::start(&["max_connections=10"]);
    server.query("CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 100) g");
    let state = "SELECT string_agg(relname || relfilenode, ' ' ORDER BY relname) FROM pg_class \
                 WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg_t%')";
    let before = server.value(state);
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\\set a random(1, 100)\nSELECT * FROM t WHERE a = :a;\n";
    let path = script(directory.path(), "a.sql", text);
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-f", &path, "-c", "2", "-T", "500ms"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let password = server.parsed().password.expect("a password");
    assert!(!run.stdout.contains(&password) && !run.stderr.contains(&password));
    assert_eq!(server.value(state), before);
    // Tables that are not there, clients that do not fit.
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-S", "-T", "1"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("give -i"), "{}", run.stderr);
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-f", &path, "-c", "50", "-T", "1"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("use fewer clients"), "{}", run.stderr);
    assert_eq!(server.value(state), before);
}

/// A run on a private server that is under load and has measured something.
fn until_measured(directory: &Path) -> Running {
    let out = directory.join("out");
    let running = Running::spawn(&[
        "sql",
        "-S",
        "-c",
        "2",
        "-T",
        "60",
        "-P",
        "200ms",
        "--warmup",
        "0s",
        "--out",
        &out.display().to_string(),
    ]);
    until("an interval", || {
        let events = fs::read_to_string(out.join("logs/events.jsonl")).unwrap_or_default();
        events.contains("\"interval\"").then_some(())
    });
    running
}

#[test]
fn a_server_killed_in_mid_run_ends_it_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = until_measured(directory.path());
    signal(postmaster(running.pid()), Signal::KILL);
    let run = running.wait();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("SIGKILL"), "{}", run.stderr);
    assert_nothing_left(run.pid);
}

#[test]
fn an_interrupted_run_shows_what_it_has_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = until_measured(directory.path());
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.stdout.contains("number of transactions actually processed"), "{}", run.stdout);
    assert!(directory.path().join("out/result.json").is_file());
    assert_nothing_left(run.pid);
}

/// A script with a transaction of several statements and one statement outside of it: what its
/// commits took is in the phases, which add up to the whole.
#[test]
fn the_phases_of_a_mixed_script_hold_its_commits() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (a int)");
    let directory = tempfile::tempdir().expect("a directory");
    let text = "BEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;\nSELECT 1;\n";
    let path = script(directory.path(), "a.sql", text);
    let (run, trial) = json(&["--dsn", &server.dsn, "-f", &path, "-t", "500", "-M", "prepared"]);
    assert_eq!((run.code, trial.succeeded), (Some(0), 500), "{}", run.stderr);
    assert!(trial.phases_ms.contains_key(&Phase::Commit), "{:?}", trial.phases_ms);
    let sum = trial.phase_sum_ms(|_| true);
    let mean = trial.latency_ms.avg;
    assert!((0.9 * mean..=1.01 * mean).contains(&sum), "{sum} of {mean}: {:?}", trial.phases_ms);
}

#[test]
fn a_server_is_named_in_pgbenchs_letters() {
    let server = Server::start(&[]);
    let dsn = server.parsed();
    let (port, password) = (dsn.port.to_string(), dsn.password.expect("a password"));
    let script = tempfile::tempdir().expect("a directory");
    let script = self::script(script.path(), "who.sql", "SELECT current_user;\n");
    let run = |more: &[&str]| {
        let load = ["sql", "-f", &script, "-t", "5", "-q"];
        pinchpoint_with(("PGPASSWORD", &password), &[&load[..], more].concat())
    };
    let letters = ["-h", "127.0.0.1", "-p", &port, "-U", &dsn.user];
    let done = run(&[&letters[..], &["postgres"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("actually processed: 5/5"), "{}", done.stdout);
    // What nobody listens at is told, and nothing else.
    let refused = run(&["-h", "127.0.0.1", "-p", "1", "-d", "shop"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("127.0.0.1:1/shop"), "{}", refused.stderr);
    let twice = run(&["--dsn", &server.dsn, "-h", "127.0.0.1"]);
    assert_eq!(twice.code, Some(2), "{}", twice.stdout);
}
