use std::time::{Duration, Instant};

use pinchpoint_sql::{Connection, Dsn, TlsSetup};

use crate::scheduling::Scheduled;
use crate::versions::TIMING;

/// The watcher's session is told apart by this name.
pub(crate) const WATCH_NAME: &str = "pinchpoint-watch";

/// A server that does not answer for so long is not asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const ROUND_TRIPS: usize = 20;

/// The watcher's one session, and what it has cost the server.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    pub(crate) facts: Facts,
    pub(crate) round_trip: Duration,
    /// Queries so far; each is a transaction that the server counts.
    pub(crate) asked: u64,
    /// Time that they took, the way there and back left out.
    pub(crate) busy: Duration,
    /// Queries that the session has prepared, numbered in their order.
    prepared: Vec<String>,
}

/// What the server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// 150018.
    pub(crate) version: u32,
    /// The process that serves us.
    pub(crate) process: u32,
    /// Its number for our database.
    pub(crate) database: u32,
    /// Of [`TIMING`], the settings that are off.
    pub(crate) untimed: Vec<&'static str>,
    /// A pooler stands between us and the server.
    pub(crate) pooled: bool,
    /// The process that serves us is one of this machine.
    pub(crate) local: bool,
}

const FACTS: &str = "SELECT current_setting('server_version_num'), pg_backend_pid(), \
    (SELECT oid FROM pg_database WHERE datname = current_database())";

impl Facts {
    pub(crate) const fn major(&self) -> u32 {
        self.version / 10_000
    }

    fn parse(row: &[Option<String>]) -> Option<Self> {
        let cell = |at: usize| row.get(at)?.as_deref();
        Some(Self {
            version: cell(0)?.parse().ok()?,
            process: cell(1)?.parse().ok()?,
            database: cell(2)?.parse().ok()?,
            ..Self::default()
        })
    }
}

impl Link {
    /// Opens the session; the error says why there is none.
    pub(crate) async fn open(dsn: &Dsn) -> Result<Self, String> {
        let dsn = dsn.clone().named(WATCH_NAME);
        let tls = TlsSetup::new(&dsn).map_err(|e| e.to_string())?;
        let connection = Connection::connect(&dsn, &tls).await.map_err(|e| e.to_string())?;
        let (facts, round_trip) = (Facts::default(), Duration::ZERO);
        let (busy, prepared) = (Duration::ZERO, Vec::new());
        let mut link = Self { connection, facts, round_trip, asked: 0, busy, prepared };
        let rows = link.ask(FACTS).await?;
        let row = rows.first().ok_or("it says nothing of itself")?;
        link.facts = Facts::parse(row).ok_or("what it says of itself is not understood")?;
        for setting in TIMING {
            let on = link.ask(&format!("SELECT current_setting('{setting}', true)")).await?;
            if on.into_iter().flatten().flatten().next().as_deref() != Some("on") {
                link.facts.untimed.push(setting);
            }
        }
        link.facts.pooled = link.connection.backend_pid() != link.facts.process;
        link.facts.local = is_server(link.facts.process);
        if !link.facts.pooled {
            link.settle().await;
        }
        link.round_trip = link.measure_round_trip().await.unwrap_or_default();
        Ok(link)
    }

    /// Settings of this session alone; behind a pooler they would be somebody else's later.
    async fn settle(&mut self) {
        for setting in ["statement_timeout = '4s'", "jit = off", "stats_fetch_consistency = none"] {
            // Unknown to the server before 15, the last.
            let _ = self.ask(&format!("SET {setting}")).await;
        }
    }

    /// The shortest of some: queues only ever add to it.
    async fn measure_round_trip(&mut self) -> Option<Duration> {
        let mut shortest = None;
        for _ in 0..ROUND_TRIPS {
            let trip = tokio::time::timeout(ANSWER_WITHIN, self.connection.round_trip()).await;
            let trip = trip.ok()?.ok()?;
            shortest = Some(shortest.map_or(trip, |least: Duration| least.min(trip)));
        }
        shortest
    }

    /// The rows that a query gives, or why it gave none.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let start = Instant::now();
        self.asked += 1;
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.connection.query(sql)).await;
        self.busy += start.elapsed().saturating_sub(self.round_trip);
        match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        }
    }

    /// What to ask for a query that is asked again and again: prepared, a look costs the server a
    /// third. Behind a pooler it stays as it is: the next session would not know the statement.
    pub(crate) async fn prepare(&mut self, sql: String) -> String {
        if self.facts.pooled {
            return sql;
        }
        let place = match self.prepared.iter().position(|known| *known == sql) {
            Some(place) => place,
            None => {
                let place = self.prepared.len();
                if self.ask(&format!("PREPARE pinchpoint_{place} AS {sql}")).await.is_err() {
                    return sql;
                }
                self.prepared.push(sql);
                place
            }
        };
        format!("EXECUTE pinchpoint_{place}")
    }

    /// Whether it can still be asked.
    pub(crate) const fn is_open(&self) -> bool {
        self.connection.is_usable()
    }

    /// CPU that the server has spent on us, where we may see it.
    pub(crate) fn server_cpu(&self) -> Option<Duration> {
        let visible = self.facts.local && !self.facts.pooled;
        visible.then(|| Scheduled::of_process(self.facts.process)).flatten().map(|s| s.cpu)
    }

    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

/// Whether a process of this machine is one of a `PostgreSQL` server: the number that a server on
/// another machine gives is somebody else's here, or nobody's.
fn is_server(process: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    matches!(name.trim_end(), "postgres" | "postmaster")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_read() {
        let row = |cells: [&str; 3]| cells.map(|cell| Some(cell.to_owned()));
        let facts = Facts::parse(&row(["150018", "71", "5"])).unwrap();
        assert_eq!((facts.major(), facts.process, facts.database), (15, 71, 5));
        assert_eq!(Facts::parse(&row(["x", "71", "5"])), None);
        assert_eq!(Facts::parse(&[None]), None);
    }

    #[test]
    fn this_process_is_no_server() {
        assert!(!is_server(std::process::id()));
    }
}
