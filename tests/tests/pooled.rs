//! A PgBouncer before the database, observed by its console beside a load.

use std::path::PathBuf;
use std::thread::JoinHandle;

use pinchpoint_diagnose::{Machine, verdict};
use pinchpoint_measure::{Limit, Observation, RunResult, Trial, Verdict, WaitClass};
use pinchpoint_stack::{PgBouncer, PgBouncerOptions, Postgres, Transport};
use serde_json::Value;

use crate::command::{Run, pinchpoint};
use crate::observe::answering;
use crate::pgbouncer::{log_in, options, server, start};
use crate::processes::until;
use crate::server::block_on;

/// A server behind a pooler with one connection to it.
struct Pooled {
    pooler: PgBouncer,
    server: Postgres,
    directory: tempfile::TempDir,
}

const SLEEP: &str = "SELECT pg_sleep(0.01);\n";

impl Pooled {
    fn start(changes: &[(&str, &str)]) -> Self {
        Self::limited(changes, None)
    }

    /// The same with so many CPUs for the pooler.
    fn limited(changes: &[(&str, &str)], cpus: Option<f64>) -> Self {
        let server = server();
        // With a reserve, the queue would be given more connections after a while.
        let one = [("default_pool_size", "1"), ("min_pool_size", "0"), ("reserve_pool_size", "0")];
        let mut all = one.to_vec();
        all.extend(changes);
        let pooler = start(&PgBouncerOptions { cpus, ..options(&server, &all) });
        Self { pooler, server, directory: tempfile::tempdir().expect("a directory") }
    }

    /// The database through the pooler.
    fn way(&self) -> String {
        self.pooler.dsn(self.server.database())
    }

    /// The database itself.
    fn direct(&self) -> String {
        self.server.dsn(Transport::Tcp)
    }

    /// The console, by a URL that names no database.
    fn console(&self) -> String {
        self.pooler.dsn("").trim_end_matches('/').to_owned()
    }

    /// The console's URL with another password.
    fn wrong(&self) -> String {
        let url = self.console();
        let (login, place) = url.split_once('@').expect("a place");
        let (user, _) = login.rsplit_once(':').expect("a password");
        format!("{user}:wrong@{place}")
    }

    fn script(&self) -> PathBuf {
        let path = self.directory.path().join("sleep.sql");
        std::fs::write(&path, SLEEP).expect("written");
        path
    }

    /// Runs scripts through the pooler, whose statements take no CPU: nobody else's load is in their way.
    fn sql(&self, arguments: &[&str]) -> Run {
        let (way, script) = (self.way(), self.script().display().to_string());
        let mut all = vec!["sql", "--json", "--dsn", &way, "-f", &script, "--warmup", "200ms"];
        all.extend(arguments);
        pinchpoint(&all)
    }
}

fn result(run: &Run) -> RunResult {
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    RunResult::from_json(&run.stdout).unwrap_or_else(|e| panic!("{e}"))
}

/// The only trial, and the verdict.
fn read(run: &Run) -> (Trial, Verdict) {
    let mut result = result(run);
    let variant = &mut result.variants[0];
    (variant.trials.pop().expect("a trial"), variant.verdict.take().expect("a verdict"))
}

/// What its figures would have been called on a machine that other tests leave alone.
fn verdict_in_peace(run: &Run) -> Verdict {
    let mut result = result(run);
    let variant = &mut result.variants[0];
    for trial in &mut variant.trials {
        trial.cpu_percent = Some(20.0);
        let seen = trial.observation.as_mut().expect("an observation");
        seen.host = None;
    }
    let said = variant.verdict.take().expect("a verdict");
    let verdict = verdict(variant, &Machine { cpus: 2, fsync_us: None }).expect("figures");
    assert!(said.bottleneck == verdict.bottleneck || said.inconclusive.is_some(), "{said:#?}");
    verdict
}

fn seen(trial: &Trial) -> &Observation {
    trial.observation.as_ref().expect("an observation")
}

fn reason<'a>(seen: &'a Observation, signal: &str) -> Option<&'a str> {
    seen.missing.iter().find(|gap| gap.signal == signal).map(|gap| gap.reason.as_str())
}

