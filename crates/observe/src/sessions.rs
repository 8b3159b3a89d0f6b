use std::collections::HashMap;
use std::time::Instant;

use pinchpoint_measure::{SessionSamples, WaitFigures};
use pinchpoint_stats::BatchMeans;

use crate::link::{Facts, WATCH_NAME};
use crate::looks::Looks;
use crate::versions::classify;

/// Which sessions of the database are the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// Those that call themselves so.
    Named(&'static str),
    /// Those of this role that are not pinchpoint's own administration.
    OfRole(String),
    /// All clients that are not pinchpoint's own administration.
    Others,
}

impl Sessions {
    /// The condition on a row of `pg_stat_get_activity`.
    pub(crate) fn condition(&self, facts: &Facts) -> String {
        // PgBouncer may put the client's address behind the name (`application_name_add_host`).
        let name = "split_part(application_name, ' - ', 1)";
        let others = format!("{name} NOT IN ('{WATCH_NAME}', 'pinchpoint-admin')");
        let who = match self {
            Self::Named(own) => format!("{name} = {}", literal(own)),
            Self::OfRole(role) => {
                // By its number: its name is not among what the function gives.
                let role = literal(role);
                format!("usesysid = (SELECT oid FROM pg_roles WHERE rolname = {role}) AND {others}")
            }
            Self::Others => others,
        };
        // The kind of a session that we may not see is not told.
        format!(
            "datid = {} AND (backend_type = 'client backend' OR backend_type IS NULL) \
             AND pid <> pg_backend_pid() AND {who}",
            facts.database
        )
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The query of a look. It asks the function below the view `pg_stat_activity`, which joins two
/// tables, and gives one row whatever the number of sessions.
pub(crate) fn look_query(sessions: &Sessions, facts: &Facts) -> String {
    format!(
        "SELECT count(*) FILTER (WHERE load), \
         count(*) FILTER (WHERE load AND state = 'idle'), \
         count(*) FILTER (WHERE load AND state LIKE 'idle in transaction%'), \
         count(*) FILTER (WHERE load AND backend_type IS NULL), \
         count(*) FILTER (WHERE load AND state = 'disabled'), \
         count(*) FILTER (WHERE backend_type = 'autovacuum worker'), \
         string_agg(pid || ' ' || coalesce(wait_event_type, '') || ':' || coalesce(wait_event, ''), \
         chr(10)) FILTER (WHERE load AND state IN ('active', 'fastpath function call')) \
         FROM (SELECT pid, state, wait_event_type, wait_event, backend_type, {} AS load \
         FROM pg_stat_get_activity(NULL) OFFSET 0) s",
        sessions.condition(facts)
    )
}

/// One look at the load's sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look<'a> {
    pub(crate) sessions: u64,
    pub(crate) idle: u64,
    pub(crate) idle_in_transaction: u64,
    /// Sessions of which we may not see more than that they are there.
    pub(crate) hidden: u64,
    /// Sessions that report nothing (`track_activities`).
    pub(crate) untracked: u64,
    pub(crate) autovacuum_workers: u64,
    /// Process and wait (`IO:WALSync`, `:` without one) of those at work.
    pub(crate) active: Vec<(u32, &'a str)>,
}

impl<'a> Look<'a> {
    /// From the row that [`look_query`] gives.
    pub(crate) fn parse(row: &'a [Option<String>]) -> Option<Self> {
        let count = |at: usize| row.get(at)?.as_deref()?.parse::<u64>().ok();
        let active = row.get(6)?.as_deref().unwrap_or_default();
        let session = |line: &'a str| {
            let (pid, wait) = line.split_once(' ')?;
            Some((pid.parse().ok()?, wait))
        };
        Some(Self {
            sessions: count(0)?,
            idle: count(1)?,
            idle_in_transaction: count(2)?,
            hidden: count(3)?,
            untracked: count(4)?,
            autovacuum_workers: count(5)?,
            active: active.split('\n').filter_map(session).collect(),
        })
    }

    /// Processes that wait for a heavyweight lock.
    pub(crate) fn lock_waiters(&self) -> impl Iterator<Item = u32> {
        self.active.iter().filter(|(_, wait)| wait.starts_with("Lock:")).map(|(pid, _)| *pid)
    }
}

/// The looks of a stretch of time, added up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    looks: u64,
    idle: u64,
    idle_in_transaction: u64,
    autovacuum_workers: u64,
    most: u64,
    pub(crate) most_hidden: u64,
    pub(crate) most_untracked: u64,
    waits: Vec<Wait>,
    places: HashMap<String, u16>,
    scratch: Vec<(u32, u16)>,
}

#[derive(Debug)]
struct Wait {
    name: String,
    /// Sessions in it in the look under way.
    now: u32,
    series: BatchMeans,
}

impl Tally {
    /// Takes in a look, and keeps who did what in it.
    pub(crate) fn take(&mut self, at: Instant, look: &Look<'_>, looks: &mut Looks) {
        self.scratch.clear();
        for (pid, wait) in &look.active {
            let place = self.place(wait, looks);
            self.waits[usize::from(place)].now += 1;
            self.scratch.push((*pid, place));
        }
        for wait in &mut self.waits {
            wait.series.push(f64::from(std::mem::take(&mut wait.now)));
        }
        looks.keep(at, &mut self.scratch);
        self.looks += 1;
        self.idle += look.idle;
        self.idle_in_transaction += look.idle_in_transaction;
        self.autovacuum_workers += look.autovacuum_workers;
        self.most = self.most.max(look.sessions);
        self.most_hidden = self.most_hidden.max(look.hidden);
        self.most_untracked = self.most_untracked.max(look.untracked);
    }

