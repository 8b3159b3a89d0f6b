//! Several weighted requests with parameters, bodies and checks, from an experiment file to the
//! result: what is counted is what a server really got.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use pinchpoint_measure::{RunResult, VariantStatus};

use crate::command::{pinchpoint, result};

/// How often a server got each method and path with each body.
type Counts = BTreeMap<(String, String), u64>;
type Got = Arc<Mutex<Counts>>;

/// A server that says `{"status": "made"}` to a POST and `{"status": "ok"}` to the rest.
fn serve() -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let got = Got::default();
    let shared = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let got = shared.clone();
            std::thread::spawn(move || talk(stream, &got));
        }
    });
    (url, got)
}

fn talk(stream: TcpStream, got: &Got) -> Option<()> {
    let mut answers = stream.try_clone().ok()?;
    let mut requests = BufReader::new(stream);
    loop {
        let (mut line, mut length, mut kind) = (String::new(), 0, String::new());
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        loop {
            let mut header = String::new();
            requests.read_line(&mut header).ok()?;
            match header.trim_end().to_lowercase().split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("content-type", value)) => value.clone_into(&mut kind),
                Some(_) => (),
            }
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body).ok()?;
        let body = format!("{kind} {}", String::from_utf8(body).ok()?).trim().to_owned();
        let status = if line.starts_with("POST") { "made" } else { "ok" };
        *got.lock().expect("not poisoned").entry((line, body)).or_default() += 1;
        let text = format!("{{\"status\": \"{status}\"}}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
        answers.write_all((head + &text).as_bytes()).ok()?;
    }
}

/// Requests of every kind; the comments' answer is never right.
const MIXED: &str = r#"
        [[request]]
        name = "post"
        path = "/posts/{id}"
        weight = 6
        parameters = { id = { min = 11, max = 20 } }
        checks = [{ json = "/status", equals = "ok" }, { status = 200 }]

        [[request]]
        name = "user"
        path = "/users/{id}?full=1"
        weight = 3
        parameters = { id = { min = 1, max = 100, choice = "zipf", exponent = 1.0 } }

        [[request]]
        name = "comment"
        method = "POST"
        path = "/comments"
        headers = { Content-Type = "application/json" }
        body = '{"content": "ä"}'
        checks = [{ json = "/status", equals = "ok" }]

        [load]
        duration = "1s"
        warmup = "0s"
        trials = 1
"#;

const STAGES: &str = r#"
        [[request]]
        path = "/"

        [load]
        stages = [{ duration = "500ms", target_tps = 200 }, { duration = "500ms", target_tps = 0 }]
        trials = 1
"#;

/// Runs a matrix of one application, with these requests and this load.
fn run(url: &str, what: &str) -> RunResult {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mixed.toml");
    let text = format!(
        r#"
        experiment = "mixed"
        [dataset]
        users = 1
        posts = 1
        comments = 0
        [matrix]
        connections = ["direct"]
        users = [4]
        [[app]]
        name = "mine"
        url = "{url}"
        {what}
        "#
    );
    std::fs::write(&file, text).expect("written");
    let (file, out) = (file.display().to_string(), directory.path().join("result"));
    let run = pinchpoint(&["run", &file, "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    result(&out)
}

/// Whether a share of draws is what its chance makes it: six standard deviations are never seen.
fn assert_share(what: &str, count: u64, all: u64, chance: f64) {
    let (count, all) = (count as f64, all as f64);
    let off = (count / all - chance).abs();
    assert!(off < 6.0 * (chance * (1.0 - chance) / all).sqrt(), "{what}: {count} of {all}");
}

fn number(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.split('?').next()?.parse().ok()
}

/// How many requests began with this.
fn sent(got: &Counts, start: &str) -> u64 {
    got.iter().filter(|((line, _), _)| line.starts_with(start)).map(|(_, count)| count).sum()
}

/// Every request is one of those in the file, as often as its weight and its parameter say.
fn assert_drawn(got: &Counts) {
    let all: u64 = got.values().sum();
    let (posts, users) = (sent(got, "GET /posts/"), sent(got, "GET /users/"));
    assert_share("posts", posts, all, 0.6);
    assert_share("users", users, all, 0.3);
    for ((line, body), count) in got {
        if line.starts_with("GET /posts/") {
            assert!((11..=20).contains(&number(line).expect("a number")), "{line}");
            assert_share(line, *count, posts, 0.1);
        } else if line.starts_with("GET /users/") {
            assert!(line.ends_with("?full=1"), "{line}");
            assert!((1..=100).contains(&number(line).expect("a number")), "{line}");
        } else {
            let expected = "application/json {\"content\": \"ä\"}";
            assert_eq!((line.as_str(), body.as_str()), ("POST /comments", expected));
        }
    }
    let harmonic: f64 = (1..=100).map(|n| 1.0 / f64::from(n)).sum();
    for rank in [1, 2, 10] {
        let count = sent(got, &format!("GET /users/{rank}?"));
        assert_share("zipf", count, users, 1.0 / harmonic / f64::from(rank));
    }
}

#[test]
fn weighted_requests_are_drawn_sent_checked_and_counted_as_the_file_says() {
    let (url, got) = serve();
    let result = run(&url, MIXED);
    let got = got.lock().expect("not poisoned");
    assert_drawn(&got);

    let variant = &result.variants[0];
    assert_eq!(variant.status, VariantStatus::Ok, "{:?}", variant.reason);
    let trial = &variant.trials[0];
    let http = trial.http.as_ref().expect("figures of HTTP");
    let census = &http.census;
    let (right, wrong) = (sent(&got, "GET "), sent(&got, "POST "));
    assert_eq!((census.ok, census.wrong_answer), (right, wrong), "{census:?}");
    let named = |name: &str| http.endpoints.iter().find(|e| e.name == name).expect("its label");
    let [post, user, comment] = ["post", "user", "comment"].map(named);
    assert_eq!(trial.succeeded, post.requests + user.requests);
    assert_eq!((post.failures, user.failures), (0, 0));
    assert!(comment.requests > 0 && trial.failed > 0, "{comment:?}");
    assert_eq!(comment.failures, comment.requests);
    assert_eq!(comment.errors["check failed"], comment.requests);
    let checks: Vec<_> = http.checks.iter().map(|c| (c.passed > 0, c.failed > 0)).collect();
    assert_eq!(checks, [(true, false), (true, false), (false, true)], "{:?}", http.checks);
    assert!(http.checks[2].name.starts_with("comment: "), "{:?}", http.checks);
    let gate = trial.gates.iter().find(|g| g.name == "answers").expect("the gate");
    assert!(!gate.passed, "wrong answers void the row: {gate:?}");
}

#[test]
fn stages_of_a_file_are_measured_from_their_beginning() {
    let (url, got) = serve();
    let result = run(&url, STAGES);
    let trial = &result.variants[0].trials[0];
    let all: u64 = got.lock().expect("not poisoned").values().sum();
    assert!((99..=101).contains(&all), "50 up and 50 down, not {all}");
    // What a slow machine has not answered within the measured part is not in it.
    assert!(trial.succeeded > 50 && trial.succeeded <= all, "{} of {all}", trial.succeeded);
}
