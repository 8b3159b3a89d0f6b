//! Whatever ends a run, nothing of it is left.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use pinchpoint_measure::RunStatus;
use pinchpoint_sql::{Connection, Dsn, TlsSetup};
use rustix::process::Signal;

use crate::command::{Running, experiment, pinchpoint, result};
use crate::processes::{
    assert_nothing_left, directories, groups, postmaster, processes, signal, until,
};
use crate::server::{Server, block_on};

const LIMITS: &str = "[postgres]\ncpus = 1.5\nmemory = \"1GB\"\n";
const LONG: &str = "[load]\nduration = \"30s\"\nwarmup = \"200ms\"\ntrials = 2\n\
    [[rung]]\nname = \"a\"\npool = { max = 4 }\nconcurrency = 4\nmethod = \"insert\"\n\
    [[rung]]\nname = \"b\"\npool = { max = 2 }\nconcurrency = 2\nmethod = \"copy\"\nbatch = [10, 100]\n";

const RUNG: &str = "[load]\nduration = \"30s\"\nwarmup = \"200ms\"\ntrials = 1\n\
    [[rung]]\nname = \"a\"\npool = { max = 4 }\nconcurrency = 4\nmethod = \"insert\"\n";

/// Starts a long run and waits for a line on its standard error.
fn start(directory: &Path, until: &str) -> Running {
    let file = experiment(directory, LIMITS, LONG);
    let out = directory.join("out").display().to_string();
    let mut running = Running::spawn(&["run", &file, "--out", &out]);
    running.wait_for(until);
    running
}

#[test]
fn success_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = LONG.replace("30s", "300ms").replace("trials = 2", "trials = 1");
    let file = experiment(directory.path(), LIMITS, &rungs);
    let out = directory.path().join("out");
    let running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
    let pid = running.pid();
    let run = running.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_nothing_left(pid);
    let limits = &result(&out).environment.limits;
    assert_eq!(limits.len(), 2, "{limits:?}");
    assert!(limits.iter().all(|l| l.in_force || !l.how.is_empty()), "{limits:?}");
}

#[test]
fn limits_are_in_force_where_the_machine_allows() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "ready in");
    let pid = running.pid();
    let server = postmaster(pid);
    let groups = groups(pid);
    for group in &groups {
        let members = fs::read_to_string(group.join("cgroup.procs")).expect("its members");
        assert!(members.lines().any(|l| l == server.to_string()), "{}", group.display());
    }
    running.signal(Signal::TERM);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let limits = result(&directory.path().join("out")).environment.limits;
    // Either a limit is in force, and there was a group for it, or the result says why not.
    assert_eq!(limits.iter().any(|l| l.in_force), !groups.is_empty(), "{limits:?} {groups:?}");
    assert_nothing_left(pid);
}

/// Sends the signals and asserts an orderly end.
fn interrupt(running: Running, signals: &[Signal], directory: &Path) {
    let pid = running.pid();
    for each in signals {
        running.signal(*each);
    }
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{signals:?}: {}", run.stderr);
    let result = result(&directory.join("out"));
    assert_eq!(result.status, RunStatus::Interrupted, "{signals:?}: {}", run.stderr);
    assert_nothing_left(pid);
}

#[test]
fn an_interruption_in_any_stage_leaves_nothing_but_a_readable_result() {
    // Start-up, between start-up and the sweep, the sweep, and the trials.
    let cases: [(&str, &[Signal]); 6] = [
        ("starting PostgreSQL", &[Signal::INT]),
        ("starting PostgreSQL", &[Signal::INT, Signal::TERM]),
        ("ready in", &[Signal::INT, Signal::INT]),
        ("batch 10 gives", &[Signal::TERM]),
        ("batch 100 chosen", &[Signal::INT]),
        ("batch 100 chosen", &[Signal::HUP]),
    ];
    for (until, signals) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        interrupt(start(directory.path(), until), signals, directory.path());
    }
}

#[test]
fn an_interrupted_set_up_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "starting PostgreSQL");
    initdb_of(running.pid());
    interrupt(running, &[Signal::INT, Signal::INT], directory.path());
}

