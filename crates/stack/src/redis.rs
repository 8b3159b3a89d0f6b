use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pinchpoint_measure::Limit;
use rustix::process::Signal;

use crate::account::server_account;
use crate::cancel::Cancel;
use crate::cgroup::Asked;
use crate::error::StackError;
use crate::exec::Helper;
use crate::programs::{find, first_line};
use crate::random::password;
use crate::supervised::{Exited, Supervised, free_port};

/// A Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisProgram {
    /// Its path.
    pub path: PathBuf,
    /// `7.0.15`.
    pub version: String,
}

/// Looks for redis-server: the path that the user named, the search path, the usual places.
pub fn find_redis(explicit: Option<&Path>) -> Result<RedisProgram, StackError> {
    let path = match explicit {
        Some(path) => path.to_owned(),
        None => find("redis-server").ok_or(StackError::NoRedis)?,
    };
    // Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=…
    let text = first_line(&path, &["--version"]).ok_or(StackError::NoRedis)?;
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    let version = version.ok_or(StackError::NoRedis)?.to_owned();
    Ok(RedisProgram { path, version })
}

/// How to start a Redis.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The program.
    pub program: RedisProgram,
    /// Settings of `redis.conf`; they win over ours, except where it listens and its password.
    pub settings: Vec<(String, String)>,
    /// CPUs that it may use.
    pub cpus: Option<f64>,
    /// Memory that it may use, all of it; what it keeps is bounded by its own `maxmemory`.
    pub memory_bytes: Option<u64>,
    /// The port on the loopback address; a free one when absent.
    pub port: Option<u16>,
    /// Where to keep its directory; the place of servers' directories when absent.
    pub base_dir: Option<PathBuf>,
}

/// A private Redis: started, watched and removed by us. It keeps nothing on disk unless its
/// settings say so, and then in its own directory, which is removed with it.
pub struct Redis {
    process: Supervised,
    port: u16,
    password: String,
}

const LOG: &str = "redis.log";
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Ours to say; an experiment file that names one of these is refused.
pub const REDIS_OWN: [&str; 9] = [
    "bind",
    "port",
    "requirepass",
    "dir",
    "daemonize",
    "logfile",
    "protected-mode",
    "unixsocket",
    "include",
];

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Redis {
    /// Starts a Redis and waits until it answers.
    pub fn start(
        helper: &Helper,
        options: &RedisOptions,
        cancel: &Cancel,
    ) -> Result<Self, StackError> {
        let base = options.base_dir.as_deref();
        let mut process = Supervised::new(helper, "Redis", base, server_account()?, LOG)?;
        process.stop_with(Signal::TERM);
        let asked = Asked { cpus: options.cpus, memory_bytes: options.memory_bytes };
        process.limit("redis", asked);
        let mut redis = Self { process, port: 0, password: password()? };
        redis.start_on_a_port(options, cancel)?;
        Ok(redis)
    }

    fn start_on_a_port(
        &mut self,
        options: &RedisOptions,
        cancel: &Cancel,
    ) -> Result<(), StackError> {
        for attempt in 0.. {
            self.port = options.port.map_or_else(free_port, Ok)?;
            let text = self.configuration(&options.settings);
            let account = self.process.account.clone();
            let file = self.process.directory.write("redis.conf", &text, account.as_ref())?;
            let mut command = self.process.command(&options.program.path);
            command.arg(file);
            self.process.tidy(&mut command, LOG)?;
            self.process.start(command)?;
            match self.wait_until_ready(cancel) {
                Err(Exited { log, .. }) if log.contains("Address already in use") => {
                    self.process.child = None;
                    if let Some(port) = options.port {
                        return Err(StackError::PortTaken { port });
                    }
                    if attempt >= 4 {
                        return Err(StackError::PortTaken { port: self.port });
                    }
                }
                Err(Exited { name, status, log }) => {
                    return Err(StackError::Ended { name, status, log });
                }
                Ok(true) => break,
                Ok(false) if cancel.is_cancelled() => return Err(StackError::Cancelled),
                Ok(false) => {
                    return Err(StackError::Silent {
                        name: "Redis".to_owned(),
                        seconds: READY_WITHIN.as_secs(),
                        log: self.process.log_tail(12),
                    });
                }
            }
        }
        Ok(())
    }

    fn wait_until_ready(&self, cancel: &Cancel) -> Result<bool, Exited> {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN && !cancel.is_cancelled() {
            self.alive()?;
            if self.answers() {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    /// Whether it takes the password and answers a PING: so it is ours, and ready.
    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            write!(stream, "AUTH {}\r\nPING\r\n", self.password)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(&answer == b"+OK\r\n+PONG\r\n")
        };
        ask().unwrap_or(false)
    }

    fn configuration(&self, settings: &[(String, String)]) -> String {
        let own = [
            ("bind", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("requirepass", self.password.clone()),
            ("dir", quoted(&self.process.directory.path().display().to_string())),
            ("daemonize", "no".to_owned()),
            ("protected-mode", "yes".to_owned()),
        ];
        let said = |name: &str| settings.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let defaults = [("save", "\"\""), ("appendonly", "no")];
        let mut text = String::new();
        for (name, value) in defaults.iter().filter(|(name, _)| !said(name)) {
            text.push_str(&format!("{name} {value}\n"));
        }
        for (name, value) in settings {
            text.push_str(&format!("{} {}\n", one_line(name), one_line(value)));
        }
        // Last, so that they win.
        for (name, value) in own {
            text.push_str(&format!("{name} {value}\n"));
        }
        text
    }

    /// Where a client reaches it, with the password: `redis://:…@127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The TCP port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Control groups that it is in.
    pub fn groups(&self) -> &[PathBuf] {
        &self.process.limits.groups
    }

    /// Limits asked for, and whether they are in force.
    pub fn limits(&self) -> Vec<Limit> {
        self.process.report()
    }

    /// Whether it still runs; if not, how it ended.
    pub fn alive(&self) -> Result<(), Exited> {
        self.process.alive()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
