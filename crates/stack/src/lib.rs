//! Processes under test: find, start, wait, limit, stop, clean up. The only crate that spawns.
//!
//! A child is set up by a hidden subcommand of our own binary ([`run_exec`]), so that no `unsafe`
//! code is needed between fork and exec; another ([`run_guard`]) removes what is left when we are
//! killed.

mod account;
mod app;
mod cancel;
mod cgroup;
mod config;
mod error;
mod exec;
mod family;
mod guard;
mod keeper;
mod last_words;
mod pgbouncer;
mod postgres;
mod programs;
mod random;
mod redis;
mod run_directory;
mod search;
mod supervised;
mod venv;

pub use account::server_user;
pub use app::{App, AppOptions};
pub use cancel::Cancel;
pub use cgroup::limit_means;
pub use error::StackError;
pub use exec::{Helper, raise_file_limit, run_exec};
pub use guard::run_guard;
pub use pgbouncer::{PgBouncer, PgBouncerOptions, Upstream};
pub use postgres::{Postgres, PostgresOptions, Transport};
pub use programs::{PoolerProgram, find, find_pgbouncer, pooler_is_at_least};
pub use random::password;
pub use redis::{REDIS_OWN, Redis, RedisOptions, RedisProgram, find_redis};
pub use run_directory::default_base_dir;
pub use search::{Installation, Search, SearchInput, Version, find_postgres};
pub use supervised::Exited;
pub use venv::{AppFile, cache_dir, ensure_venv, package_versions, unpack};
