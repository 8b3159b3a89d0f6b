use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// System calls of a server that take longer on purpose, from now on and for as long as wanted.
///
/// A small library, compiled here and loaded into the server before libc, sleeps within the calls;
/// how long is in a file that both map. So the wait events of the server stay those of a slow disk.
#[derive(Debug)]
pub struct Delays {
    directory: tempfile::TempDir,
    file: File,
}

/// Which calls are slow. The numbers are those of `preload.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// Flushes of the write-ahead log.
    WalSync = 0,
    /// Reads of data files.
    DataRead = 1,
    /// Writes of data files.
    DataWrite = 2,
    /// Flushes of data files.
    DataSync = 3,
    /// Writes of the write-ahead log, for each 8 kB: a disk of so much bandwidth.
    WalWrite = 4,
}

impl Slow {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::WalSync, Self::DataRead, Self::DataWrite, Self::DataSync, Self::WalWrite];
}

const KINDS: u64 = Slow::ALL.len() as u64;

impl Delays {
    /// Compiles the library with `cc`; nothing is slow yet.
    pub fn new() -> Result<Self, String> {
        let explain = |e: std::io::Error| format!("failed to make the delays' directory: {e}");
        let directory = tempfile::tempdir().map_err(explain)?;
        // The server is another user than we are.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).map_err(explain)?;
        let path = directory.path().join("delays");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(explain)?;
        file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(explain)?;
        file.set_len(KINDS * 4).map_err(explain)?;
        let delays = Self { directory, file };
        compile(&delays.library())?;
        Ok(delays)
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("preload.so")
    }

    /// What the server needs in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), text(self.library())),
            ("PINCHPOINT_DELAYS".to_owned(), text(self.directory.path().join("delays"))),
        ]
    }

    /// Makes each of these calls take so much longer, at once.
    pub fn set(&self, slow: Slow, delay: Duration) -> Result<(), String> {
        let microseconds = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        self.file
            .write_all_at(&microseconds.to_ne_bytes(), slow as u64 * 4)
            .map_err(|e| format!("failed to set the delay of {slow:?}: {e}"))
    }
}

fn compile(library: &Path) -> Result<(), String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/preload.c");
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(library)
        .args([source, "-ldl"])
        .output()
        .map_err(|e| format!("failed to run cc: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("cc does not compile {source}:\n{}", String::from_utf8_lossy(&output.stderr)))
}
