use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pinchpoint_measure::Limit;

use crate::account::server_account;
use crate::cancel::Cancel;
use crate::cgroup::Asked;
use crate::error::StackError;
use crate::exec::Helper;
use crate::programs::{PoolerProgram, pooler_is_at_least};
use crate::supervised::{Exited, Supervised, free_port};

/// How to start a pooler in front of a server.
#[derive(Debug, Clone)]
pub struct PgBouncerOptions {
    /// The program.
    pub program: PoolerProgram,
    /// Settings of `[pgbouncer]`; they win over ours; the reader of experiments refuses
    /// those that we must own.
    pub settings: Vec<(String, String)>,
    /// CPUs that it may use.
    pub cpus: Option<f64>,
    /// Memory that it may use.
    pub memory_bytes: Option<u64>,
    /// The server behind it.
    pub server: Upstream,
    /// Where to keep its directory; the place of servers' directories when absent.
    pub base_dir: Option<PathBuf>,
}

/// The server behind a pooler, and the credentials that are good for both.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its host, for a server that is not ours; the loopback address otherwise.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The database.
    pub database: String,
    /// What the server keeps of the password (`SCRAM-SHA-256$…`), where it is known: with it a
    /// pooler checks a login without the 4,096 rounds of hashing that a password takes.
    pub verifier: Option<String>,
}

/// A private PgBouncer: started, watched and removed by us.
pub struct PgBouncer {
    process: Supervised,
    server: Upstream,
    port: u16,
    authentication: &'static str,
}

/// How a start went.
enum Start {
    Ready,
    /// Somebody else took the port before it did.
    PortTaken,
}

const NAME: &str = "PgBouncer";
const LOG: &str = "pgbouncer.log";
/// How many other ports are tried.
const ATTEMPTS: u32 = 4;
const READY_WITHIN: Duration = Duration::from_secs(10);

impl std::fmt::Debug for PgBouncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgBouncer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl PgBouncer {
    /// Starts a pooler and waits until it accepts connections. Its pool may still be filling.
    pub fn start(
        helper: &Helper,
        options: &PgBouncerOptions,
        cancel: &Cancel,
    ) -> Result<Self, StackError> {
        let base = options.base_dir.as_deref();
        let mut process = Supervised::new(helper, NAME, base, server_account()?, LOG)?;
        let asked = Asked { cpus: options.cpus, memory_bytes: options.memory_bytes };
        process.limit("pgbouncer", asked);
        let scram = pooler_is_at_least(&options.program.version, 1, 12);
        let authentication = if scram { "scram-sha-256" } else { "md5" };
        let mut pooler = Self { process, server: options.server.clone(), port: 0, authentication };
        pooler.start_on_a_port(options, cancel)?;
        Ok(pooler)
    }

    fn start_on_a_port(
        &mut self,
        options: &PgBouncerOptions,
        cancel: &Cancel,
    ) -> Result<(), StackError> {
        let account = self.process.account.clone();
        let verifier = self.server.verifier.as_ref().filter(|_| self.authentication != "md5");
        let secret = verifier.unwrap_or(&self.server.password);
        let users = user_list(&self.server.user, secret);
        let users = self.process.directory.write("userlist.txt", &users, account.as_ref())?;
        for attempt in 0_u32.. {
            self.port = free_port()?;
            let text = self.configuration(&users, &options.settings);
            let file = self.process.directory.write("pgbouncer.ini", &text, account.as_ref())?;
            let mut command = self.process.command(&options.program.path);
            command.arg(file);
            self.process.tidy(&mut command, LOG)?;
            self.process.start(command)?;
            match self.wait_until_ready(cancel)? {
                Start::Ready => return Ok(()),
                Start::PortTaken if attempt < ATTEMPTS => {
                    self.process.halt();
                    // The next attempt is judged by what it says itself.
                    let _ = fs::remove_file(self.process.log_path());
                }
                Start::PortTaken => {
                    return Err(StackError::Ended {
                        name: NAME.to_owned(),
                        status: "no free port".to_owned(),
                        log: self.process.log_tail(12),
                    });
                }
            }
        }
        Ok(())
    }

    fn wait_until_ready(&self, cancel: &Cancel) -> Result<Start, StackError> {
        let began = Instant::now();
        // It comes after the TCP port, and in our own directory it can only be ours.
        let socket = self.process.directory.path().join(format!(".s.PGSQL.{}", self.port));
        while began.elapsed() < READY_WITHIN {
            if cancel.is_cancelled() {
                return Err(StackError::Cancelled);
            }
            let ended = self.alive().err();
            // Some versions end, others go on with the Unix socket alone; a connection to the port
            // would then reach whoever has it.
            if self.log_tail(12).contains("ddress already in use") {
                return Ok(Start::PortTaken);
            }
            if let Some(Exited { name, status, log }) = ended {
                return Err(StackError::Ended { name, status, log });
            }
            if UnixStream::connect(&socket).is_ok()
                && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            {
                return Ok(Start::Ready);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(StackError::Silent {
            name: NAME.to_owned(),
            seconds: READY_WITHIN.as_secs(),
            log: self.log_tail(12),
        })
    }

    fn configuration(&self, users: &Path, settings: &[(String, String)]) -> String {
        let Upstream { host, port, user, password, database, .. } = &self.server;
        let mut text = String::from("[databases]\n");
        // With a user of its own there is one pool, which newer versions keep at `min_pool_size`
        // also while no client is there.
        text.push_str(&format!(
            "{database} = host={host} port={port} dbname={database} user={user} \
             password={password}\n\n[pgbouncer]\n"
        ));
        let directory = self.process.directory.path().display().to_string();
        let own = [
            ("listen_addr", "127.0.0.1".to_owned()),
            ("listen_port", self.port.to_string()),
            ("unix_socket_dir", directory),
            ("unix_socket_mode", "0700".to_owned()),
            ("auth_type", self.authentication.to_owned()),
            ("auth_file", users.display().to_string()),
            ("admin_users", user.clone()),
            ("stats_users", user.clone()),
        ];
        // After a failed login PgBouncer makes everybody wait for 15 s, longer than many a trial.
        let defaults = [("server_login_retry", "1")];
        let said = |name: &str| settings.iter().any(|(n, _)| n == name);
        let defaults = defaults.iter().filter(|(name, _)| !said(name));
        let lines = own
            .iter()
            .map(|(n, v)| (*n, v.as_str()))
            .chain(defaults.map(|(n, v)| (*n, *v)))
            .chain(settings.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        for (name, value) in lines {
            text.push_str(&format!("{name} = {}\n", value.replace(['\n', '\r'], " ")));
        }
        text
    }

    /// Where a client reaches it, with the credentials; `database` may be `pgbouncer`, its console.
    pub fn dsn(&self, database: &str) -> String {
        let Upstream { user, password, .. } = &self.server;
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The TCP port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How clients prove who they are: `scram-sha-256` or `md5`.
    pub const fn authentication(&self) -> &'static str {
        self.authentication
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

/// The user list: names and passwords in quotes, quotes doubled.
fn user_list(user: &str, password: &str) -> String {
    let quote = |text: &str| text.replace('"', "\"\"");
    format!("\"{}\" \"{}\"\n", quote(user), quote(password))
}
