use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::account::Account;
use crate::cgroup::{ROOT, sweep_groups};
use crate::error::StackError;
use crate::random;

const PREFIX: &str = "pinchpoint-";
/// Held by the owner for as long as it lives.
const OWNER: &str = "owner.lock";
/// A directory younger than this may not have its lock yet.
const TOO_YOUNG: Duration = Duration::from_secs(10);

/// The private directory of one server: data, socket, log, configuration.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    /// Holds the lock.
    _owner: File,
}

/// Where servers keep their data by default: a place that is on a disk. `/tmp` often is not.
pub fn default_base_dir() -> PathBuf {
    let usual = Path::new("/var/tmp");
    if usual.is_dir() { usual.to_owned() } else { std::env::temp_dir() }
}

impl RunDirectory {
    pub(crate) fn create(base: &Path, account: Option<&Account>) -> Result<Self, StackError> {
        let name = format!("{PREFIX}{}-{}", std::process::id(), random::hex(4)?);
        let path = base.join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(StackError::path("create", &path))?;
        let lock = path.join(OWNER);
        let owner = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&lock)
            .map_err(StackError::path("create", &lock))?;
        flock(&owner, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            .map_err(StackError::path("lock", &lock))?;
        let directory = Self { path, _owner: owner };
        give_to(account, &directory.path)?;
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its last part, which is unique on this machine.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes a private file that belongs to the server's user.
    pub(crate) fn write(
        &self,
        name: &str,
        text: &str,
        account: Option<&Account>,
    ) -> Result<PathBuf, StackError> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(StackError::path("create", &path))?;
        file.write_all(text.as_bytes()).map_err(StackError::path("write", &path))?;
        give_to(account, &path)?;
        Ok(path)
    }

    /// Opens a log file to append to.
    pub(crate) fn log(&self, name: &str) -> Result<File, StackError> {
        let path = self.path.join(name);
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(StackError::path("open", &path))
    }
}

fn give_to(account: Option<&Account>, path: &Path) -> Result<(), StackError> {
    let Some(account) = account else { return Ok(()) };
    let (uid, gid) =
        (rustix::process::Uid::from_raw(account.uid), rustix::process::Gid::from_raw(account.gid));
    rustix::fs::chown(path, Some(uid), Some(gid))
        .map_err(io::Error::from)
        .map_err(StackError::path("change the owner of", path))
}

/// Removes run directories, and the control groups of the same name, whose owners have died without
/// a guard left to do it. Only what bears
/// our name, lies directly below `base` and is not locked is touched.
pub(crate) fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let me = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Ok(metadata) = entry.metadata() else { continue };
        let old = metadata.modified().ok().and_then(|m| m.elapsed().ok()) > Some(TOO_YOUNG);
        let mine = me == 0 || metadata.uid() == me;
        if !(ours && metadata.is_dir() && old && mine) {
            continue;
        }
        // Its owner may be another user, who may have put a pipe or a link in the lock's place.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let lock = OpenOptions::new()
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(entry.path().join(OWNER));
        let Ok(lock) = lock else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            sweep_groups(&entry.file_name().to_string_lossy(), Path::new(ROOT));
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
