use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use crate::cancel::Cancel;
use crate::error::StackError;
use crate::keeper::Child;
use crate::last_words::tail;
use crate::programs::{find, first_line};

/// A file of an application that ships inside the command.
#[derive(Debug, Clone, Copy)]
pub struct AppFile {
    /// Relative to the application's directory, with `/`.
    pub path: &'static str,
    /// What it holds.
    pub text: &'static str,
}

/// Where applications' files and their Python packages are kept over runs.
pub fn cache_dir() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("PINCHPOINT_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("pinchpoint")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/pinchpoint")))
        .unwrap_or_else(|| std::env::temp_dir().join("pinchpoint-cache"))
}

/// Writes an application's files into the cache, once for each content; gives their directory.
pub fn unpack(name: &str, files: &[AppFile]) -> Result<PathBuf, StackError> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        (file.path, file.text).hash(&mut hasher);
    }
    let directory = cache_dir().join(format!("apps/{name}-{:016x}", hasher.finish()));
    let done = directory.join(".complete");
    if done.is_file() {
        return Ok(directory);
    }
    for file in files {
        let path = directory.join(file.path);
        make(path.parent().unwrap_or(&directory))?;
        fs::write(&path, file.text).map_err(StackError::path("write", &path))?;
    }
    fs::write(&done, "").map_err(StackError::path("write", &done))?;
    Ok(directory)
}

/// A virtual environment with the packages of a requirements file: made once for each content and
/// each Python, and kept in the cache. `tell` hears when it has to be made.
pub fn ensure_venv(
    app: &str,
    requirements: &Path,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&str),
) -> Result<PathBuf, StackError> {
    let text = fs::read_to_string(requirements).map_err(StackError::path("read", requirements))?;
    let python = python()?;
    let version = first_line(&python, &["--version"]).ok_or(StackError::NoPython)?;
    let mut hasher = DefaultHasher::new();
    (&text, &version, &python).hash(&mut hasher);
    let venv = cache_dir().join(format!("venvs/{:016x}", hasher.finish()));
    let done = venv.join(".complete");
    if done.is_file() {
        return Ok(venv);
    }
    make(venv.parent().unwrap_or(&venv))?;
    let lock = venv.with_extension("lock");
    // Somebody else may be making the same one; it is there when the lock is ours.
    let held = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .map_err(StackError::path("open", &lock))?;
    while flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
        if cancel.is_cancelled() {
            return Err(StackError::Cancelled);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    if done.is_file() {
        return Ok(venv);
    }
    tell(&format!("installing the Python packages of {app} (once)"));
    let _ = fs::remove_dir_all(&venv);
    let log = venv.with_extension("log");
    let outcome = install(app, &python, &venv, requirements, &log, cancel);
    if outcome.is_err() {
        let _ = fs::remove_dir_all(&venv);
    }
    outcome?;
    fs::write(&done, "").map_err(StackError::path("write", &done))?;
    Ok(venv)
}

fn install(
    app: &str,
    python: &Path,
    venv: &Path,
    requirements: &Path,
    log: &Path,
    cancel: &Cancel,
) -> Result<(), StackError> {
    let mut make = Command::new(python);
    make.args(["-m", "venv"]).arg(venv);
    step(app, "python3 -m venv", make, log, cancel)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"])
        .args(["--no-deps", "--retries", "2", "-r"])
        .arg(requirements);
    step(app, "pip install", pip, log, cancel)
}

fn step(
    app: &str,
    what: &'static str,
    mut command: Command,
    log: &Path,
    cancel: &Cancel,
) -> Result<(), StackError> {
    let out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(log)
        .map_err(StackError::path("open", log))?;
    let err = out.try_clone().map_err(StackError::path("open", log))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let child = Child::start(command)?;
    loop {
        match child.wait(Duration::from_millis(50)) {
            Some(status) if status.success() => return Ok(()),
            Some(_) => {
                let output = tail(log, 6);
                return Err(StackError::Packages { app: app.to_owned(), step: what, output });
            }
            None if cancel.is_cancelled() => {
                child.signal(Signal::TERM);
                child.wait(Duration::from_secs(5));
                return Err(StackError::Cancelled);
            }
            None => {}
        }
    }
}

fn python() -> Result<PathBuf, StackError> {
    let named = std::env::var_os("PINCHPOINT_PYTHON").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(|| find("python3")).ok_or(StackError::NoPython)
}

/// The packages of a virtual environment and their versions, as it says itself.
pub fn package_versions(venv: &Path) -> Vec<(String, String)> {
    const SCRIPT: &str = "import importlib.metadata as m\n\
                          for d in m.distributions(): print(d.metadata['Name'].lower(), d.version)";
    let output =
        Command::new(venv.join("bin/python")).args(["-c", SCRIPT]).stdin(Stdio::null()).output();
    let Ok(output) = output else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn make(path: &Path) -> Result<(), StackError> {
    let made: io::Result<()> = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(StackError::path("create", path))
}
