use serde::{Deserialize, Serialize};

/// What limited a variant, with the evidence for and against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// A stable name: `connection-setup`, `serial-round-trips`, `wal-flush`, ….
    pub bottleneck: String,
    /// The share of an operation's time (0 to 1) that the bottleneck takes.
    pub share: f64,
    /// How far to trust it, 0 to 1.
    pub confidence: f64,
    /// What speaks for it.
    pub evidence: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// The causes that were looked at and cleared, or not, one by one.
    #[serde(default)]
    pub elimination: Vec<Elimination>,
    /// The estimate held against the measurement: `1000 / 15 ms ≈ 66/s, measured 70/s`.
    #[serde(default)]
    pub arithmetic: Option<String>,
}

/// One candidate cause, and whether it is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elimination {
    /// `connection set-up`, `CPU`, `memory`, `network`, `pool`, `server`.
    pub cause: String,
    /// The figure that decides.
    pub finding: String,
    /// Whether it limits: `true` for the main cause.
    pub limits: bool,
}

/// The gain expected of the next step, stated before the step is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The variant that the prediction is made from.
    pub from: String,
    /// What is changed: `pool`, `concurrency`, `batch`, `copy`, `synchronous_commit`, ….
    pub lever: String,
    /// Expected throughput of this variant in rows per second, lowest and highest.
    pub range_per_s: [f64; 2],
    /// How the range was computed, in one line.
    pub basis: String,
    /// What came.
    pub measured_per_s: Option<f64>,
    /// Whether what came lies in the range.
    pub held: Option<bool>,
}
