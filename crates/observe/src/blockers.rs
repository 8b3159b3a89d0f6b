use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pinchpoint_measure::{Blocker, WaitClass};

use crate::link::Link;
use crate::missing::Gaps;
use crate::versions::classify;

/// Between two questions: to answer, the server stops its lock tables for a moment.
const EVERY: Duration = Duration::from_millis(500);
/// Waiters asked for at once.
const MOST_WAITERS: usize = 16;
/// Of a statement, what is shown of a blocker.
const MOST_TEXT: usize = 120;
const MOST_BLOCKERS: usize = 5;

/// Whom those waited for that waited for a lock.
#[derive(Debug, Default)]
pub(crate) struct Blockers {
    asked: u64,
    last: Option<Instant>,
    found: BTreeMap<Seen, u64>,
}

/// A blocker as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    state: String,
    class: Option<WaitClass>,
    application: String,
    query: Option<String>,
}

impl Blockers {
    /// Asks who blocks these waiters, unless it did so a moment ago.
    pub(crate) async fn look(
        &mut self,
        link: &mut Link,
        waiters: impl Iterator<Item = u32>,
        gaps: &mut Gaps,
    ) {
        let waiters: Vec<String> = waiters.take(MOST_WAITERS).map(|pid| pid.to_string()).collect();
        if waiters.is_empty() || self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        match link.ask(&query(&waiters)).await {
            Ok(rows) => self.take(&rows),
            Err(reason) => gaps.note("blockers", reason),
        }
    }

    fn take(&mut self, rows: &[Vec<Option<String>>]) {
        let mut seen: Vec<(bool, Seen)> = rows.iter().filter_map(|row| Seen::parse(row)).collect();
        // Whoever blocks and waits for a lock as well is a link of the chain, not its end.
        if seen.iter().any(|(waits, _)| !waits) {
            seen.retain(|(waits, _)| !waits);
        }
        if seen.is_empty() {
            return;
        }
        self.asked += 1;
        let mut blockers: Vec<Seen> = seen.into_iter().map(|(_, blocker)| blocker).collect();
        blockers.sort();
        blockers.dedup();
        for blocker in blockers {
            *self.found.entry(blocker).or_default() += 1;
        }
    }

    /// The blockers, the most wanted first.
    pub(crate) fn figures(&self) -> Vec<Blocker> {
        let blocker = |(seen, times): (&Seen, &u64)| Blocker {
            state: seen.state.clone(),
            class: seen.class,
            application: seen.application.clone(),
            share: *times as f64 / self.asked.max(1) as f64,
            query: seen.query.clone(),
        };
        let mut all: Vec<_> = self.found.iter().map(blocker).collect();
        all.sort_by(|a, b| b.share.total_cmp(&a.share));
        all.truncate(MOST_BLOCKERS);
        all
    }
}

fn query(waiters: &[String]) -> String {
    format!(
        "SELECT state, wait_event_type, wait_event, application_name, \
         left(query, {MOST_TEXT}), backend_type IS NULL \
         FROM (SELECT DISTINCT unnest(pg_blocking_pids(waiter)) AS pid \
         FROM unnest('{{{}}}'::int[]) waiter) b, LATERAL pg_stat_get_activity(b.pid) a",
        waiters.join(",")
    )
}

impl Seen {
    /// From a row of [`query`], and whether the blocker waits for a lock itself.
    fn parse(row: &[Option<String>]) -> Option<(bool, Self)> {
        let [state, kind, event, application, query, hidden] = row else { return None };
        let application = application.clone().unwrap_or_default();
        if hidden.as_deref() == Some("t") {
            let state = "of a role whose sessions we may not see".to_owned();
            return Some((false, Self { state, class: None, application, query: None }));
        }
        let (state, kind) = (state.as_deref()?, kind.as_deref().unwrap_or_default());
        let event = event.as_deref().unwrap_or_default();
        let works = state == "active";
        let doing = match (works, kind) {
            (false, _) => state.to_owned(),
            (true, "") => "active, running".to_owned(),
            (true, _) => format!("active, {kind}:{event}"),
        };
        let text = query.as_deref().map(|q| q.split_whitespace().collect::<Vec<_>>().join(" "));
        Some((
            works && kind == "Lock",
            Self {
                state: doing,
                class: works.then(|| classify(kind, event)),
                application,
                query: text.filter(|text| !text.is_empty()),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 6]) -> Vec<Option<String>> {
        cells.iter().map(|cell| (!cell.is_empty()).then(|| (*cell).to_owned())).collect()
    }

    #[test]
    fn the_end_of_the_chain_is_named() {
        let idle = ["idle in transaction", "Client", "ClientRead", "psql", "UPDATE  t\nSET n", "f"];
        let middle = ["active", "Lock", "transactionid", "pinchpoint-load", "UPDATE t", "f"];
        let flush = ["active", "IO", "WALSync", "pinchpoint-load", "COMMIT", "f"];
        let mut blockers = Blockers::default();
        blockers.take(&[row(idle), row(middle)]);
        blockers.take(&[row(idle), row(idle)]);
        blockers.take(&[row(flush)]);
        blockers.take(&[]);
        let figures = blockers.figures();
        assert_eq!(figures.len(), 2);
        assert_eq!(figures[0].state, "idle in transaction");
        assert_eq!(figures[0].class, None);
        assert_eq!(figures[0].query.as_deref(), Some("UPDATE t SET n"));
        assert!((figures[0].share - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(figures[1].state, "active, IO:WALSync");
        assert_eq!(figures[1].class, Some(WaitClass::WalFlush));
    }

    #[test]
    fn a_chain_without_an_end_names_what_is_there() {
        let mut blockers = Blockers::default();
        blockers.take(&[row(["active", "Lock", "tuple", "", "", "f"])]);
        assert_eq!(blockers.figures()[0].state, "active, Lock:tuple");
        blockers.take(&[row(["", "", "", "cron", "", "t"]), vec![None]]);
        assert!(blockers.figures().iter().any(|b| b.state.contains("may not see")));
    }
}
