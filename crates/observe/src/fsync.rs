use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

const WRITES: usize = 64;
const BUDGET: Duration = Duration::from_millis(300);
/// One page of the WAL.
const PAGE: [u8; 8192] = [0x5a; 8192];

/// How long the file system under `dir` takes to make 8 kB durable: the median of up to 64 writes,
/// each followed by `fdatasync`, as `pg_test_fsync` does it.
///
/// It overwrites one page of a file that it creates and removes, so that allocation is not part
/// of the figure: the WAL recycles its segments as well. It stops after 300 ms, with whatever
/// writes were done (at least one).
///
/// # Errors
/// When the file cannot be created, written or synced.
pub fn fsync_probe(dir: &Path) -> io::Result<Duration> {
    let begin = Instant::now();
    let scratch = Scratch::create(dir)?;
    scratch.write_page()?;
    let mut times = Vec::with_capacity(WRITES);
    while times.len() < WRITES && (times.is_empty() || begin.elapsed() < BUDGET) {
        let start = Instant::now();
        scratch.write_page()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// A file of our own that is removed at the end, whatever happens.
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(format!(".pinchpoint-fsync-{}", process::id()));
        // Left by a process of the same number that was killed: `create_new` would refuse it.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| said("create", &path, &error))?;
        Ok(Self { file, path })
    }

    fn write_page(&self) -> io::Result<()> {
        self.file
            .write_all_at(&PAGE, 0)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| said("write and sync", &self.path, &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn said(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_something_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let median = fsync_probe(dir.path()).unwrap();
        assert!(median > Duration::ZERO && median <= begin.elapsed());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = fsync_probe(&dir.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("absent"), "{error}");
    }

    #[test]
    fn a_left_over_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!(".pinchpoint-fsync-{}", process::id()));
        fs::write(&path, "old").unwrap();
        fsync_probe(dir.path()).unwrap();
        assert!(!path.exists());
    }
}
