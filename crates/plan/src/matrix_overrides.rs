use std::time::Duration;

use crate::key::nearest;
use crate::read::bounds::{LONGEST, MOST_TRIALS, SHORTEST, TARGETS};
use crate::{Case, Matrix, Pace, RunPlan, Via, WarmUp, WarmUpChoice};

/// What the command line says instead of a matrix's file; what is absent stays as the file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatrixOverrides {
    /// Measured time of each trial.
    pub duration: Option<Duration>,
    /// Load before measuring.
    pub warmup: Option<WarmUpChoice>,
    /// Trials of each case.
    pub trials: Option<u32>,
    /// Requests per second; takes the place of the file's rate or stages.
    pub target_per_s: Option<f64>,
    /// Whether arrivals are random.
    pub poisson: Option<bool>,
    /// Seed of all that is random.
    pub seed: Option<u64>,
    /// `factor=level,level`: cases that do not match are left out.
    pub only: Vec<String>,
    /// `app=URL`, `app@pgbouncer=URL`: where an application answers that somebody else runs.
    pub urls: Vec<String>,
    /// The name of one of the matrix's runs; what else is said here goes before it.
    pub profile: Option<String>,
    /// A first impression: one trial of three seconds.
    pub quick: bool,
}

/// Why the command line does not fit the matrix.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MatrixOverrideError {
    /// A filter that cannot be read.
    #[error("--only {0:?} is not of the form factor=level,level")]
    Form(String),
    /// A factor that there is not.
    #[error("there is no factor {name:?} to choose by; {}", hint(nearest.as_deref(), &FACTORS.map(str::to_owned)))]
    Factor {
        /// The name given.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// A level that there is not.
    #[error("there is no {factor} {level:?}; {}", hint(nearest.as_deref(), known))]
    Level {
        /// The factor.
        factor: &'static str,
        /// The level given.
        level: String,
        /// The level that was probably meant.
        nearest: Option<String>,
        /// The levels that there are.
        known: Vec<String>,
    },
    /// A URL that cannot be read.
    #[error("--url {0:?} is not of the form app=http://… or app@pgbouncer=http://…")]
    Url(String),
    /// A run that there is not.
    #[error("the experiment has no profile {name:?}; {}", hint(nearest.as_deref(), known))]
    Profile {
        /// The name given.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Nothing is left.
    #[error("no case matches every --only")]
    Nothing,
    /// A value out of bounds.
    #[error("{what} is out of bounds: it is {bounds}")]
    Bounds {
        /// The option.
        what: &'static str,
        /// Its bounds.
        bounds: String,
    },
}

/// What cases can be chosen by. `profile=tuned` also brings profiles in that the file leaves out.
const FACTORS: [&str; 6] = ["app", "language", "profile", "connection", "users", "waterfall"];

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

impl Matrix {
    /// The matrix as the command line wants it.
    pub fn with(mut self, overrides: &MatrixOverrides) -> Result<Self, MatrixOverrideError> {
        if overrides.quick {
            self.load.trials = 1;
            self.load.duration = Duration::from_secs(3);
        }
        let run = self.run_of(overrides.profile.as_deref())?;
        self.load.duration = run.duration.unwrap_or(self.load.duration);
        self.load.trials = run.trials.unwrap_or(self.load.trials);
        self.thresholds.extend(run.thresholds);
        self.set_load(overrides)?;
        for filter in run.only.iter().chain(&overrides.only) {
            let (factor, levels) =
                filter.split_once('=').ok_or_else(|| MatrixOverrideError::Form(filter.clone()))?;
            let levels: Vec<&str> = levels.split(',').map(str::trim).collect();
            self.choose(factor.trim(), &levels)?;
        }
        for url in &overrides.urls {
            self.set_url(url)?;
        }
        if self.cases().is_empty() {
            return Err(MatrixOverrideError::Nothing);
        }
        Ok(self)
    }

    /// An application that somebody else runs: nothing of it is prepared or started.
    fn set_url(&mut self, text: &str) -> Result<(), MatrixOverrideError> {
        let malformed = || MatrixOverrideError::Url(text.to_owned());
        let (place, url) = text.split_once('=').ok_or_else(malformed)?;
        let (name, via) = match place.split_once('@') {
            Some((name, via)) => (name, Via::of(via).ok_or_else(malformed)?),
            None => (place, Via::Direct),
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(malformed());
        }
        let names: Vec<String> = self.apps.iter().map(|app| app.name.clone()).collect();
        known("app", &[name], &names)?;
        for app in self.apps.iter_mut().filter(|app| app.name == name) {
            match via {
                Via::Direct => app.url = Some(url.to_owned()),
                Via::PgBouncer => app.pooled_url = Some(url.to_owned()),
            }
            let elsewhere = |via: &Via| match via {
                Via::Direct => app.url.is_some(),
                Via::PgBouncer => app.pooled_url.is_some(),
            };
            if self.connections.iter().all(elsewhere) {
                (app.requirements, app.directory) = (None, None);
                app.command.clear();
            }
        }
        // Its steps would have to be started.
        self.waterfalls.retain(|waterfall| waterfall.app != name);
        Ok(())
    }

    fn run_of(&self, name: Option<&str>) -> Result<RunPlan, MatrixOverrideError> {
        let Some(name) = name else { return Ok(RunPlan::default()) };
        let known = || self.runs.iter().map(|run| run.name.clone());
        self.runs.iter().find(|run| run.name == name).cloned().ok_or_else(|| {
            MatrixOverrideError::Profile {
                name: name.to_owned(),
                nearest: nearest(name, self.runs.iter().map(|run| run.name.as_str()))
                    .map(str::to_owned),
                known: known().collect(),
            }
        })
    }

    fn set_load(&mut self, overrides: &MatrixOverrides) -> Result<(), MatrixOverrideError> {
        let load = &mut self.load;
        let times = || format!("{SHORTEST:?} to {} h", LONGEST.as_secs() / 3600);
        if let Some(duration) = overrides.duration {
            if !(SHORTEST..=LONGEST).contains(&duration) {
                let bounds = times();
                return Err(MatrixOverrideError::Bounds { what: "--duration", bounds });
            }
            load.duration = duration;
        }
        if let Some(trials) = overrides.trials {
            if !(1..=MOST_TRIALS).contains(&trials) {
                let bounds = format!("1 to {MOST_TRIALS}");
                return Err(MatrixOverrideError::Bounds { what: "--trials", bounds });
            }
            load.trials = trials;
        }
        if let Some(per_s) = overrides.target_per_s {
            if !(TARGETS.0..=TARGETS.1).contains(&per_s) {
                let bounds = format!("{} to {}", TARGETS.0, TARGETS.1);
                return Err(MatrixOverrideError::Bounds { what: "--target-tps", bounds });
            }
            load.pace = Pace::Rate { per_s };
        }
        match overrides.warmup {
            Some(WarmUpChoice::Fixed(fixed)) if fixed > LONGEST => {
                let bounds = times();
                return Err(MatrixOverrideError::Bounds { what: "--warmup", bounds });
            }
            Some(WarmUpChoice::Fixed(fixed)) => load.warmup = WarmUp::Fixed(fixed),
            Some(WarmUpChoice::Auto) if matches!(load.warmup, WarmUp::Fixed(_)) => {
                load.warmup = WarmUp::Auto { at_most: WarmUp::AT_MOST };
            }
            Some(WarmUpChoice::Auto) | None => {}
        }
        load.poisson = overrides.poisson.unwrap_or(load.poisson);
        load.seed = overrides.seed.or(load.seed);
        Ok(())
    }

    fn choose(&mut self, factor: &str, levels: &[&str]) -> Result<(), MatrixOverrideError> {
        let apps = |of: fn(&crate::AppPlan) -> &String| -> Vec<String> {
            self.apps.iter().map(|a| of(a).clone()).collect()
        };
        match factor {
            "app" => {
                let levels = known("app", levels, &apps(|a| &a.name))?;
                self.keep_apps(|a| levels.contains(&a.name));
            }
            "language" => {
                let levels = known("language", levels, &apps(|a| &a.language))?;
                self.keep_apps(|a| levels.contains(&a.language));
            }
            "profile" => {
                let all: Vec<String> = self
                    .apps
                    .iter()
                    .flat_map(|a| a.profiles.iter().map(|p| p.name.clone()))
                    .collect();
                self.profiles = known("profile", levels, &all)?;
                self.waterfalls.clear();
            }
            "connection" => {
                let all = [Via::Direct, Via::PgBouncer].map(|v| v.name().to_owned());
                let levels = known("connection", levels, &all)?;
                self.connections.retain(|via| levels.iter().any(|l| l == via.name()));
                for waterfall in &mut self.waterfalls {
                    waterfall.steps.retain(|s| levels.iter().any(|l| l == s.via.name()));
                }
            }
            "users" => {
                let numbers: Vec<u32> = levels
                    .iter()
                    .map(|level| {
                        let number = level.parse().ok().filter(|n| (1..=100_000).contains(n));
                        number.ok_or_else(|| MatrixOverrideError::Bounds {
                            what: "--only users",
                            bounds: "whole numbers, 1 to 100000".to_owned(),
                        })
                    })
                    .collect::<Result<_, _>>()?;
                self.users = numbers;
                self.users.sort_unstable();
                self.users.dedup();
                let users = self.users.clone();
                self.waterfalls.retain(|w| users.contains(&w.users));
            }
            "waterfall" => {
                let mut all: Vec<String> = self.waterfalls.iter().map(|w| w.app.clone()).collect();
                all.push("none".to_owned());
                let levels = known("waterfall", levels, &all)?;
                if levels.iter().any(|l| l == "none") {
                    self.waterfalls.clear();
                } else {
                    self.waterfalls.retain(|w| levels.contains(&w.app));
                    self.connections.clear();
                }
            }
            other => {
                let nearest = nearest(other, FACTORS).map(str::to_owned);
                return Err(MatrixOverrideError::Factor { name: other.to_owned(), nearest });
            }
        }
        Ok(())
    }

    fn keep_apps(&mut self, keep: impl Fn(&crate::AppPlan) -> bool) {
        self.apps.retain(keep);
        let apps: Vec<String> = self.apps.iter().map(|a| a.name.clone()).collect();
        self.waterfalls.retain(|w| apps.contains(&w.app));
    }

    /// Cases that run through PgBouncer.
    pub fn needs_pooler(&self) -> bool {
        self.cases().iter().any(|case: &Case| case.via == Via::PgBouncer)
    }
}

fn known(
    factor: &'static str,
    levels: &[&str],
    all: &[String],
) -> Result<Vec<String>, MatrixOverrideError> {
    for level in levels {
        if all.iter().all(|known| known != level) {
            let mut known: Vec<String> = all.to_vec();
            known.sort();
            known.dedup();
            return Err(MatrixOverrideError::Level {
                factor,
                level: (*level).to_owned(),
                nearest: nearest(level, all.iter().map(String::as_str)).map(str::to_owned),
                known,
            });
        }
    }
    Ok(levels.iter().map(|l| (*l).to_owned()).collect())
}