#[test]
fn an_interrupted_warm_up_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = RUNG.replace("200ms", "60s");
    let file = experiment(directory.path(), LIMITS, &rungs);
    let out = directory.path().join("out");
    let running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
    until("the trial begins", || event(&out, "trial_started"));
    interrupt(running, &[Signal::INT], directory.path());
    assert!(event(&out, "interval").is_none(), "it was past the warm-up");
}

#[test]
fn a_trial_that_is_interrupted_keeps_what_was_measured() {
    for signals in [&[Signal::TERM][..], &[Signal::INT, Signal::INT]] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = experiment(directory.path(), LIMITS, RUNG);
        let out = directory.path().join("out");
        let running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
        until("something is measured", || event(&out, "interval"));
        interrupt(running, signals, directory.path());
        let trial = &result(&out).variants[0].trials[0];
        assert!(trial.rows > 0 && trial.duration_s < 20.0, "{} rows", trial.rows);
        assert!(out.join("summary_report.md").is_file());
    }
}

#[test]
fn an_interruption_while_the_server_is_crashed_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let rungs = RUNG.replace("30s", "300ms").replace("trials = 1", "trials = 200");
    let file = experiment(directory.path(), LIMITS, &format!("{rungs}crash = true\n"));
    let out = directory.path().join("out");
    let running = Running::spawn(&["run", &file, "--out", &out.display().to_string()]);
    until("something is measured", || event(&out, "interval"));
    let server = postmaster(running.pid());
    until("the server is crashed", || {
        (!Path::new(&format!("/proc/{server}")).exists()).then_some(())
    });
    interrupt(running, &[Signal::INT], directory.path());
}

/// The first event of a kind that a run has kept.
fn event(out: &Path, kind: &str) -> Option<String> {
    let text = fs::read_to_string(out.join("logs/events.jsonl")).ok()?;
    text.lines().find(|l| l.contains(&format!("\"{kind}\""))).map(str::to_owned)
}

/// Waits until a run sets up its server's data.
fn initdb_of(pid: u32) {
    until("initdb runs", || processes(pid).into_iter().find(|p| p.contains("/initdb ")));
}

#[test]
fn a_command_killed_while_it_sets_up_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "starting PostgreSQL");
    let pid = running.pid();
    initdb_of(pid);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    assert_nothing_left(pid);
}

#[test]
fn a_killed_command_takes_its_server_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "batch 10 gives");
    let pid = running.pid();
    assert_eq!(directories(pid).len(), 1);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    assert_nothing_left(pid);
    assert_eq!(result(&directory.path().join("out")).status, RunStatus::Running);
}

#[test]
fn without_its_guard_the_server_goes_and_the_next_run_removes_the_rest() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "batch 10 gives");
    let pid = running.pid();
    let server = postmaster(pid);
    signal(guard_of(pid), Signal::KILL);
    running.signal(Signal::KILL);
    running.wait();
    until("the server goes", || (!Path::new(&format!("/proc/{server}")).exists()).then_some(()));
    let [left] = directories(pid).try_into().expect("one directory");
    // Directories of the last seconds are left alone: one may just be being made.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(&left).expect("the directory").set_modified(old).expect("its time");
    drop(Server::start(&[]));
    assert!(!left.exists(), "{} was not swept", left.display());
    assert_nothing_left(pid);
}

/// The guard process of a command.
fn guard_of(pid: u32) -> u32 {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let found = all.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent: u32 = stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()?;
        let is_guard = String::from_utf8_lossy(&command).contains("__guard") && parent == pid;
        is_guard.then(|| entry.file_name().to_string_lossy().parse().ok())?
    });
    found.collect::<Vec<_>>().first().copied().expect("a guard")
}

