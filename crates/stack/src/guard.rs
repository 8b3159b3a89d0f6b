use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup;
use crate::error::StackError;
use crate::exec::Helper;

/// A process of our own that removes what is left when we are killed.
///
/// It reads what to remove from a pipe that we hold open. The pipe's end without the word `done`
/// means that we have gone, however that came about.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
}

impl Guard {
    pub(crate) fn start(helper: &Helper, directory: &Path) -> Result<Self, StackError> {
        let child = Command::new(&helper.exe)
            .arg("__guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| StackError::System { action: "start the guard", source })?;
        let mut guard = Self { child };
        guard.tell("directory", &directory.to_string_lossy());
        Ok(guard)
    }

    pub(crate) fn watch_group(&mut self, group: &Path) {
        self.tell("cgroup", &group.to_string_lossy());
    }

    pub(crate) fn watch_process(&mut self, pid: u32) {
        let started = start_time(pid).unwrap_or_default();
        self.tell("process", &format!("{pid} {started}"));
    }

    fn tell(&mut self, what: &str, value: &str) {
        if let Some(pipe) = &mut self.child.stdin {
            let _ = writeln!(pipe, "{what} {value}");
        }
    }

    /// Everything has been removed; the guard may go.
    pub(crate) fn dismiss(mut self) {
        self.tell("done", "");
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The hidden subcommand `__guard`.
pub fn run_guard(arguments: &[OsString]) -> Result<(), StackError> {
    if !arguments.is_empty() {
        return Err(StackError::Hidden("__guard"));
    }
    // A terminal's signals are for the command, not for its guard.
    let _ = rustix::process::setsid();
    let mut left = Left::default();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match line.split_once(' ') {
            Some(("done", _)) => return Ok(()),
            Some(("directory", path)) => left.directory = Some(PathBuf::from(path)),
            Some(("cgroup", path)) => left.groups.push(PathBuf::from(path)),
            Some(("process", text)) => {
                let (pid, started) = text.split_once(' ').unwrap_or((text, ""));
                if let Ok(pid) = pid.parse() {
                    left.processes.push((pid, started.to_owned()));
                }
            }
            _ => return Err(StackError::Hidden("__guard")),
        }
    }
    left.remove();
    Ok(())
}

/// What was there when its owner died.
#[derive(Debug, Default)]
struct Left {
    directory: Option<PathBuf>,
    groups: Vec<PathBuf>,
    processes: Vec<(u32, String)>,
}

impl Left {
    fn remove(&self) {
        for (signal, patience) in [(Signal::QUIT, 5), (Signal::KILL, 5)] {
            self.signal(signal);
            let deadline = Instant::now() + Duration::from_secs(patience);
            while self.any_alive() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for group in &self.groups {
            cgroup::kill_members(group);
            let _ = cgroup::remove_group(group);
        }
        if let Some(directory) = &self.directory {
            remove_directory(directory);
        }
    }

    fn signal(&self, signal: Signal) {
        for (pid, started) in &self.processes {
            if alive(*pid, started)
                && let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, signal);
            }
        }
    }

    fn any_alive(&self) -> bool {
        self.processes.iter().any(|(pid, started)| alive(*pid, started))
    }
}

/// Removes a run directory; the last processes may still be writing into it.
pub(crate) fn remove_directory(directory: &Path) {
    for _ in 0..50 {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(40));
            }
            _ => return,
        }
    }
}

/// Whether the process is there, and still the same one.
pub(crate) fn alive(pid: u32, started: &str) -> bool {
    match start_time(pid) {
        Some(now) => now == started,
        // Without /proc there is only the number to go by.
        None if cfg!(target_os = "linux") => false,
        None => i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
    }
}

/// When a process started, as the kernel counts it: with the number it names a process for good.
/// `None` when there is no such process, or only its remains.
pub(crate) fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows it is regular.
    let rest = stat.rsplit_once(") ")?.1;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (state != "Z").then(|| started.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let me = std::process::id();
        if cfg!(target_os = "linux") {
            let started = start_time(me).unwrap();
            assert!(alive(me, &started));
            assert!(!alive(me, "1"), "another process with the same number");
        }
        assert!(run_guard(&["x".into()]).is_err());
    }
}
