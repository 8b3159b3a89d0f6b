//! Whatever ends a run, nothing of it is left.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use pinchpoint_measure::RunStatus;
use pinchpoint_sql::{Connection, Dsn, TlsSetup};
use rustix::process::Signal;

use crate::command::{Running, experiment, pinchpoint, result};
use crate::processes::{assert_nothing_left, directories, groups, postmaster, signal};
use crate::server::{Server, block_on};

const LIMITS: &str = "[postgres]\ncpus = 1.5\nmemory = \"1GB\"\n";
const LONG: &str = "[load]\nduration = \"30s\"\nwarmup = \"200ms\"\ntrials = 2\n\
    [[rung]]\nname = \"a\"\npool = { max = 4 }\nconcurrency = 4\nmethod = \"insert\"\n\
    [[rung]]\nname = \"b\"\npool = { max = 2 }\nconcurrency = 2\nmethod = \"copy\"\nbatch = [10, 100]\n";

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

#[test]
fn an_interruption_in_any_stage_leaves_nothing_but_a_readable_result() {
    // Start-up, between start-up and the sweep, the sweep, and the trials.
    for until in ["starting PostgreSQL", "ready in", "batch 10 gives", "batch 100 chosen"] {
        let directory = tempfile::tempdir().expect("a directory");
        let running = start(directory.path(), until);
        let pid = running.pid();
        running.signal(Signal::INT);
        let run = running.wait();
        assert_eq!(run.code, Some(130), "{until}: {}", run.stderr);
        assert_eq!(result(&directory.path().join("out")).status, RunStatus::Interrupted, "{until}");
        assert_nothing_left(pid);
    }
}

#[test]
fn a_trial_that_is_interrupted_keeps_what_was_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "batch 100 chosen");
    let pid = running.pid();
    std::thread::sleep(std::time::Duration::from_secs(2));
    running.signal(Signal::TERM);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let result = result(&directory.path().join("out"));
    assert_eq!(result.status, RunStatus::Interrupted);
    let trial = &result.variants[0].trials[0];
    assert!(trial.rows > 0 && trial.duration_s < 10.0, "{} rows", trial.rows);
    assert!(directory.path().join("out/summary_report.md").is_file());
    assert_nothing_left(pid);
}

#[test]
fn two_interruptions_leave_nothing_either() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = start(directory.path(), "batch 100 chosen");
    let pid = running.pid();
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
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
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while Path::new(&format!("/proc/{server}")).exists() {
        assert!(std::time::Instant::now() < deadline, "the server outlived us");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let [left] = directories(pid).try_into().expect("one directory");
    for group in groups(pid) {
        fs::remove_dir(group).expect("an empty group");
    }
    // Directories of the last seconds are left alone: one may just be being made.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(&left).expect("the directory").set_modified(old).expect("its time");
    drop(Server::start(&[]));
    assert!(!left.exists(), "{} was not swept", left.display());
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
    let runs: Vec<_> = directories
        .iter()
        .map(|directory| {
            let rungs = LONG.replace("30s", "500ms").replace("trials = 2", "trials = 1");
            let file = experiment(directory.path(), "", &rungs);
            Running::spawn(&[
                "run",
                &file,
                "--out",
                &directory.path().join("out").display().to_string(),
            ])
        })
        .collect();
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
    let directory = directory.to_owned();
    drop(server);
    assert!(!directory.exists(), "the end of its input ends it");
}
