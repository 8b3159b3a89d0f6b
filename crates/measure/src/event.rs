use serde::Serialize;

use crate::{Factors, Interval, Prediction, Probe, RunStatus, SweepPoint, Trial, Verdict};

/// What happens during a run. The live view, plain lines, the event file and the tests all read
/// this one stream.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is checked and the result directory is open.
    RunStarted {
        /// The experiment's name.
        experiment: String,
        /// The variants in order.
        rungs: Vec<RungPlan>,
        /// Trials for each.
        trials: u32,
        /// About how long it will take, in seconds.
        expected_s: f64,
        /// Where the result goes.
        directory: String,
        /// The variants are cases of a matrix, and not rungs.
        cases: bool,
    },
    /// Something is made ready that is not started: `loading the blog`, `installing packages`.
    Preparing {
        /// What is being done.
        what: String,
    },
    /// A process of the stack is being started, or connected to.
    StackStarting {
        /// `PostgreSQL 15.18`, ….
        what: String,
    },
    /// It answers.
    StackReady {
        /// `PostgreSQL 15.18`, ….
        what: String,
        /// Seconds from the start of the preparation to the first answer.
        ready_s: f64,
    },
    /// The database is being filled.
    Seeding {
        /// The table.
        table: String,
        /// Rows sent of it.
        rows_done: u64,
        /// Rows that it will have.
        rows_total: u64,
    },
    /// One batch size of a sweep was measured.
    SweepPoint {
        /// The variant that is swept.
        variant: String,
        /// The level and what it gave.
        point: SweepPoint,
    },
    /// A sweep has chosen.
    SweepEnded {
        /// The variant that was swept.
        variant: String,
        /// The batch size that its trials will use.
        batch: u64,
    },
    /// A trial begins, with its warm-up.
    TrialStarted {
        /// Its variant.
        variant: String,
        /// Number from 1.
        trial: u32,
        /// Of how many.
        trials: u32,
        /// What the variant really runs with, dynamic levels resolved.
        factors: Factors,
    },
    /// A few times a second while a trial runs.
    Progress {
        /// Its variant.
        variant: String,
        /// Number from 1.
        trial: u32,
        /// What it is doing.
        stage: Stage,
        /// Seconds since the stage began.
        elapsed_s: f64,
        /// Seconds that the stage takes; for the warm-up its bound.
        total_s: f64,
        /// Rows per second over the last moment.
        tps: f64,
        /// 95th percentile of the response time over the last full interval, when there is one.
        p95_ms: Option<f64>,
        /// Failed operations so far.
        errors: u64,
        /// Seconds left until the whole run ends, as far as can be said.
        run_left_s: f64,
    },
    /// A reporting interval ended.
    Interval {
        /// Its variant.
        variant: String,
        /// The trial's number from 1.
        trial: u32,
        /// Its figures.
        interval: Interval,
        /// Standard deviation of the response time in milliseconds.
        stddev_ms: f64,
        /// Mean time from the intended start of an operation to the actual one, in milliseconds.
        lag_ms: f64,
        /// Operations of a schedule that came too late to be started.
        skipped: u64,
    },
    /// A trial ended.
    TrialEnded {
        /// Its variant.
        variant: String,
        /// Its figures.
        trial: Box<Trial>,
    },
    /// A variant that was not planned will be run too.
    VariantAdded {
        /// The variant.
        rung: RungPlan,
    },
    /// A variant will not run, for a reason.
    VariantSkipped {
        /// The variant.
        variant: String,
        /// Why.
        reason: String,
    },
    /// What limited a variant.
    Verdict {
        /// The variant.
        variant: String,
        /// The verdict.
        verdict: Box<Verdict>,
    },
    /// A demand was made larger on purpose, or could not be.
    Probe {
        /// The variant.
        variant: String,
        /// What came of it.
        probe: Probe,
    },
    /// What the next variant is expected to give, stated before it runs.
    Prediction {
        /// The variant that will be run.
        variant: String,
        /// The prediction.
        prediction: Prediction,
    },
    /// Nothing is expected of a variant that is about to run, and why.
    Unpredicted {
        /// The variant.
        variant: String,
        /// Why.
        reason: String,
    },
    /// Something that the reader should know.
    Warning {
        /// One sentence.
        text: String,
    },
    /// The run is over and its result is on disk.
    RunEnded {
        /// How it ended.
        status: RunStatus,
    },
}

/// A variant as the plan has it.
#[derive(Debug, Clone, Serialize)]
pub struct RungPlan {
    /// `2-B`.
    pub name: String,
    /// What it changes, in a few words.
    pub title: String,
}

/// What a trial is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Connections are opened, the table is emptied.
    Prepare,
    /// Load without measuring, until steady.
    WarmUp,
    /// Load, measured.
    Measure,
    /// Operations under way are brought to their end; rows are counted.
    Settle,
}

/// Something that consumes events. It must not block: the load runs beside it.
pub trait Sink {
    /// Takes one event.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Sink for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
