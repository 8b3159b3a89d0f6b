//! The observer against real servers, of every version that is there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pinchpoint_measure::{Counter, Observation, RunResult, WaitClass};
use pinchpoint_observe::{Observer, ObserverSpec, Sessions};
use pinchpoint_sql::{Connection, Dsn, TlsSetup};

use crate::command::{Running, binary, experiment, pinchpoint, result};
use crate::server::{Server, block_on};

/// The system's server, and others that `scripts/postgresql-18.sh` or the tester put beside it
/// (`PINCHPOINT_TEST_PG_BINS`, directories with a colon between). Without them the tests run on what
/// is there.
fn servers(settings: &[&str]) -> Vec<Server> {
    let asked = std::env::var("PINCHPOINT_TEST_PG_BINS").unwrap_or_default();
    let mut places: Vec<PathBuf> =
        asked.split(':').filter(|place| !place.is_empty()).map(PathBuf::from).collect();
    if places.is_empty() {
        let home = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
        let caches = home.into_iter().chain([PathBuf::from("/var/cache")]);
        places.extend(caches.map(|cache| cache.join("pinchpoint/postgresql-18/bin")));
    }
    let usable = |place: &PathBuf| {
        let postgres = place.join("postgres");
        postgres.is_file() && Command::new(postgres).arg("--version").output().is_ok()
    };
    let more = places.into_iter().filter(usable).take(1);
    let mut servers = vec![Server::start(settings)];
    servers.extend(more.map(|place| Server::start_from(Some(&place), settings)));
    servers
}

async fn connect(dsn: &Dsn) -> Connection {
    Connection::connect(dsn, &TlsSetup::new(dsn).expect("TLS")).await.expect("a connection")
}

/// A session on a thread of its own that runs statements until they are done or it is ended.
fn session(server: &Server, name: &str, statements: &'static [&'static str]) -> JoinHandle<()> {
    let dsn = server.parsed().named(name);
    std::thread::spawn(move || {
        block_on(async {
            let mut connection = connect(&dsn).await;
            for statement in statements {
                if connection.query(statement).await.is_err() {
                    return;
                }
            }
            connection.close().await;
        });
    })
}

fn wait_until(server: &Server, condition: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.value(&format!("SELECT {condition}")) != "t" {
        assert!(Instant::now() < deadline, "it never came to {condition}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn spec(dsn: &str) -> ObserverSpec {
    ObserverSpec { statements: true, ..ObserverSpec::of_server(dsn, None).expect("a DSN") }
}

fn observe(spec: ObserverSpec, length: Duration) -> Observation {
    block_on(async {
        let observer = Observer::open(spec).await;
        observer.during(tokio::time::sleep(length)).await.1.observation
    })
}

fn reason<'a>(seen: &'a Observation, signal: &str) -> Option<&'a str> {
    seen.missing.iter().find(|gap| gap.signal == signal).map(|gap| gap.reason.as_str())
}

/// Mean sessions in an event.
fn in_event(seen: &Observation, event: &str) -> f64 {
    let waits = &seen.sessions.as_ref().unwrap_or_else(|| panic!("no looks: {seen:?}")).waits;
    waits.iter().filter(|wait| wait.event == event).map(|wait| wait.sessions).sum()
}

const ALL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name IN ('sleeper', 'holder', 'waiter')";

