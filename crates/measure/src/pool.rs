use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How large a pool should be, by measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolAdvice {
    /// The smallest size that cannot be told from the best.
    pub size: u64,
    /// The smallest and the largest measured size that the noise does not tell from the best.
    pub as_good: [u64; 2],
    /// Throughput with the advised size in transactions per second, cleared of what rounds differ by.
    pub throughput_per_s: f64,
    /// Its 95 % interval over the rounds.
    pub throughput_ci95: Option<[f64; 2]>,
    /// 95th percentile of the response time with the advised size, in milliseconds.
    pub p95_ms: f64,
    /// The size with the highest throughput.
    pub best_size: u64,
    /// That throughput.
    pub best_per_s: f64,
    /// The advised size may give this share less than the best: the noise, within 2 % and 5 %.
    pub tolerance: f64,
    /// Half the width of a 95 % interval of the difference of two sizes, as a share of the throughput.
    pub noise: f64,
    /// Throughput still grew at the largest size: the best may lie beyond.
    pub still_rising: bool,
    /// Clients that shared the pool.
    pub clients: u64,
    /// The curve that the figures speak for; absent with fewer than six sizes, and where
    /// neither model comes close.
    pub curve: Option<PoolCurve>,
    /// The answer in one sentence.
    pub sentence: String,
    /// The setting to change, by what makes the pool.
    pub settings: BTreeMap<String, String>,
}

/// A curve of throughput over the pool's size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolCurve {
    /// `hard-cap`: min(`slope` · m, `cap`); `usl`: `one` · m ÷ (1 + `contention` · (m − 1) +
    /// `crosstalk` · m · (m − 1)).
    pub model: String,
    /// Its parameters, by name.
    pub parameters: BTreeMap<String, f64>,
    /// Root mean square of its relative error.
    pub relative_error: f64,
    /// The size from which more gives no more, by the curve.
    pub knee: Option<f64>,
    /// The curve at the measured sizes: size, transactions per second.
    pub points: Vec<[f64; 2]>,
}
