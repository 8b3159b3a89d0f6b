//! How a process ended, and what it said last.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// How it ended, for people.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "killed by SIGKILL".to_owned(),
        Some(signal) => format!("ended by signal {signal}"),
        None => status.to_string(),
    }
}

/// The last lines of a file; nothing when it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
