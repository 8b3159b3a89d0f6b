//! `pinchpoint http` against a small real server that can stall, refuse and lie.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pinchpoint_measure::{ExitCode, RunResult, Trial};

use crate::command::{Run, Running, pinchpoint};
use crate::processes::{signal, until};

/// What the server does with its requests.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Answer,
    /// From half a second after the first request on, nothing is answered for a second.
    Stall,
    Error,
    /// Every other answer is cut off in the middle.
    Reset,
    /// Closes the connection after each answer, saying nothing of it.
    CloseSilently,
    Chunked,
    /// Sends a byte more than it says.
    Surplus,
    /// Answers after two seconds.
    Slow,
}

pub(crate) struct Server {
    pub(crate) url: String,
    connections: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn serve(manner: Manner) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let (connections, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, ended) = (connections.clone(), over.clone());
    let began: Arc<std::sync::OnceLock<Instant>> = Arc::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
            let began = began.clone();
            std::thread::spawn(move || talk(stream, manner, &began));
        }
    });
    Server { url, connections, over }
}

const BODY: &str = r#"{"status": "ok", "items": [1, 2]}"#;

fn talk(mut stream: TcpStream, manner: Manner, began: &std::sync::OnceLock<Instant>) {
    let (mut buffer, mut pending, mut served) = ([0_u8; 4096], Vec::new(), 0);
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            return;
        }
        pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
            pending.drain(..end + 4);
            served += 1;
            let began = *began.get_or_init(Instant::now);
            if manner == Manner::Stall {
                let since = began.elapsed();
                let stall = Duration::from_millis(500)..Duration::from_millis(1500);
                if stall.contains(&since) {
                    std::thread::sleep(stall.end.saturating_sub(since));
                }
            }
            if manner == Manner::Slow {
                std::thread::sleep(Duration::from_secs(2));
            }
            let length = BODY.len();
            let answer = match manner {
                Manner::Error => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(),
                Manner::Chunked => format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                    &BODY[..5],
                    length - 5,
                    &BODY[5..]
                ),
                Manner::Surplus => {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}x")
                }
                Manner::Reset if served % 2 == 0 => {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", &BODY[..9])
                }
                _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}"),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if manner == Manner::CloseSilently || (manner == Manner::Reset && served % 2 == 0) {
                return;
            }
        }
    }
}

/// Loads the server; the run and its one trial.
fn load(url: &str, options: &[&str]) -> (Run, Trial) {
    let mut arguments = vec!["http", url, "--json", "--warmup", "0s"];
    arguments.extend(options);
    let run = pinchpoint(&arguments);
    let result =
        RunResult::from_json(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stderr));
    let trial = result.variants[0].trials[0].clone();
    (run, trial)
}

fn ended_as(run: &Run, code: ExitCode) {
    assert_eq!(run.code, Some(code.code().into()), "{}", run.stderr);
}

#[test]
fn users_keep_their_connections_and_answers_are_checked() {
    for manner in [Manner::Answer, Manner::Chunked] {
        let server = serve(manner);
        let (run, trial) = load(
            &server.url,
            &["-u", "4", "-t", "500ms", "--check-json", "/status=ok", "--check-json", "/items/1"],
        );
        ended_as(&run, ExitCode::Ok);
        let http = trial.http.as_ref().expect("figures");
        assert!(trial.succeeded > 50 && trial.failed == 0, "{trial:?}");
        assert_eq!(server.connections.load(Ordering::Relaxed), 4);
        assert_eq!(http.connections_opened, 4);
        assert!(http.checks.iter().all(|c| c.failed == 0 && c.passed >= trial.succeeded));
        // The census has the last answers too, after the measured part.
        assert!(http.census.ok >= trial.succeeded && http.census.sum() == http.census.ok);
    }
}

