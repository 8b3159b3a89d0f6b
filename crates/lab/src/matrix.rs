//! Runs a matrix: applications, ways to the database, numbers of users.

mod bench;
mod case;
mod evidence;
mod facts;
mod forecast;
mod limit;
mod options;
mod pool;
mod processes;
mod readiness;
mod readings;
mod result;
mod run;
mod timing;
mod watch;

pub(crate) use evidence::Evidence;
pub use options::{BuiltInApp, MatrixOptions};
pub use run::run_matrix;
