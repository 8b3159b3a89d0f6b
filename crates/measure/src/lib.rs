//! The types that all of pinchpoint shares, and that `result.json` is made of.
//!
//! Nothing here opens a file, reads a clock or starts a process: values in, values out.

mod counter;
mod event;
mod exit;
mod factor;
mod http;
mod latency;
mod lever;
mod metric;
mod observation;
mod outcome;
mod phase;
mod pool;
mod probe;
mod quantity;
mod result;
mod seal;
mod sql;
mod stack;
mod table;
mod threshold;
mod track;
mod trial;
mod verdict;
mod wait;

pub use counter::{COUNTERS, Counter};
pub use event::{Event, RungPlan, Sink, Stage};
pub use exit::ExitCode;
pub use factor::{Factors, factor_text, factor_u64};
pub use http::{Census, CheckFigures, Endpoint, HttpFigures, Lookups, Second, ThresholdOutcome};
pub use latency::Latency;
pub use lever::{SqlLever, SqlLeverError, SqlProtocol};
pub use metric::{Direction, INTERVAL_METRICS, Metric, MetricValue, TRIAL_METRICS, Unit};
pub use observation::{
    BackendCpu, Blocker, HostFigures, Missing, Observation, SessionSamples, SlowFigures,
    StatementFigures, WaitFigures,
};
pub use outcome::{Cause, Outcome};
pub use phase::{PHASES, Phase};
pub use pool::{PoolAdvice, PoolCurve};
pub use probe::{DEMANDS, Demand, Probe, ProbeFigures, ProbeFinding, Proof};
pub use quantity::{Quantity, group_thousands, human_duration, significant};
pub use result::{
    Dataset, Environment, Knee, Limit, PlanFacts, ReadError, RunResult, RunStatus, SCHEMA_VERSION,
    Software, Spread, Summary, Sweep, SweepPoint, Variant, VariantStatus,
};
pub use sql::{ScriptFigures, ScriptStatement, SqlFailures, SqlFigures, SqlLogFigures};
pub use stack::{EvidenceFigures, PoolerFigures, ProcessFigures, SessionFigures, StackFigures};
pub use table::{Choice, Column, Generator, Method, SqlType, Table};
pub use threshold::{Threshold, ThresholdError};
pub use track::{PredictionRecord, TrackRecord, TrackScore};
pub use trial::{Crash, Gate, Interval, Ledger, Pace, PerRow, Trial, TrialStatus, WarmUp};
pub use verdict::{BudgetLine, BudgetSource, Elimination, Judgement, Prediction, Suspect, Verdict};
pub use wait::{WAIT_CLASSES, WaitClass};
