use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pinchpoint_measure::SqlLogFigures;
use pinchpoint_plan::Pace;
use pinchpoint_sql::{LogLayout, TransactionLog};

use crate::error::LabError;
use crate::sql_job::{SqlJob, SqlLog};

/// The transaction log of a trial, under way.
pub(crate) struct OpenLog {
    pub(crate) log: Arc<TransactionLog>,
    paths: Vec<PathBuf>,
}

impl OpenLog {
    /// Opens the files of a trial, one for each load thread, if the job wants a log.
    pub(crate) fn open(job: &SqlJob, trial: u32, threads: usize) -> Result<Option<Self>, LabError> {
        let Some(log) = &job.account.log else { return Ok(None) };
        let paths = paths(log, trial, threads, std::process::id());
        let mut files = Vec::with_capacity(paths.len());
        for path in &paths {
            let file = File::create(path)
                .map_err(|source| LabError::Directory { path: path.clone(), source })?;
            files.push(file);
        }
        let layout = LogLayout {
            lag: job.load.pace != Pace::FlatOut,
            retries: job.work.max_tries > 1,
            failures: job.account.failures_detailed,
            interval: log.interval_s.map(|s| Duration::from_secs(s.into())),
        };
        let log = Arc::new(TransactionLog::new(files, layout, log.share));
        Ok(Some(Self { log, paths }))
    }

    /// Waits until all lines are written, and says what became of them.
    pub(crate) fn finish(self) -> (SqlLogFigures, Option<LabError>) {
        let written = self.log.finish();
        let path = self.paths.first().cloned().unwrap_or_default();
        let error = written.error.map(|source| LabError::Directory { path, source });
        let files = self.paths.iter().map(|p| p.display().to_string()).collect();
        (SqlLogFigures { files, lines: written.lines, lost: written.lost }, error)
    }

    /// Takes the files away again, as nothing was run.
    pub(crate) fn discard(self) {
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }
}

/// `prefix.PID` for the first load thread, `prefix.PID.N` for another, as pgbench names them; the
/// second trial and later ones, which pgbench does not have, put their number behind the prefix.
fn paths(log: &SqlLog, trial: u32, threads: usize, process: u32) -> Vec<PathBuf> {
    let trial = if trial > 1 { format!("_{trial}") } else { String::new() };
    let first = format!("{}{trial}.{process}", log.prefix);
    let name = |thread| if thread == 0 { first.clone() } else { format!("{first}.{thread}") };
    (0..threads).map(|thread| Path::new(&name(thread)).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_pgbench_names_them() {
        let log = SqlLog { prefix: "logs/a".to_owned(), share: 1.0, interval_s: None };
        let names = |trial, threads| {
            let paths = paths(&log, trial, threads, 31073);
            paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(1, 2), ["logs/a.31073", "logs/a.31073.1"]);
        assert_eq!(names(2, 1), ["logs/a_2.31073"]);
    }
}