#[test]
fn what_sessions_wait_for_is_seen_and_who_blocks_them() {
    for server in servers(&[]) {
        server.query("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 0)");
        let sleeper = session(&server, "sleeper", &["SELECT pg_sleep(600)"]);
        let holder =
            session(&server, "holder", &["BEGIN", "UPDATE t SET n = 1", "SELECT pg_sleep(600)"]);
        wait_until(
            &server,
            "count(*) = 2 FROM pg_stat_activity WHERE application_name IN ('sleeper', 'holder') \
             AND wait_event = 'PgSleep'",
        );
        let waiter = session(&server, "waiter", &["UPDATE t SET n = 2"]);
        wait_until(
            &server,
            "count(*) = 1 FROM pg_stat_activity WHERE application_name = 'waiter' \
             AND wait_event_type = 'Lock'",
        );
        let seen = observe(spec(&server.dsn), Duration::from_secs(1));
        let sessions = seen.sessions.as_ref().expect("looks");
        assert!(sessions.looks > 3, "{seen:?}");
        assert_eq!((sessions.most, sessions.waits.len()), (3, 2), "{sessions:?}");
        assert!((in_event(&seen, "Timeout:PgSleep") - 2.0).abs() < 1e-9, "{sessions:?}");
        assert!((sessions.in_class(WaitClass::Pause) - 2.0).abs() < 1e-9);
        assert!((sessions.in_class(WaitClass::RowLock) - 1.0).abs() < 1e-9);
        let blocker = sessions.blockers.first().expect("a blocker");
        assert_eq!(
            (blocker.state.as_str(), blocker.application.as_str(), blocker.class),
            ("active, Timeout:PgSleep", "holder", Some(WaitClass::Pause))
        );
        assert!((blocker.share - 1.0).abs() < 1e-9, "{blocker:?}");
        assert_eq!(blocker.query.as_deref(), Some("SELECT pg_sleep(600)"));
        // Both are of this machine, so their processes can be read.
        assert_eq!(seen.backends.expect("backends").processes, 3);
        assert!(seen.process("postgres").is_some_and(|process| process.cpu_s.is_some()));
        server.query(ALL);
        for thread in [sleeper, holder, waiter] {
            thread.join().expect("a session");
        }
    }
}

#[test]
fn counters_grow_by_what_was_done_and_not_by_the_watching() {
    const INSERTS: usize = 300;
    for server in servers(&["track_io_timing=on", "track_wal_io_timing=on"]) {
        server.query("CREATE TABLE t (id int)");
        let mut observer = block_on(Observer::open(spec(&server.dsn)));
        block_on(observer.begin());
        let dsn = server.parsed();
        block_on(async {
            let mut connection = connect(&dsn).await;
            for _ in 0..INSERTS {
                connection.query("INSERT INTO t VALUES (1)").await.expect("an insert");
            }
            connection.close().await;
            // It reports what it did when it ends.
            tokio::time::sleep(Duration::from_millis(300)).await;
        });
        let seen = block_on(observer.end()).observation;
        let counter = |counter| seen.counter(counter).unwrap_or(f64::NAN);
        assert!((counter(Counter::RowsInserted) - INSERTS as f64).abs() < 0.5, "{seen:?}");
        assert!((counter(Counter::Sessions) - 1.0).abs() < 0.5, "{seen:?}");
        // One more for logging in; what autovacuum does is counted as well.
        let commits = counter(Counter::Commits);
        assert!((300.0..320.0).contains(&commits), "{commits}: {seen:?}");
        assert!(counter(Counter::WalSyncs) > 0.0 && counter(Counter::WalSyncMs) > 0.0, "{seen:?}");
        assert!(counter(Counter::WalBytes) > 0.0 && counter(Counter::ActiveMs) > 0.0, "{seen:?}");
        let major = seen.server_version.expect("a version") / 10_000;
        // All that this version counts came, and what it does not is named.
        for counter in pinchpoint_measure::COUNTERS {
            let there = seen.counter(*counter).is_some();
            assert_ne!(there, reason(&seen, counter.name()).is_some(), "{counter:?} in {major}");
        }
        assert_eq!(seen.counter(Counter::WorkersWanted).is_some(), major >= 18);
        assert!(
            reason(&seen, "pg_stat_statements").is_some_and(|text| text.contains("not installed"))
        );
        assert!(seen.round_trip_ms.is_some_and(|ms| ms > 0.0));
    }
}

#[test]
fn the_flush_of_a_commit_is_seen() {
    for server in servers(&[]) {
        server.query("CREATE TABLE t (id int)");
        let over = Arc::new(AtomicBool::new(false));
        let (dsn, flag) = (server.parsed(), over.clone());
        let commits = std::thread::spawn(move || {
            block_on(async {
                let mut connection = connect(&dsn).await;
                while !flag.load(Ordering::Relaxed) {
                    connection.query("INSERT INTO t VALUES (1)").await.expect("an insert");
                }
            });
        });
        let mut observer = block_on(Observer::open(spec(&server.dsn)));
        block_on(observer.begin());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = block_on(async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                observer.slice().await.observation
            });
            let flushing = seen.sessions.map_or(0.0, |s| s.in_class(WaitClass::WalFlush));
            if flushing > 0.0 {
                break;
            }
            assert!(Instant::now() < deadline, "no look met a flush");
        }
        over.store(true, Ordering::Relaxed);
        commits.join().expect("the session");
    }
}

