use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Latency;

/// What a run of pgbench scripts saw in the measured part of a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlFigures {
    /// `<builtin: TPC-B (sort of)>`, a file's name, or `multiple scripts`.
    pub transaction_type: String,
    /// The scale of pgbench's tables, as `:scale` had it.
    pub scale: u64,
    /// `simple`, `extended`, `prepared`.
    pub query_mode: String,
    /// Clients.
    pub clients: u32,
    /// Load threads.
    pub threads: u32,
    /// Transactions that each client was to run; absent when time decided.
    pub transactions_per_client: Option<u64>,
    /// Tries that a transaction had at most.
    pub max_tries: u32,
    /// Transactions that were tried more than once.
    pub retried: u64,
    /// Tries beyond the first.
    pub retries: u64,
    /// Time until all connections stood before the load began, in milliseconds; absent where each
    /// transaction makes its own.
    pub initial_connection_ms: Option<f64>,
    /// Standard deviation of the response time, in milliseconds.
    pub latency_stddev_ms: f64,
    /// The 99.9th percentile of the response time, in milliseconds.
    pub latency_p999_ms: f64,
    /// Mean delay between the intended start and the start, in milliseconds; open load.
    pub schedule_lag_ms: Option<f64>,
    /// The response time above which a transaction is late, in milliseconds, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_limit_ms: Option<f64>,
    /// Transactions that ended well and took longer than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
    /// Transactions of the schedule that were not started, because they were late by more than the
    /// limit when a client had time for them; open load with a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Failures by kind, where they were to be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<SqlFailures>,
    /// The transaction log, where one was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<SqlLogFigures>,
    /// Script by script.
    pub scripts: Vec<ScriptFigures>,
    /// Statement by statement, in the scripts' order.
    pub statements: Vec<ScriptStatement>,
    /// Whether the statements are shown in the summary.
    pub shows_statements: bool,
    /// The first different failures in words, over the whole trial, and how often each came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub incidents: BTreeMap<String, u64>,
}

/// Failed transactions by kind; those of any other kind are not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlFailures {
    /// Serialization failures (SQLSTATE 40001).
    pub serialization: u64,
    /// Deadlocks (SQLSTATE 40P01).
    pub deadlock: u64,
}

/// A transaction log in pgbench's format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlLogFigures {
    /// Its files, one for each load thread.
    pub files: Vec<String>,
    /// Lines in them.
    pub lines: u64,
    /// Lines that were left out, because the disk did not keep up.
    pub lost: u64,
}

/// One script of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScriptFigures {
    /// Its file, or the built-in's name.
    pub name: String,
    /// Its weight among all.
    pub weight: u32,
    /// Transactions that ended well.
    pub succeeded: u64,
    /// Transactions that failed.
    pub failed: u64,
    /// Transactions per second.
    pub throughput_per_s: f64,
    /// Response time.
    pub latency_ms: Latency,
    /// Its standard deviation.
    pub latency_stddev_ms: f64,
}

/// One statement of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScriptStatement {
    /// Its script's place, from 0.
    pub script: usize,
    /// Its line, from 1.
    pub line: u32,
    /// The statement, in one line.
    pub text: String,
    /// Answers without an error.
    pub succeeded: u64,
    /// Answers with one.
    pub failed: u64,
    /// Mean time from encoding it to the server's being ready again, in milliseconds. In a pipeline
    /// each statement has its equal part of the whole.
    pub mean_ms: f64,
}
