use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::StackError;

/// Our own executable, of which a copy sets up each child process and another guards it.
#[derive(Debug, Clone)]
pub struct Helper {
    /// Its path.
    pub exe: PathBuf,
}

/// What the child does before it becomes the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup<'a> {
    /// Control groups to join, by their `cgroup.procs` files.
    pub(crate) cgroups: &'a [PathBuf],
    /// The user to become.
    pub(crate) account: Option<&'a Account>,
    /// A program and its arguments that become the helper.
    pub(crate) wrapper: &'a [String],
}

/// A command that runs `program` after the set-up, in a session of its own, so that a terminal's
/// Ctrl-C does not reach it, and ends with us, whatever ends us.
pub(crate) fn command(helper: &Helper, setup: &Setup<'_>, program: &Path) -> Command {
    let mut command = match setup.wrapper.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(&helper.exe);
            command
        }
        None => Command::new(&helper.exe),
    };
    command.arg("__exec").arg("--parent").arg(std::process::id().to_string());
    for file in setup.cgroups {
        command.arg("--cgroup").arg(file);
    }
    if let Some(account) = setup.account {
        command.arg("--uid").arg(account.uid.to_string());
        command.arg("--gid").arg(account.gid.to_string());
    }
    command.arg("--").arg(program);
    command
}

/// The hidden subcommand `__exec`: returns only when it fails.
pub fn run_exec(arguments: Vec<OsString>) -> StackError {
    match prepare(arguments) {
        Ok(mut command) => {
            StackError::Child { action: "start the program", source: command.exec() }
        }
        Err(error) => error,
    }
}

fn prepare(arguments: Vec<OsString>) -> Result<Command, StackError> {
    let bad = || StackError::Hidden("__exec");
    let (mut parent, mut uid, mut gid, mut cgroups) = (None, None, None, Vec::new());
    let mut rest = arguments.into_iter();
    loop {
        let option = rest.next().ok_or_else(bad)?;
        if option == "--" {
            break;
        }
        let value = rest.next().ok_or_else(bad)?;
        let number = || value.to_str().and_then(|v| v.parse::<u32>().ok()).ok_or_else(bad);
        match option.to_str() {
            Some("--parent") => parent = Some(number()?),
            Some("--uid") => uid = Some(number()?),
            Some("--gid") => gid = Some(number()?),
            Some("--cgroup") => cgroups.push(PathBuf::from(value)),
            _ => return Err(bad()),
        }
    }
    let program = rest.next().ok_or_else(bad)?;
    let child = |action| move |source| StackError::Child { action, source };
    for file in cgroups {
        fs::write(file, "0").map_err(child("join a control group"))?;
    }
    rustix::process::setsid().map_err(io::Error::from).map_err(child("leave the session"))?;
    raise_file_limit();
    become_user(uid, gid).map_err(child("change the user"))?;
    die_with_parent(parent).map_err(child("tie the process to its parent"))?;
    let mut command = Command::new(program);
    command.args(rest);
    Ok(command)
}

/// As many files as the system allows: each client of a server is one. What cannot be raised shows
/// where the limit is met.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(target_os = "linux")]
fn become_user(uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
    // There is only this thread before the program is started, so a thread's user is the process's.
    if let Some(gid) = gid {
        set_thread_groups(&[])?;
        set_thread_gid(Gid::from_raw(gid))?;
    }
    if let Some(uid) = uid {
        set_thread_uid(Uid::from_raw(uid))?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn become_user(uid: Option<u32>, _gid: Option<u32>) -> io::Result<()> {
    match uid {
        None => Ok(()),
        Some(_) => Err(io::Error::other("run as an ordinary user on this system")),
    }
}

/// Asks for a quit signal when the parent dies. It comes after the change of user, which clears it.
#[cfg(target_os = "linux")]
fn die_with_parent(parent: Option<u32>) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::QUIT))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent.is_some() && parent != now {
        return Err(io::Error::other("the parent has gone"));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_parent: Option<u32>) -> io::Result<()> {
    Ok(())
}
