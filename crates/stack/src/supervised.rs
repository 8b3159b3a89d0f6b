use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pinchpoint_measure::Limit;
use rustix::process::Signal;

use crate::account::Account;
use crate::cancel::Cancel;
use crate::cgroup::{self, Asked, Limits};
use crate::error::StackError;
use crate::exec::{Helper, Setup, command};
use crate::family::Family;
use crate::guard::{Guard, remove_directory};
use crate::keeper::Child;
use crate::last_words::{describe, tail};
use crate::run_directory::{RunDirectory, default_base_dir, sweep};

/// A process has ended by itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{name} ended by itself ({status}); the end of its log:\n{log}")]
pub struct Exited {
    /// `PostgreSQL`, `PgBouncer`, the application's name.
    pub name: String,
    /// How it ended: `exit status: 1`, `signal: 9 (SIGKILL)`.
    pub status: String,
    /// The end of its log.
    pub log: String,
}

const STOP_GRACE: Duration = Duration::from_secs(5);

/// A process of ours with all that belongs to it: a private directory, limits, a guard that removes
/// everything when we are killed. Dropping it stops the process and removes the rest.
pub(crate) struct Supervised {
    name: String,
    pub(crate) directory: RunDirectory,
    pub(crate) account: Option<Account>,
    pub(crate) limits: Limits,
    helper: Helper,
    log: &'static str,
    guard: Option<Guard>,
    pub(crate) child: Option<Child>,
    /// What asks it to end at once; the kernel's signal follows when that is not enough.
    stop_signal: Signal,
}

impl Supervised {
    /// Makes the directory and the guard; nothing runs yet. `account` is who the process runs as.
    pub(crate) fn new(
        helper: &Helper,
        name: &str,
        base_dir: Option<&Path>,
        account: Option<Account>,
        log: &'static str,
    ) -> Result<Self, StackError> {
        let base = base_dir.map_or_else(default_base_dir, Path::to_owned);
        sweep(&base);
        let directory = RunDirectory::create(&base, account.as_ref())?;
        let guard = match Guard::start(helper, directory.path()) {
            Ok(guard) => guard,
            Err(error) => {
                remove_directory(directory.path());
                return Err(error);
            }
        };
        Ok(Self {
            name: name.to_owned(),
            directory,
            account,
            limits: Limits::default(),
            helper: helper.clone(),
            log,
            guard: Some(guard),
            child: None,
            stop_signal: Signal::QUIT,
        })
    }

    /// Ends the process with this signal instead of a quit.
    pub(crate) fn stop_with(&mut self, signal: Signal) {
        self.stop_signal = signal;
    }

    /// Makes the control groups that the process will join.
    pub(crate) fn limit(&mut self, name: &str, asked: Asked) {
        self.limits = Limits::set(name, asked, Path::new(cgroup::ROOT), &self.directory.name());
        if let Some(guard) = &mut self.guard {
            for group in &self.limits.groups {
                guard.watch_group(group);
            }
        }
    }

    /// A command that runs a program as the process's user, without limits, for preparations.
    pub(crate) fn preparation(&self, program: &Path) -> Command {
        let setup = Setup { account: self.account.as_ref(), ..Setup::default() };
        command(&self.helper, &setup, program)
    }

    /// A command that runs a program as the process's user, within the limits.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let setup = Setup {
            cgroups: &self.limits.joining(),
            account: self.account.as_ref(),
            wrapper: &self.limits.wrapper(),
        };
        command(&self.helper, &setup, program)
    }

    /// Gives a command an environment, a directory and a log of its own.
    pub(crate) fn tidy(&self, command: &mut Command, log: &str) -> Result<(), StackError> {
        let out = self.directory.log(log)?;
        let err = out.try_clone().map_err(StackError::path("open", self.directory.path()))?;
        bare_environment(command, self.directory.path());
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(())
    }

    /// Starts the process itself.
    pub(crate) fn start(&mut self, command: Command) -> Result<(), StackError> {
        let child = Child::start(command)?;
        self.watch(&child);
        self.child = Some(child);
        Ok(())
    }

    /// Runs a preparation to its end.
    pub(crate) fn prepare(
        &mut self,
        command: Command,
        cancel: &Cancel,
    ) -> Result<std::process::ExitStatus, StackError> {
        let child = Child::start(command)?;
        self.watch(&child);
        loop {
            if let Some(status) = child.wait(Duration::from_millis(20)) {
                return Ok(status);
            }
            if cancel.is_cancelled() {
                child.signal(Signal::KILL);
                child.wait(STOP_GRACE);
                return Err(StackError::Cancelled);
            }
        }
    }

    fn watch(&mut self, child: &Child) {
        if let Some(guard) = &mut self.guard {
            guard.watch_process(child.pid());
        }
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.path().join(self.log)
    }

    pub(crate) fn log_tail(&self, lines: usize) -> String {
        tail(&self.log_path(), lines)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    pub(crate) fn report(&self) -> Vec<Limit> {
        self.limits.report.clone()
    }

    /// Whether it still runs; if not, how it ended.
    pub(crate) fn alive(&self) -> Result<(), Exited> {
        let gone = |status: String, log| Exited { name: self.name.clone(), status, log };
        match self.child.as_ref().map(Child::status) {
            Some(None) => Ok(()),
            Some(Some(status)) => Err(gone(describe(status), self.log_tail(12))),
            None => Err(gone("not started".to_owned(), String::new())),
        }
    }

    /// Stops the process and what it has started, and keeps the rest.
    pub(crate) fn halt(&mut self) {
        let Some(child) = self.child.take() else { return };
        let family = Family::of(child.pid());
        for signal in [self.stop_signal, Signal::KILL] {
            child.signal(signal);
            if child.wait(STOP_GRACE).is_some() {
                break;
            }
        }
        family.kill();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.halt();
        self.limits.remove();
        remove_directory(self.directory.path());
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

/// Leaves a command only what a program needs of our environment.
pub(crate) fn bare_environment(command: &mut Command, home: &Path) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        // A systemd scope is asked for over the user's bus.
        .envs(
            ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]
                .iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
        );
}

/// A TCP port on the loopback address that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, StackError> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| StackError::System { action: "find a free port", source })
}
