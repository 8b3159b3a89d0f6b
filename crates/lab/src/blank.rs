use std::collections::BTreeMap;
use std::time::SystemTime;

use pinchpoint_measure::{
    self as measure, Environment, Factors, Latency, PerRow, PlanFacts, RunResult, RunStatus,
    SCHEMA_VERSION, Trial, TrialStatus, Variant, VariantStatus,
};
use pinchpoint_plan::{Experiment, LoadPlan, Pace, Rung, WarmUp};

use crate::clock;
use crate::resolve::planned_factors;

/// A seed for a run that names none.
pub(crate) fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32)
}

/// A result of a ladder with nothing measured yet.
pub(crate) fn blank_result(experiment: &Experiment) -> RunResult {
    let plan = blank_plan(&experiment.load, experiment.source.clone());
    let mut result = blank(&experiment.name, &experiment.description, plan);
    result.variants = experiment.rungs.iter().map(blank_variant).collect();
    result
}

/// A result of any kind with nothing in it.
pub(crate) fn blank(name: &str, description: &str, plan: PlanFacts) -> RunResult {
    RunResult {
        schema_version: SCHEMA_VERSION,
        pinchpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        experiment: name.to_owned(),
        description: description.to_owned(),
        started_at: clock::timestamp(SystemTime::now()),
        finished_at: None,
        status: RunStatus::Running,
        reason: None,
        environment: Environment::default(),
        plan,
        knees: Vec::new(),
        pool: None,
        sweeps: Vec::new(),
        variants: Vec::new(),
        warnings: Vec::new(),
    }
}

/// How a run is set up.
pub(crate) fn blank_plan(load: &LoadPlan, experiment_file: String) -> PlanFacts {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    PlanFacts {
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
        experiment_file,
    }
}

fn blank_variant(rung: &Rung) -> Variant {
    Variant {
        name: rung.name.clone(),
        title: rung.title.clone(),
        factors: planned_factors(rung),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    }
}

/// A trial with nothing in it.
pub(crate) fn blank_trial(number: u32, factors: Factors, pace: measure::Pace) -> Trial {
    Trial {
        number,
        status: TrialStatus::Ok,
        reason: None,
        started_at: clock::timestamp(SystemTime::now()),
        factors,
        pace,
        warm_up: measure::WarmUp { duration_s: 0.0, settled: false, note: None },
        duration_s: 0.0,
        succeeded: 0,
        failed: 0,
        rows: 0,
        rows_failed: 0,
        throughput_per_s: 0.0,
        throughput_ci95: None,
        operations_per_s: 0.0,
        latency_ms: Latency::default(),
        statement_latency_ms: Latency::default(),
        per_row_latency_ms: PerRow::default(),
        phases_ms: BTreeMap::new(),
        client_cpu_us_per_op: 0.0,
        client_cpu_us_per_row: 0.0,
        client_cpu_share: 0.0,
        cpu_percent: None,
        memory_percent: None,
        backlog_max: 0,
        backlog_end: 0,
        acknowledged_rows: 0,
        rows_in_table: None,
        ledger: None,
        crash: None,
        errors: BTreeMap::new(),
        gates: Vec::new(),
        intervals: Vec::new(),
        http: None,
        sql: None,
        stack: None,
        observation: None,
        thresholds: Vec::new(),
    }
}
