use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pinchpoint_measure::Limit;
use rustix::process::Signal;

use crate::account::server_account;
use crate::cancel::Cancel;
use crate::cgroup::Asked;
use crate::error::StackError;
use crate::exec::Helper;
use crate::last_words::tail;
use crate::search::Installation;
use crate::supervised::{Exited, Supervised, free_port};
use crate::{config, random};

/// How to start a server.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its programs.
    pub installation: Installation,
    /// Settings beyond the server's defaults, which are durable.
    pub settings: Vec<(String, String)>,
    /// Variables of its environment, beside the few that it needs.
    pub environment: Vec<(String, String)>,
    /// CPUs that its processes may use. Infinity limits nothing, and prepares what
    /// [`Postgres::set_cpus`] needs.
    pub cpus: Option<f64>,
    /// Memory that its processes may use.
    pub memory_bytes: Option<u64>,
    /// The TCP port; a free one when absent.
    pub port: Option<u16>,
    /// Where to keep its directory; [`default_base_dir`] when absent.
    pub base_dir: Option<PathBuf>,
}

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP on the loopback address.
    Tcp,
    /// The Unix socket in the server's private directory.
    Unix,
}

const USER: &str = "pinchpoint";
/// Longer socket paths do not fit into a socket address.
const SOCKET_PATH_MAX: usize = 100;
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_GRACE: Duration = Duration::from_secs(5);
const LOG: &str = "postgres.log";

/// A private server: started, watched and removed by us.
pub struct Postgres {
    process: Supervised,
    options: PostgresOptions,
    port: u16,
    password: String,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("directory", &self.directory())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Makes a cluster in a private directory and starts a server on it.
    ///
    /// On any error, and when cancelled, nothing is left behind.
    pub fn start(
        helper: &Helper,
        options: &PostgresOptions,
        cancel: &Cancel,
    ) -> Result<Self, StackError> {
        let base = options.base_dir.as_deref();
        let process = Supervised::new(helper, "PostgreSQL", base, server_account()?, LOG)?;
        let mut postgres =
            Self { process, options: options.clone(), port: 0, password: random::hex(20)? };
        postgres.init_db(cancel)?;
        let asked = Asked { cpus: options.cpus, memory_bytes: options.memory_bytes };
        postgres.process.limit("postgres", asked);
        postgres.start_on_a_port(cancel)?;
        Ok(postgres)
    }

    fn init_db(&mut self, cancel: &Cancel) -> Result<(), StackError> {
        let process = &mut self.process;
        let secret =
            process.directory.write("password", &self.password, process.account.as_ref())?;
        let mut initdb = process.preparation(&self.options.installation.bin_dir.join("initdb"));
        initdb
            .arg("--no-sync")
            .args(["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", secret.display()))
            .arg(format!("--pgdata={}", process.directory.path().join("data").display()));
        process.tidy(&mut initdb, "initdb.log")?;
        let status = process.prepare(initdb, cancel)?;
        let _ = fs::remove_file(&secret);
        if status.success() {
            return Ok(());
        }
        Err(StackError::InitDb { output: tail(&process.directory.path().join("initdb.log"), 12) })
    }

    /// Starts the server on the port asked for, or on a free one; somebody else may take a free
    /// port before the server does, so that is tried again.
    fn start_on_a_port(&mut self, cancel: &Cancel) -> Result<(), StackError> {
        let configuration = self.data_dir().join("postgresql.conf");
        let base =
            fs::read_to_string(&configuration).map_err(StackError::path("read", &configuration))?;
        for attempt in 0.. {
            self.port = match self.options.port {
                Some(port) => port,
                None => free_port()?,
            };
            let settings = config::text(self.port, self.directory(), &self.options.settings);
            fs::write(&configuration, format!("{base}{settings}"))
                .map_err(StackError::path("write", &configuration))?;
            let taken = match self.launch(cancel) {
                Err(StackError::Start { log, .. }) if log.contains("ddress already in use") => log,
                other => return other.map(|_| ()),
            };
            if let Some(port) = self.options.port {
                return Err(StackError::PortTaken { port });
            }
            if attempt == 4 {
                return Err(StackError::Start { status: "no free port".to_owned(), log: taken });
            }
        }
        Ok(())
    }

