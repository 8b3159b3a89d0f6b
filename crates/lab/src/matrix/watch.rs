//! Looks at sessions and queues while a case is measured, and at what processes used before and
//! after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pinchpoint_measure::{PoolerFigures, ProcessFigures, SessionFigures};
use pinchpoint_observe::{Throttling, TreeUse, memory_peak, process_tree, throttling};
use pinchpoint_sql::Connection;

use crate::error::LabError;
use crate::matrix::bench::number;
use crate::matrix::pool::Pooled;

/// Between two looks: often enough to see a queue, and about half a per cent of a core.
const EVERY: Duration = Duration::from_millis(100);

const OPENED: &str = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";

/// A process that is watched.
pub(crate) struct Watched {
    name: &'static str,
    pid: u32,
    groups: Vec<PathBuf>,
    cpus: Option<f64>,
    before: Option<(TreeUse, Option<Throttling>)>,
}

impl Watched {
    pub(crate) fn new(
        name: &'static str,
        pid: Option<u32>,
        groups: &[PathBuf],
        cpus: Option<f64>,
    ) -> Option<Self> {
        Some(Self { name, pid: pid?, groups: groups.to_vec(), cpus, before: None })
    }

    fn begin(&mut self) {
        self.before = process_tree(self.pid).map(|tree| (tree, throttling(&self.groups)));
    }

    fn end(&self, operations: u64) -> ProcessFigures {
        let mut figures = ProcessFigures {
            name: self.name.to_owned(),
            cpus: self.cpus,
            memory_peak_bytes: memory_peak(&self.groups),
            ..ProcessFigures::default()
        };
        let (Some((before, held)), Some(after)) = (&self.before, process_tree(self.pid)) else {
            return figures;
        };
        let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        figures.cpu_s = Some(cpu_s);
        figures.cpu_us_per_op = (operations > 0).then(|| cpu_s * 1e6 / operations as f64);
        if let (Some(before), Some(after)) = (held, throttling(&self.groups)) {
            let held = after.since(before);
            figures.throttled_share = Some(held.share());
            figures.throttled_s = Some(held.time.as_secs_f64());
        }
        // Backends come and go with sessions; an application's processes stay.
        if self.name == "app" {
            figures.restarts = after.members.difference(&before.members).count() as u64;
        }
        figures
    }
}

/// Everything that is watched around a measured part.
pub(crate) struct Watch {
    pub(crate) server: Connection,
    /// Counts the sessions of the applications' role that are not our own.
    count: String,
    pub(crate) console: Option<Connection>,
    pub(crate) processes: Vec<Watched>,
    sessions: SessionFigures,
    opened_before: u64,
    pooler: PoolerFigures,
    totals_before: BTreeMap<String, u64>,
    waiting: u64,
    active: u64,
}

impl Watch {
    pub(crate) fn new(
        server: Connection,
        user: &str,
        pooled: Option<Pooled>,
        processes: Vec<Watched>,
    ) -> Self {
        let servers_ready = pooled.as_ref().map_or(0, |p| p.ready);
        Self {
            server,
            count: format!(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 AND datname = current_database() AND usename = '{}' \
                 AND application_name NOT LIKE 'pinchpoint-admin%'",
                user.replace('\'', "''")
            ),
            console: pooled.map(|p| p.console),
            processes,
            sessions: SessionFigures::default(),
            opened_before: 0,
            pooler: PoolerFigures { servers_ready, ..PoolerFigures::default() },
            totals_before: BTreeMap::new(),
            waiting: 0,
            active: 0,
        }
    }

    pub(crate) async fn begin(&mut self) -> Result<(), LabError> {
        self.opened_before = number(&mut self.server, OPENED).await?;
        if let Some(console) = &mut self.console {
            self.totals_before = totals(console).await;
        }
        self.processes.iter_mut().for_each(Watched::begin);
        Ok(())
    }

    /// Looks again and again; ends only when it is dropped, or when there is nothing to look at.
    pub(crate) async fn look(&mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Ok(count) = number(&mut self.server, &self.count).await {
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

    /// The figures, for so many operations that succeeded.
    pub(crate) async fn end(
        mut self,
        operations: u64,
        allowed: Option<u64>,
    ) -> (Vec<ProcessFigures>, SessionFigures, Option<PoolerFigures>) {
        let processes = self.processes.iter().map(|p| p.end(operations)).collect();
        let opened = number(&mut self.server, OPENED).await.unwrap_or(self.opened_before);
        self.sessions.opened = opened.saturating_sub(self.opened_before);
        self.sessions.allowed = allowed;
        let pooler = match &mut self.console {
            None => None,
            Some(console) => {
                let after = totals(console).await;
                let samples = self.pooler.samples.max(1) as f64;
                self.pooler.clients_waiting_mean = self.waiting as f64 / samples;
                self.pooler.servers_active_mean = self.active as f64 / samples;
                self.pooler.totals = after
                    .into_iter()
                    .map(|(name, now)| {
                        let before = self.totals_before.get(&name).copied().unwrap_or(0);
                        (name, now.saturating_sub(before))
                    })
                    .collect();
                Some(self.pooler)
            }
        };
        (processes, self.sessions, pooler)
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
    let (columns, rows) = console.query_named(sql).await.ok()?;
    let named = rows.into_iter().map(|row| {
        columns.iter().cloned().zip(row).filter_map(|(name, v)| Some((name, v?))).collect()
    });
    Some(named.collect())
}
