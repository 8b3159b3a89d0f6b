//! The bounds of the blog service: what waits and how much, connections, and the end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::blog::username;
use crate::processes::{postmaster, until};
use crate::service::{PASSWORD, Service, database};

#[test]
fn over_capacity_it_says_so_at_once() {
    let database = database();
    let env = [("CACHE", "off"), ("DB_POOL_SIZE", "1"), ("DB_POOL_WAITING", "1"), ("WORKERS", "2")];
    let service = Service::start(&database, &env);
    let (busy, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..40 {
                    let answer = service.get("/blog/api/categories");
                    match answer.status {
                        200 => served.fetch_add(1, Ordering::Relaxed),
                        503 => {
                            assert_eq!(answer.header("retry-after"), "1");
                            busy.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {}", answer.text),
                    };
                }
            });
        }
    });
    assert!(served.load(Ordering::Relaxed) > 0 && busy.load(Ordering::Relaxed) > 0);
}

/// The status of an answer, once it is there, and whether it says when to come again.
fn status(stream: TcpStream) -> (u16, bool) {
    let mut text = String::new();
    BufReader::new(stream).read_to_string(&mut text).expect("an answer");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let again = text.to_lowercase().contains("\r\nretry-after: 1\r\n");
    (status.unwrap_or_else(|| panic!("no answer: {text:?}")), again)
}

