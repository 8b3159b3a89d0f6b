//! Somebody else's server: only our own schema is touched, and what cannot work is refused.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::command::{Run, Running, experiment, pinchpoint, pinchpoint_with, result};
use crate::server::Server;

const RUNG: &str = "[load]\nduration = \"400ms\"\nwarmup = \"100ms\"\ntrials = 1\n\
    [[rung]]\nname = \"r\"\npool = { max = 4 }\nconcurrency = 4\nmethod = \"insert\"\n";
const SCHEMAS: &str = "SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace";

fn run(directory: &Path, dsn: &str, rungs: &str) -> Run {
    let file = experiment(directory, "", rungs);
    let out = directory.join("out").display().to_string();
    pinchpoint(&["run", &file, "--dsn", dsn, "--out", &out])
}

#[test]
fn only_our_own_schema_comes_and_goes_and_the_password_stays_secret() {
    let server = Server::start(&[]);
    server.query("CREATE TABLE t (a int); INSERT INTO t VALUES (42)");
    let before = server.value(SCHEMAS);
    let directory = tempfile::tempdir().expect("a directory");
    let run = run(directory.path(), &server.dsn, RUNG);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.value(SCHEMAS), before);
    assert_eq!(server.value("SELECT a FROM public.t"), "42", "a table of the same name");
    let password = server.parsed().password.expect("a password");
    let out = directory.path().join("out");
    let mut texts = vec![run.stdout, run.stderr];
    for name in ["result.json", "logs/events.jsonl", "summary_report.md"] {
        texts.push(std::fs::read_to_string(out.join(name)).expect(name));
    }
    assert!(texts.iter().all(|t| !t.contains(&password)), "the password is in an output");
    assert!(!result(&out).environment.software[0].managed);
}

#[test]
fn an_interrupted_run_drops_its_schema_too() {
    let server = Server::start(&[]);
    let before = server.value(SCHEMAS);
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", &RUNG.replace("400ms", "30s"));
    let out = directory.path().join("out").display().to_string();
    let mut running = Running::spawn(&["run", &file, "--dsn", &server.dsn, "--out", &out]);
    running.wait_for("ready in");
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.value(SCHEMAS) == before {
        assert!(Instant::now() < deadline, "no schema was made");
    }
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_eq!(server.value(SCHEMAS), before);
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let server = Server::start(&["max_connections=10"]);
    server.query("CREATE ROLE guest LOGIN PASSWORD 'secret'");
    let pool = RUNG
        .replace("max = 4", "max = 60")
        .replace("[load]", "[postgres.settings]\nmax_connections = 100\n[load]");
    let cases = [
        (server.dsn_as("guest", "secret", "postgres"), RUNG, "GRANT CREATE ON DATABASE"),
        (server.dsn_as("guest", "wrong", "postgres"), RUNG, "password authentication failed"),
        (server.dsn_as("guest", "secret", "nowhere"), RUNG, "database \"nowhere\" does not exist"),
        (
            "postgresql://x:y@127.0.0.1:1/z".to_owned(),
            RUNG,
            "no connection to postgresql://x@127.0.0.1:1/z",
        ),
        (server.dsn.clone(), pool.as_str(), "rung r opens up to 60 connections"),
    ];
    for (dsn, rungs, expected) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let run = run(directory.path(), &dsn, rungs);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
        assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    }
}

#[test]
fn a_password_may_come_from_the_environment() {
    let server = Server::start(&[]);
    let password = server.parsed().password.expect("a password");
    let dsn = server.dsn.replace(&format!(":{password}@"), "@");
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", RUNG);
    let out = directory.path().join("out").display().to_string();
    let run =
        pinchpoint_with(("PGPASSWORD", &password), &["run", &file, "--dsn", &dsn, "--out", &out]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn sessions_ended_by_the_server_are_counted_and_made_anew() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), "", &RUNG.replace("400ms", "3s"));
    let out = directory.path().join("out");
    let running =
        Running::spawn(&["run", &file, "--dsn", &server.dsn, "--out", &out.display().to_string()]);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pinchpoint-load'";
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.value(count) != "4" {
        assert!(Instant::now() < deadline, "the load did not begin");
    }
    std::thread::sleep(Duration::from_millis(500));
    server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pinchpoint-load'",
    );
    let run = running.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let trial = &result(&out).variants[0].trials[0];
    let ended = trial.errors.get("57P01 admin_shutdown").copied().unwrap_or(0);
    assert!(ended >= 1, "{:?}", trial.errors);
    assert!(trial.ledger.expect("a ledger").balanced);
    assert!(trial.rows > 0);
}

#[test]
fn a_full_server_is_counted_and_not_the_end() {
    let server = Server::start(&["max_connections=12", "superuser_reserved_connections=0"]);
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = "[load]\nduration = \"1500ms\"\nwarmup = \"100ms\"\ntrials = 1\n\
        [[rung]]\nname = \"r\"\nconnection = \"per-operation\"\nconcurrency = 8\nmethod = \"insert\"\n";
    let file = experiment(directory.path(), "", rungs);
    let out = directory.path().join("out");
    let mut running =
        Running::spawn(&["run", &file, "--dsn", &server.dsn, "--out", &out.display().to_string()]);
    running.wait_for("ready in");
    // Others take what is left of the server's connections.
    let dsn = server.parsed();
    let held = crate::server::block_on(async {
        let tls = pinchpoint_sql::TlsSetup::new(&dsn).expect("TLS");
        let mut held = Vec::new();
        for _ in 0..200 {
            if let Ok(connection) = pinchpoint_sql::Connection::connect(&dsn, &tls).await {
                held.push(connection);
            }
            if held.len() == 9 {
                break;
            }
        }
        held
    });
    assert!(held.len() >= 6, "only {} connections could be taken", held.len());
    let run = running.wait();
    drop(held);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let trial = &result(&out).variants[0].trials[0];
    assert!(trial.errors.keys().any(|c| c.starts_with("53300")), "{:?}", trial.errors);
    assert!(trial.ledger.expect("a ledger").balanced && trial.rows > 0);
}
