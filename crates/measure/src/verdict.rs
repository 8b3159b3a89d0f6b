use serde::{Deserialize, Serialize};

use crate::{Probe, Proof};

/// What limited a variant, with the evidence for and against.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Factor by which throughput could rise if the bottleneck were gone, lowest and highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<[f64; 2]>,
    /// What it shows as: causes that are no others while it stands, such as a CPU that is used up by
    /// what a missing index makes necessary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows_as: Vec<String>,
    /// The cause that comes closest behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<Suspect>,
    /// What most of an operation's time goes to; not always what limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub where_time_goes: Option<Suspect>,
    /// An operation's time, from its intended start to its acknowledgement, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<BudgetLine>,
    /// The budget's sum divided by the mean response time: 1 when all is explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<f64>,
    /// What would limit once it is gone, as far as that can be told: a stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What to do about it, the cheapest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// What the slowest operations waited for, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<String>,
    /// Set when a check failed that no verdict survives: why nothing can be concluded. The
    /// bottleneck is `inconclusive` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<String>,
    /// Demands that were made larger on purpose, and what throughput did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// What these say to the verdict that was made from what was seen alone; absent without probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// A cause, and how much it matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its stable name.
    pub bottleneck: String,
    /// Share of an operation's time that it takes (0 to 1).
    pub share: f64,
    /// Factor by which throughput could rise at most if it were gone.
    pub gain: f64,
}

/// One line of an operation's time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// `checkout`, `connect`, `server: WAL flush`, `network and driver`, ….
    pub name: String,
    /// Mean milliseconds of an operation.
    pub ms: f64,
    /// Half the width of its 95 % interval, where it is sampled.
    pub error_ms: Option<f64>,
    /// Where the figure comes from.
    pub source: BudgetSource,
}

/// Where a line of the budget comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetSource {
    /// Our clock, around each operation.
    Clock,
    /// Sessions sampled on the server: mean sessions ÷ throughput.
    Samples,
    /// Differences of counters.
    Counters,
    /// What is left when the other lines are taken from a measured whole.
    Rest,
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The variant that the prediction is made from.
    pub from: String,
    /// What is changed: `pool`, `concurrency`, `batch`, `copy`, `synchronous_commit`, ….
    pub lever: String,
    /// Expected throughput of this variant in rows per second, lowest and highest.
    pub range_per_s: [f64; 2],
    /// How the range was computed, in one line.
    pub basis: String,
    /// What is expected to limit then, as a verdict would name it; absent where the model does not
    /// know, and in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What came.
    pub measured_per_s: Option<f64>,
    /// Whether what came lies in the range; absent while not measured, and when undecided.
    pub held: Option<bool>,
    /// How it ended; absent while not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// Factor by which the range was widened for past misses (1 widens nothing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widened: Option<f64>,
    /// When it was stated, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_at: Option<String>,
    /// SHA-256 of what was stated, before the lever was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl Prediction {
    /// Whether what was expected to limit is what a verdict found. `None` where nothing was expected,
    /// or the verdict says nothing.
    ///
    /// A limit on the server's CPU is its CPU, seen from the other side. And a verdict may name what
    /// uses a CPU up, a missing index for instance, where it was foreseen that this CPU would be.
    pub fn limit_came(&self, verdict: &Verdict) -> Option<bool> {
        let expected = self.limit.as_deref().filter(|_| verdict.inconclusive.is_none())?;
        let found = verdict.bottleneck.as_str();
        let kind =
            |name: &str| if name == "cpu-throttling" { "server-cpu" } else { name }.to_owned();
        let is_cpu = |name: &str| kind(name).ends_with("-cpu");
        let used_up = is_cpu(expected)
            && !is_cpu(found)
            && verdict.shows_as.iter().any(|name| kind(name) == kind(expected));
        Some(kind(expected) == kind(found) || used_up)
    }
}

/// What became of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// What came meets the range.
    Held,
    /// It does not.
    Missed,
    /// The measurement is too uncertain to tell.
    Undecided,
}
