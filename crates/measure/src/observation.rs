use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Counter, Phase, PoolerFigures, ProcessFigures, WaitClass};

/// What was seen around a load in the measured part of a trial: what the server's sessions waited
/// for, what its counters grew by, what processes and machine used.
///
/// Whatever could not be read is absent here, and named in [`Observation::missing`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Seconds that it covers.
    pub seconds: f64,
    /// The server's `server_version_num`: 150018.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<u32>,
    /// The shortest round trip of an empty request on the watcher's own connection, in
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
    /// Sessions of the load, sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionSamples>,
    /// What the server's counters grew by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<Counter, f64>,
    /// CPU of the load's server processes as the kernel counts it; only where we may read `/proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<BackendCpu>,
    /// The processes under test: `postgres`, `pgbouncer`, `redis`, `app`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessFigures>,
    /// The queues of the pooler before the server, where its console was named; those of a matrix's
    /// pooler are in [`crate::StackFigures`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<PoolerFigures>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostFigures>,
    /// The statements that took most time, counted in a pass of their own or found in the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<StatementFigures>,
    /// What the slowest operations waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowFigures>,
    /// CPU that watching took, on our side, in seconds.
    pub watcher_cpu_s: f64,
    /// CPU that watching took on the server's side, in seconds; only where we may read `/proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watcher_server_cpu_s: Option<f64>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Sessions of the load, sampled. A mean number of sessions in a state, divided by throughput, is
/// the mean time of an operation in that state (Little 1961).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionSamples {
    /// Looks taken.
    pub looks: u64,
    /// Mean number of sessions executing a statement.
    pub active: f64,
    /// Mean number with a transaction open and nothing to do.
    pub idle_in_transaction: f64,
    /// Mean number connected and idle.
    pub idle: f64,
    /// Most that were connected at once.
    pub most: u64,
    /// What active sessions were waiting for, the largest first; their sum is `active`.
    pub waits: Vec<WaitFigures>,
    /// Sessions that others waited for, the most wanted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// Mean number of autovacuum workers at work.
    #[serde(default)]
    pub autovacuum_workers: f64,
}

/// A wait of active sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitFigures {
    /// What it is.
    pub class: WaitClass,
    /// What this version calls it: `IO:WALSync`; `running` without a wait.
    pub event: String,
    /// Mean number of sessions in it.
    pub sessions: f64,
    /// Standard error of that mean, by batch means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

/// A session that others waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// What it was doing: `idle in transaction`, `active, IO:WALSync`, `active, running`.
    pub state: String,
    /// The state as a class; absent when it is idle in its transaction.
    pub class: Option<WaitClass>,
    /// Its application name; ours says `pinchpoint-load`.
    pub application: String,
    /// Share of the looks at waiters in which it was this (0 to 1).
    pub share: f64,
    /// The beginning of its statement, where we may see it.
    pub query: Option<String>,
}

/// CPU of the load's server processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BackendCpu {
    /// Seconds on a CPU, all together.
    pub cpu_s: f64,
    /// Seconds ready to run and waiting for a CPU.
    pub run_delay_s: f64,
    /// Times that they were put off a CPU without asking for it.
    pub preemptions: f64,
    /// Processes read.
    pub processes: u64,
}

/// The machine in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFigures {
    /// Share of all CPU time in use (0 to 1).
    pub cpu_share: Option<f64>,
    /// Share that the hypervisor gave to others.
    pub steal_share: Option<f64>,
    /// CPU seconds of processes that do not belong to the run, where they can be told apart.
    pub foreign_cpu_s: Option<f64>,
    /// Seconds that threads of ours, the load's among them, were ready to run and had no CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_delay_s: Option<f64>,
    /// Share of time in which some task waited for a CPU (pressure stall information).
    pub cpu_pressure: Option<f64>,
    /// The same for I/O.
    pub io_pressure: Option<f64>,
    /// The same for memory.
    pub memory_pressure: Option<f64>,
    /// Pages swapped in and out.
    pub swapped_pages: Option<f64>,
    /// Page faults that read from disk.
    pub major_faults: Option<f64>,
    /// Flushes of the server's disk.
    pub disk_flushes: Option<f64>,
    /// Milliseconds of one flush, on average.
    pub disk_flush_ms: Option<f64>,
    /// Share of time in which the disk had something to do.
    pub disk_busy: Option<f64>,
}

/// One statement's cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StatementFigures {
    /// Its text with parameters in place of constants, cut to a line.
    pub query: String,
    /// Executions.
    pub calls: f64,
    /// Executions for each operation of the load.
    pub calls_per_op: Option<f64>,
    /// Milliseconds of execution, all together.
    pub execute_ms: f64,
    /// Milliseconds of planning, all together (`track_planning`).
    pub plan_ms: Option<f64>,
    /// Rows returned or changed.
    pub rows: f64,
    /// Data pages touched.
    pub blocks: f64,
    /// Rows of tables read for it, where that can be told.
    pub rows_read: Option<f64>,
}

/// What the slowest operations spent their time on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowFigures {
    /// From this response time on an operation counts as slow, in milliseconds.
    pub from_ms: f64,
    /// Slow operations that were kept.
    pub operations: u64,
    /// Their mean response time in milliseconds.
    pub mean_ms: f64,
    /// Their mean time by phase.
    pub phases_ms: BTreeMap<Phase, f64>,
    /// Looks that fell into one of them, on the session that served it.
    pub looks: u64,
    /// What that session was waiting for: shares of these looks (`sessions` holds the share).
    pub waits: Vec<WaitFigures>,
}

/// A source that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// `wait events`, `pg_stat_wal`, `cgroup`, `pressure`, ….
    pub signal: String,
    /// Why, and what would help.
    pub reason: String,
}

impl Observation {
    /// What a counter grew by.
    pub fn counter(&self, counter: Counter) -> Option<f64> {
        self.counters.get(&counter).copied()
    }

    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<&ProcessFigures> {
        self.processes.iter().find(|p| p.name == name)
    }
}

impl SessionSamples {
    /// Mean number of sessions in waits of a class.
    pub fn in_class(&self, class: WaitClass) -> f64 {
        // From 0, because an empty sum of floats is −0.
        self.waits.iter().filter(|w| w.class == class).fold(0.0, |sum, w| sum + w.sessions)
    }
}
