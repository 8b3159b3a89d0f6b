use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Factors, Latency, PoolAdvice, Prediction, Trial, Verdict};

/// The version of `result.json` that this code writes, and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole run: what `result.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of pinchpoint that wrote it.
    pub pinchpoint_version: String,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's description.
    pub description: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC; absent while the run goes on.
    pub finished_at: Option<String>,
    /// How the run stands or ended.
    pub status: RunStatus,
    /// Why it did not complete.
    pub reason: Option<String>,
    /// Where it ran.
    pub environment: Environment,
    /// How it was run.
    pub plan: PlanFacts,
    /// Batch-size sweeps, made before methods are ranked.
    pub sweeps: Vec<Sweep>,
    /// The variants in the experiment's order.
    pub variants: Vec<Variant>,
    /// Where throughput stopped growing with the users, when that was looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knees: Vec<Knee>,
    /// The right size of a pool, when that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolAdvice>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// The number of users from which on more of them gave no more throughput.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// What was loaded: `fastapi`.
    pub app: String,
    /// `direct`, `pgbouncer`.
    pub connection: String,
    /// The users at the point.
    pub users: u64,
    /// Operations per second there.
    pub throughput_per_s: f64,
    /// How it was found, in one line.
    pub detail: String,
}

/// How a run stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It goes on, or was killed: a run that ended says how.
    Running,
    /// All trials were carried out.
    Complete,
    /// Stopped by the user; what had been measured is here.
    Interrupted,
    /// It could not go on.
    Failed,
}

/// Where a run took place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Kernel name and release.
    pub kernel: String,
    /// CPU model.
    pub cpu_model: String,
    /// Cores that this process may use.
    pub cpus: u32,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
    /// Time stolen by the hypervisor during the run, as a share of all CPU time (0 to 1).
    pub steal_share: Option<f64>,
    /// File system of the data directory: `ext4`, `tmpfs`, ….
    pub filesystem: Option<String>,
    /// Median duration of one `fdatasync` there, in microseconds.
    pub fsync_us: Option<f64>,
    /// The servers, their versions and settings.
    pub software: Vec<Software>,
    /// Limits asked for and whether they are in force.
    pub limits: Vec<Limit>,
    /// The data that requests read; absent where the load writes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
}

/// The data that requests read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Rows of `users`.
    pub users: u64,
    /// Rows of `posts`.
    pub posts: u64,
    /// Rows of `comments`.
    pub comments: u64,
    /// Seed that it was made from.
    pub seed: u64,
    /// What tells it from other data.
    pub fingerprint: String,
    /// Seconds that loading took; absent when it was there already.
    pub loaded_s: Option<f64>,
}

/// A server of the stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Software {
    /// `PostgreSQL`.
    pub name: String,
    /// `15.18`.
    pub version: String,
    /// Started by us, or somebody else's.
    pub managed: bool,
    /// How the load reached it: `tcp`, `unix`, with `tls` when it was on.
    pub transport: String,
    /// Settings that matter to the figures, as the server reports them.
    pub settings: BTreeMap<String, String>,
}

/// A limit on a process of the stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// `postgres cpus`, `postgres memory`.
    pub name: String,
    /// What was asked for: `0.5`, `512 MiB`.
    pub asked: String,
    /// Whether it is in force.
    pub in_force: bool,
    /// By what means (`cgroup v1`), or why not.
    pub how: String,
}

/// How a run was set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanFacts {
    /// Measured seconds of each trial.
    pub duration_s: f64,
    /// `auto`, or seconds.
    pub warmup: String,
    /// Trials of each variant.
    pub trials: u32,
    /// Reporting interval in seconds.
    pub interval_s: f64,
    /// Rows per second asked for; absent when flat out.
    pub target_per_s: Option<f64>,
    /// Seed of all that is random.
    pub seed: u64,
    /// Threads that drive the load.
    pub load_threads: u32,
    /// The experiment file, as it was run.
    pub experiment_file: String,
}

/// Batch sizes tried for a variant before its trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The variant.
    pub variant: String,
    /// What each size gave, in the order tried.
    pub points: Vec<SweepPoint>,
    /// The size that its trials used.
    pub chosen_batch: u64,
}

/// One batch size of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Rows in a statement.
    pub batch: u64,
    /// Rows per second.
    pub throughput_per_s: f64,
    /// 95th percentile of the statement's time in milliseconds.
    pub p95_ms: f64,
}

/// One combination of levels, its trials and what they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// `2-B`.
    pub name: String,
    /// What it changes, in a few words.
    pub title: String,
    /// Its levels.
    pub factors: Factors,
    /// Whether it ran.
    pub status: VariantStatus,
    /// Why it did not.
    pub reason: Option<String>,
    /// Its trials.
    pub trials: Vec<Trial>,
    /// All its trials together; absent when none counts.
    pub summary: Option<Summary>,
    /// What limited it.
    pub verdict: Option<Verdict>,
    /// What was expected of it, and whether it came.
    pub prediction: Option<Prediction>,
    /// Why nothing was expected of it, where something could have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpredicted: Option<String>,
}

/// Whether a variant ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariantStatus {
    /// Its turn has not come.
    Pending,
    /// It has trials that count.
    Ok,
    /// It cannot run here.
    Skipped,
    /// Every trial failed, or one did not balance.
    Failed,
}

/// The trials of a variant together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Rows per second.
    pub throughput_per_s: Spread,
    /// Median over the trials of each figure of the response time.
    pub latency_ms: Latency,
    /// The same for the statement alone.
    pub statement_latency_ms: Latency,
    /// Statement time ÷ rows, in milliseconds: median over the trials.
    pub per_row_latency_ms: f64,
    /// Median over the trials of the mean time by phase.
    pub phases_ms: BTreeMap<crate::Phase, f64>,
    /// Median over the trials, in microseconds.
    pub client_cpu_us_per_op: f64,
    /// Median over the trials, in microseconds.
    pub client_cpu_us_per_row: f64,
    /// Failed operations of all trials.
    pub failed: u64,
}

/// A median over trials with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median over the trials.
    pub median: f64,
    /// 95 % confidence interval; absent when nothing allows one.
    pub ci95: Option<[f64; 2]>,
    /// How the interval was made: `order statistics`, `Student t over 3 trials`, `batch means`.
    pub ci_method: String,
}

/// Why a result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was written by a newer pinchpoint.
    #[error(
        "result.json has schema version {found}, this pinchpoint reads up to {SCHEMA_VERSION}; \
         use the version of pinchpoint that wrote it, or a newer one"
    )]
    TooNew {
        /// The version found.
        found: u64,
    },
    /// It is not a result.
    #[error("result.json is not a pinchpoint result: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl RunResult {
    /// Reads a `result.json`, telling a newer format from a broken one.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if let Some(found) = value.get("schema_version").and_then(serde_json::Value::as_u64)
            && found > u64::from(SCHEMA_VERSION)
        {
            return Err(ReadError::TooNew { found });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The text of `result.json`: pretty-printed, with a final newline.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// Whether its variants are applications under load, and not rungs.
    pub fn is_matrix(&self) -> bool {
        self.variants.iter().any(|v| v.factors.contains_key("app"))
    }

    /// The variant of this name.
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|v| v.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_has_its_own_message() {
        let error = RunResult::from_json(r#"{"schema_version": 2}"#).unwrap_err();
        assert!(matches!(error, ReadError::TooNew { found: 2 }), "{error}");
        let error = RunResult::from_json(r#"{"schema_version": 1}"#).unwrap_err();
        assert!(matches!(error, ReadError::Malformed(_)), "{error}");
    }
}
