//! Programs of the stack beside PostgreSQL: where they are and which version they have.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::StackError;

/// Directories outside the search path in which servers' programs are often kept.
const USUAL: [&str; 5] =
    ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"];

/// A PgBouncer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolerProgram {
    /// Its path.
    pub path: PathBuf,
    /// `1.18.0`.
    pub version: String,
}

/// Looks for PgBouncer: the path that the user named, the search path, the usual places.
pub fn find_pgbouncer(explicit: Option<&Path>) -> Result<PoolerProgram, StackError> {
    let path = match explicit {
        Some(path) => path.to_owned(),
        None => find("pgbouncer").ok_or(StackError::NoPgBouncer)?,
    };
    let text = first_line(&path, &["--version"]).ok_or(StackError::NoPgBouncer)?;
    let version = text.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(PoolerProgram { path, version })
}

/// A program of this name: in the search path, or in a usual place.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(USUAL.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Whether a version such as `1.18.0` is at least `major.minor`.
pub fn pooler_is_at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

/// What a program prints first.
pub(crate) fn first_line<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(pooler_is_at_least("1.18.0", 1, 12));
        assert!(!pooler_is_at_least("1.9", 1, 12));
        assert!(pooler_is_at_least("2.0", 1, 21));
        assert!(!pooler_is_at_least("", 1, 0));
    }
}