/// One request has the only connection, one waits for it, and neither gets on: whoever comes is
/// refused at once, wherever a connection is needed.
#[test]
fn no_endpoint_queues_without_a_bound() {
    let database = database();
    let env = [("CACHE", "off"), ("DB_POOL_SIZE", "1"), ("DB_POOL_WAITING", "1")];
    let service = Service::start(&database, &env);
    let name = username(&database, 7);
    let cookie = service.log_in(&name);
    let idle = || service.metric("db_pool_connections{state=\"idle\"}");
    until("the connection is back", || (idle() > 0.5).then_some(()));
    let mut lock = database.session();
    lock.query("BEGIN; LOCK TABLE posts, users, sessions, credentials IN ACCESS EXCLUSIVE MODE");
    let (tell, told) = mpsc::channel();
    for _ in 0..8 {
        let stream = service.send("GET", "/blog/api/categories", &[], "");
        let tell = tell.clone();
        std::thread::spawn(move || tell.send(status(stream)));
    }
    let next = || told.recv_timeout(Duration::from_secs(15)).expect("an answer");
    for _ in 0..6 {
        assert_eq!(next(), (503, true));
    }
    let login = json!({ "username": name, "password": PASSWORD }).to_string();
    let graph = json!({ "query": "{ posts(first: 1) { id author { id } } }" }).to_string();
    let one = json!({ "query": "{ post(id: 1) { id comments { id } } }" }).to_string();
    for (method, path, body) in [
        (Method::GET, "/api/users/7", None),
        (Method::PUT, "/api/users/7", Some(r#"{"bio":"x"}"#)),
        (Method::POST, "/api/sessions", Some(login.as_str())),
        (Method::GET, "/api/sessions", None),
        (Method::DELETE, "/api/sessions", None),
        (Method::GET, "/blog/api/posts", None),
        (Method::GET, "/blog/api/posts/1", None),
        (Method::POST, "/graphql", Some(graph.as_str())),
        (Method::POST, "/graphql", Some(one.as_str())),
        (Method::GET, "/benchmark/db-test", None),
        (Method::GET, "/readyz", None),
    ] {
        let answer = service.ask(method.clone(), path, &[("cookie", &cookie)], body);
        let seen = (answer.status, answer.header("retry-after"));
        assert_eq!(seen, (503, "1"), "{method} {path}: {}", answer.text);
    }
    lock.query("COMMIT");
    // The two that had a place are served.
    assert_eq!([next(), next()], [(200, false); 2]);
    assert_eq!(service.ask(Method::POST, "/graphql", &[], Some(&graph)).status, 200);
}

/// One loader has the only connection and waits for a lock; the other does not get one in time.
#[test]
fn a_loader_without_a_connection_is_a_503_too() {
    let database = database();
    let service = Service::start(&database, &[("DB_POOL_TIMEOUT", "1"), ("DB_POOL_SIZE", "1")]);
    let mut lock = database.session();
    lock.query("BEGIN; LOCK TABLE comments, users IN ACCESS EXCLUSIVE MODE");
    let graph = json!({ "query": "{ posts(first: 3) { comments { id } author { id } } }" });
    let first = service.send("POST", "/graphql", &[], &graph.to_string());
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("a loader waits", || (database.value(waits) == "1").then_some(()));
    let second = service.ask(Method::POST, "/graphql", &[], Some(&graph.to_string()));
    assert_eq!((second.status, second.header("retry-after")), (503, "1"), "no posts");
    std::thread::sleep(Duration::from_millis(500)); // by now the other loader has given up
    lock.query("COMMIT");
    assert_eq!(status(first), (503, true), "posts, but not all of what belongs to them");
}

/// A log-in takes a core for a while: so many are checked, so many wait, the rest is refused.
#[test]
fn log_ins_do_not_queue_without_a_bound() {
    let database = database();
    let service = Service::start(&database, &[]);
    let login = json!({ "username": username(&database, 7), "password": PASSWORD }).to_string();
    let streams: Vec<_> =
        (0..150).map(|_| service.send("POST", "/api/sessions", &[], &login)).collect();
    let seen: Vec<_> = streams.into_iter().map(status).collect();
    assert!(seen.iter().all(|seen| [(201, false), (503, true)].contains(seen)), "{seen:?}");
    assert!(seen.contains(&(201, false)) && seen.contains(&(503, true)), "{seen:?}");
    service.log_in(&username(&database, 8));
}

#[test]
fn asked_to_end_it_answers_what_it_has_accepted_and_exits_well() {
    let database = database();
    let mut service = Service::start(&database, &[("GRACE", "5")]);
    let stop = Arc::new(AtomicBool::new(false));
    let cut_off = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut good = 0;
                while !stop.load(Ordering::Relaxed) {
                    // A kept connection may be closed in the moment in which something is sent on it.
                    let fresh = &[("connection", "close")];
                    match service.try_ask(Method::GET, "/blog/api/posts?limit=50", fresh, None) {
                        Some(answer) => {
                            assert_eq!(answer.status, 200);
                            good += 1;
                        }
                        None if good == 0 => {}
                        None => {
                            // A new connection is refused; an accepted request was answered.
                            let address = service.url.trim_start_matches("http://").to_owned();
                            if TcpStream::connect(address).is_ok() {
                                cut_off.fetch_add(1, Ordering::Relaxed);
                            }
                            return;
                        }
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        service.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(service.wait().success());
    assert_eq!(cut_off.load(Ordering::Relaxed), 0);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    until("its connections are closed", || (database.value(left) == "0").then_some(()));
}

/// A database that hangs does not keep it: all there is to do has one grace time.
#[test]
fn asked_to_end_with_a_database_that_hangs_it_ends_within_its_grace() {
    let database = database();
    let mut service = Service::start(&database, &[("CACHE", "off"), ("GRACE", "2")]);
    let postmaster = postmaster(database.pid());
    let all = [crate::processes::children(postmaster), vec![postmaster]].concat();
    let everyone = |signal| all.iter().for_each(|pid| crate::processes::signal(*pid, signal));
    everyone(Signal::STOP);
    let hanging = [
        service.send("GET", "/api/users/7", &[], ""),
        service.send("GET", "/blog/api/categories", &[], ""),
    ];
    std::thread::sleep(Duration::from_millis(200)); // they are under way
    let began = Instant::now();
    service.signal(Signal::TERM);
    let ended = service.wait();
    let took = began.elapsed();
    everyone(Signal::CONT);
    drop(hanging);
    assert!(ended.success(), "{ended}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// Also while it starts: here it waits for a Redis that says nothing.
#[test]
fn asked_to_end_while_it_starts_it_exits_well() {
    let database = database();
    let redis = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", redis.local_addr().expect("its address"));
    let mut service = Service::launch(&database.dsn, &[("REDIS_URL", &url)]);
    let silent = redis.accept().expect("it connects");
    service.signal(Signal::TERM);
    let ended = service.wait();
    assert!(ended.success(), "{ended}");
    drop(silent);
}

#[test]
fn a_shared_client_keeps_its_connections_and_one_per_request_does_not() {
    let database = database();
    let beside = Service::start(&database, &[("ROLE", "cache")]);
    let mut answers = Vec::new();
    for (client, least, most) in [("per-request", 50.0, 60.0), ("shared", 0.0, 3.0)] {
        let env =
            [("CACHE", "off"), ("CACHE_SERVICE_URL", &beside.url), ("SESSION_CLIENT", client)];
        let service = Service::start(&database, &env);
        let before = beside.metric("http_connections_accepted_total");
        for id in 1..=50 {
            let answer = service.get(&format!("/api/users/{id}"));
            assert_eq!(answer.status, 200, "{}", answer.text);
            answers.push(answer.text);
        }
        assert_eq!(service.get("/api/users/99999").status, 404);
        let opened = beside.metric("http_connections_accepted_total") - before;
        assert!((least..=most).contains(&opened), "{client}: {opened}");
    }
    assert_eq!(answers[..50], answers[50..]);
    assert_eq!(beside.get("/cache/7").header("x-cache"), "memory");
}

/// A cache service that holds back the bodies of its answers, and counts the connections to it.
#[derive(Default)]
struct Upstream {
    /// Bodies that may be sent.
    free: Mutex<usize>,
    freed: Condvar,
    asked: AtomicUsize,
    opened: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Upstream {
    fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let upstream = Arc::new(Self::default());
        let shared = Arc::clone(&upstream);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let upstream = Arc::clone(&shared);
                upstream.opened.fetch_add(1, Ordering::SeqCst);
                let open = 1 + upstream.open.fetch_add(1, Ordering::SeqCst);
                upstream.most.fetch_max(open, Ordering::SeqCst);
                std::thread::spawn(move || {
                    upstream.talk(stream);
                    upstream.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (upstream, url)
    }

    fn let_go(&self, bodies: usize) {
        *self.free.lock().expect("not poisoned") += bodies;
        self.freed.notify_all();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn talk(&self, mut stream: TcpStream) -> Option<()> {
        let mut requests = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut line = String::new();
            requests.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let id: u64 = line.split(['/', ' ']).nth(3)?.parse().ok()?;
            while line.trim_end() != "" {
                line.clear();
                requests.read_line(&mut line).ok()?;
            }
            self.asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = match id {
                ..1000 => (
                    "200 OK",
                    json!({ "id": id, "username": "u", "email": "e", "full_name": "f", "bio": "b",
                        "created_at": "2024-01-02T03:04:05.000000Z" }),
                ),
                1000..2000 => ("404 Not Found", json!({ "error": "there is no such user" })),
                _ => ("503 Service Unavailable", json!({ "error": "too much to do" })),
            };
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).ok()?;
            let free = self.free.lock().expect("not poisoned");
            *self.freed.wait_while(free, |free| *free == 0).expect("not poisoned") -= 1;
            stream.write_all(body.as_bytes()).ok()?;
        }
    }
}

#[test]
fn no_more_than_thirty_connections_to_a_host_are_open_until_bodies_are_read() {
    let database = database();
    for client in ["shared", "per-request"] {
        let (upstream, url) = Upstream::start();
        let env = [("CACHE", "off"), ("CACHE_SERVICE_URL", &url), ("SESSION_CLIENT", client)];
        let service = Service::start(&database, &env);
        let path = |id: u64| format!("/api/users/{id}");
        let waiting: Vec<_> = (1..=100).map(|id| service.send("GET", &path(id), &[], "")).collect();
        for expected in [30, 31] {
            until("they have asked", || (upstream.asked() >= expected).then_some(()));
            std::thread::sleep(Duration::from_millis(200)); // for one too many to ask
            assert_eq!(upstream.asked(), expected, "{client}");
            upstream.let_go(1);
        }
        upstream.let_go(1000);
        for stream in waiting {
            assert_eq!(status(stream), (200, false), "{client}");
        }
        // It may come again later, and so may we.
        let busy = service.get(&path(2000));
        assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
        if client == "per-request" {
            assert_eq!(upstream.opened.load(Ordering::SeqCst), 101);
            continue;
        }
        for _ in 0..100 {
            assert_eq!(service.get(&path(1000)).status, 404);
        }
        let opened = upstream.opened.load(Ordering::SeqCst);
        let most = upstream.most.load(Ordering::SeqCst);
        assert_eq!((opened, most), (30, 30), "each is used again, whatever the answer");
    }
}