#[test]
fn a_role_without_rights_is_told_what_it_cannot_see() {
    for server in servers(&[]) {
        server.query("CREATE ROLE plain LOGIN PASSWORD 'p'");
        let sleeper = session(&server, "sleeper", &["SELECT pg_sleep(600)"]);
        wait_until(&server, "count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        let dsn = server.dsn_as("plain", "p", "postgres");
        let seen = observe(spec(&dsn), Duration::from_millis(600));
        let sessions = seen.sessions.as_ref().expect("looks");
        assert!(sessions.active.abs() < 1e-9 && sessions.most == 1, "{sessions:?}");
        let text = reason(&seen, "wait events").expect("a reason");
        assert!(text.contains("1 sessions") && text.contains("pg_read_all_stats"), "{text}");
        assert!(seen.counter(Counter::Commits).is_some(), "{seen:?}");
        server.query(ALL);
        sleeper.join().expect("a session");
    }
}

#[test]
fn a_server_that_goes_away_ends_the_looks_and_nothing_else() {
    for server in servers(&[]) {
        let mut observer = block_on(Observer::open(spec(&server.dsn)));
        block_on(observer.begin());
        std::thread::sleep(Duration::from_millis(300));
        drop(server);
        std::thread::sleep(Duration::from_millis(300));
        let seen = block_on(observer.end()).observation;
        assert!(reason(&seen, "wait events").is_some(), "{seen:?}");
        assert!(seen.counters.is_empty() && seen.seconds > 0.5, "{seen:?}");
        assert!(seen.host.is_some());
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let seen = observe(
        ObserverSpec {
            sessions: Sessions::Named("x"),
            ..spec("postgresql://u:p@127.0.0.1:1/d?connect_timeout=3")
        },
        Duration::from_millis(10),
    );
    assert!(
        reason(&seen, "wait events").is_some_and(|text| text.contains("127.0.0.1")),
        "{seen:?}"
    );
    assert_eq!((seen.sessions, seen.server_version), (None, None));
}

#[test]
fn statements_are_told_where_the_extension_counts() {
    let settings = ["shared_preload_libraries=pg_stat_statements"];
    for server in servers(&settings) {
        server.query("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int)");
        let mut observer = block_on(Observer::open(spec(&server.dsn)));
        block_on(observer.begin());
        for _ in 0..5 {
            server.query("SELECT count(*) FROM t, generate_series(1, 1000)");
        }
        let seen = block_on(observer.end()).observation;
        let own = seen.statements.iter().find(|s| s.query.contains("generate_series"));
        let own = own.unwrap_or_else(|| panic!("{:?}", seen.statements));
        assert!((own.calls - 5.0).abs() < 1e-9 && own.execute_ms > 0.0, "{own:?}");
        assert!(own.query.contains("$1"), "constants are left out: {own:?}");
    }
}

/// Every so often somebody locks the table for a tenth of a second: that is what the slowest
/// operations waited for, though most of the time goes elsewhere.
#[test]
fn slow_operations_are_told_from_the_others() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let rung = "[load]\nduration = \"4s\"\nwarmup = \"200ms\"\ntrials = 1\n\
        [[rung]]\nname = \"r\"\npool = { max = 1 }\nconcurrency = 1\nmethod = \"insert\"\n\
        synchronous_commit = false\n";
    let file = experiment(directory.path(), "", rung);
    let out = directory.path().join("out").display().to_string();
    let running = Running::spawn(&["run", &file, "--dsn", &server.dsn, "--out", &out]);
    let over = Arc::new(AtomicBool::new(false));
    let (dsn, flag) = (server.parsed().named("locker"), over.clone());
    let locker = std::thread::spawn(move || {
        block_on(async {
            let mut connection = connect(&dsn).await;
            while !flag.load(Ordering::Relaxed) {
                let found = connection
                    .query(
                        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                         WHERE schemaname LIKE 'pinchpoint%'",
                    )
                    .await
                    .expect("tables");
                if let Some(table) = found.into_iter().flatten().flatten().next() {
                    // The run may drop it in between.
                    let lock = format!(
                        "BEGIN; SET LOCAL lock_timeout = '1s'; LOCK TABLE {table} IN SHARE MODE; \
                         SELECT pg_sleep(0.1); COMMIT"
                    );
                    if connection.query(&lock).await.is_err() {
                        let _ = connection.query("ROLLBACK").await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        });
    });
    let run = running.wait();
    over.store(true, Ordering::Relaxed);
    locker.join().expect("the locker");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&directory.path().join("out"));
    let trial = &result.variants[0].trials[0];
    let seen = trial.observation.as_ref().expect("an observation");
    let slow = seen.slow.as_ref().expect("slow operations");
    assert!(slow.operations > 0 && slow.looks > 0, "{slow:?}");
    assert_eq!(slow.waits[0].class, WaitClass::ObjectLock, "{slow:?}");
    assert_eq!(slow.waits[0].event, "Lock:relation");
    let blockers = &seen.sessions.as_ref().expect("looks").blockers;
    assert!(blockers.iter().any(|b| b.application == "locker"), "{blockers:?}");
    assert!(seen.counter(Counter::RowsInserted).is_some_and(|rows| rows > 0.0));
}

#[test]
fn watch_shows_what_a_server_waits_for_and_changes_nothing() {
    for server in servers(&[]) {
        let sleeper = session(&server, "sleeper", &["SELECT pg_sleep(600)"]);
        wait_until(&server, "count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        let run = pinchpoint(&["watch", "--dsn", &server.dsn, "--for", "2s"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(
            run.stdout.contains("active 1.00") && run.stdout.contains("pause 1.00"),
            "{}",
            run.stdout
        );
        let run = pinchpoint(&["watch", "--dsn", &server.dsn, "--for", "1s", "--json"]);
        let line = run.stdout.lines().next().expect("a line");
        let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(json["observation"]["sessions"]["waits"][0]["class"], "pause", "{json}");
        let often = ["watch", "--dsn", &server.dsn, "--for", "2s", "--every", "400ms"];
        let lines = pinchpoint(&often).stdout.lines().count();
        assert!((2..=5).contains(&lines), "{lines} lines in two seconds");
        server.query(ALL);
        sleeper.join().expect("a session");
    }
}

#[test]
fn watch_ends_well_on_ctrl_c_and_says_when_there_is_nothing_to_watch() {
    let server = Server::start(&[]);
    let running = Running::spawn(&["watch", "--dsn", &server.dsn]);
    wait_until(
        &server,
        "count(*) = 1 FROM pg_stat_activity WHERE application_name = 'pinchpoint-watch'",
    );
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait().code, Some(0));
    let dsn = "postgresql://u:p@127.0.0.1:1/d";
    let run = pinchpoint(&["watch", "--dsn", dsn]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.starts_with("error: failed to watch: "), "{}", run.stderr);
    assert_eq!(pinchpoint(&["watch", "--dsn", "http://x"]).code, Some(2));
    let run = pinchpoint(&["watch", "--dsn", dsn, "--every", "10ms"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("--every is 10 ms"), "{}", run.stderr);
    assert!(binary().is_file());
}

/// A server that answers everything, on a port of its own.
pub(crate) fn answering() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut request = [0_u8; 1024];
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn the_database_behind_an_http_server_is_observed_when_it_is_named() {
    let server = Server::start(&[]);
    let url = answering();
    let sleeper = session(&server, "sleeper", &["SELECT pg_sleep(600)"]);
    wait_until(&server, "count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    let short = ["http", &url, "-u", "2", "-t", "2s", "--warmup", "100ms", "-q"];
    let with = |dsn: &str| {
        let mut arguments = short.to_vec();
        arguments.extend(["--json", "--observe-dsn", dsn]);
        pinchpoint(&arguments)
    };
    let run = with(&server.dsn);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result: RunResult = serde_json::from_str(&run.stdout).expect("a result");
    let seen = result.variants[0].trials[0].observation.as_ref().expect("an observation");
    assert!((in_event(seen, "Timeout:PgSleep") - 1.0).abs() < 1e-9, "{seen:?}");
    // Nobody said which process the application is, so nobody's CPU is foreign.
    assert_eq!(seen.host.expect("the machine").foreign_cpu_s, None);
    // What was asked for and cannot be is said before anything is sent.
    let run = with("postgresql://u:p@127.0.0.1:1/d");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("did not let us observe it"), "{}", run.stderr);
    assert_eq!(with("nope").code, Some(2));
    server.query(ALL);
    sleeper.join().expect("a session");
}
