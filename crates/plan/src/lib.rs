//! Experiment text in, a checked plan or errors with their place out.
//!
//! [`parse`] goes in two steps: text to a tree that knows where everything stands (the `toml`
//! crate's), tree to a checked [`Experiment`]. What is wrong is told all at once, each with file,
//! line, column and what was probably meant. [`Experiment::with`] lays the command line over it.

mod built_in;
mod duration;
mod experiment;
mod fields;
mod key;
mod matrix;
mod matrix_overrides;
mod overrides;
mod place;
mod plan;
mod problem;
mod read;
mod reference;
mod rung;
mod sink;
mod size;
mod value;

pub use built_in::{BUILT_IN, BuiltIn};
pub use duration::{DurationError, parse_duration};
pub use experiment::{Experiment, LoadPlan, Pace, PostgresPlan, Stage, Transport, WarmUp};
pub use matrix::{
    AppPlan, Case, CheckPlan, DatasetPlan, HttpPlan, Matrix, ParameterPlan, PoolerPlan, Profile,
    RedisPlan, RequestPlan, RunPlan, Step, Via, Waterfall,
};
pub use matrix_overrides::{MatrixOverrideError, MatrixOverrides};
pub use overrides::{OverrideError, Overrides, WarmUpChoice};
pub use plan::Plan;
pub use problem::{Problem, Problems, Snippet};
pub use read::{parse, read_plan};
pub use reference::reference;
pub use rung::{Batch, Connection, LEVERS, Like, Rung, Stated};
pub use size::{SizeError, parse_size};
