//! The example does what it says.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// Beside this test's own program, where cargo builds it with the tests, or now.
async fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/service");
    if !program.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--example", "service"]);
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().await.unwrap().success());
    }
    program
}

/// How the cache answered, and with what.
async fn ask(address: &str, method: &str, path: &str) -> (String, String) {
    let mut stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let how = head.lines().find_map(|line| line.strip_prefix("x-cache: ")).unwrap();
    (how.to_owned(), body.trim().to_owned())
}

#[tokio::test]
async fn the_example_caches_and_forgets() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut service = Command::new(example().await);
    service.arg(&address).env_remove("REDIS_URL").kill_on_drop(true);
    let _service = service.spawn().unwrap();
    let is = |how: &str, body: &str| (how.to_owned(), body.to_owned());
    let asked = async {
        assert_eq!(ask(&address, "GET", "/7").await, is("miss", "Some(49)"));
        assert_eq!(ask(&address, "GET", "/7").await, is("memory", "Some(49)"));
        assert_eq!(ask(&address, "GET", "/4294967296").await, is("miss", "None"));
        assert_eq!(ask(&address, "GET", "/4294967296").await, is("memory", "None"));
        assert_eq!(ask(&address, "DELETE", "/7").await, is("miss", "Some(49)"));
        assert_eq!(ask(&address, "GET", "/7").await, is("memory", "Some(49)"));
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.expect("answers");
}
