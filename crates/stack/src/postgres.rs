use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pinchpoint_measure::Limit;
use rustix::process::Signal;

use crate::account::{Account, server_account};
use crate::cancel::Cancel;
use crate::cgroup::{self, Asked, Limits};
use crate::error::StackError;
use crate::exec::{Helper, Setup, command};
use crate::guard::{Guard, remove_directory};
use crate::keeper::Child;
use crate::last_words::{describe, tail};
use crate::run_directory::{RunDirectory, default_base_dir, sweep};
use crate::search::Installation;
use crate::{config, random};

/// How to start a server.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its programs.
    pub installation: Installation,
    /// Settings beyond the server's defaults, which are durable.
    pub settings: Vec<(String, String)>,
    /// CPUs that its processes may use.
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

/// The server has ended by itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("PostgreSQL ended by itself ({status}); the end of its log:\n{log}")]
pub struct Exited {
    /// How it ended: `exit status: 1`, `signal: 9 (SIGKILL)`.
    pub status: String,
    /// The end of its log.
    pub log: String,
}

const USER: &str = "pinchpoint";
/// Longer socket paths do not fit into a socket address.
const SOCKET_PATH_MAX: usize = 100;
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_GRACE: Duration = Duration::from_secs(5);
const LOG: &str = "postgres.log";

/// A private server: started, watched and removed by us.
pub struct Postgres {
    directory: RunDirectory,
    account: Option<Account>,
    helper: Helper,
    options: PostgresOptions,
    limits: Limits,
    guard: Option<Guard>,
    child: Option<Child>,
    port: u16,
    password: String,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("directory", &self.directory.path())
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
        let base = options.base_dir.clone().unwrap_or_else(default_base_dir);
        sweep(&base);
        let account = server_account()?;
        let directory = RunDirectory::create(&base, account.as_ref())?;
        let guard = match Guard::start(helper, directory.path()) {
            Ok(guard) => guard,
            Err(error) => {
                remove_directory(directory.path());
                return Err(error);
            }
        };
        let mut postgres = Self {
            directory,
            account,
            helper: helper.clone(),
            options: options.clone(),
            limits: Limits::default(),
            guard: Some(guard),
            child: None,
            port: 0,
            password: random::hex(20)?,
        };
        postgres.init_db(cancel)?;
        postgres.limit();
        postgres.start_on_a_port(cancel)?;
        Ok(postgres)
    }

    fn init_db(&mut self, cancel: &Cancel) -> Result<(), StackError> {
        let account = self.account.as_ref();
        let secret = self.directory.write("password", &self.password, account)?;
        let setup = Setup { account, ..Setup::default() };
        let mut initdb = command(&self.helper, &setup, &self.program("initdb"));
        initdb
            .arg("--no-sync")
            .args(["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", secret.display()))
            .arg(format!("--pgdata={}", self.data_dir().display()));
        self.tidy(&mut initdb, "initdb.log")?;
        let child = Child::start(initdb)?;
        self.watch(&child);
        let status = loop {
            if let Some(status) = child.wait(Duration::from_millis(20)) {
                break status;
            }
            if cancel.is_cancelled() {
                child.signal(Signal::KILL);
                child.wait(STOP_GRACE);
                return Err(StackError::Cancelled);
            }
        };
        let _ = fs::remove_file(&secret);
        if status.success() {
            return Ok(());
        }
        Err(StackError::InitDb { output: tail(&self.directory.path().join("initdb.log"), 12) })
    }

    fn limit(&mut self) {
        let asked = Asked { cpus: self.options.cpus, memory_bytes: self.options.memory_bytes };
        self.limits = Limits::set(asked, Path::new(cgroup::ROOT), &self.directory.name());
        if let Some(guard) = &mut self.guard {
            for group in &self.limits.groups {
                guard.watch_group(group);
            }
        }
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
            let settings = config::text(self.port, self.directory.path(), &self.options.settings);
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
        if self.directory.path().as_os_str().len() > SOCKET_PATH_MAX {
            let source = std::io::Error::other("it is too long for the path of a socket");
            return Err(StackError::path("use", self.directory.path())(source));
        }
        let began = Instant::now();
        let setup = Setup {
            cgroups: &self.limits.joining(),
            account: self.account.as_ref(),
            wrapper: &self.limits.wrapper(),
        };
        let mut server = command(&self.helper, &setup, &self.program("postgres"));
        server.arg("-D").arg(self.data_dir());
        self.tidy(&mut server, LOG)?;
        let _ = fs::remove_file(self.data_dir().join("postmaster.pid"));
        let child = Child::start(server)?;
        self.watch(&child);
        self.child = Some(child);
        loop {
            if let Err(Exited { status, log }) = self.alive() {
                self.child = None;
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

    /// Gives a child an environment, a directory and a log of its own.
    fn tidy(&self, command: &mut Command, log: &str) -> Result<(), StackError> {
        let out = self.directory.log(log)?;
        let err = out.try_clone().map_err(StackError::path("open", self.directory.path()))?;
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // A systemd scope is asked for over the user's bus.
            .envs(
                ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]
                    .iter()
                    .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
            )
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        Ok(())
    }

    fn watch(&mut self, child: &Child) {
        if let Some(guard) = &mut self.guard {
            guard.watch_process(child.pid());
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        self.options.installation.bin_dir.join(name)
    }

    /// Where a client reaches it, with the credentials.
    pub fn dsn(&self, transport: Transport) -> String {
        let password = &self.password;
        match transport {
            Transport::Tcp => {
                format!("postgresql://{USER}:{password}@127.0.0.1:{}/postgres", self.port)
            }
            Transport::Unix => {
                let directory = percent_encode(&self.directory.path().to_string_lossy());
                format!("postgresql://{USER}:{password}@{directory}:{}/postgres", self.port)
            }
        }
    }

    /// The TCP port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The first process of the server.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Limits asked for, and whether they are in force.
    pub fn limits(&self) -> Vec<Limit> {
        self.limits.report.clone()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.directory.path().join(LOG), lines)
    }

    /// Whether it still runs; if not, how it ended.
    pub fn alive(&self) -> Result<(), Exited> {
        match self.child.as_ref().map(Child::status) {
            Some(None) => Ok(()),
            Some(Some(status)) => Err(Exited { status: describe(status), log: self.log_tail(12) }),
            None => Err(Exited { status: "not started".to_owned(), log: String::new() }),
        }
    }

    /// Stops it at once, without a checkpoint, as a crash of its processes would: `immediate`.
    pub fn crash(&mut self) -> Result<(), StackError> {
        let Some(child) = self.child.take() else { return Ok(()) };
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

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            // Its data is about to be removed, so there is nothing to write down first.
            for signal in [Signal::QUIT, Signal::KILL] {
                child.signal(signal);
                if child.wait(STOP_GRACE).is_some() {
                    break;
                }
            }
        }
        self.limits.remove();
        remove_directory(self.directory.path());
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

fn free_port() -> Result<u16, StackError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| StackError::System { action: "find a free port", source })
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => (b as char).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
