//! Looks at sessions and queues while a case is measured, and at what processes used before and
//! after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pinchpoint_measure::{PoolerFigures, ProcessFigures, SessionFigures};
use pinchpoint_observe::{Throttling, TreeUse, memory_peak, process_tree, throttling};
use pinchpoint_sql::Connection;
use tokio::sync::Notify;

use crate::error::LabError;
use crate::matrix::bench::number;
use crate::matrix::pool::Pooled;

/// Between two looks: often enough to see a queue, and about half a per cent of a core.
const EVERY: Duration = Duration::from_millis(100);

/// A server that does not answer for so long is not asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Between two readings of memory, which means looking through every process of the machine.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

const TRANSACTIONS: &str = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
                            WHERE datname = current_database()";
const OPENED: &str = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";

/// A process that is watched.
pub(crate) struct Watched {
    name: &'static str,
    pid: u32,
    groups: Vec<PathBuf>,
    cpus: Option<f64>,
    before: Option<Reading>,
    after: Option<Reading>,
    resident: Vec<u64>,
}

/// What a process, with its children, has used so far.
struct Reading {
    tree: TreeUse,
    held: Option<Throttling>,
}

impl Watched {
    pub(crate) fn new(
        name: &'static str,
        pid: Option<u32>,
        groups: &[PathBuf],
        cpus: Option<f64>,
    ) -> Option<Self> {
        let groups = groups.to_vec();
        let (before, after, resident) = (None, None, Vec::new());
        Some(Self { name, pid: pid?, groups, cpus, before, after, resident })
    }

    fn read(&self) -> Option<Reading> {
        let tree = process_tree(self.pid)?;
        Some(Reading { tree, held: throttling(&self.groups) })
    }

    fn figures(&self, operations: u64) -> ProcessFigures {
        let mut figures = ProcessFigures {
            name: self.name.to_owned(),
            cpus: self.cpus,
            memory_peak_bytes: memory_peak(&self.groups),
            resident_bytes: self.resident.clone(),
            ..ProcessFigures::default()
        };
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return figures };
        let cpu_s = after.tree.cpu.saturating_sub(before.tree.cpu).as_secs_f64();
        figures.cpu_s = Some(cpu_s);
        figures.cpu_us_per_op = (operations > 0).then(|| cpu_s * 1e6 / operations as f64);
        if let (Some(before), Some(after)) = (&before.held, &after.held) {
            let held = after.since(before);
            figures.throttled_share = Some(held.share());
            figures.throttled_s = Some(held.time.as_secs_f64());
        }
        // Backends come and go with sessions; an application's processes stay.
        if self.name == "app" {
            figures.restarts = after.tree.members.difference(&before.tree.members).count() as u64;
        }
        figures
    }
}

/// Everything that is watched around a measured part.
pub(crate) struct Watch {
    looker: Looker,
    processes: Vec<Watched>,
    opened_before: u64,
    transactions_before: u64,
    totals_before: BTreeMap<String, u64>,
}

/// Who looks again and again.
struct Looker {
    server: Connection,
    /// Counts the sessions of the applications' role that are not our own.
    count: String,
    console: Option<Connection>,
    sessions: SessionFigures,
    pooler: PoolerFigures,
    waiting: u64,
    active: u64,
    /// Queries of our own: each is a transaction.
    asked: u64,
}

impl Watch {
    pub(crate) fn new(
        server: Connection,
        user: &str,
        pooled: Option<Pooled>,
        processes: Vec<Watched>,
    ) -> Self {
        let servers_ready = pooled.as_ref().map_or(0, |p| p.ready);
        let looker = Looker {
            server,
            count: format!(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 AND datname = current_database() AND usename = '{}' \
                 AND application_name NOT LIKE 'pinchpoint-admin%'",
                user.replace('\'', "''")
            ),
            console: pooled.map(|p| p.console),
            sessions: SessionFigures::default(),
            pooler: PoolerFigures { servers_ready, ..PoolerFigures::default() },
            waiting: 0,
            active: 0,
            asked: 0,
        };
        let totals_before = BTreeMap::new();
        Self { looker, processes, opened_before: 0, transactions_before: 0, totals_before }
    }

    pub(crate) async fn begin(&mut self) -> Result<(), LabError> {
        self.opened_before = number(&mut self.looker.server, OPENED).await?;
        self.transactions_before = number(&mut self.looker.server, TRANSACTIONS).await?;
        if let Some(console) = &mut self.looker.console {
            self.totals_before = totals(console).await;
        }
        for process in &mut self.processes {
            process.before = process.read();
        }
        Ok(())
    }

    /// Looks while `measured` goes on.
    pub(crate) async fn during<T>(&mut self, measured: impl Future<Output = T>) -> T {
        let Self { looker, processes, .. } = self;
        let over = Notify::new();
        let measured = async {
            let outcome = with_memory(measured, &mut *processes).await;
            // Until here: a look that is under way may take its time.
            for process in processes {
                process.after = process.read();
            }
            over.notify_one();
            outcome
        };
        tokio::join!(measured, looker.look(&over)).0
    }

    /// The figures, for so many operations that succeeded.
    pub(crate) async fn end(
        self,
        operations: u64,
        allowed: Option<u64>,
    ) -> (Vec<ProcessFigures>, SessionFigures, Option<PoolerFigures>) {
        let Looker {
            mut server, console, mut sessions, mut pooler, waiting, active, asked, ..
        } = self.looker;
        let processes = self.processes.iter().map(|p| p.figures(operations)).collect();
        let opened = seen(&mut server, OPENED).await.unwrap_or(self.opened_before);
        sessions.opened = opened.saturating_sub(self.opened_before);
        sessions.allowed = allowed;
        let transactions = seen(&mut server, TRANSACTIONS).await;
        // Beside the looks, the query of begin that came after its reading, and that of sessions opened.
        let ours = asked + 2;
        sessions.transactions =
            transactions.map(|now| now.saturating_sub(self.transactions_before + ours));
        let Some(mut console) = console else { return (processes, sessions, None) };
        let after = totals(&mut console).await;
        let samples = pooler.samples.max(1) as f64;
        pooler.clients_waiting_mean = waiting as f64 / samples;
        pooler.servers_active_mean = active as f64 / samples;
        let since = |(name, now): (String, u64)| {
            let before = self.totals_before.get(&name).copied().unwrap_or(0);
            (name, now.saturating_sub(before))
        };
        pooler.totals = after.into_iter().map(since).collect();
        (processes, sessions, Some(pooler))
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
            _ = ticks.tick() => {
                for process in &mut *processes {
                    process.resident.extend(process_tree(process.pid).map(|t| t.resident_bytes));
                }
            }
        }
    }
}

impl Looker {
    /// Looks again and again until it is over. A query is never left half-way: its answer would be
    /// taken for that of the next.
    async fn look(&mut self, over: &Notify) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = over.notified() => return,
                _ = ticks.tick() => (),
            }
            self.asked += 1;
            if let Some(count) = seen(&mut self.server, &self.count).await {
                self.sessions.most = self.sessions.most.max(count);
                self.sessions.samples += 1;
            }
            if let Some(console) = &mut self.console
                && let Some(queues) = Queues::read(console).await
            {
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

/// The one number that a query gives, if the server gives it soon.
async fn seen(server: &mut Connection, sql: &str) -> Option<u64> {
    tokio::time::timeout(ANSWER_WITHIN, number(server, sql)).await.ok()?.ok()
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
