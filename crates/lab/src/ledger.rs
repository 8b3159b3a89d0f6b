use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pinchpoint_measure::PredictionRecord;

/// More than anybody's ledger: a line has less than 2 kB.
const LARGEST: u64 = 256 << 20;

/// Why a ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} the ledger {path}: {source}")]
pub struct LedgerError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// What a ledger holds.
#[derive(Debug, Default)]
pub struct LedgerContent {
    /// Its records, oldest first.
    pub records: Vec<PredictionRecord>,
    /// Lines that are none.
    pub unreadable: usize,
}

/// The predictions of all runs with what became of them, in a file with a line of JSON for each.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger in this file, which need not be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> LedgerError {
        move |source| LedgerError { action, path: self.path.clone(), source }
    }

    /// Reads it. One that is not there holds nothing; a line that is no record is left out and
    /// counted.
    pub fn read(&self) -> Result<LedgerContent, LedgerError> {
        let failed = self.failed("read");
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(LedgerContent::default());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(&failed)?;
        let mut content = LedgerContent::default();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(record) => content.records.push(record),
                Err(_) => content.unreadable += 1,
            }
        }
        Ok(content)
    }

    /// Appends records, all or none of them. The file is made when it is not there, private to the
    /// user.
    pub fn append(&self, records: &[PredictionRecord]) -> Result<(), LedgerError> {
        let failed = self.failed("append to");
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| failed(e.into()))?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(&failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(&failed)?;
        // Another run may end at the same time; the lock goes with the file.
        file.lock().map_err(&failed)?;
        let length = file.metadata().map_err(&failed)?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1).map_err(&failed)?;
        }
        if last != [b'\n'] {
            // Somebody was interrupted in the middle of a line: it must not swallow ours.
            lines.insert(0, b'\n');
        }
        file.write_all(&lines).map_err(|error| {
            // A full disk must not leave half a line for the next run to go on with.
            let _ = file.set_len(length);
            failed(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use pinchpoint_measure::{Judgement, Prediction};

    use super::*;

    fn judged(run: &str) -> [PredictionRecord; 1] {
        let mut prediction = Prediction {
            from: "1".to_owned(),
            lever: "pool".to_owned(),
            range_per_s: [150.0, 300.0],
            basis: "why".to_owned(),
            measured_per_s: Some(200.0),
            judgement: Some(Judgement::Held),
            ..Prediction::default()
        };
        prediction.seal(run.to_owned());
        [PredictionRecord { run: run.to_owned(), prediction, ..PredictionRecord::default() }]
    }

    #[test]
    fn runs_are_appended_to_a_private_file_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(directory.path().join("deep/inside/ledger.jsonl"));
        assert!(ledger.read().unwrap().records.is_empty(), "not there yet");
        for run in ["one", "two"] {
            ledger.append(&judged(run)).unwrap();
        }
        let content = ledger.read().unwrap();
        let runs: Vec<_> = content.records.iter().map(|r| r.run.as_str()).collect();
        assert_eq!((runs, content.unreadable), (vec!["one", "two"], 0));
        assert_eq!(content.records[0].prediction.seal_holds(), Some(true));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(ledger.path()), 0o600);
        assert_eq!(mode(ledger.path().parent().unwrap()), 0o700);
    }

    #[test]
    fn half_a_line_costs_itself_only() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(directory.path().join("ledger.jsonl"));
        ledger.append(&judged("one")).unwrap();
        let whole = fs::read(ledger.path()).unwrap();
        fs::write(ledger.path(), &whole[..whole.len() / 2]).unwrap();
        ledger.append(&judged("two")).unwrap();
        let content = ledger.read().unwrap();
        assert_eq!((content.records.len(), content.unreadable), (1, 1));
        assert_eq!(content.records[0].run, "two");
    }

    #[test]
    fn runs_that_end_together_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(directory.path().join("ledger.jsonl"));
        std::thread::scope(|scope| {
            for n in 0..8 {
                let ledger = &ledger;
                scope.spawn(move || ledger.append(&judged(&format!("run {n}"))).unwrap());
            }
        });
        let content = ledger.read().unwrap();
        assert_eq!((content.records.len(), content.unreadable), (8, 0));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let ledger = Ledger::at(directory.path().join("file/ledger.jsonl"));
        let error = ledger.append(&judged("one")).unwrap_err().to_string();
        assert!(error.starts_with("failed to append to the ledger "), "{error}");
        assert!(error.contains("file/ledger.jsonl"), "{error}");
    }
}
