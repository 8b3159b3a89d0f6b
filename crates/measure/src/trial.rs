use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Factors, HttpFigures, Latency, Observation, Phase, SqlFigures, StackFigures, ThresholdOutcome,
};

/// One measured run of one variant, after its warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1.
    pub number: u32,
    /// How it ended.
    pub status: TrialStatus,
    /// Why it did not end well.
    pub reason: Option<String>,
    /// Start of the measured part, RFC 3339.
    pub started_at: String,
    /// What it ran with; dynamic levels (a swept batch size, the best method) are resolved here.
    pub factors: Factors,
    /// Closed or open load, and the target.
    pub pace: Pace,
    /// How long it warmed up.
    pub warm_up: WarmUp,
    /// Length of the measured part in seconds.
    pub duration_s: f64,
    /// Operations that the server acknowledged in the measured part.
    pub succeeded: u64,
    /// Operations that failed in the measured part.
    pub failed: u64,
    /// Rows acknowledged in the measured part.
    pub rows: u64,
    /// Rows that failed operations carried in the measured part.
    pub rows_failed: u64,
    /// Rows per second.
    pub throughput_per_s: f64,
    /// 95 % interval of the throughput within this trial, from batch means.
    pub throughput_ci95: Option<[f64; 2]>,
    /// Operations (statements) per second.
    pub operations_per_s: f64,
    /// Response time of an operation, from its intended start (open load) or its start (closed).
    pub latency_ms: Latency,
    /// The statement alone, whatever it took to get a connection (encode to commit).
    pub statement_latency_ms: Latency,
    /// Statement time divided by rows.
    pub per_row_latency_ms: PerRow,
    /// Mean time of an operation by phase, in milliseconds; the sum is `latency_ms.avg`.
    pub phases_ms: BTreeMap<Phase, f64>,
    /// CPU time of the load threads for each operation, in microseconds.
    pub client_cpu_us_per_op: f64,
    /// The same for each row.
    pub client_cpu_us_per_row: f64,
    /// Load threads' CPU time divided by threads × duration: 1 means that the generator is the limit.
    pub client_cpu_share: f64,
    /// Mean CPU of the machine in the measured part, in per cent of all cores.
    pub cpu_percent: Option<f64>,
    /// Memory of the machine in use, in per cent.
    pub memory_percent: Option<f64>,
    /// Largest backlog seen at an interval's end: operations whose intended start has passed.
    pub backlog_max: u64,
    /// Backlog at the end of the measured part.
    pub backlog_end: u64,
    /// Rows acknowledged over the whole trial, warm-up and last operations included.
    pub acknowledged_rows: u64,
    /// Rows found in the table afterwards.
    pub rows_in_table: Option<u64>,
    /// What was acknowledged held against what is stored.
    pub ledger: Option<Ledger>,
    /// The crash after the trial, when there was one.
    pub crash: Option<Crash>,
    /// Failures by SQLSTATE or cause, over the whole trial.
    pub errors: BTreeMap<String, u64>,
    /// Checks that the figures must pass to count.
    pub gates: Vec<Gate>,
    /// The reporting intervals.
    pub intervals: Vec<Interval>,
    /// What HTTP load saw; absent for statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFigures>,
    /// What a run of scripts saw; absent for other loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlFigures>,
    /// What was seen of the processes under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackFigures>,
    /// What was seen around the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// Limits that figures were held against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdOutcome>,
}

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// Its figures count.
    Ok,
    /// It could not run, or its ledger does not balance.
    Failed,
    /// Stopped by the user.
    Interrupted,
}

/// How operations are started.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "load", rename_all = "snake_case")]
pub enum Pace {
    /// Each virtual user starts the next operation when the last one has ended.
    Closed,
    /// A schedule starts operations, whether or not earlier ones have ended.
    Open {
        /// Rows per second that the schedule asks for.
        target_per_s: f64,
        /// Whether the gaps are random (Poisson) or even.
        poisson: bool,
    },
}

/// The warm-up before a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Its length in seconds.
    pub duration_s: f64,
    /// Whether throughput had become steady.
    pub settled: bool,
    /// What to know about it.
    pub note: Option<String>,
}

/// The mean cost of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PerRow {
    /// Statement time ÷ rows, in milliseconds.
    pub avg: f64,
}

/// Acknowledged rows against stored rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Rows that the server acknowledged (0 expected in the table for a rung that does not write).
    pub acknowledged_rows: u64,
    /// Rows of operations whose answer never came: the server may or may not have stored them.
    pub in_doubt_rows: u64,
    /// Rows counted in the table.
    pub rows_in_table: u64,
    /// Acknowledged ≤ stored ≤ acknowledged + in doubt; after a crash of an asynchronous rung the
    /// lower bound does not apply.
    pub balanced: bool,
}

/// An immediate stop of the server right after a trial, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crash {
    /// Acknowledged rows that were gone after recovery.
    pub lost_rows: u64,
    /// Age at the crash of the oldest acknowledged row that was lost, in milliseconds.
    pub oldest_lost_ms: Option<f64>,
    /// The age is a lower bound: the record of acknowledgements did not reach back far enough.
    pub oldest_lost_is_lower_bound: bool,
    /// Seconds from the crash until the server answered again.
    pub recovery_s: f64,
}

/// A check that a trial's figures must pass to be believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// `littles-law`, `phase-sum`, `generator-headroom`, ….
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// The figures.
    pub detail: String,
}

/// One reporting interval (10 s by default).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// End of the interval, RFC 3339 with microseconds, UTC.
    pub timestamp: String,
    /// Its length in seconds.
    pub duration_s: f64,
    /// Rows per second.
    pub tps: f64,
    /// Rows acknowledged.
    pub success_count: u64,
    /// Rows of failed operations.
    pub error_count: u64,
    /// Response time of an operation.
    pub latency_ms: Latency,
    /// CPU of the machine in use, in per cent of all cores.
    pub cpu_percent: Option<f64>,
    /// Memory of the machine in use, in per cent.
    pub memory_percent: Option<f64>,
    /// Operations whose intended start has passed and that have not begun.
    pub queue_length: u64,
}

impl Interval {
    /// Failed rows ÷ all rows, 0 to 1; 0 when there were none.
    pub fn error_rate(&self) -> f64 {
        let all = self.success_count + self.error_count;
        if all == 0 { 0.0 } else { self.error_count as f64 / all as f64 }
    }
}

impl Trial {
    /// Failed rows ÷ all rows, 0 to 1; 0 when there were none.
    pub fn error_rate(&self) -> f64 {
        let all = self.rows + self.rows_failed;
        if all == 0 { 0.0 } else { self.rows_failed as f64 / all as f64 }
    }

    /// The mean time of the phases that `select` picks, in milliseconds.
    pub fn phase_sum_ms(&self, select: impl Fn(Phase) -> bool) -> f64 {
        self.phases_ms.iter().filter(|(p, _)| select(**p)).map(|(_, ms)| ms).sum()
    }

    /// Whether every gate held.
    pub fn gates_passed(&self) -> bool {
        self.gates.iter().all(|g| g.passed)
    }
}
