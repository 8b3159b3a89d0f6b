use serde::{Deserialize, Serialize};

use crate::bench::Pair;
use crate::plant::{Kind, Plant, Planted, Strength};

/// By so much throughput must rise without a plant for it to have been the bottleneck.
pub(crate) const PAYS: f64 = 1.2;
/// Fewer verdicts say nothing of what their confidence is worth.
const FEW: u64 = 5;
/// From here on a verdict is given with confidence.
pub(crate) const CONFIDENT: f64 = 0.5;
/// Verdicts that name no cause.
const NO_CAUSE: [&str; 4] = ["balanced", "users", "none", "inconclusive"];

/// What the verdict on a plant is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The cause is named first.
    Right,
    /// Of two causes the larger is named first, and the other one not second.
    OneOfTwo,
    /// It comes second.
    RunnerUp,
    /// No cause is named.
    Abstained,
    /// Another one is named.
    Wrong,
    /// A cause that the plant was made to look like is named with confidence.
    Forbidden,
    /// Removing the plant does not pay here, so there is no truth to hold the verdict against.
    NoBottleneck,
    /// Removing a decoy pays here, so it is none.
    NoDecoy,
}

impl Outcome {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::OneOfTwo => "one of two",
            Self::RunnerUp => "second",
            Self::Abstained => "abstained",
            Self::Wrong => "wrong",
            Self::Forbidden => "forbidden",
            Self::NoBottleneck => "no bottleneck here",
            Self::NoDecoy => "no decoy here",
        }
    }
}

/// A plant at one strength, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scored {
    /// The plant.
    pub plant: String,
    /// `weak`, `middle`, `strong`, or `decoy` for what only looks like the plant.
    pub strength: String,
    /// Whether there is no bottleneck to be named.
    pub no_cause: bool,
    /// How it was planted.
    pub how: String,
    /// What should be named.
    pub wanted: Vec<String>,
    /// Transactions a second with it.
    pub planted_per_s: f64,
    /// The same without it.
    pub removed_per_s: f64,
    /// What was named.
    pub verdict: String,
    /// With which confidence.
    pub confidence: f64,
    /// What came second.
    pub runner_up: Option<String>,
    /// What it is worth.
    pub outcome: Outcome,
    /// What spoke for the verdict.
    pub evidence: Vec<String>,
    /// What spoke against it.
    pub against: Vec<String>,
}

/// Holds a verdict against what was planted.
pub fn score(plant: &Plant, pair: &Pair) -> Scored {
    let verdict = &pair.planted.verdict;
    let runner_up = verdict.runner_up.as_ref().map(|s| s.bottleneck.clone());
    let truth = Truth::of(plant, pair.what);
    Scored {
        plant: plant.name.to_owned(),
        strength: pair.what.name().to_owned(),
        no_cause: truth.kind != Count::Bottleneck,
        how: truth.how.to_owned(),
        wanted: truth.wanted.iter().map(|n| (*n).to_owned()).collect(),
        planted_per_s: pair.planted.per_s,
        removed_per_s: pair.removed.per_s,
        outcome: truth.outcome(
            &verdict.bottleneck,
            verdict.confidence,
            runner_up.as_deref(),
            pair.removed.per_s / pair.planted.per_s,
        ),
        verdict: verdict.bottleneck.clone(),
        confidence: verdict.confidence,
        runner_up,
        evidence: verdict.evidence.clone(),
        against: verdict.against.clone(),
    }
}

/// What a verdict is held against.
struct Truth {
    kind: Count,
    how: &'static str,
    wanted: &'static [&'static str],
    second: Option<&'static str>,
    forbidden: Vec<&'static str>,
}

/// What must be true of a plant for its verdict to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// Removing it pays.
    Bottleneck,
    /// Removing it does not pay.
    Decoy,
    /// Nothing: what is asked for is that no cause is named.
    Always,
}

impl Truth {
    fn of(plant: &Plant, what: Planted) -> Self {
        match (what, &plant.decoy) {
            (Planted::Decoy, Some(decoy)) => Self {
                kind: Count::Decoy,
                how: decoy.how,
                wanted: &[],
                second: None,
                forbidden: [plant.wanted, decoy.forbidden].concat(),
            },
            _ => Self {
                kind: match plant.kind {
                    Kind::Bottleneck => Count::Bottleneck,
                    Kind::NoCause => Count::Always,
                },
                how: plant.how,
                wanted: plant.wanted,
                second: plant.second,
                forbidden: plant.forbidden.to_vec(),
            },
        }
    }

