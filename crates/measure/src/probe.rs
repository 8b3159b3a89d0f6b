use serde::{Deserialize, Serialize};

/// A demand that an operation makes and that can be made larger on purpose, to see whether it is
/// what limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// CPU of the server.
    ServerCpu,
    /// CPU of the application.
    AppCpu,
    /// The way to the server and back.
    RoundTrip,
    /// The flush of the write-ahead log.
    WalFlush,
    /// For how long an operation keeps its connection from others.
    Hold,
}

/// Every demand, in the order in which it is probed. An application is there in a matrix only.
pub const DEMANDS: [Demand; 5] =
    [Demand::ServerCpu, Demand::AppCpu, Demand::RoundTrip, Demand::WalFlush, Demand::Hold];

impl Demand {
    /// The name in `result.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerCpu => "server-cpu",
            Self::AppCpu => "app-cpu",
            Self::RoundTrip => "round-trip",
            Self::WalFlush => "wal-flush",
            Self::Hold => "hold",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ServerCpu => "CPU of the server",
            Self::AppCpu => "CPU of the application",
            Self::RoundTrip => "round trips",
            Self::WalFlush => "flush of the WAL",
            Self::Hold => "hold of a connection",
        }
    }
}

/// What came of making a demand larger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Which.
    pub demand: Demand,
    /// By what means, in a few words: `quota 2 → 1.6 CPUs`.
    pub means: String,
    /// What it gave; absent when it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<ProbeFigures>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether this demand is what limits, as far as the figures decide it; absent without figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<ProbeFinding>,
}

/// What making a demand larger says to the claim that it limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeFinding {
    /// It limits: throughput followed.
    Confirmed,
    /// It does not: throughput hardly noticed.
    Refuted,
    /// The interval allows both, or it could not be tried.
    Undecided,
}

impl ProbeFinding {
    /// The word for people, which is that of `result.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
        }
    }
}

/// What probes say to a verdict that was made from what was seen alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The verdict's name before the probes.
    pub claim: String,
    /// What came of it.
    pub finding: ProbeFinding,
    /// Why nothing was decided, where that is not the figures' doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How throughput answered to a larger demand. Times are milliseconds; the cycle is the time from
/// one operation of a user to the next, users ÷ throughput.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProbeFigures {
    /// The demand as it was.
    pub demand_ms: f64,
    /// What was added to it.
    pub added_ms: f64,
    /// The cycle as it was.
    pub cycle_ms: f64,
    /// The cycle with the addition.
    pub slowed_cycle_ms: f64,
    /// By how many milliseconds the cycle grows for each millisecond that the demand grows.
    pub slope: f64,
    /// Slope × demand ÷ cycle: the share of the cycle that this demand decides. About 1 where it
    /// limits, about 0 where it is hidden behind something else.
    pub criticality: f64,
    /// 95 % interval of the criticality.
    pub ci95: [f64; 2],
    /// Pairs of slices, one as it was and one slowed, that it was read from.
    pub pairs: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_result() {
        let mut names = std::collections::BTreeSet::new();
        for demand in DEMANDS {
            assert!(names.insert(demand.name()));
            assert_eq!(serde_json::to_value(demand).unwrap(), demand.name());
        }
        for finding in [ProbeFinding::Confirmed, ProbeFinding::Refuted, ProbeFinding::Undecided] {
            assert_eq!(serde_json::to_value(finding).unwrap(), finding.name());
        }
    }
}
