use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pinchpoint_measure::Outcome;

/// Totals of one thread since its start. Only that thread writes; anyone may read at any time.
///
/// With a single writer a load and a store do what a locked add would, at no cost.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    operations: AtomicU64,
    rows: AtomicU64,
    failed: AtomicU64,
    failed_rows: AtomicU64,
    in_doubt_rows: AtomicU64,
    users_answered: AtomicU64,
    late: AtomicU64,
    skipped: AtomicU64,
}

/// What the operations since the start add up to, warm-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Operations that the peer acknowledged.
    pub operations: u64,
    /// Rows that the peer acknowledged.
    pub rows: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Rows that failed operations carried.
    pub failed_rows: u64,
    /// Of those, rows that the peer may have stored all the same.
    pub in_doubt_rows: u64,
    /// Users whose first operation has ended, well or not.
    pub users_answered: u64,
    /// Acknowledged operations that took longer than [`crate::LoadSpec::latency_limit`].
    pub late: u64,
    /// Operations of a schedule that were never started, because they were late by more than that
    /// limit when somebody had time for them. They are neither acknowledged nor failed.
    pub skipped: u64,
}

impl Totals {
    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            operations: self.operations.saturating_sub(earlier.operations),
            rows: self.rows.saturating_sub(earlier.rows),
            failed: self.failed.saturating_sub(earlier.failed),
            failed_rows: self.failed_rows.saturating_sub(earlier.failed_rows),
            in_doubt_rows: self.in_doubt_rows.saturating_sub(earlier.in_doubt_rows),
            users_answered: self.users_answered.saturating_sub(earlier.users_answered),
            late: self.late.saturating_sub(earlier.late),
            skipped: self.skipped.saturating_sub(earlier.skipped),
        }
    }

    /// Adds another's.
    pub const fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.rows += other.rows;
        self.failed += other.failed;
        self.failed_rows += other.failed_rows;
        self.in_doubt_rows += other.in_doubt_rows;
        self.users_answered += other.users_answered;
        self.late += other.late;
        self.skipped += other.skipped;
    }
}

impl Counters {
    pub(crate) fn count(&self, outcome: &Outcome) {
        match *outcome {
            Outcome::Done { rows } => {
                bump(&self.operations, 1);
                bump(&self.rows, rows);
            }
            Outcome::Failed { rows, in_doubt, .. } => {
                bump(&self.failed, 1);
                bump(&self.failed_rows, rows);
                if in_doubt {
                    bump(&self.in_doubt_rows, rows);
                }
            }
        }
    }

    /// Another user has had its first answer.
    pub(crate) fn user_answered(&self) {
        bump(&self.users_answered, 1);
    }

    /// An acknowledged operation took longer than the limit.
    pub(crate) fn late(&self) {
        bump(&self.late, 1);
    }

    /// An operation was not started, because it was too late for it.
    pub(crate) fn skipped(&self) {
        bump(&self.skipped, 1);
    }

    pub(crate) fn read(&self) -> Totals {
        Totals {
            operations: self.operations.load(Relaxed),
            rows: self.rows.load(Relaxed),
            failed: self.failed.load(Relaxed),
            failed_rows: self.failed_rows.load(Relaxed),
            in_doubt_rows: self.in_doubt_rows.load(Relaxed),
            users_answered: self.users_answered.load(Relaxed),
            late: self.late.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
        }
    }
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}
