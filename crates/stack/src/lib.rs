//! Processes under test: find, start, wait, limit, stop, clean up. The only crate that spawns.
//!
//! A child is set up by a hidden subcommand of our own binary ([`run_exec`]), so that no `unsafe`
//! code is needed between fork and exec; another ([`run_guard`]) removes what is left when we are
//! killed.

mod account;
mod cancel;
mod cgroup;
mod config;
mod error;
mod exec;
mod guard;
mod keeper;
mod last_words;
mod postgres;
mod random;
mod run_directory;
mod search;

pub use account::server_user;
pub use cancel::Cancel;
pub use cgroup::limit_means;
pub use error::StackError;
pub use exec::{Helper, run_exec};
pub use guard::run_guard;
pub use postgres::{Exited, Postgres, PostgresOptions, Transport};
pub use run_directory::default_base_dir;
pub use search::{Installation, Search, SearchInput, Version, find_postgres};