    fn outcome(
        &self,
        verdict: &str,
        confidence: f64,
        runner_up: Option<&str>,
        gain: f64,
    ) -> Outcome {
        let pays = gain >= PAYS;
        if self.kind == Count::Decoy && pays {
            return Outcome::NoDecoy;
        }
        if self.forbidden.contains(&verdict) && confidence >= CONFIDENT {
            return Outcome::Forbidden;
        }
        if self.kind == Count::Bottleneck && !pays {
            return Outcome::NoBottleneck;
        }
        // What else limits beside a decoy is not said: only that it is none of the forbidden.
        if self.wanted.contains(&verdict) || self.kind == Count::Decoy {
            let both = self.second.is_none_or(|second| runner_up == Some(second));
            return if both { Outcome::Right } else { Outcome::OneOfTwo };
        }
        if runner_up.is_some_and(|name| self.wanted.contains(&name)) {
            return Outcome::RunnerUp;
        }
        if NO_CAUSE.contains(&verdict) { Outcome::Abstained } else { Outcome::Wrong }
    }
}

/// All plants together.
#[derive(Debug, Clone, Serialize)]
pub struct Score {
    /// Bottlenecks at the middle strength that count.
    pub middle: u64,
    /// Of these, the ones named first.
    pub right: u64,
    /// … and second.
    pub second: u64,
    /// … and not named, but nothing else either.
    pub abstained: u64,
    /// Decoys and what has no cause, and those of which nothing wrong was said.
    pub decoys: [u64; 2],
    /// Forbidden verdicts given with confidence, at any strength.
    pub forbidden: u64,
    /// Confidence by bins: its lower and upper end, verdicts, right ones.
    pub calibration: Vec<(f64, f64, u64, u64)>,
}

impl Score {
    /// Sums up.
    pub fn of(scored: &[Scored]) -> Self {
        let middle = || {
            scored.iter().filter(|s| {
                let counts = s.outcome != Outcome::NoBottleneck && !s.no_cause;
                s.strength == Strength::Middle.name() && counts
            })
        };
        let decoys = || scored.iter().filter(|s| s.no_cause && s.outcome != Outcome::NoDecoy);
        let count = |outcome| middle().filter(|s| s.outcome == outcome).count() as u64;
        let edges = [0.0, 0.5, 0.7, 0.85, 1.01];
        let bins = edges.windows(2).map(|edge| {
            let within = |s: &&Scored| {
                let named = s.outcome != Outcome::NoBottleneck && !s.wanted.is_empty();
                named && (edge[0]..edge[1]).contains(&s.confidence)
            };
            let all = scored.iter().filter(within).count() as u64;
            let right = scored.iter().filter(within).filter(|s| s.outcome == Outcome::Right);
            (edge[0], edge[1].min(1.0), all, right.count() as u64)
        });
        Self {
            middle: middle().count() as u64,
            right: count(Outcome::Right),
            second: count(Outcome::RunnerUp),
            abstained: count(Outcome::Abstained),
            decoys: [
                decoys().count() as u64,
                decoys().filter(|s| s.outcome == Outcome::Right).count() as u64,
            ],
            forbidden: scored.iter().filter(|s| s.outcome == Outcome::Forbidden).count() as u64,
            calibration: bins.collect(),
        }
    }
}

