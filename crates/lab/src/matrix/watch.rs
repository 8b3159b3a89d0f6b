//! Looks at the pooler's queues and the processes' memory while a case is measured. The rest is the
//! observer's.

use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_measure::{Counter, Observation, PoolerFigures, ProcessFigures, SessionFigures};
use pinchpoint_observe::Watched;
use pinchpoint_sql::Connection;
use tokio::sync::Notify;

use crate::matrix::pool::Pooled;

/// Between two looks: often enough to see a queue.
const EVERY: Duration = Duration::from_millis(100);

/// A pooler that does not answer for so long is not asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Between two readings of memory, which means looking through every process of the machine.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

/// Everything that is watched around a measured part, beside what the observer sees.
pub(crate) struct Watch {
    console: Option<Connection>,
    processes: Vec<Watched>,
    pooler: PoolerFigures,
    waiting: u64,
    active: u64,
    totals_before: BTreeMap<String, u64>,
}

impl Watch {
    pub(crate) fn new(pooled: Option<Pooled>, processes: Vec<Watched>) -> Self {
        let servers_ready = pooled.as_ref().map_or(0, |p| p.ready);
        Self {
            console: pooled.map(|p| p.console),
            processes,
            pooler: PoolerFigures { servers_ready, ..PoolerFigures::default() },
            waiting: 0,
            active: 0,
            totals_before: BTreeMap::new(),
        }
    }

    pub(crate) async fn begin(&mut self) {
        if let Some(console) = &mut self.console {
            self.totals_before = totals(console).await;
        }
    }

    /// Looks while `measured` goes on. A query is never left half-way: its answer would be taken for
    /// that of the next.
    pub(crate) async fn during<T>(&mut self, measured: impl Future<Output = T>) -> T {
        let mut memory = std::mem::take(&mut self.processes);
        let over = Notify::new();
        let measured = async {
            let outcome = with_memory(measured, &mut memory).await;
            over.notify_one();
            outcome
        };
        let outcome = tokio::join!(measured, self.look(&over)).0;
        self.processes = memory;
        outcome
    }

    /// Adds what was seen to what the observer saw: memory to the processes; and the pooler's
    /// figures.
    pub(crate) async fn end(mut self, processes: &mut [ProcessFigures]) -> Option<PoolerFigures> {
        for figures in processes {
            let own = self.processes.iter_mut().find(|process| process.name() == figures.name);
            figures.resident_bytes = own.map(Watched::take_memory).unwrap_or_default();
        }
        let mut console = self.console?;
        let after = totals(&mut console).await;
        let mut pooler = self.pooler;
        let samples = pooler.samples.max(1) as f64;
        pooler.clients_waiting_mean = self.waiting as f64 / samples;
        pooler.servers_active_mean = self.active as f64 / samples;
        let since = |(name, now): (String, u64)| {
            let before = self.totals_before.get(&name).copied().unwrap_or(0);
            (name, now.saturating_sub(before))
        };
        pooler.totals = after.into_iter().map(since).collect();
        Some(pooler)
    }

    async fn look(&mut self, over: &Notify) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = over.notified() => return,
                _ = ticks.tick() => (),
            }
            let Some(console) = &mut self.console else { continue };
            if let Some(queues) = Queues::read(console).await {
                let seen = &mut self.pooler;
                seen.clients_waiting_most = seen.clients_waiting_most.max(queues.waiting);
                seen.longest_wait_ms = seen.longest_wait_ms.max(queues.longest_wait_ms);
                seen.servers_active_most = seen.servers_active_most.max(queues.active);
                seen.clients_most = seen.clients_most.max(queues.clients);
                seen.samples += 1;
                self.waiting += queues.waiting;
                self.active += queues.active;
            }
        }
    }
}

/// The sessions of the load on the server, of which the configuration allows so many.
pub(crate) fn sessions(observation: &Observation, allowed: Option<u64>) -> SessionFigures {
    let counted = |counter| observation.counter(counter).map(|count| count as u64);
    let ended = counted(Counter::Commits).zip(counted(Counter::Rollbacks));
    let samples = observation.sessions.as_ref();
    SessionFigures {
        most: samples.map_or(0, |sessions| sessions.most),
        opened: counted(Counter::Sessions).unwrap_or(0),
        allowed,
        samples: samples.map_or(0, |sessions| sessions.looks),
        transactions: ended.map(|(commits, rollbacks)| commits + rollbacks),
    }
}

/// Reads the processes' memory while `measured` goes on.
async fn with_memory<T>(measured: impl Future<Output = T>, processes: &mut [Watched]) -> T {
    let mut measured = std::pin::pin!(measured);
    let mut ticks = tokio::time::interval(MEMORY_EVERY);
    loop {
        tokio::select! {
            biased;
            outcome = &mut measured => return outcome,
            _ = ticks.tick() => processes.iter_mut().for_each(Watched::note_memory),
        }
    }
}

/// One reading of the pooler's queues, all pools together.
#[derive(Debug, Default)]
struct Queues {
    waiting: u64,
    active: u64,
    clients: u64,
    longest_wait_ms: f64,
}

impl Queues {
    async fn read(console: &mut Connection) -> Option<Self> {
        let mut sum = Self::default();
        for row in named_rows(console, "SHOW POOLS").await? {
            if row.get("database").is_some_and(|d| d == "pgbouncer") {
                continue;
            }
            let count = |name: &str| row.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
            sum.waiting += count("cl_waiting");
            sum.clients += count("cl_active") + count("cl_waiting");
            sum.active += count("sv_active");
            let waited = count("maxwait") as f64 * 1e3 + count("maxwait_us") as f64 / 1e3;
            sum.longest_wait_ms = sum.longest_wait_ms.max(waited);
        }
        Some(sum)
    }
}

/// The totals of `SHOW STATS`. Its averages are made once in `stats_period`, so a trial shorter than
/// that cannot be read from them.
async fn totals(console: &mut Connection) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in named_rows(console, "SHOW STATS").await.unwrap_or_default() {
        if row.get("database").is_some_and(|d| d == "pgbouncer") {
            continue;
        }
        for (name, value) in row {
            if name.starts_with("total_")
                && let Ok(value) = value.parse::<u64>()
            {
                *sums.entry(name).or_default() += value;
            }
        }
    }
    sums
}

/// The pooler's connections to the server that are ready to be used.
pub(crate) async fn ready_servers(console: &mut Connection) -> Option<u64> {
    let rows = named_rows(console, "SHOW POOLS").await?;
    let idle = rows.iter().filter_map(|row| {
        let used = |name: &str| row.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        let own = row.get("database").is_some_and(|d| d == "pgbouncer");
        (!own).then(|| used("sv_idle") + used("sv_used"))
    });
    Some(idle.sum())
}

/// Rows by column name: versions differ in their columns and in their order.
async fn named_rows(console: &mut Connection, sql: &str) -> Option<Vec<BTreeMap<String, String>>> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, console.query_named(sql)).await;
    let (columns, rows) = answer.ok()?.ok()?;
    let named = rows.into_iter().map(|row| {
        columns.iter().cloned().zip(row).filter_map(|(name, v)| Some((name, v?))).collect()
    });
    Some(named.collect())
}
