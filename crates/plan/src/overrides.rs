use std::str::FromStr;
use std::time::Duration;

use crate::duration::show_duration;
use crate::key::nearest;
use crate::read::bounds::{LONGEST, MOST_TRIALS, SHORTEST, TARGETS};
use crate::{DurationError, Experiment, Like, Pace, WarmUp, parse_duration};

/// What the command line says instead of the file; what is absent stays as the file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Measured time of each trial.
    pub duration: Option<Duration>,
    /// Load before measuring.
    pub warmup: Option<WarmUpChoice>,
    /// Trials of each rung.
    pub trials: Option<u32>,
    /// Names of the rungs to run; they keep the file's order.
    pub rungs: Option<Vec<String>>,
    /// Rows per second; takes the place of the file's rate or stages.
    pub target_per_s: Option<f64>,
    /// Whether arrivals are random.
    pub poisson: Option<bool>,
    /// Seed of all that is random.
    pub seed: Option<u64>,
}

/// A warm-up as the command line says it: `auto`, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUpChoice {
    /// Until throughput is steady; the file has the bound.
    Auto,
    /// For this long; may be zero.
    Fixed(Duration),
}

impl FromStr for WarmUpChoice {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text == "auto" { Ok(Self::Auto) } else { parse_duration(text).map(Self::Fixed) }
    }
}

/// Why the command line does not fit the experiment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OverrideError {
    /// A rung that the experiment does not have.
    #[error("experiment {experiment} has no rung `{name}`; {}", hint(nearest.as_deref(), known))]
    UnknownRung {
        /// The experiment.
        experiment: String,
        /// The name given.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// A selection of nothing.
    #[error("no rung is selected; name at least one")]
    NoRungs,
    /// A rung like the best, and no rung that can be the best.
    #[error(
        "rung {rung} takes the best of the durable writing rungs before it, and none of them is \
         selected; add one, such as {example}"
    )]
    NoBest {
        /// The rung like the best.
        rung: String,
        /// A rung that could be the best.
        example: String,
    },
    /// A duration out of bounds.
    #[error("{what} cannot be {}: it is {} to {}", show_duration(*given), show_duration(*min), show_duration(*max))]
    Duration {
        /// The option.
        what: &'static str,
        /// Its value.
        given: Duration,
        /// The least it can be.
        min: Duration,
        /// The most it can be.
        max: Duration,
    },
    /// A count out of bounds.
    #[error("{what} cannot be {given}: it is 1 to {max}")]
    Count {
        /// The option.
        what: &'static str,
        /// Its value.
        given: u32,
        /// The most it can be.
        max: u32,
    },
    /// A target out of bounds.
    #[error("the target cannot be {0} rows per second: it is {min} to {max}", min = TARGETS.0, max = TARGETS.1)]
    Target(f64),
    /// A duration, and stages that have their own.
    #[error(
        "the experiment's stages say how long a trial is; give a target as well, or leave the duration out"
    )]
    DurationOfStages,
    /// Random arrivals, and no schedule.
    #[error("random arrivals need a schedule: give a target in rows per second")]
    PoissonFlatOut,
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("it has {}", known.join(", ")),
    }
}

impl Experiment {
    /// The experiment as the command line wants it.
    ///
    /// A rung that is like another keeps what it took from there, whether or not that one is
    /// selected.
    pub fn with(mut self, overrides: &Overrides) -> Result<Self, OverrideError> {
        if let Some(names) = &overrides.rungs {
            self.select(names)?;
        }
        self.set_pace(overrides)?;
        let load = &mut self.load;
        match overrides.warmup {
            Some(WarmUpChoice::Fixed(fixed)) => {
                load.warmup = WarmUp::Fixed(within("the warm-up", fixed, Duration::ZERO, LONGEST)?);
            }
            Some(WarmUpChoice::Auto) if matches!(load.warmup, WarmUp::Fixed(_)) => {
                load.warmup = WarmUp::Auto { at_most: WarmUp::AT_MOST };
            }
            Some(WarmUpChoice::Auto) | None => {}
        }
        if let Some(trials) = overrides.trials {
            load.trials = count("the number of trials", trials, MOST_TRIALS)?;
        }
        load.seed = overrides.seed.or(load.seed);
        Ok(self)
    }

    fn set_pace(&mut self, overrides: &Overrides) -> Result<(), OverrideError> {
        let load = &mut self.load;
        if let Some(per_s) = overrides.target_per_s {
            if !(TARGETS.0..=TARGETS.1).contains(&per_s) {
                return Err(OverrideError::Target(per_s));
            }
            load.pace = Pace::Rate { per_s };
        }
        if let Some(duration) = overrides.duration {
            if matches!(load.pace, Pace::Stages(_)) {
                return Err(OverrideError::DurationOfStages);
            }
            load.duration = within("the duration", duration, SHORTEST, LONGEST)?;
        }
        if let Some(poisson) = overrides.poisson {
            if poisson && load.pace == Pace::FlatOut {
                return Err(OverrideError::PoissonFlatOut);
            }
            load.poisson = poisson;
        }
        Ok(())
    }

    fn select(&mut self, names: &[String]) -> Result<(), OverrideError> {
        if names.is_empty() {
            return Err(OverrideError::NoRungs);
        }
        let known: Vec<String> = self.rungs.iter().map(|r| r.name.clone()).collect();
        if let Some(name) = names.iter().find(|n| !known.contains(n)) {
            return Err(OverrideError::UnknownRung {
                experiment: self.name.clone(),
                name: name.clone(),
                nearest: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
                known,
            });
        }
        let all = self.rungs.clone();
        self.rungs.retain(|r| names.contains(&r.name));
        for at in 0..self.rungs.len() {
            let (before, rest) = self.rungs.split_at_mut(at);
            let rung = &mut rest[0];
            if rung.like == Some(Like::Best) {
                let Some(other) = before.iter().rev().find(|r| r.is_durable()) else {
                    let example =
                        all.iter().rfind(|r| r.is_durable() && r.like != Some(Like::Best));
                    return Err(OverrideError::NoBest {
                        rung: rung.name.clone(),
                        example: example.map(|r| r.name.clone()).unwrap_or_default(),
                    });
                };
                *rung = rung.taking(other);
            }
            rung.batch_of.take_if(|owner| !names.contains(owner));
        }
        Ok(())
    }
}

fn within(
    what: &'static str,
    given: Duration,
    min: Duration,
    max: Duration,
) -> Result<Duration, OverrideError> {
    let fits = (min..=max).contains(&given);
    fits.then_some(given).ok_or(OverrideError::Duration { what, given, min, max })
}

fn count(what: &'static str, given: u32, max: u32) -> Result<u32, OverrideError> {
    (1..=max).contains(&given).then_some(given).ok_or(OverrideError::Count { what, given, max })
}