impl Score {
    /// What the verdicts fall short of: nine in ten bottlenecks named first, nothing forbidden, and of
    /// those given with a confidence as many right as it says.
    pub fn shortfalls(&self) -> Vec<String> {
        let mut short = Vec::new();
        if 10 * self.right < 9 * self.middle {
            short.push(format!(
                "{} of {} are right, nine in ten should be",
                self.right, self.middle
            ));
        }
        if self.forbidden > 0 {
            short.push(format!("{} verdicts are forbidden ones", self.forbidden));
        }
        for (from, to, all, right) in &self.calibration {
            if *all >= FEW && (*right as f64) < from * *all as f64 {
                short.push(format!(
                    "of {all} verdicts of confidence {from} to {to} {right} are right"
                ));
            }
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::states;
    use crate::table::PLANTS;

    fn plant(name: &str) -> &'static Plant {
        PLANTS.iter().find(|p| p.name == name).expect("it is in the table")
    }

    #[test]
    fn an_outcome_follows_from_the_verdict_and_what_removal_gave() {
        let fsync = Truth::of(plant("fsync-delay"), Planted::At(Strength::Middle));
        for (verdict, confidence, second, gain, expected) in [
            ("wal-flush", 0.9, None, 3.0, Outcome::Right),
            ("wal-flush", 0.9, None, 1.1, Outcome::NoBottleneck),
            ("server-wait", 0.6, Some("wal-flush"), 3.0, Outcome::RunnerUp),
            ("balanced", 0.5, None, 3.0, Outcome::Abstained),
            ("network", 0.9, None, 3.0, Outcome::Wrong),
            ("lw-lock", 0.6, Some("wal-flush"), 3.0, Outcome::Forbidden),
            ("lw-lock", 0.4, Some("wal-flush"), 3.0, Outcome::RunnerUp),
            ("lw-lock", 0.6, None, 1.0, Outcome::Forbidden),
            ("wal-flush", 0.9, None, f64::NAN, Outcome::NoBottleneck),
        ] {
            assert_eq!(fsync.outcome(verdict, confidence, second, gain), expected, "{verdict}");
        }
        let decoy = Truth::of(plant("fsync-delay"), Planted::Decoy);
        assert_eq!(decoy.outcome("server-cpu", 0.9, None, 1.0), Outcome::Right);
        assert_eq!(decoy.outcome("wal-flush", 0.9, None, 1.0), Outcome::Forbidden);
        assert_eq!(decoy.outcome("wal-flush", 0.9, None, 1.3), Outcome::NoDecoy);
        let two = Truth::of(plant("hot-row-and-fsync-delay"), Planted::At(Strength::Middle));
        assert_eq!(two.outcome("row-lock", 0.9, Some("wal-flush"), 4.0), Outcome::Right);
        assert_eq!(two.outcome("row-lock", 0.9, Some("server-wait"), 4.0), Outcome::OneOfTwo);
        let nothing = Truth::of(plant("nothing"), Planted::At(Strength::Middle));
        assert_eq!(nothing.outcome("none", 0.9, None, 1.0), Outcome::Right);
        assert_eq!(nothing.outcome("data-io", 0.9, None, 1.0), Outcome::Wrong);
    }

    #[test]
    fn confidence_is_held_to_account() {
        let score = |right, all, forbidden| Score {
            middle: 20,
            right: 18,
            second: 2,
            abstained: 0,
            decoys: [20, 20],
            forbidden,
            calibration: vec![(0.0, 0.5, 10, 0), (0.85, 1.0, all, right)],
        };
        assert_eq!(score(17, 20, 0).shortfalls(), [""; 0]);
        assert_eq!(score(0, FEW - 1, 0).shortfalls(), [""; 0], "too few to tell");
        let short = score(16, 20, 1).shortfalls();
        assert!(short.len() == 2 && short[1].contains("0.85 to 1 16 are right"), "{short:?}");
        assert_eq!(Score { right: 17, ..score(17, 20, 0) }.shortfalls().len(), 1);
    }

    #[test]
    fn the_table_is_sound() {
        let mut names = std::collections::BTreeSet::new();
        for plant in PLANTS {
            assert!(names.insert(plant.name), "{} is there twice", plant.name);
            assert_eq!(plant.decoy.is_some(), plant.kind == Kind::Bottleneck, "{}", plant.name);
            for what in plant.all() {
                let truth = Truth::of(plant, *what);
                let at = format!("{}, {}", plant.name, what.name());
                assert!(!truth.forbidden.is_empty(), "{at}: no neighbour");
                assert!(truth.wanted.iter().all(|w| !truth.forbidden.contains(w)), "{at}");
                assert_ne!(truth.wanted.is_empty(), *what != Planted::Decoy, "{at}");
                let (_, [planted, removed]) = states(plant, *what).expect("it is one of its own");
                assert!(planted != removed || plant.kind == Kind::NoCause, "{at}: the same");
                for state in [planted, removed] {
                    let scripted = state.clients > 0 && !state.script.is_empty();
                    assert_ne!(scripted, state.experiment.is_some(), "{at}: one load");
                    assert!(state.slow.is_empty() || (plant.scene)().delays, "{at}");
                }
            }
        }
    }
}
