use pinchpoint_measure::{Counter, WaitClass, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Dead rows that are left behind, as a share of rows changed.
const LEFT: f64 = 0.5;
/// Fewer dead rows are no bloat.
const DEAD: f64 = 1_000.0;
/// Pages touched for a row that is read or changed from which most of them hold dead rows.
const PAGES: f64 = 10.0;

/// Dead rows that nobody clears away.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "bloat",
    cause: "dead rows (bloat)",
    examine,
    shows_as: &["server-cpu", "data-io", "cpu-throttling"],
    page: Page {
        signature: "Dead rows grow by at least half of the rows that are changed, a thousand or \
                    more; ten pages or more are touched for each row; and that takes at least 30 % \
                    of the time.",
        evidence: "`n_dead_tup`, rows updated and deleted, runs of autovacuum, pages for each row.",
        counter_evidence: "Dead rows are cleared away; few pages for each row.",
        advice: &[
            "autovacuum on for the table, with a smaller scale factor",
            "end transactions that are open for long: they keep dead rows alive",
            "a fillfactor below 100, so that updates stay on their page (HOT)",
        ],
        plant: "Autovacuum off, and updates of few rows that another application's old transaction keeps.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let count = |counter: Counter| seen.counter(counter).unwrap_or(0.0);
    let dead = count(Counter::DeadRows);
    let changed = count(Counter::RowsUpdated) + count(Counter::RowsDeleted);
    if dead < DEAD || dead < LEFT * changed {
        return Finding::cleared("");
    }
    let pages = count(Counter::BlocksHit) + count(Counter::BlocksRead);
    let each = sound(pages / (changed + count(Counter::RowsFetched)));
    let text = format!(
        "{} more dead rows, {} pages touched for a row",
        significant(dead, 3),
        significant(each, 2)
    );
    let ms = seen.classes_ms(&[WaitClass::Running, WaitClass::DataRead]);
    let share = reading.held_share(ms * (1.0 - 1.0 / each.max(1.0)));
    if each < PAGES || share < LARGE_SHARE {
        return Finding::cleared(text);
    }
    let mut evidence = vec![
        Signal::Counters.says(text.clone()),
        Signal::Samples
            .says(format!("reading them takes up to {:.0} % of the time", share * 100.0)),
    ];
    let runs = count(Counter::Vacuums);
    evidence.push(Signal::Counters.says(format!("{runs:.0} runs of autovacuum")));
    let gain = reading.gain(share * reading.service_ms, share);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
