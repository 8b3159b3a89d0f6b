//! Runs experiments: orders trials, emits events, writes `result.json`.
//!
//! The engine tells, others show: everything that happens is an [`Event`](pinchpoint_measure::Event)
//! given to a [`Sink`](pinchpoint_measure::Sink). Nothing here prints.

mod aftermath;
mod blank;
mod clock;
mod desk;
mod directory;
mod environment;
mod error;
mod estimate;
mod figures;
mod forecast;
mod http_forecast;
mod http_run;
mod http_spec;
mod http_trial;
mod ledger;
mod look_ahead;
mod matrix;
mod measuring;
mod observe_job;
mod observing;
mod options;
mod overhead;
mod pgbench_tables;
mod pool_job;
mod pool_run;
mod prove;
mod remembered;
mod resolve;
mod run;
mod rung_load;
mod server;
mod sounding;
mod sql_figures;
mod sql_flat_out;
mod sql_forecast;
mod sql_job;
mod sql_log;
mod sql_next;
mod sql_ready;
mod sql_run;
mod sql_sounding;
mod sql_trial;
mod summary;
mod sweep;
mod tables_plan;
mod trial;

pub use error::LabError;
pub use http_run::{HttpJob, run_http};
pub use ledger::{Ledger, LedgerContent, LedgerError};
pub use matrix::{BuiltInApp, MatrixOptions, run_matrix};
pub use observe_job::Observe;
pub use options::{Options, Target};
pub use pinchpoint_diagnose::{records, track};
pub use pool_job::PoolJob;
pub use pool_run::run_pool;
pub use run::{Finished, run};
pub use server::check_dsn;
pub use sql_job::{
    QueryMode, ScriptSource, SqlAccount, SqlConnection, SqlJob, SqlLog, SqlServer, SqlWork,
    Vacuuming, built_in_scripts, split_statements,
};
pub use sql_run::run_sql;
pub use tables_plan::{InitSteps, InitStepsError, PartitionMethod, TablesPlan};
