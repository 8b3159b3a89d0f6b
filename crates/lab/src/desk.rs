use std::fs::File;

use pinchpoint_measure::{Event, RunResult, Sink};

use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::ledger::Ledger;
use crate::remembered;
use crate::run::Finished;
use crate::sql_run::finish;

/// Where what happens is told and kept.
pub(crate) struct Desk<'a> {
    pub(crate) directory: Option<ResultDirectory>,
    pub(crate) sink: &'a mut dyn Sink,
}

impl Desk<'_> {
    pub(crate) fn tell(&mut self, event: &Event) {
        if let Some(directory) = &mut self.directory {
            directory.keep_event(event);
        }
        self.sink.event(event);
    }

    /// Where a trial's histograms go.
    pub(crate) fn histogram_log(&self, variant: &str, trial: u32) -> Result<File, LabError> {
        match &self.directory {
            Some(directory) => directory.histogram_log(variant, trial),
            None => File::options()
                .write(true)
                .open("/dev/null")
                .map_err(|source| LabError::Directory { path: "/dev/null".into(), source }),
        }
    }

    pub(crate) fn write(&self, result: &RunResult) -> Result<(), LabError> {
        self.directory.as_ref().map_or(Ok(()), |directory| directory.write_result(result))
    }

    /// Tells a warning, and keeps it in the result.
    pub(crate) fn warn(&mut self, result: &mut RunResult, text: String) {
        self.tell(&Event::Warning { text: text.clone() });
        result.warnings.push(text);
    }

    /// Ends a run: predictions are judged and remembered, the result is written.
    pub(crate) fn end(
        mut self,
        mut result: RunResult,
        ledger: Option<&Ledger>,
        error: Option<LabError>,
    ) -> Result<Finished, LabError> {
        finish(&mut result, error.as_ref());
        for event in remembered::judge(&mut result) {
            self.tell(&event);
        }
        if let Some(text) = ledger.and_then(|ledger| remembered::remember(&result, ledger)) {
            self.warn(&mut result, text);
        }
        self.write(&result)?;
        self.tell(&Event::RunEnded { status: result.status });
        let directory = self.directory.map(|d| d.path().to_owned()).unwrap_or_default();
        Ok(Finished { result, directory, error })
    }

    pub(crate) fn shown(&self) -> String {
        let memory = "memory (give --out to keep it)";
        self.directory.as_ref().map_or(memory.to_owned(), |d| d.path().display().to_string())
    }
}
