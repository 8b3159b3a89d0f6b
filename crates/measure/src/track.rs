use serde::{Deserialize, Serialize};

use crate::Prediction;

/// A prediction and what became of it, as the ledger of all runs keeps it: a line of JSON each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The experiment that it was stated in.
    pub experiment: String,
    /// When that run started, RFC 3339.
    pub run: String,
    /// The variant that it was stated of.
    pub variant: String,
    /// Cores of the machine.
    pub cpus: u32,
    /// The version of the model that stated it: a newer model does not learn from an older one's
    /// misses.
    #[serde(default)]
    pub model: u32,
    /// Throughput of the variant that it starts from, as that was measured in the end.
    pub from_per_s: Option<f64>,
    /// 95 % interval of what came.
    pub measured_ci95: Option<[f64; 2]>,
    /// The prediction with its judgement.
    pub prediction: Prediction,
}

/// How predictions fared, by lever and all together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrackRecord {
    /// By lever, in alphabetical order.
    pub levers: Vec<TrackScore>,
    /// All of them.
    pub all: TrackScore,
    /// Those that missed, in the order of the records.
    pub misses: Vec<PredictionRecord>,
    /// Records left out because what they state is not what was stated (the hash differs).
    pub broken: usize,
}

/// How the predictions of one lever fared.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrackScore {
    /// The lever; `all` for all of them.
    pub lever: String,
    /// Predictions that were judged.
    pub predictions: usize,
    /// What came met the range.
    pub held: usize,
    /// It did not.
    pub missed: usize,
    /// The measurement was too uncertain to tell.
    pub undecided: usize,
    /// Held ÷ decided (0 to 1); the goal is 0.9.
    pub coverage: Option<f64>,
    /// Median of the ranges' upper ends ÷ lower ends; the goal is 2 at most.
    pub width: Option<f64>,
    /// Mean interval score at 90 %, on natural logarithms (Gneiting & Raftery 2007, equation 43):
    /// the logarithm of the width, and 20 times the distance by which a miss missed. Lower is
    /// better, and neither wide ranges nor misses make it low.
    pub interval_score: Option<f64>,
    /// Share of those that expected a gain, or a loss, in which what came was one (0 to 1).
    pub direction: Option<f64>,
}