/// A server that stalls for a second makes everybody wait who was due meanwhile. At a rate r with
/// even gaps, the requests due in the stall wait from 1 s down to 0: of all n requests a share
/// s = r ÷ n · (1 s) waits, evenly spread, so the quantile q is 1 − (1 − q) ÷ s seconds.
#[test]
fn a_stall_is_seen_in_full_at_a_fixed_rate() {
    let server = serve(Manner::Stall);
    let (run, trial) =
        load(&server.url, &["--rate", "100", "-u", "200", "-t", "4s", "--threads", "1"]);
    ended_as(&run, ExitCode::Ok);
    let share = 1.0 / 4.0;
    for (quantile, seen) in [(0.90, trial.latency_ms.p90), (0.99, trial.latency_ms.p99)] {
        let expected = (1.0 - (1.0 - quantile) / share) * 1000.0;
        assert!((seen - expected).abs() < 120.0, "p{quantile}: {seen} ms, {expected} expected");
    }
    let census = &trial.http.as_ref().expect("figures").census;
    assert_eq!(Some(census.sum()), census.scheduled, "{census:?}");
}

#[test]
fn stages_ask_for_what_lies_under_their_line() {
    let server = serve(Manner::Answer);
    let stages = ["--stage", "500ms:200", "--stage", "500ms:200", "--stage", "0.5s:0"];
    let mut arguments = vec!["http", &server.url, "--json", "-u", "50"];
    arguments.extend(stages);
    let run = pinchpoint(&arguments);
    ended_as(&run, ExitCode::Ok);
    let result = RunResult::from_json(&run.stdout).expect("a result");
    let trial = &result.variants[0].trials[0];
    let census = &trial.http.as_ref().expect("figures").census;
    let scheduled = census.scheduled.expect("a schedule");
    assert!((199..=201).contains(&scheduled), "50 + 100 + 50, not {scheduled}");
    assert_eq!(census.sum(), scheduled, "{census:?}");
    let gates: Vec<_> = trial.gates.iter().filter(|g| g.name == "settled").collect();
    assert!(gates.iter().all(|g| g.passed), "a ramp is not meant to be steady: {gates:?}");
}

#[test]
fn every_failure_has_its_class() {
    let server = serve(Manner::Error);
    let (run, trial) = load(&server.url, &["-u", "2", "-t", "300ms"]);
    ended_as(&run, ExitCode::RunFailed);
    let census = trial.http.expect("figures").census;
    assert!(census.status > 0 && census.sum() == census.status, "{census:?}");
    assert!(trial.errors.keys().eq(["status 500"]), "{:?}", trial.errors);

    let server = serve(Manner::Reset);
    let (_, trial) = load(&server.url, &["-u", "2", "-t", "300ms"]);
    let census = trial.http.expect("figures").census;
    assert!(census.reset > 0 && census.ok > 0, "{census:?}");

    let server = serve(Manner::Surplus);
    let (_, trial) = load(&server.url, &["-u", "2", "-t", "300ms"]);
    let census = trial.http.expect("figures").census;
    assert!(census.wrong_answer > 0, "{census:?}");

    let server = serve(Manner::Slow);
    let (run, trial) = load(&server.url, &["-u", "2", "-t", "700ms", "--timeout", "200ms"]);
    ended_as(&run, ExitCode::RunFailed);
    let census = trial.http.expect("figures").census;
    assert!(census.timed_out >= 4 && census.ok == 0, "{census:?}");

    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("its address"));
    drop(free);
    let (run, trial) = load(&url, &["-u", "2", "-t", "300ms"]);
    ended_as(&run, ExitCode::RunFailed);
    let census = trial.http.expect("figures").census;
    assert!(census.refused > 0 && census.sum() == census.refused, "{census:?}");

    let server = serve(Manner::Answer);
    let (run, trial) = load(&server.url, &["-u", "2", "-t", "300ms", "--check-json", "/status=no"]);
    ended_as(&run, ExitCode::RunFailed);
    let census = trial.http.expect("figures").census;
    assert!(census.wrong_answer > 0 && census.ok == 0, "{census:?}");
}

#[test]
fn a_kept_connection_that_the_server_closed_is_no_failure() {
    let server = serve(Manner::CloseSilently);
    let (run, trial) = load(&server.url, &["-u", "2", "-t", "500ms"]);
    ended_as(&run, ExitCode::Ok);
    assert!(trial.succeeded > 20, "{trial:?}");
    assert_eq!(trial.failed, 0, "{:?}", trial.errors);
}

#[test]
fn users_come_at_the_spawn_rate_and_think() {
    let server = serve(Manner::Answer);
    let (_, trial) =
        load(&server.url, &["-u", "100", "--spawn-rate", "20", "-t", "1s", "--think", "10s"]);
    // One request each of those that have come within the second.
    assert!((18..=22).contains(&trial.succeeded), "{}", trial.succeeded);
}

