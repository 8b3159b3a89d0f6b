use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pinchpoint_script::Program;

/// What was counted of a run of scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptTally {
    /// By script.
    pub scripts: Vec<ScriptCounts>,
    /// By [`pinchpoint_script::Statement::index`].
    pub statements: Vec<StatementCounts>,
    /// Transactions that were tried more than once.
    pub retried: u64,
    /// Tries beyond the first.
    pub retries: u64,
    /// The first different failures, in words, and how often each came.
    pub incidents: BTreeMap<String, u64>,
}

/// What became of a script's transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScriptCounts {
    /// That ended well.
    pub succeeded: u64,
    /// That failed.
    pub failed: u64,
}

/// What was counted of one statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatementCounts {
    /// Answers without an error.
    pub succeeded: u64,
    /// Answers with an error, and answers that never came.
    pub failed: u64,
    /// Time of the successful ones, from the first byte encoded to the server's being ready again.
    /// In a pipeline each statement has its equal part of the whole.
    pub time: Duration,
}

impl ScriptTally {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            scripts: vec![ScriptCounts::default(); program.scripts.len()],
            statements: vec![StatementCounts::default(); program.statements],
            ..Self::default()
        }
    }

    /// What was added since `earlier`. The failures in words are those of the whole.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (now, before) in since.scripts.iter_mut().zip(&earlier.scripts) {
            now.succeeded = now.succeeded.saturating_sub(before.succeeded);
            now.failed = now.failed.saturating_sub(before.failed);
        }
        for (now, before) in since.statements.iter_mut().zip(&earlier.statements) {
            now.succeeded = now.succeeded.saturating_sub(before.succeeded);
            now.failed = now.failed.saturating_sub(before.failed);
            now.time = now.time.saturating_sub(before.time);
        }
        since.retried = self.retried.saturating_sub(earlier.retried);
        since.retries = self.retries.saturating_sub(earlier.retries);
        since
    }
}

/// What one load thread counted. Only that thread writes, so a load and a store do what a locked
/// add would; anyone may read.
#[derive(Debug)]
pub(crate) struct ThreadTally {
    scripts: Box<[[AtomicU64; 2]]>,
    statements: Box<[[AtomicU64; 3]]>,
    retried: AtomicU64,
    retries: AtomicU64,
}

impl ThreadTally {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            scripts: program.scripts.iter().map(|_| Default::default()).collect(),
            statements: (0..program.statements).map(|_| Default::default()).collect(),
            retried: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }

    pub(crate) fn transaction(&self, script: usize, succeeded: bool, tries: u32) {
        if let Some(counts) = self.scripts.get(script) {
            bump(&counts[usize::from(!succeeded)], 1);
        }
        if tries > 1 {
            bump(&self.retried, 1);
            bump(&self.retries, u64::from(tries - 1));
        }
    }

    pub(crate) fn statement(&self, index: usize, time: Duration) {
        if let Some([succeeded, _, nanos]) = self.statements.get(index) {
            bump(succeeded, 1);
            bump(nanos, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn statement_failed(&self, index: usize) {
        if let Some([_, failed, _]) = self.statements.get(index) {
            bump(failed, 1);
        }
    }

    pub(crate) fn add_to(&self, tally: &mut ScriptTally) {
        for (sum, [succeeded, failed]) in tally.scripts.iter_mut().zip(&self.scripts) {
            sum.succeeded += succeeded.load(Relaxed);
            sum.failed += failed.load(Relaxed);
        }
        for (sum, [succeeded, failed, nanos]) in tally.statements.iter_mut().zip(&self.statements) {
            sum.succeeded += succeeded.load(Relaxed);
            sum.failed += failed.load(Relaxed);
            sum.time += Duration::from_nanos(nanos.load(Relaxed));
        }
        tally.retried += self.retried.load(Relaxed);
        tally.retries += self.retries.load(Relaxed);
    }
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// The first different failures. Kept apart from the hot path: only failures come here.
#[derive(Debug, Default)]
pub(crate) struct Incidents(Mutex<BTreeMap<String, u64>>);

/// Different failures that are told in words; more of them are only counted by cause.
const MOST: usize = 20;

impl Incidents {
    pub(crate) fn note(&self, text: String) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST || seen.contains_key(&text) {
            *seen.entry(text).or_default() += 1;
        }
    }

    pub(crate) fn seen(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