/// One client at a time has the connection to the server, and seven wait for it. Sessions are seen
/// past the pooler, under the name of the load, which PgBouncer passes on, here with an address.
#[test]
fn one_server_connection_for_eight_clients_is_named() {
    let pooled = Pooled::start(&[("application_name_add_host", "1")]);
    let (direct, console) = (pooled.direct(), pooled.console());
    let out = pooled.directory.path().join("out");
    let out_text = out.display().to_string();
    let observed = ["--observe-dsn", &direct, "--observe-pgbouncer", &console, "--out", &out_text];
    let run = pooled.sql(&[&["-c", "8", "-T", "1"], &observed[..]].concat());
    let (trial, verdict) = read(&run);
    let seen = seen(&trial);
    let queues = seen.pooler.as_ref().expect("its queues");
    assert_eq!(queues.database.as_deref(), Some(pooled.server.database()));
    assert!(queues.version.as_deref().is_some_and(|v| v.contains("PgBouncer")), "{queues:?}");
    assert!(queues.samples > 1 && queues.clients_waiting_mean > 3.0, "{queues:?}");
    assert_eq!(queues.servers_active_most, 1, "{queues:?}");
    assert!(queues.total("total_wait_time").is_some_and(|us| us > 1_000_000), "{queues:?}");
    assert!(queues.total("total_xact_count").is_some_and(|n| n + 8 >= trial.succeeded));
    // It is of this machine, so its CPU can be read.
    assert!(seen.process("pgbouncer").is_some_and(|p| p.cpu_s.is_some()), "{:?}", seen.processes);
    let sessions = seen.sessions.as_ref().expect("looks");
    assert_eq!(sessions.most, 1, "{sessions:?}");
    assert!(sessions.in_class(WaitClass::Pause) > 0.5, "{sessions:?}");
    assert!(reason(seen, "slow operations").is_some_and(|text| text.contains("pooler")));
    assert_eq!(seen.slow.as_ref().expect("slow ones").looks, 0);

    let finding = |text: &String| text.contains("clients waited for a server connection");
    assert!(verdict.elimination.iter().any(|e| finding(&e.finding)), "{verdict:#?}");
    let verdict = verdict_in_peace(&run);
    assert_eq!(verdict.bottleneck, "pooler-slots", "{verdict:#?}");
    assert!(verdict.evidence.iter().any(finding), "{verdict:#?}");
    let waits = verdict.budget.iter().find(|line| line.name.starts_with("pooler"));
    assert!(waits.is_some_and(|line| line.ms > 0.5 * trial.latency_ms.avg), "{verdict:#?}");
    let summary = std::fs::read_to_string(out.join("summary_report.md")).expect("a summary");
    let of = format!("(database {}): clients", pooled.server.database());
    assert!(summary.contains("PgBouncer 1.") && summary.contains(&of), "{summary}");

    // Looks that go through the pool of one themselves see nobody: that is not taken for idle.
    let run = pooled.sql(&["-c", "4", "-T", "500ms", "--observe-pgbouncer", &console]);
    let (trial, verdict) = read(&run);
    let why = reason(self::seen(&trial), "wait events").expect("a reason");
    assert!(why.contains("--observe-dsn"), "{why}");
    assert!(verdict.against.iter().any(|text| text.contains("--observe-dsn")), "{verdict:#?}");
    assert_eq!(verdict_in_peace(&run).bottleneck, "pooler-slots", "{verdict:#?}");
}

/// A pooler that nobody named by its process: that is found by its socket, and its limit by its control
/// group.
#[test]
fn a_pooler_without_cpu_is_named() {
    let pooled = Pooled::limited(&[("default_pool_size", "20")], Some(0.1));
    let limited = |limit: &Limit| limit.name.ends_with("cpus") && limit.in_force;
    if !pooled.pooler.limits().iter().any(limited) {
        // Where control groups may not be made, there is nothing to be found.
        return;
    }
    let (way, direct, console) = (pooled.way(), pooled.direct(), pooled.console());
    let script = pooled.directory.path().join("one.sql").display().to_string();
    std::fs::write(&script, "SELECT 1;\n").expect("written");
    let run = pinchpoint(
        &[
            &[
                "sql", "--json", "--dsn", &way, "-f", &script, "-c", "8", "-T", "3", "--warmup",
                "500ms",
            ][..],
            &["--observe-dsn", &direct, "--observe-pgbouncer", &console],
        ]
        .concat(),
    );
    let (trial, _) = read(&run);
    let process = seen(&trial).process("pgbouncer").expect("its process");
    assert!(process.cpus.is_some_and(|cpus| (cpus - 0.1).abs() < 1e-6), "{process:?}");
    let verdict = verdict_in_peace(&run);
    assert_eq!(verdict.bottleneck, "pooler-cpu", "{verdict:#?}");
}

/// Sends a statement through the pooler, on a thread of its own, and waits for its end.
fn client(dsn: String, sql: &'static str) -> JoinHandle<()> {
    std::thread::spawn(move || {
        block_on(async {
            let mut connection = log_in(&dsn).await.expect("a login");
            let _ = connection.query(sql).await;
        });
    })
}