    /// Starts the server and waits until it answers.
    fn launch(&mut self, cancel: &Cancel) -> Result<Duration, StackError> {
        if self.directory().as_os_str().len() > SOCKET_PATH_MAX {
            let source = std::io::Error::other("it is too long for the path of a socket");
            return Err(StackError::path("use", self.directory())(source));
        }
        let began = Instant::now();
        let mut server = self.process.command(&self.options.installation.bin_dir.join("postgres"));
        server.arg("-D").arg(self.data_dir());
        self.process.tidy(&mut server, LOG)?;
        server.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        let _ = fs::remove_file(self.data_dir().join("postmaster.pid"));
        self.process.start(server)?;
        loop {
            if let Err(Exited { status, log, .. }) = self.alive() {
                self.process.child = None;
                return Err(StackError::Start { status, log });
            }
            if self.says_ready() {
                return Ok(began.elapsed());
            }
            if cancel.is_cancelled() {
                return Err(StackError::Cancelled);
            }
            if began.elapsed() > READY_WITHIN {
                let (seconds, log) = (READY_WITHIN.as_secs(), self.log_tail(12));
                return Err(StackError::NotReady { seconds, log });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The server writes its state into the eighth line of its pid file.
    fn says_ready(&self) -> bool {
        fs::read_to_string(self.data_dir().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
    }

    fn directory(&self) -> &Path {
        self.process.directory.path()
    }

    /// Where a client reaches it, with the credentials.
    pub fn dsn(&self, transport: Transport) -> String {
        let password = &self.password;
        match transport {
            Transport::Tcp => {
                format!("postgresql://{USER}:{password}@127.0.0.1:{}/postgres", self.port)
            }
            Transport::Unix => {
                let directory = percent_encode(&self.directory().to_string_lossy());
                format!("postgresql://{USER}:{password}@{directory}:{}/postgres", self.port)
            }
        }
    }

    /// The TCP port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The database that it has.
    pub const fn database(&self) -> &'static str {
        "postgres"
    }

    /// Control groups that its processes are in.
    pub fn groups(&self) -> &[PathBuf] {
        &self.process.limits.groups
    }

    /// The first process of the server.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// CPUs and bytes of memory that it was started with leave to use; absent without a limit.
    pub const fn limits_asked(&self) -> (Option<f64>, Option<u64>) {
        let cpus = match self.options.cpus {
            Some(cpus) if cpus.is_finite() => Some(cpus),
            _ => None,
        };
        (cpus, self.options.memory_bytes)
    }

    /// Limits asked for, and whether they are in force.
    pub fn limits(&self) -> Vec<Limit> {
        self.process.report()
    }

    /// CPUs that its processes may use, as it was started.
    pub const fn cpus(&self) -> Option<f64> {
        self.options.cpus
    }

    /// Changes how many CPUs its processes may use, from now on; infinity lifts the limit. Only
    /// where it was started with [`PostgresOptions::cpus`] and control groups carry that.
    pub fn set_cpus(&self, cpus: f64) -> Result<(), StackError> {
        self.process.limits.set_cpus(cpus)
    }

    /// Changes how much memory its processes may use, page cache included, from now on. Only where it
    /// was started with [`PostgresOptions::memory_bytes`] and control groups carry that.
    pub fn set_memory(&self, bytes: u64) -> Result<(), StackError> {
        self.process.limits.set_memory(bytes)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    /// Whether it still runs; if not, how it ended.
    pub fn alive(&self) -> Result<(), Exited> {
        self.process.alive()
    }

    /// Stops it at once, without a checkpoint, as a crash of its processes would: `immediate`.
    pub fn crash(&mut self) -> Result<(), StackError> {
        let Some(child) = self.process.child.take() else { return Ok(()) };
        child.signal(Signal::QUIT);
        if child.wait(STOP_GRACE * 2).is_none() {
            child.signal(Signal::KILL);
            child.wait(STOP_GRACE);
        }
        Ok(())
    }

    /// Starts it again after a crash, or after it ended by itself; says how long recovery took.
    pub fn restart(&mut self, cancel: &Cancel) -> Result<Duration, StackError> {
        self.crash()?;
        let began = Instant::now();
        loop {
            match self.launch(cancel) {
                // Orphans of a killed server hold its shared memory for a moment.
                Err(StackError::Start { log, .. })
                    if began.elapsed() < STOP_GRACE && log.contains("still in use") =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
                Ok(_) => return Ok(began.elapsed()),
            }
        }
    }

    /// Stops it and removes all that was made for it.
    pub fn stop(self) {
        drop(self);
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => (b as char).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
