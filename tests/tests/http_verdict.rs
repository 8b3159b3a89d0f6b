//! What limits a server that somebody else runs, as `pinchpoint http` says it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use pinchpoint_measure::{Observation, PredictionRecord, RunResult, Verdict};
use pinchpoint_sql::{Connection, Dsn, TlsSetup};

use crate::command::{pinchpoint, pinchpoint_with_all, result};
use crate::server::{Server, block_on};
use crate::service::{Service, database};

/// An application of one thread that computes for each answer, and says where it listens.
const COMPUTING: &str = "
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1

    def do_GET(self):
        body = str(sum(i * i for i in range(20000))).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
";

/// A process that is ended with the test.
struct Application {
    child: Child,
    url: String,
}

impl Application {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", COMPUTING])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its port");
        Self { child, url: format!("http://127.0.0.1:{}/", line.trim()) }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn load(url: &str, more: &[&str]) -> (Observation, Verdict) {
    let mut arguments =
        vec!["http", url, "-u", "4", "-t", "3s", "--warmup", "300ms", "-q", "--json"];
    arguments.extend(more);
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result: RunResult = serde_json::from_str(&run.stdout).expect("a result");
    let variant = &result.variants[0];
    let seen = variant.trials[0].observation.clone().expect("an observation");
    (seen, variant.verdict.clone().expect("a verdict"))
}

#[test]
fn an_application_of_this_machine_is_found_by_its_socket_and_its_cpu_named() {
    let application = Application::start();
    let (seen, verdict) = load(&application.url, &["--disable-keepalive"]);
    let app = seen.process("app").expect("the application");
    let (used, busiest) = (app.cpu_s.unwrap_or(0.0), app.busiest_lane_s.unwrap_or(0.0));
    // One interpreter did it all, in threads that came and went; both are told in ticks.
    assert!(used > 0.1 && (busiest - used).abs() <= 0.05, "{app:?}");
    assert_eq!((app.interpreters, app.cpus, seen.process("postgres")), (Some(1), None, None));
    // Its threads take turns at the interpreter, so that none of them is busy all the time. Beside other
    // tests it may not get the whole core that it could use.
    let limits = busiest / seen.seconds >= 0.85;
    let named = ["app-cpu", "machine-cpu", "inconclusive"].contains(&verdict.bottleneck.as_str());
    assert!(named || !limits, "{verdict:#?}");
    assert_ne!(verdict.bottleneck, "client-cpu", "{verdict:#?}");
}

/// A server in this process that asks the database once for each request.
fn asking(dsn: &str, statement: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let dsn = Dsn::parse(dsn).expect("a DSN").named("shop");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let dsn = dsn.clone();
            std::thread::spawn(move || {
                block_on(async {
                    let tls = TlsSetup::new(&dsn).expect("TLS");
                    let mut database = Connection::connect(&dsn, &tls).await.expect("a connection");
                    let mut request = [0_u8; 1024];
                    while stream.read(&mut request).is_ok_and(|count| count > 0) {
                        database.query(statement).await.expect("an answer");
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if stream.write_all(answer).is_err() {
                            break;
                        }
                    }
                    database.close().await;
                });
            });
        }
    });
    url
}

#[test]
fn what_an_application_waits_for_in_its_database_is_named() {
    let server = Server::start(&[]);
    let url = asking(&server.dsn, "SELECT pg_sleep(0.05)");
    let (seen, verdict) = load(&url, &["--observe-dsn", &server.dsn]);
    assert!(seen.process("postgres").is_some_and(|p| p.cpu_s.is_some()), "{seen:?}");
    // This process is both the application and what started the load.
    let gap = seen.missing.iter().find(|gap| gap.signal == "application's CPU");
    assert!(gap.is_some_and(|gap| gap.reason.contains("has started us")), "{:?}", seen.missing);
    // Other tests may leave it no CPU.
    let free = seen.host.and_then(|host| host.cpu_share).is_some_and(|share| share < 0.8);
    let named = ["server-wait", "inconclusive"].contains(&verdict.bottleneck.as_str());
    assert!(named || !free, "{verdict:#?}");
}

#[test]
fn other_users_are_predicted_before_they_come_and_held_against_what_came() {
    let database = database();
    let service = Service::start(&database, &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (out, ledger, url) = (path("out"), path("ledger.jsonl"), format!("{}/", service.url));
    let mut arguments = vec!["http", &url, "-u", "2", "-t", "1s", "--warmup", "200ms", "-q"];
    arguments.extend(["--observe-dsn", &database.dsn, "--out", &out, "--next", "users=6"]);
    let variables = [("PINCHPOINT_LEDGER", ledger.as_str()), ("COLUMNS", "80")];
    let run = pinchpoint_with_all(&variables, &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let result = result(out.as_ref());
    let [given, changed] = result.variants.as_slice() else { panic!("{:?}", result.variants) };
    assert_eq!((given.prediction.as_ref(), changed.name.as_str()), (None, "users=6"));
    assert_eq!(changed.factors["users"], 6);
    let prediction = changed.prediction.as_ref().unwrap_or_else(|| panic!("{changed:?}"));
    assert_eq!((prediction.from.as_str(), prediction.lever.as_str()), ("http", "concurrency"));
    assert_eq!(prediction.seal_holds(), Some(true), "{prediction:?}");
    let stated = prediction.stated_at.as_ref().expect("when it was stated");
    assert!(*stated < changed.trials[0].started_at, "{prediction:?}");
    assert!(prediction.judgement.is_some(), "{prediction:?}");

    let kept = std::fs::read_to_string(&ledger).expect("a ledger");
    let kept: PredictionRecord = serde_json::from_str(kept.trim()).expect("one record");
    assert_eq!((kept.experiment.as_str(), &kept.prediction), ("http", prediction));
    let (_, after) = run.stdout.split_once("\nnext lever: users=6\n").expect("a section");
    let lines: Vec<&str> = after.lines().map(str::trim_start).collect();
    for begins in ["predicted: ", "measured: ", "the prediction: ", "verdict "] {
        assert!(lines.iter().any(|line| line.starts_with(begins)), "no {begins:?} in {after}");
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
}

#[test]
fn where_a_demand_cannot_be_seen_nothing_is_said_of_other_users() {
    let application = Application::start();
    let mut arguments = vec!["http", &application.url, "-u", "2", "-t", "500ms", "--warmup", "0s"];
    arguments.extend(["-q", "--no-ledger", "--json", "--next", "users=4"]);
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result: RunResult = serde_json::from_str(&run.stdout).expect("a result");
    let why = result.variants[1].unpredicted.as_deref().expect("a reason");
    assert!(why.contains("--observe-dsn"), "{why}");
    assert!(result.variants[1].trials[0].succeeded > 0, "it is run all the same");
    for (lever, expected) in
        [("users=2", "has so many users already"), ("users=0", "users=N"), ("clients=4", "users=N")]
    {
        let run = pinchpoint(&["http", &application.url, "-u", "2", "--next", lever]);
        assert_eq!(run.code, Some(2), "{lever}: {}", run.stdout);
        assert!(run.stderr.contains(expected), "{lever}: {}", run.stderr);
    }
}
