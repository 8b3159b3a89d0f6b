use pinchpoint_measure::{Counter, StatementFigures, WaitClass, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::confidence::DRAW;
use crate::reading::{Reading, sound};
use crate::seen::Seen;

/// Rows read by sequential scans for an operation from which an index would have to be looked for.
const ROWS: f64 = 500.0;
/// Rows read for each row that is returned or changed.
const FOR_ONE: f64 = 100.0;
/// Share of the statements' execution that one of them takes.
const MOSTLY: f64 = 0.5;

/// Whole tables read for a few rows.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "missing-index",
    cause: "missing index",
    examine,
    shows_as: &[
        "server-cpu",
        "machine-cpu",
        "cpu-throttling",
        "data-io",
        "too-many-backends",
        "planning",
        "pool-wait",
        "pooler-slots",
        "server-wait",
    ],
    page: Page {
        signature: "At least five hundred rows are read by sequential scans for each operation, a \
                    hundred or more for each row that comes of it, and executing takes at least \
                    30 % of the time or the server has no CPU left.",
        evidence: "`seq_tup_read` for each operation; the statement that takes most of the \
                   execution, with its pages and rows.",
        counter_evidence: "A statement that adds rows up may want all that it reads, and how many met \
                           its condition is counted nowhere: the verdict is then as sure as a \
                           draw. An index makes every write dearer.",
        advice: &[
            "EXPLAIN (ANALYZE, BUFFERS) of the statement, and an index on what it filters or joins by",
            "ANALYZE, where an index is there and not used",
            "a partial or covering index, where writes are many",
        ],
        plant: "The index dropped that a look-up in a table of 2,000 to 50,000 rows needs.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(each) = seen.per_op(Counter::SequentialRows) else { return Finding::cleared("") };
    let text = format!("{} rows read by sequential scans for an operation", significant(each, 3));
    let wanted = useful(seen).max(1.0);
    let ms = seen.classes_ms(&[WaitClass::Running, WaitClass::DataRead]);
    let share = if seen.samples().is_some() {
        reading.held_share(ms)
    } else {
        seen.server_cpus().map_or(0.0, |cpus| reading.share_of(cpus * 1000.0 / reading.ops_per_s()))
    };
    let busy = share >= LARGE_SHARE || reading.no_cpu_left();
    if most(seen).is_some_and(|(statement, part)| part >= MOSTLY && wants_all(&statement.query)) {
        return Finding::cleared(format!("{text}, and all of them are wanted"));
    }
    if each < ROWS || each < FOR_ONE * wanted || !busy {
        return Finding::cleared(if each >= 1.0 { text } else { String::new() });
    }
    let mut evidence = vec![
        Signal::Counters.says(format!("{text}, for {} rows", significant(wanted, 2))),
        Signal::Samples.says(format!("executing takes {:.0} % of the time", share * 100.0)),
    ];
    let (mut against, mut sure) = (Vec::new(), None);
    match most(seen) {
        Some((statement, part)) if part >= MOSTLY => {
            let pages = significant(sound(statement.blocks / statement.calls), 3);
            let part = part * 100.0;
            evidence.push(Signal::Counters.says(format!(
                "one statement takes {part:.0} % of the execution, {pages} pages a call: {}",
                statement.query
            )));
            if adds_up(&statement.query) {
                // How many rows met its condition is counted nowhere.
                against.push("it adds rows up, and may want all that it reads".to_owned());
                sure = Some(DRAW);
            }
        }
        Some(_) => against.push("no statement takes most of the execution".to_owned()),
        None => against.push("which statement it is was not counted".to_owned()),
    }
    // What is left is the rows that are wanted.
    let kept = wanted / each;
    let gain = reading.gain(share * reading.service_ms * (1.0 - kept), 0.9);
    let candidate =
        Candidate { share, gain, evidence, against, most: sure, ..Candidate::default() };
    Finding::suspect(text, candidate)
}

/// Whether a statement reads its tables whole by what it says: no condition that an index could
/// answer.
fn wants_all(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    let begins = query.trim_start().starts_with("select");
    begins && !["where", "join", "limit"].iter().any(|word| query.contains(word))
}

/// Whether a statement makes one row of many.
fn adds_up(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    ["count(", "sum(", "avg(", "min(", "max("].iter().any(|name| query.contains(name))
}

/// Rows that an operation returns or changes, as far as statements or counters tell.
fn useful(seen: &Seen) -> f64 {
    let statements = &seen.observation.statements;
    if let Some((statement, _)) = most(seen) {
        return sound(statement.rows / statement.calls) * statement.calls_per_op.unwrap_or(1.0);
    }
    let counters = [Counter::RowsInserted, Counter::RowsUpdated, Counter::RowsDeleted];
    let changed: f64 = counters.iter().filter_map(|counter| seen.per_op(*counter)).sum();
    if statements.is_empty() { changed } else { 0.0 }
}

/// The statement that takes most of the execution, and its share.
fn most(seen: &Seen) -> Option<(&StatementFigures, f64)> {
    let statements = &seen.observation.statements;
    let whole: f64 = statements.iter().map(|s| sound(s.execute_ms)).sum();
    let largest = statements.iter().max_by(|a, b| a.execute_ms.total_cmp(&b.execute_ms))?;
    (whole > 0.0).then(|| (largest, sound(largest.execute_ms) / whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_without_a_condition_wants_every_row() {
        for query in ["SELECT sum(n) FROM t", "  select x FROM t ORDER BY n"] {
            assert!(wants_all(query), "{query}");
        }
        for query in [
            "SELECT x FROM t WHERE id = $1",
            "SELECT count(*) FROM t JOIN u USING (id)",
            "SELECT x FROM t ORDER BY n LIMIT $1",
            "UPDATE t SET n = n + $1",
            "",
        ] {
            assert!(!wants_all(query), "{query}");
        }
    }
}
