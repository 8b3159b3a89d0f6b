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
    }
}

impl Counters {
    pub(crate) fn count(&self, outcome: &Outcome) {
        let bump = |counter: &AtomicU64, by| counter.store(counter.load(Relaxed) + by, Relaxed);
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
        self.users_answered.store(self.users_answered.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn read(&self) -> Totals {
        Totals {
            operations: self.operations.load(Relaxed),
            rows: self.rows.load(Relaxed),
            failed: self.failed.load(Relaxed),
            failed_rows: self.failed_rows.load(Relaxed),
            in_doubt_rows: self.in_doubt_rows.load(Relaxed),
            users_answered: self.users_answered.load(Relaxed),
        }
    }
}
