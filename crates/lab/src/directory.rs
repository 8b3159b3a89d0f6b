use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pinchpoint_measure::{Event, RunResult};

use crate::clock;
use crate::error::LabError;

/// Where a run's result goes. It is made before the first process starts, so that a bad path fails
/// at once; files are private to the user.
#[derive(Debug)]
pub(crate) struct ResultDirectory {
    path: PathBuf,
    events: BufWriter<File>,
}

impl ResultDirectory {
    /// Makes `chosen`, or `results/<experiment>-<time>`. A directory that already holds a result is
    /// refused.
    pub(crate) fn create(chosen: Option<&Path>, experiment: &str) -> Result<Self, LabError> {
        let path = match chosen {
            Some(path) => path.to_owned(),
            None => fresh(experiment),
        };
        let failed = |source| LabError::Directory { path: path.clone(), source };
        if path.join("result.json").exists() {
            let source = io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it already holds a result; name another directory",
            );
            return Err(failed(source));
        }
        make(&path).map_err(failed)?;
        make(&path.join("logs")).map_err(failed)?;
        make(&path.join("histograms")).map_err(failed)?;
        let events = private_file(&path.join("logs/events.jsonl")).map_err(failed)?;
        Ok(Self { events: BufWriter::new(events), path })
    }

    /// Opens a directory that holds a result, to go on with it.
    pub(crate) fn reopen(chosen: Option<&Path>) -> Result<Self, LabError> {
        let path = chosen.unwrap_or_else(|| Path::new("results")).to_owned();
        let failed = |source| LabError::Directory { path: path.clone(), source };
        if !path.join("result.json").is_file() {
            let source = io::Error::new(io::ErrorKind::NotFound, "it holds no result.json");
            return Err(failed(source));
        }
        make(&path.join("logs")).map_err(failed)?;
        make(&path.join("histograms")).map_err(failed)?;
        let events = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path.join("logs/events.jsonl"))
            .map_err(failed)?;
        Ok(Self { events: BufWriter::new(events), path })
    }

    /// The result that is in the directory.
    pub(crate) fn read_result(&self) -> Result<RunResult, LabError> {
        let path = self.path.join("result.json");
        let failed = |source| LabError::Directory { path: path.clone(), source };
        let text = fs::read_to_string(&path).map_err(failed)?;
        RunResult::from_json(&text).map_err(|e| failed(io::Error::other(e)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `result.json` under another name first, so that a reader never sees half of it.
    pub(crate) fn write_result(&self, result: &RunResult) -> Result<(), LabError> {
        let target = self.path.join("result.json");
        let temporary = self.path.join(".result.json.new");
        let failed = |source| LabError::Directory { path: target.clone(), source };
        let text = result.to_json().map_err(|e| failed(io::Error::other(e)))?;
        let mut file = private_file(&temporary).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&temporary, &target).map_err(failed)
    }

    /// Keeps an event; progress ticks are for the eye only.
    pub(crate) fn keep_event(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. } | Event::Seeding { .. }) {
            return;
        }
        // The event file is a convenience: the result itself reports what cannot be written.
        if serde_json::to_writer(&mut self.events, event).is_ok() {
            let _ = self.events.write_all(b"\n").and_then(|()| self.events.flush());
        }
    }

    /// Opens the histogram log of a trial.
    pub(crate) fn histogram_log(&self, variant: &str, trial: u32) -> Result<File, LabError> {
        let path = self.path.join(format!("histograms/{}-{trial}.hlog", file_name(variant)));
        private_file(&path).map_err(|source| LabError::Directory { path, source })
    }

    /// Keeps a text under `logs/`.
    pub(crate) fn keep_log(&self, name: &str, text: &str) {
        if let Ok(mut file) = private_file(&self.path.join("logs").join(name)) {
            let _ = file.write_all(text.as_bytes());
        }
    }
}

/// A name of its own under `results/`, also for two runs begun in the same second.
fn fresh(experiment: &str) -> PathBuf {
    let name = format!("{experiment}-{}", clock::name_of(SystemTime::now()));
    let first = Path::new("results").join(&name);
    let mut path = first.clone();
    for n in 2.. {
        if !path.exists() {
            break;
        }
        path = first.with_file_name(format!("{name}-{n}"));
    }
    path
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A variant's name as part of a file name.
fn file_name(variant: &str) -> String {
    variant.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
