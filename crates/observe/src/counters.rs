use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_measure::{COUNTERS, Counter};

use crate::link::{Facts, Link};
use crate::missing::Gaps;
use crate::versions::{Place, VIEWS, View, needs_setting, place};

/// Counters by name.
type Values = BTreeMap<Counter, f64>;

/// The server's counters at one instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    values: Values,
    /// What the watcher had asked until then, and how long the server had been busy with it.
    asked: u64,
    busy: Duration,
}

/// Has what the watcher itself did counted at once. It reads a table, because a session that has
/// touched none since the last time is passed over.
const FLUSH: &str = "SELECT pg_stat_force_next_flush() FROM pg_database LIMIT 1";

/// Reads every counter that this version has.
///
/// A session of the server adds what it did to the counters when it becomes idle, but at most once
/// a second, and not before ten seconds when it stays idle. So the end of a reading is up to a
/// second old for each session under load; so is its beginning, and over a stretch of steady load
/// the two cancel on average: for `n` sessions and `t` seconds the difference is uncertain by
/// 0.4 ÷ (t·√n) of itself. What the watcher did itself is made to be counted before (since 15), as
/// it is subtracted.
pub(crate) async fn read(link: &mut Link, first: bool, gaps: &mut Gaps) -> Reading {
    let mut reading = Reading::default();
    let mut views = VIEWS;
    if !first {
        // What reading the others adds to the database's own counters is not part of the load.
        views.reverse();
    }
    for view in views {
        let counters = counters_of(view, &link.facts);
        if counters.is_empty() || !link.is_open() {
            continue;
        }
        let query = link.prepare(query(view, &counters)).await;
        if view == View::Database {
            if link.facts.major() >= 15 && link.is_open() {
                let _ = link.ask(FLUSH).await;
            }
            (reading.asked, reading.busy) = (link.asked, link.busy);
        }
        match link.ask(&query).await {
            Ok(rows) => {
                let row = rows.into_iter().next().unwrap_or_default();
                for ((counter, _), cell) in counters.iter().zip(row) {
                    if let Some(value) = cell.and_then(|text| text.parse::<f64>().ok()) {
                        reading.values.insert(*counter, value);
                    }
                }
            }
            Err(reason) => gaps.note(view.name(), reason),
        }
    }
    reading
}

/// The counters that a view holds, and the expressions for them.
fn counters_of(view: View, facts: &Facts) -> Vec<(Counter, &'static str)> {
    let on =
        |counter| needs_setting(counter).is_none_or(|setting| !facts.untimed.contains(&setting));
    COUNTERS
        .iter()
        .filter(|counter| on(**counter))
        .filter_map(|counter| match place(*counter, facts.major()) {
            Place::At(at, expression) if at == view => Some((*counter, expression)),
            _ => None,
        })
        .collect()
}

fn query(view: View, counters: &[(Counter, &'static str)]) -> String {
    let expressions: Vec<_> = counters.iter().map(|(_, expression)| *expression).collect();
    format!("SELECT {} {}", expressions.join(", "), view.from())
}

/// Names what this server does not count, for good or because a setting is off.
pub(crate) fn note_uncounted(facts: &Facts, gaps: &mut Gaps) {
    for counter in COUNTERS {
        if let Place::NotBefore(since) = place(*counter, facts.major()) {
            gaps.note(counter.name(), format!("PostgreSQL counts it since {since}"));
        }
    }
    for setting in &facts.untimed {
        gaps.note(setting, "it is off, so the server does not time this");
    }
}

/// By how much the counters grew, without what the watcher did itself. One that fell was reset in
/// between, and says nothing; dead rows may become fewer.
pub(crate) fn growth(before: &Reading, after: &Reading, gaps: &mut Gaps) -> Values {
    let mut grown = Values::new();
    for (counter, now) in &after.values {
        let Some(then) = before.values.get(counter) else { continue };
        let ours = match counter {
            Counter::Commits => after.asked.saturating_sub(before.asked) as f64,
            Counter::ActiveMs => after.busy.saturating_sub(before.busy).as_secs_f64() * 1e3,
            _ => 0.0,
        };
        if *counter == Counter::DeadRows {
            grown.insert(*counter, now - then);
        } else if now >= then {
            grown.insert(*counter, (now - then - ours).max(0.0));
        } else {
            gaps.note(counter.name(), "it fell: the server's counters were reset meanwhile");
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::TIMING;

    #[test]
    fn a_view_is_asked_once_for_all_that_it_holds() {
        let facts = Facts { version: 150_018, ..Facts::default() };
        assert_eq!(
            query(View::Wal, &counters_of(View::Wal, &facts)),
            "SELECT wal_records, wal_fpi, wal_bytes, wal_buffers_full, wal_write, wal_sync, \
             wal_sync_time FROM pg_stat_wal"
        );
        assert!(counters_of(View::Io, &facts).is_empty());
        let untimed = TIMING.to_vec();
        let dark = Facts { version: 180_004, untimed, ..Facts::default() };
        let io = query(View::Io, &counters_of(View::Io, &dark));
        assert!(io.contains("sum(fsyncs)") && !io.contains("fsync_time"), "{io}");
        assert!(counters_of(View::Background, &dark).is_empty());
    }

    #[test]
    fn what_is_not_counted_is_named() {
        let mut gaps = Gaps::default();
        let untimed = vec!["track_io_timing"];
        note_uncounted(&Facts { version: 150_018, untimed, ..Facts::default() }, &mut gaps);
        let signals: Vec<_> = gaps.list().into_iter().map(|gap| gap.signal).collect();
        assert_eq!(signals, ["workers_wanted", "workers_launched", "track_io_timing"]);
    }

    #[test]
    fn counters_that_were_reset_say_nothing() {
        let values = |pairs: &[(Counter, f64)]| pairs.iter().copied().collect::<Values>();
        let before = Reading {
            values: values(&[
                (Counter::Commits, 5.0),
                (Counter::ActiveMs, 10.0),
                (Counter::WalSyncs, 9.0),
                (Counter::DeadRows, 4.0),
            ]),
            asked: 10,
            busy: Duration::from_millis(3),
        };
        let after = Reading {
            values: values(&[
                (Counter::Commits, 17.0),
                (Counter::ActiveMs, 20.0),
                (Counter::WalSyncs, 1.0),
                (Counter::DeadRows, 1.0),
                (Counter::Sessions, 3.0),
            ]),
            asked: 13,
            busy: Duration::from_millis(5),
        };
        let mut gaps = Gaps::default();
        let grown = growth(&before, &after, &mut gaps);
        let expected =
            [(Counter::Commits, 9.0), (Counter::ActiveMs, 8.0), (Counter::DeadRows, -3.0)];
        assert_eq!(grown, values(&expected));
        assert_eq!(gaps.list()[0].signal, "wal_syncs");
    }
}
