use std::time::SystemTime;

use pinchpoint_measure::{
    Environment, PlanFacts, RunResult, RunStatus, SCHEMA_VERSION, Variant, VariantStatus,
};
use pinchpoint_plan::{Case, Matrix, Pace, WarmUp};

use crate::blank::fresh_seed;
use crate::clock;
use crate::matrix::facts;

/// A result with nothing measured yet.
pub(crate) fn blank(matrix: &Matrix, cases: &[Case]) -> RunResult {
    let load = &matrix.load;
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    RunResult {
        schema_version: SCHEMA_VERSION,
        pinchpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        experiment: matrix.name.clone(),
        description: matrix.description.clone(),
        started_at: clock::timestamp(SystemTime::now()),
        finished_at: None,
        status: RunStatus::Running,
        reason: None,
        environment: Environment::default(),
        plan: PlanFacts {
            duration_s: load.duration.as_secs_f64(),
            warmup: match load.warmup {
                WarmUp::Auto { at_most } => format!("auto, at most {} s", at_most.as_secs_f64()),
                WarmUp::Fixed(length) => format!("{} s", length.as_secs_f64()),
            },
            trials: load.trials,
            interval_s: load.interval.as_secs_f64(),
            target_per_s: match &load.pace {
                Pace::Rate { per_s } => Some(*per_s),
                Pace::FlatOut | Pace::Stages(_) => None,
            },
            seed: load.seed.unwrap_or_else(fresh_seed),
            load_threads: load.threads.unwrap_or_else(cores),
            experiment_file: matrix.source.clone(),
        },
        knees: Vec::new(),
        sweeps: Vec::new(),
        variants: cases.iter().map(|case| variant(matrix, case)).collect(),
        warnings: Vec::new(),
    }
}

/// A case that has not run.
pub(crate) fn variant(matrix: &Matrix, case: &Case) -> Variant {
    Variant {
        name: case.name.clone(),
        title: case.title.clone(),
        factors: facts::factors(case, &matrix.apps[case.app], None),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
    }
}
