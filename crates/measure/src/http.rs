use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Latency;

/// What HTTP load saw in the measured part of a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpFigures {
    /// The requests by name, in the order in which they are defined.
    pub endpoints: Vec<Endpoint>,
    /// Where every operation went.
    pub census: Census,
    /// Service time: from the first byte sent to the last byte received. `latency_ms` of the
    /// trial is the response time, which counts from the intended start.
    pub service_latency_ms: Latency,
    /// Percentiles of the response time beyond those of [`Latency`], by name (`p66`, `p99.9`, …), in
    /// milliseconds.
    pub percentiles_ms: BTreeMap<String, f64>,
    /// Mean delay between the intended start and the first byte sent, in milliseconds; open load.
    pub schedule_lag_ms: Option<f64>,
    /// Bytes received, heads included.
    pub bytes_received: u64,
    /// Bytes sent, heads included.
    pub bytes_sent: u64,
    /// Connections opened in the measured part and the warm-up together.
    pub connections_opened: u64,
    /// Answers by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Checks of answers, by their text: passed and failed.
    pub checks: Vec<CheckFigures>,
    /// The seconds of the trial, one by one, for Locust's history file.
    pub seconds: Vec<Second>,
}

/// One request of a load, under its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `GET`, ….
    pub method: String,
    /// The name that figures stand under; by default the path template.
    pub name: String,
    /// Operations that ended, well or not.
    pub requests: u64,
    /// Of these, failed.
    pub failures: u64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// Response time of the successful ones.
    pub latency_ms: Latency,
    /// Shortest response time in milliseconds.
    pub min_ms: f64,
    /// Percentiles beyond those of [`Latency`], by name, in milliseconds.
    pub percentiles_ms: BTreeMap<String, f64>,
    /// Failures by cause.
    pub errors: BTreeMap<String, u64>,
    /// Right answers of which the server said, by `X-Cache`, that a cache had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<Lookups>,
    /// The same, that none had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<Lookups>,
}

/// Answers that a cache had, or had not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookups {
    /// How many.
    pub answers: u64,
    /// Mean response time in milliseconds.
    pub mean_ms: f64,
    /// Its median in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// Its 95th percentile in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// Where the operations of a trial went, its warm-up included: each is in exactly one class, and
/// together they are what was started or, under a schedule, what was due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Due until the end by the schedule alone, which is counted apart; absent in closed load.
    pub scheduled: Option<u64>,
    /// Answered rightly.
    pub ok: u64,
    /// Answered, and a check of the answer failed.
    pub wrong_answer: u64,
    /// Answered with a status that counts as a failure.
    pub status: u64,
    /// No answer within the time-out.
    pub timed_out: u64,
    /// The connection was refused.
    pub refused: u64,
    /// The connection was reset or closed before the answer was whole.
    pub reset: u64,
    /// Any other failure.
    pub other: u64,
    /// Due and never started.
    pub not_started: u64,
    /// Started and without an answer when the load ended: neither success nor failure.
    pub in_flight: u64,
}

impl Census {
    /// All classes together.
    pub const fn sum(&self) -> u64 {
        self.ok + self.failed() + self.not_started + self.in_flight
    }

    /// The classes that are failures.
    pub const fn failed(&self) -> u64 {
        self.wrong_answer + self.status + self.timed_out + self.refused + self.reset + self.other
    }
}

/// A check of answers, and how often it passed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFigures {
    /// `status is 200`, `/post/id exists`.
    pub name: String,
    /// Answers that passed.
    pub passed: u64,
    /// Answers that failed.
    pub failed: u64,
}

/// One second of a trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Its end, in whole seconds since 1970, UTC.
    pub unix_s: u64,
    /// Users at work.
    pub users: u64,
    /// Operations that ended well.
    pub succeeded: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Response time of the successful ones.
    pub latency_ms: Latency,
}

/// A limit that a figure was held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdOutcome {
    /// `http_req_duration`.
    pub metric: String,
    /// `p(95)<200`.
    pub expression: String,
    /// The figure; absent when there was no sample.
    pub value: Option<f64>,
    /// Whether the figure kept the limit; false without a sample.
    pub passed: bool,
}
