//! `pinchpoint redis`: a private server, and what becomes of it.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use crate::command::pinchpoint;
use crate::processes::{assert_nothing_left, directories, processes, signal};
use crate::service::Redis;

/// What it answers on one connection, line by line.
fn answers(redis: &Redis, commands: &[&str]) -> Vec<String> {
    let place = redis.url.rsplit('@').next().expect("a place");
    let mut stream = TcpStream::connect(place).expect("a connection");
    let mut lines = BufReader::new(stream.try_clone().expect("its other half")).lines();
    let mut ask = |command: &&str| {
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("sent");
        lines.next().expect("an answer").expect("a line")
    };
    commands.iter().map(&mut ask).collect()
}

#[test]
fn a_private_redis_lets_nobody_in_without_its_password() {
    let redis = Redis::start();
    let refused = answers(&redis, &["PING", "GET a", "AUTH wrong", "PING"]);
    let reasons = ["-NOAUTH ", "-NOAUTH ", "-WRONGPASS ", "-NOAUTH "];
    assert!(refused.iter().zip(reasons).all(|(line, why)| line.starts_with(why)), "{refused:?}");
    let password = redis.url.strip_prefix("redis://:").and_then(|url| url.split_once('@'));
    let auth = format!("AUTH {}", password.expect("a password").0);
    assert_eq!(answers(&redis, &[&auth, "PING"]), ["+OK", "+PONG"]);
}

#[test]
fn a_private_redis_goes_when_its_input_ends() {
    let redis = Redis::start();
    let pid = redis.pid();
    assert_eq!(directories(pid).len(), 1);
    drop(redis);
    assert_nothing_left(pid);
}

#[test]
fn a_killed_command_takes_its_redis_with_it() {
    let redis = Redis::start();
    let pid = redis.pid();
    assert_eq!(directories(pid).len(), 1);
    let running = processes(pid);
    assert!(running.iter().any(|process| process.contains("redis-server")), "{running:?}");
    signal(pid, Signal::KILL);
    assert_nothing_left(pid);
}

#[test]
fn a_port_that_is_taken_is_named_for_redis_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let run = pinchpoint(&["redis", "--port", &port.to_string()]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("port {port} on 127.0.0.1 is taken")), "{}", run.stderr);
    assert_nothing_left(run.pid);
}
