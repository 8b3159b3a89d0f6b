//! A Redis of a test's own: a private directory, a socket, a password; killed with the test.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

pub(crate) struct Redis {
    directory: tempfile::TempDir,
    child: Option<Child>,
    settings: Vec<String>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut redis = Self { directory, child: None, settings };
        redis.again().await;
        redis
    }

    /// Starts it, or starts it again: empty, at the same place.
    pub(crate) async fn again(&mut self) {
        // A test that is killed takes its server with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "redis-server", "--port", "0", "--save", ""]);
        command.arg("--unixsocket").arg(self.socket()).args(["--requirepass", "secret"]);
        command.args(&self.settings).current_dir(self.directory.path()).kill_on_drop(true);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server");
        self.child = Some(child);
        for _ in 0..500 {
            if self.connection().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer");
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}?pass=secret", self.socket().display())
    }

    async fn connection(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    /// What some other client asks.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.connection().await.expect("a connection");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async(&mut connection).await.expect("an answer")
    }

    /// Ends every other client's connection and then does what some client asks, before any of them
    /// can come back. Says how many there were.
    pub(crate) async fn kill_others_and(&self, words: &[&str]) -> i64 {
        let mut connection = self.connection().await.expect("a connection");
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        pipe.cmd(words[0]).arg(&words[1..]).ignore();
        let (killed,) = pipe.query_async(&mut connection).await.expect("an answer");
        killed
    }

    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("an end");
        }
    }

    /// STOP or CONT.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("a server").to_string();
        let status = Command::new("kill").args([format!("-{signal}"), pid]).status().await;
        assert!(status.expect("kill").success());
    }
}
