use std::io;
use std::path::{Path, PathBuf};

/// Why a process of the stack could not be found, started or kept.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// No `PostgreSQL` server programs.
    #[error(
        "no PostgreSQL server (initdb and postgres, version 14 or newer) was found; looked in:\n{}\n\
         install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install \
         postgresql-server; macOS: brew install postgresql@17), or name its directory with --pg-bin",
        looked.join("\n")
    )]
    NotFound {
        /// A line for each place and what was found there.
        looked: Vec<String>,
    },
    /// The directory that the user named has no usable server.
    #[error("{} is not a directory of PostgreSQL's server programs: {reason}", path.display())]
    NotAnInstallation {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    InitDb {
        /// The end of what it said.
        output: String,
    },
    /// The server did not start.
    #[error("PostgreSQL did not start ({status}); the end of its log:\n{log}")]
    Start {
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The CPU limit of a running process cannot be changed.
    #[error("the CPU limit cannot be changed while it runs: {why}")]
    NoCpuLimit {
        /// What stands in the way.
        why: String,
    },
    /// The memory limit of a running process cannot be changed.
    #[error("the memory limit cannot be changed while it runs: {why}")]
    NoMemoryLimit {
        /// What stands in the way.
        why: String,
    },
    /// No PgBouncer.
    #[error(
        "no pgbouncer was found in PATH or the usual places; install it (Debian, Ubuntu: apt-get \
         install pgbouncer; Fedora: dnf install pgbouncer; macOS: brew install pgbouncer), name it \
         with --pgbouncer, or leave its cases out with --only connection=direct"
    )]
    NoPgBouncer,
    /// No Redis.
    #[error(
        "no redis-server was found in PATH or the usual places; install it (Debian, Ubuntu: apt-get \
         install redis-server; Fedora: dnf install redis; macOS: brew install redis), or name it \
         with --redis"
    )]
    NoRedis,
    /// No Python that can make virtual environments.
    #[error(
        "no python3 (3.10 or newer) was found in PATH; install it with its venv module (Debian, \
         Ubuntu: apt-get install python3-venv), name it with PINCHPOINT_PYTHON, or leave the \
         Python applications out with --only language=Rust"
    )]
    NoPython,
    /// A virtual environment could not be made.
    #[error(
        "the Python packages of {app} could not be installed ({step}): {output}\n\
         it needs a network or a configured package index once; later runs use what is there"
    )]
    Packages {
        /// The application.
        app: String,
        /// `python3 -m venv`, `pip install`.
        step: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// A program of an application is nowhere.
    #[error("{app}: no program {program} was found {looked}")]
    NoProgram {
        /// The application.
        app: String,
        /// The program.
        program: String,
        /// Where was looked.
        looked: String,
    },
    /// A process ended before it was ready.
    #[error("{name} did not start ({status}); the end of its log:\n{log}")]
    Ended {
        /// `PgBouncer`, the application.
        name: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A process runs and does not answer.
    #[error("{name} did not answer within {seconds} s; the end of its log:\n{log}")]
    Silent {
        /// `PgBouncer`, the application.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// The port that the user chose is in use.
    #[error(
        "port {port} on 127.0.0.1 is taken; choose another, or leave the port out to get a free one"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The server runs and does not answer.
    #[error("PostgreSQL was not ready within {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A directory or file of the run.
    #[error("failed to {action} {}: {source}", path.display())]
    Path {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The caller is root, and servers refuse to run as root.
    #[error(
        "PostgreSQL refuses to run as root, and none of the users {tried} can be used instead; \
         create a user postgres, or run as an ordinary user"
    )]
    NoServerUser {
        /// The names tried.
        tried: String,
    },
    /// A child process could not be set up.
    #[error("failed to {action} in a child process: {source}")]
    Child {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The system gave no process, thread or random number.
    #[error("failed to {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A hidden subcommand was called with arguments that it does not know.
    #[error("the hidden subcommand {0} is for pinchpoint itself")]
    Hidden(&'static str),
    /// The user stopped it.
    #[error("interrupted")]
    Cancelled,
}

impl StackError {
    /// Whether it is only the user's wish to stop.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    pub(crate) fn path(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Path { action, path, source }
    }
}
