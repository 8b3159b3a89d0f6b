use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was seen of the processes under test in the measured part of a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StackFigures {
    /// The processes: `postgres`, `pgbouncer`, `app`.
    pub processes: Vec<ProcessFigures>,
    /// Sessions of the load on the database server.
    pub sessions: Option<SessionFigures>,
    /// The pooler's totals and queues.
    pub pooler: Option<PoolerFigures>,
    /// Statements counted in a pass of its own.
    pub evidence: Option<EvidenceFigures>,
    /// What the application's own metrics grew by, by series.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub app_metrics: BTreeMap<String, f64>,
    /// The same of the process beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside_metrics: BTreeMap<String, f64>,
    /// What the numbers of Redis's `INFO` grew by, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redis: BTreeMap<String, f64>,
}

impl StackFigures {
    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<&ProcessFigures> {
        self.processes.iter().find(|p| p.name == name)
    }
}

/// What a process, with its children, used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// `postgres`, `pgbouncer`, `app`.
    pub name: String,
    /// Seconds of CPU.
    pub cpu_s: Option<f64>,
    /// Microseconds of CPU for each successful operation.
    pub cpu_us_per_op: Option<f64>,
    /// Seconds that its threads were ready to run and waited for a CPU, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay_s: Option<f64>,
    /// Seconds of CPU of what used most and can use no more than one core, of an application: a thread,
    /// or a process whose interpreter lets one thread run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_lane_s: Option<f64>,
    /// Interpreters that share an application's work, where nothing else does any: it can use so many
    /// CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreters: Option<u32>,
    /// CPUs that it may use; absent without a limit.
    pub cpus: Option<f64>,
    /// Share of the scheduler's periods in which the CPU limit held it back (0 to 1).
    pub throttled_share: Option<f64>,
    /// Seconds for which its threads were held back, all together.
    pub throttled_s: Option<f64>,
    /// Most memory used since it started, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Memory that it may use, in bytes; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Times that its memory limit stood in the way of an allocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_pushes: Option<u64>,
    /// Memory resident, in bytes, once a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resident_bytes: Vec<u64>,
    /// Times that a process of the app ended and was started again.
    pub restarts: u64,
}

impl ProcessFigures {
    /// CPUs that it can use at most: what it is allowed, and one for each interpreter.
    pub fn most_cpus(&self) -> Option<f64> {
        let interpreters = self.interpreters.map(|n| f64::from(n.max(1)));
        [self.cpus, interpreters].into_iter().flatten().reduce(f64::min)
    }
}

/// Sessions of the load on the database server: what is seen there, not what is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFigures {
    /// Most at once, sampled.
    pub most: u64,
    /// Opened in the measured part.
    pub opened: u64,
    /// The most that the configuration allows; absent when it bounds nothing.
    pub allowed: Option<u64>,
    /// Samples taken.
    pub samples: u64,
    /// Transactions that the database ended, those of whoever watches left out; a statement outside a
    /// transaction is one. The server counts those of a session once a second, so some at the end
    /// may be missing. Absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<u64>,
}

/// A pooler's figures over the measured part: differences of its totals, and samples of its queues.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolerFigures {
    /// What it says of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The one database whose pools count; absent when all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Differences of the totals of `SHOW STATS`, by column.
    pub totals: BTreeMap<String, u64>,
    /// Most clients waiting for a server connection at once, sampled.
    pub clients_waiting_most: u64,
    /// Mean of the same.
    pub clients_waiting_mean: f64,
    /// Longest wait seen, in milliseconds, sampled.
    pub longest_wait_ms: f64,
    /// Most server connections in use at once, sampled.
    pub servers_active_most: u64,
    /// Mean of the same.
    pub servers_active_mean: f64,
    /// Mean server connections that stood ready; absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers_idle_mean: Option<f64>,
    /// Mean clients that do not wait: at a server connection, or idle. Absent in results of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients_active_mean: Option<f64>,
    /// Server connections that stood ready before the first request.
    #[serde(default)]
    pub servers_ready: u64,
    /// Most client connections at once, sampled.
    pub clients_most: u64,
    /// Samples taken.
    pub samples: u64,
}

impl PoolerFigures {
    /// A total's difference.
    pub fn total(&self, name: &str) -> Option<u64> {
        self.totals.get(name).copied()
    }
}

/// Statements counted by `pg_stat_statements` in a short pass beside the timed trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvidenceFigures {
    /// Requests answered rightly in the pass.
    pub requests: u64,
    /// Executions of the statements that a request is made of.
    pub statements: u64,
    /// What a request should take.
    pub expected_per_request: f64,
    /// Executions of anything else (set-up of connections, transactions, pings), for each request.
    pub other_per_request: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_use_what_it_is_allowed_and_a_core_an_interpreter() {
        let most = |cpus, interpreters| {
            ProcessFigures { interpreters, cpus, ..ProcessFigures::default() }.most_cpus()
        };
        assert_eq!(most(None, None), None);
        assert_eq!(most(Some(1.5), None), Some(1.5));
        assert_eq!(most(Some(1.5), Some(1)), Some(1.0));
        assert_eq!(most(Some(f64::INFINITY), Some(4)), Some(4.0));
    }
}