#[test]
fn two_runs_at_once_do_not_meet() {
    let directories = [tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two")];
    let mut runs: Vec<_> = directories
        .iter()
        .map(|directory| {
            let rungs = RUNG.replace("30s", "2s");
            let file = experiment(directory.path(), "", &rungs);
            let out = directory.path().join("out").display().to_string();
            Running::spawn(&["run", &file, "--out", &out])
        })
        .collect();
    let ports: Vec<String> = runs
        .iter_mut()
        .map(|running| {
            running.wait_for("ready in");
            let place = crate::processes::directories(running.pid()).remove(0);
            let file = fs::read_to_string(place.join("data/postmaster.pid")).expect("its state");
            file.lines().nth(3).expect("its port").to_owned()
        })
        .collect();
    assert_ne!(ports[0], ports[1]);
    for running in runs {
        let pid = running.pid();
        let run = running.wait();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_nothing_left(pid);
    }
}

#[test]
fn a_taken_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &format!("[postgres]\nport = {port}\n"), LONG);
    let out = directory.path().join("out").display().to_string();
    let running = Running::spawn(&["run", &file, "--out", &out]);
    let pid = running.pid();
    let run = running.wait();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("port {port} on 127.0.0.1 is taken")), "{}", run.stderr);
    assert_nothing_left(pid);
}

#[test]
fn a_setting_that_the_server_refuses_is_shown_with_its_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let head = "[postgres.settings]\nshared_buffers = \"lots\"\n";
    let file = experiment(directory.path(), head, LONG);
    let out = directory.path().join("out").display().to_string();
    let run = pinchpoint(&["run", &file, "--out", &out]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("invalid value for parameter \"shared_buffers\""),
        "{}",
        run.stderr
    );
}

#[test]
fn a_private_server_is_private() {
    let server = Server::start(&[]);
    let data = server.value("SHOW data_directory");
    let directory = Path::new(&data).parent().expect("its directory");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(directory).expect("the directory").permissions(),
    );
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    assert_eq!(server.value("SHOW listen_addresses"), "127.0.0.1");
    assert_eq!(server.value("SHOW fsync"), "on");
    assert_eq!(server.value("SHOW password_encryption"), "scram-sha-256");
    let socket = Dsn::parse(&format!(
        "host={} port={} user=pinchpoint dbname=postgres password={}",
        directory.display(),
        server.value("SHOW port"),
        server.parsed().password.expect("a password")
    ))
    .expect("a DSN");
    block_on(async {
        let tls = TlsSetup::new(&socket).expect("TLS");
        let mut connection = Connection::connect(&socket, &tls).await.expect("through the socket");
        connection.query("SELECT 1").await.expect("an answer");
    });
    let (directory, pid) = (directory.to_owned(), server.pid());
    drop(server);
    assert!(!directory.exists(), "the end of its input ends it");
    assert_nothing_left(pid);
}

#[test]
fn a_private_server_lets_nobody_in_without_its_password() {
    let server = Server::start(&[]);
    let dsn = Dsn::parse(&server.dsn_as("pinchpoint", "wrong", "postgres")).expect("a DSN");
    let refused = block_on(async {
        let tls = TlsSetup::new(&dsn).expect("TLS");
        Connection::connect(&dsn, &tls).await.expect_err("a refusal").to_string()
    });
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[test]
fn a_private_server_listens_on_the_loopback_address_alone() {
    let server = Server::start(&[]);
    let port: u16 = server.value("SHOW port").parse().expect("a port");
    let here = listening("/proc/net/tcp", port);
    assert_eq!(here, ["0100007F"], "127.0.0.1 as the kernel writes it");
    assert!(listening("/proc/net/tcp6", port).is_empty());
}

/// Addresses on which a port is listened at, from a table of the kernel's.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let text = fs::read_to_string(table).unwrap_or_default();
    let rows = text.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == LISTEN)
        .filter_map(|row| row[1].split_once(':'))
        .filter(|(_, p)| *p == format!("{port:04X}"))
        .map(|(address, _)| address.to_owned())
        .collect()
}

#[test]
fn a_private_server_goes_at_a_signal() {
    for each in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        let pid = server.pid();
        assert_eq!(directories(pid).len(), 1);
        assert_eq!(server.end_by(each), Some(0), "{each:?}");
        assert_nothing_left(pid);
    }
}