/// Four clients of one connection, of which one keeps it: three wait, until it is ended.
#[test]
fn the_queue_is_shown_live() {
    let pooled = Pooled::start(&[]);
    let (way, direct, console) = (pooled.way(), pooled.direct(), pooled.console());
    let ask = |sql: &'static str| {
        block_on(async { log_in(&direct).await.expect("a login").query(sql).await.expect("rows") })
    };
    let mut clients = vec![client(way.clone(), "SELECT pg_sleep(600)")];
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("it keeps the connection", || (!ask(asleep).is_empty()).then_some(()));
    clients.extend((0..3).map(|_| client(way.clone(), "SELECT 1")));
    let shows = |dsn: &str, more: &[&str]| {
        let short = ["watch", "--for", "400ms", "--every", "400ms"];
        let observed = ["--dsn", dsn, "--observe-pgbouncer", &console];
        let run = pinchpoint(&[&short[..], &observed, more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let queue = || {
        let line = shows(&direct, &["--json"]);
        let seen: Value = serde_json::from_str(&line).expect("a line of JSON");
        let pooler = seen["observation"]["pooler"].clone();
        (pooler["clients_waiting_mean"] == 3.0).then_some(pooler)
    };
    let pooler = until("three wait", queue);
    assert_eq!(pooler["servers_active_mean"], 1.0, "{pooler}");
    assert!(pooler["longest_wait_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{pooler}");
    let text = shows(&direct, &[]);
    assert!(text.contains("pooler: clients 3.00 waiting, 1.00 active, longest wait "), "{text}");
    assert!(!text.contains("not seen"), "{text}");
    // Another database's pools would not count, where it had any.
    let (place, _) = direct.rsplit_once('/').expect("a database");
    let text = shows(&format!("{place}/template1"), &[]);
    assert!(text.contains("no pool of a database template1; the pools of all count"), "{text}");
    assert!(text.contains("clients 3.00 waiting"), "{text}");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    ask(end);
    for client in clients {
        client.join().expect("it ends");
    }
}

/// A console that lets nobody in is told, with what to do, and the load goes on without it.
#[test]
fn a_console_that_lets_nobody_in_is_told_and_ends_nothing() {
    let pooled = Pooled::start(&[("admin_users", "somebody"), ("stats_users", "somebody")]);
    let user = pooled.console();
    let user = user.split(['/', ':']).find(|part| part.starts_with("pinch")).expect("a user");
    let add = format!("add {user} to stats_users in pgbouncer.ini");
    let (direct, console) = (pooled.direct(), pooled.console());
    let database = pooled.way();
    for (url, hint) in [(&console, add.as_str()), (&database, "end the URL in /pgbouncer")] {
        let run = pooled.sql(&[
            "-c",
            "2",
            "-T",
            "500ms",
            "--observe-dsn",
            &direct,
            "--observe-pgbouncer",
            url,
        ]);
        let (trial, verdict) = read(&run);
        let told = result(&run).warnings.join("\n");
        assert!(told.contains(hint), "{told}");
        let seen = seen(&trial);
        assert!(seen.pooler.is_none() && seen.sessions.is_some(), "{seen:?}");
        assert!(reason(seen, "pgbouncer").is_some_and(|why| why.contains(hint)), "{seen:?}");
        assert!(verdict.against.iter().any(|text| text.contains(hint)), "{verdict:#?}");
        // Its process is found by its socket all the same.
        assert!(seen.process("pgbouncer").is_some(), "{:?}", seen.processes);
    }
    let run =
        pinchpoint(&["watch", "--dsn", &direct, "--observe-pgbouncer", &console, "--for", "300ms"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("not seen: pgbouncer") && run.stdout.contains(&add),
        "{}",
        run.stdout
    );
}

/// Beside requests to an application, with or without a look at the database.
#[test]
fn the_pooler_behind_an_http_server_is_observed_when_it_is_named() {
    let pooled = Pooled::start(&[]);
    let (url, direct, console) = (answering(), pooled.direct(), pooled.console());
    let short = ["http", &url, "-u", "2", "--rate", "20", "-t", "500ms", "--warmup", "100ms", "-q"];
    let json = ["--json", "--observe-pgbouncer", &console];
    let (trial, _) = read(&pinchpoint(&[&short[..], &json].concat()));
    let queues = seen(&trial).pooler.as_ref().expect("its queues");
    assert_eq!((queues.clients_waiting_most, &queues.database), (0, &None));
    // A client of the database's name makes its pool.
    block_on(log_in(&pooled.way())).expect("a login");
    let both = ["--observe-pgbouncer", &console, "--observe-dsn", &direct];
    let run = pinchpoint(&[&short[..], &both].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let told = format!("(database {}): clients 0 waiting", pooled.server.database());
    assert!(run.stdout.contains(&told), "{}", run.stdout);
    // A wrong password is told, and not shown, and nothing else is lost.
    let wrong = pooled.wrong();
    let run = pinchpoint(&[&short[..], &["--observe-pgbouncer", &wrong]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let flat = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("not seen pgbouncer") && flat.contains("check the password"), "{flat}");
    assert!(!flat.contains(":wrong@"), "{flat}");
}

#[test]
fn what_cannot_be_observed_is_refused_before_anything_starts() {
    for (arguments, said) in [
        (
            &["sql", "--observe-pgbouncer", "postgresql://h"][..],
            "no pooler stands before a private",
        ),
        (&["sql", "--dsn", "postgresql://h/d", "--observe-pgbouncer", "x://h"], "is not usable"),
        (&["http", "http://127.0.0.1:1", "--observe-pgbouncer", "x://h"], "is not usable"),
        (&["watch", "--dsn", "postgresql://h/d", "--observe-pgbouncer", "x://h"], "is not usable"),
        (&["sql", "--observe-dsn", "postgresql://h/d"], "--dsn"),
    ] {
        let run = pinchpoint(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}
