//! The blog service for a test, with a database and a Redis of its own.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pinchpoint_dataset::{Blog, BlogSize};
use pinchpoint_sql::{Connection, Dsn, TlsSetup};
use reqwest::Method;
use rustix::process::Signal;

use crate::command::binary;
use crate::processes::until;
use crate::server::{Server, block_on};

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const USERS: u64 = 60;
pub(crate) const POSTS: u64 = 200;

/// A database with the blog and its accounts.
pub(crate) fn database() -> Server {
    database_with(&[])
}

/// The same on a server with settings of its own.
pub(crate) fn database_with(settings: &[&str]) -> Server {
    let server = Server::start(settings);
    fill(&server.dsn);
    server
}

/// Puts the blog and its accounts into a database.
pub(crate) fn fill(dsn: &str) {
    let dsn = Dsn::parse(dsn).expect("a DSN");
    block_on(async {
        let tls = TlsSetup::new(&dsn).expect("TLS");
        let mut admin = Connection::connect(&dsn, &tls).await.expect("a connection");
        let size = BlogSize { users: USERS, posts: POSTS, comments: 500 };
        let blog = Blog { size, seed: 1 };
        pinchpoint_dataset::ensure(&mut admin, &blog, &mut |_| true).await.expect("the blog");
        pinchpoint_dataset::make_accounts(&mut admin, PASSWORD).await.expect("accounts");
        pinchpoint_dataset::set_indexes(&mut admin, true).await.expect("indexes");
    });
}

/// A Redis from the command; gone when dropped.
pub(crate) struct Redis {
    child: Child,
    pub(crate) url: String,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(binary());
        command.args(["redis", "--until-eof"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        stdout.read_line(&mut url).expect("its URL");
        assert!(url.starts_with("redis://"), "no URL came, but {url:?}");
        Self { child, url: url.trim().to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A Redis of a test's own, without a password, which can be killed and started again.
pub(crate) struct MortalRedis {
    child: Child,
    port: u16,
}

impl MortalRedis {
    pub(crate) fn start() -> Self {
        let port = free_port();
        Self { child: Self::launch(port), port }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// At the same place, empty.
    pub(crate) fn again(&mut self) {
        self.child = Self::launch(self.port);
    }

    fn launch(port: u16) -> Child {
        // A test that is killed takes it along.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "redis-server", "--save", "", "--bind", "127.0.0.1"]);
        command.args(["--port", &port.to_string()]).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server");
        until("Redis listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        child
    }
}

impl Drop for MortalRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    address.expect("a port").port()
}

/// The service; killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Service {
    pub(crate) fn start(database: &Server, env: &[(&str, &str)]) -> Self {
        Self::start_on(&database.dsn, env)
    }

    /// With the database of this DSN.
    pub(crate) fn start_on(dsn: &str, env: &[(&str, &str)]) -> Self {
        let service = Self::launch(dsn, env);
        let began = Instant::now();
        while service.try_ask(Method::GET, "/readyz", &[], None).is_none_or(|a| a.status != 200) {
            assert!(began.elapsed() < Duration::from_secs(30), "the service does not get ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// Does not wait until it is ready.
    pub(crate) fn launch(dsn: &str, env: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(binary().with_file_name("pinchpoint-app-axum"));
        command.env_clear().env("DATABASE_URL", dsn);
        command.env("PORT", port.to_string()).env("POSTS", POSTS.to_string());
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let child = command.spawn().expect("the service starts");
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(20));
        let client = client.build().expect("a client");
        Self { child, url: format!("http://127.0.0.1:{port}"), client }
    }

    /// Sends this request on a connection of its own, and does not wait for an answer.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let place = self.url.trim_start_matches("http://");
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {place}\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "content-type: application/json\r\nconnection: close\r\n";
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(place).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }

    /// Nothing when the connection failed.
    pub(crate) fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Option<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        block_on(async {
            let answer = request.send().await.ok()?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let bytes = answer.bytes().await.ok()?.to_vec();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some(Answer { status, headers, text, bytes })
        })
    }

    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let answer = self.try_ask(method, path, headers, body);
        answer.unwrap_or_else(|| panic!("{path}: no answer"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None)
    }

    /// A metric's value: the sum of the series that begin so.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").text;
        let lines = text.lines().filter(|line| line.starts_with(series));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Logs in; the cookie to send from then on.
    pub(crate) fn log_in(&self, username: &str) -> String {
        let body = serde_json::json!({ "username": username, "password": PASSWORD }).to_string();
        let answer = self.ask(Method::POST, "/api/sessions", &[], Some(&body));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let cookie = answer.header("set-cookie");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        crate::processes::signal(self.child.id(), signal);
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("its status")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