#[test]
fn a_missed_threshold_has_its_own_exit_code() {
    let server = serve(Manner::Answer);
    let kept = [
        "--threshold",
        "http_req_duration: p(95)<5000",
        "--threshold",
        "http_req_failed: rate<0.01",
    ];
    let missed = ["--threshold", "http_req_duration: max<0.000001"];
    let (run, _) = load(&server.url, &[&["-t", "300ms"], kept.as_slice()].concat());
    ended_as(&run, ExitCode::Ok);
    let (run, trial) =
        load(&server.url, &[&["-t", "300ms"], kept.as_slice(), missed.as_slice()].concat());
    ended_as(&run, ExitCode::ThresholdMissed);
    let passed: Vec<bool> = trial.thresholds.iter().map(|t| t.passed).collect();
    assert_eq!(passed, [true, true, false]);
}

#[test]
fn bad_arguments_are_answered_with_what_is_right() {
    let mut texts = String::new();
    for arguments in [
        ["ftp://127.0.0.1/", "-u", "1"],
        ["http://127.0.0.1:1/a b", "-u", "1"],
        ["http://no.such.host.invalid/", "-u", "1"],
        ["http://127.0.0.1:1/", "-u", "0"],
        ["http://127.0.0.1:1/", "-H", "no colon"],
        ["http://127.0.0.1:1/", "--threshold", "p(95)<200"],
        ["http://127.0.0.1:1/", "--check-json", "status=ok"],
        ["http://127.0.0.1:1/", "--stage", "30s"],
        ["http://127.0.0.1:1/", "--stage", "1s:0"],
    ] {
        let run = pinchpoint(&[&["http"], arguments.as_slice()].concat());
        ended_as(&run, ExitCode::BadInput);
        // The resolver's own words differ.
        texts.push_str(run.stderr.split("was not found").next().unwrap_or_default().trim_end());
        texts.push('\n');
    }
    insta::assert_snapshot!(texts);
}

/// An HTTPS server of openssl's, with a certificate that nobody trusts.
#[test]
fn a_certificate_is_checked_unless_told_otherwise() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            &at("key"),
            "-out",
            &at("cert"),
        ])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port().to_string();
    drop(free);
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            &port,
            "-www",
            "-quiet",
            "-cert",
            &at("cert"),
            "-key",
            &at("key"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    until("the server listens", || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    let url = format!("https://127.0.0.1:{port}/");
    let (run, trial) = load(&url, &["-u", "1", "-t", "500ms", "--insecure"]);
    let (refused, distrusted) = load(&url, &["-u", "1", "-t", "300ms"]);
    server.kill().expect("it ends");
    server.wait().expect("it has ended");
    ended_as(&run, ExitCode::Ok);
    assert!(trial.succeeded > 2, "{:?}", trial.errors);
    ended_as(&refused, ExitCode::RunFailed);
    assert!(distrusted.errors.keys().eq(["tls failed"]), "{:?}", distrusted.errors);
}

#[test]
fn an_interrupted_load_shows_what_was_measured() {
    let server = serve(Manner::Answer);
    let mut running = Running::spawn(&[
        "http",
        &server.url,
        "-t",
        "30s",
        "--warmup",
        "0s",
        "-u",
        "2",
        "--threshold",
        "checks: rate>2",
    ]);
    running.wait_for("http:");
    std::thread::sleep(Duration::from_millis(700));
    signal(running.pid(), rustix::process::Signal::INT);
    let run = running.wait();
    ended_as(&run, ExitCode::Interrupted);
    assert!(
        run.stdout.contains("requests") && run.stdout.contains("whole trial"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("threshold"), "not judged: {}", run.stdout);
}

#[test]
fn five_hundred_users_have_a_connection_each() {
    let server = serve(Manner::Answer);
    let (_, trial) = load(&server.url, &["-u", "500", "-t", "1s"]);
    assert_eq!(trial.http.expect("figures").connections_opened, 500);
    assert!(trial.succeeded >= 500 && trial.failed == 0, "{} {:?}", trial.succeeded, trial.errors);
}
