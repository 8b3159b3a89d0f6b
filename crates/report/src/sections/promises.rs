use pinchpoint_measure::{RunResult, Trial, group_thousands, significant};

use crate::conclusions::commit;
use crate::document::Document;
use crate::text::clean;

/// Every trial with its rung's name.
pub(super) fn trials(result: &RunResult) -> impl Iterator<Item = (String, &Trial)> {
    result.variants.iter().flat_map(|v| v.trials.iter().map(|t| (clean(&v.name), t)))
}

/// Acknowledged rows against stored rows, trial by trial.
pub(super) fn ledger(document: &mut Document, result: &RunResult) {
    let rows: Vec<_> = trials(result)
        .filter_map(|(name, trial)| {
            let ledger = trial.ledger?;
            Some(vec![
                name,
                trial.number.to_string(),
                balance(trial, ledger.balanced),
                group_thousands(ledger.acknowledged_rows),
                group_thousands(ledger.in_doubt_rows),
                group_thousands(ledger.rows_in_table),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Acknowledged is a promise");
    let head = ["rung", "trial", "", "acknowledged", "in doubt", "in the table"];
    document.table(3, &head, rows);
    document.paragraph(
        "After each trial the table's rows are counted, warm-up included. In doubt are rows whose \
         statement went out and whose answer never came. A rung that writes nothing must leave \
         the table empty.",
    );
}

fn balance(trial: &Trial, balanced: bool) -> String {
    match trial.crash.as_ref().map_or(0, |c| c.lost_rows) {
        _ if !balanced => "does NOT balance".to_owned(),
        0 => "balanced".to_owned(),
        lost => format!("{} lost in the crash", group_thousands(lost)),
    }
}

/// What a crash right after a trial cost.
pub(super) fn crashes(document: &mut Document, result: &RunResult) {
    let rows: Vec<_> = trials(result)
        .filter_map(|(name, trial)| {
            let crash = trial.crash.as_ref()?;
            let least = if crash.oldest_lost_is_lower_bound { "≥ " } else { "" };
            Some(vec![
                name,
                trial.number.to_string(),
                commit(trial),
                group_thousands(crash.lost_rows),
                crash
                    .oldest_lost_ms
                    .map_or_else(|| "–".to_owned(), |ms| format!("{least}{}", significant(ms, 3))),
                significant(crash.recovery_s, 3),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    document.heading("The price of asynchronous commit");
    let head =
        ["rung", "trial", "commit", "acknowledged rows lost", "oldest lost, ms old", "recovery s"];
    document.table(3, &head, rows);
    document.paragraph(
        "The server was stopped at once (its immediate mode) when the last operation of the trial \
         had ended, started again, and the rows were counted. With synchronous commit nothing may \
         be lost, and a trial that loses a row fails. With asynchronous commit only what the server had not yet \
         handed to the operating system is lost by this; a power cut can lose more, up to about \
         three times wal_writer_delay.",
    );
}