    /// Looks taken.
    pub(crate) const fn looks(&self) -> u64 {
        self.looks
    }

    /// Most sessions of the load at once.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    fn place(&mut self, wait: &str, looks: &mut Looks) -> u16 {
        if let Some(place) = self.places.get(wait) {
            return *place;
        }
        // More names than this no server has; what came beyond would count as the last.
        let Ok(place) = u16::try_from(self.waits.len()) else { return u16::MAX };
        let (kind, event) = wait.split_once(':').unwrap_or((wait, ""));
        let name = if wait == ":" { "running" } else { wait };
        let mut series = BatchMeans::new();
        for _ in 0..self.looks {
            series.push(0.0);
        }
        looks.name_wait(classify(kind, event), name.to_owned());
        self.waits.push(Wait { name: name.to_owned(), now: 0, series });
        self.places.insert(wait.to_owned(), place);
        place
    }

    /// The means; `None` without a look.
    pub(crate) fn samples(&self) -> Option<SessionSamples> {
        if self.looks == 0 {
            return None;
        }
        let mean = |sum: u64| sum as f64 / self.looks as f64;
        let mut waits: Vec<WaitFigures> = self
            .waits
            .iter()
            .map(|wait| {
                let (kind, event) = wait.name.split_once(':').unwrap_or(("", ""));
                WaitFigures {
                    class: classify(kind, event),
                    event: wait.name.clone(),
                    sessions: wait.series.mean().unwrap_or_default(),
                    error: wait.series.standard_error(),
                }
            })
            .collect();
        waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
        Some(SessionSamples {
            looks: self.looks,
            active: waits.iter().fold(0.0, |sum, wait| sum + wait.sessions),
            idle_in_transaction: mean(self.idle_in_transaction),
            idle: mean(self.idle),
            most: self.most,
            waits,
            blockers: Vec::new(),
            autovacuum_workers: mean(self.autovacuum_workers),
        })
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::WaitClass;
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[&str], active: Option<&str>) -> Vec<Option<String>> {
        let cells = cells.iter().map(|cell| Some((*cell).to_owned()));
        cells.chain([active.map(str::to_owned)]).collect()
    }

    #[test]
    fn looks_become_means() {
        let first =
            row(&["5", "2", "1", "0", "0", "1"], Some("71 IO:WALSync\n72 :\n73 Extension:a b: c"));
        let second = row(&["4", "3", "0", "0", "0", "0"], Some("72 LWLock:WALWrite"));
        let third = row(&["2", "2", "0", "1", "1", "0"], None);
        let (mut tally, mut looks) = (Tally::default(), Looks::default());
        for row in [&first, &second, &third, &third] {
            tally.take(Instant::now(), &Look::parse(row).unwrap(), &mut looks);
        }
        let samples = tally.samples().unwrap();
        assert_eq!((samples.looks, samples.most), (4, 5));
        assert_eq!((tally.most_hidden, tally.most_untracked), (1, 1));
        assert!((samples.active - 1.0).abs() < 1e-12);
        assert!((samples.idle - 2.25).abs() < 1e-12);
        assert!((samples.idle_in_transaction - 0.25).abs() < 1e-12);
        assert!((samples.autovacuum_workers - 0.25).abs() < 1e-12);
        assert!((samples.in_class(WaitClass::WalFlush) - 0.5).abs() < 1e-12);
        assert!((samples.in_class(WaitClass::Running) - 0.25).abs() < 1e-12);
        assert!(samples.waits.iter().any(|w| w.event == "Extension:a b: c"));
        assert!(samples.waits.iter().all(|w| w.error.is_some_and(|e| e > 0.0)));
    }

    #[test]
    fn those_who_wait_for_locks_are_told() {
        let row = row(&["9", "0", "0", "0", "0", "0"], Some("1 Lock:tuple\n2 LWLock:x\n3 Lock:y"));
        assert_eq!(Look::parse(&row).unwrap().lock_waiters().collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn an_unexpected_row_is_no_look() {
        assert_eq!(Look::parse(&[]), None);
        assert_eq!(Look::parse(&row(&["5", "2", "1", "0", "0"], None)), None);
        assert_eq!(Look::parse(&row(&["5", "2", "1", "x", "0", "0"], None)), None);
        assert!(Tally::default().samples().is_none());
    }

    proptest! {
        // Whatever a session reports, the sum over its waits is the number of sessions at work.
        #[test]
        fn waits_add_up(active in prop::collection::vec((1u32..99, "[A-Za-z]{0,3}:\\PC{0,4}"), 0..20)) {
            let lines: Vec<_> = active
                .iter()
                .map(|(pid, wait)| format!("{pid} {}", wait.replace('\n', " ")))
                .collect();
            let row = row(&["20", "0", "0", "0", "0", "0"], Some(&lines.join("\n")));
            let (mut tally, mut looks) = (Tally::default(), Looks::default());
            tally.take(Instant::now(), &Look::parse(&row).unwrap(), &mut looks);
            let samples = tally.samples().unwrap();
            prop_assert!((samples.active - active.len() as f64).abs() < 1e-9);
        }

        #[test]
        fn hostile_text_never_panics(text in "([0-9]{1,12}| |:|\n|\\PC){0,40}") {
            let row = row(&["1", "0", "0", "0", "0", "0"], Some(&text));
            let _ = Look::parse(&row);
        }
    }
}
