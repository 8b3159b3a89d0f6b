mod address;
mod http;
mod ledger;
mod observe;
mod pgbench;
mod server;
mod sql;
mod tables;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use address::AddressArgs;
pub(crate) use http::HttpArgs;
pub(crate) use ledger::LedgerArgs;
pub(crate) use observe::{ObserveArgs, PoolerArgs};
pub(crate) use pgbench::refused;
pub(crate) use server::{PostgresArgs, RedisArgs};
pub(crate) use sql::{Mode, PoolArgs, ServerArgs, SqlArgs};
pub(crate) use tables::{Method, TablesArgs};
pub(crate) use watch::WatchArgs;

const EXAMPLES: &str = "\
Examples:
  pinchpoint run ladder                     climb the write ladder on a private PostgreSQL
  pinchpoint run ladder --rungs 1,2,2-B --duration 5s
  pinchpoint run ladder --target-tps 200    at 200 rows/s instead of flat out
  pinchpoint list --show ladder > mine.toml && pinchpoint run mine.toml
  pinchpoint run ladder --dsn postgresql://me@db.example/test
  pinchpoint run frameworks --quick         five web frameworks, with and without PgBouncer
  pinchpoint http http://127.0.0.1:8000/ -u 100 --duration 30s
  pinchpoint sql -b simple-update -c 16     pgbench's scripts, or your own with -f script.sql
  pinchpoint watch --dsn postgresql://me@db.example/shop
  pinchpoint pool -f query.sql -c 64        how large a pool should be
  pinchpoint doctor                         what pinchpoint finds on this machine

Exit codes:
  0    everything ran
  1    the run failed, or a trial's figures cannot be true
  2    bad command line or experiment file; nothing was started
  70   a fault of pinchpoint's own; please report it
  99   the run was fine and a threshold was missed
  130  stopped by Ctrl-C or SIGTERM; what was measured is on disk";

/// Finds what limits a PostgreSQL-backed service, and proves the fix.
#[derive(Debug, Parser)]
#[command(name = "pinchpoint", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an experiment: one that ships inside (see `list`), or a file of your own.
    Run(RunArgs),
    /// Load an HTTP server of your own, and sum up as oha, k6 and Locust do.
    Http(HttpArgs),
    /// Run pgbench scripts, with pgbench's options, and say what limits them.
    Sql(Box<SqlArgs>),
    /// Show live what a running PostgreSQL waits for; nothing on it is changed.
    Watch(WatchArgs),
    /// Find the smallest pool that gives the best throughput, by measuring.
    Pool(Box<PoolArgs>),
    /// List the experiments that ship inside, or print one to start your own from.
    List(ListArgs),
    /// Show what pinchpoint finds on this machine: PostgreSQL, limits, disk.
    Doctor(DoctorArgs),
    /// Show a result again, and make its derived files anew from `result.json`, byte for byte.
    Report(ReportArgs),
    /// Show how predictions fared: how many held, how wide they were, which missed.
    Ledger(LedgerArgs),
    /// Start a private PostgreSQL, print its DSN, and remove it at the end.
    Postgres(PostgresArgs),
    /// Start a private Redis, print its URL, and remove it at the end.
    Redis(RedisArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinchpoint run ladder --duration 3s --trials 3
  pinchpoint run ladder --rungs 2-B --target-tps 2000 --arrivals poisson
  pinchpoint run mine.toml --out results/before --json > before.json
  pinchpoint run frameworks --quick --only app=django --only users=100

What a rung does, and every default, stands in the experiment file: `pinchpoint list --show ladder`.")]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct RunArgs {
    /// Name of an experiment that ships inside, or path of a TOML file.
    #[arg(value_name = "EXPERIMENT|FILE.toml")]
    pub(crate) experiment: String,

    /// Measured time of each trial, such as 500ms, 10s, 2min [default: the experiment's; ladder: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    /// Time before each trial that is not measured: `auto` (until steady) or a time [default: auto]
    #[arg(long, value_name = "auto|TIME")]
    pub(crate) warmup: Option<String>,

    /// Trials of each rung, interleaved with those of the others [default: the experiment's; ladder: 3]
    #[arg(long, value_name = "COUNT")]
    pub(crate) trials: Option<u32>,

    /// Run only these rungs, by name and in the experiment's order [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) rungs: Option<Vec<String>>,

    /// Rows per second to ask for, each rung; latency then counts from the intended start [default: flat out]
    #[arg(long, value_name = "ROWS/S", allow_negative_numbers = true)]
    pub(crate) target_tps: Option<f64>,

    /// Gaps between intended starts under --target-tps [default: the experiment's; ladder: constant]
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub(crate) arrivals: Option<Arrivals>,

    /// Prove what limits: after the trials, make one demand after the other larger on purpose (CPU of
    /// the server and the application, round trips, flush of the WAL, in a ladder the hold of a
    /// connection) and see whether throughput follows. About a minute for each rung, up to two for
    /// each case; all is put back as it was.
    #[arg(long)]
    pub(crate) prove: bool,

    /// Seed of all that is random: rows, Poisson gaps [default: from the clock; it is in the result]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// Directory for the result; must not hold one already [default: results/<experiment>-<UTC time>]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Use this PostgreSQL instead of a private one. A ladder makes a schema of its own, and drops it;
    /// a matrix makes the tables users, posts and comments, unless somebody else's are there.
    /// A password may come from PGPASSWORD instead of the URL.
    #[arg(long, value_name = "URL", conflicts_with = "pg_bin")]
    pub(crate) dsn: Option<String>,

    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// After the table, show how the verdict on this rung or case came about: where an operation's
    /// time went, what speaks for and against it, what to do. May be given several times.
    #[arg(long, value_name = "VARIANT", conflicts_with = "json")]
    pub(crate) explain: Vec<String>,

    /// Print `result.json` to standard output instead of the table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Neither keep this run's predictions in the ledger of all runs, nor learn from it (see
    /// `pinchpoint ledger`).
    #[arg(long)]
    pub(crate) no_ledger: bool,

    #[command(flatten)]
    pub(crate) matrix: MatrixArgs,
}

/// What concerns a matrix of applications only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for a matrix of applications")]
pub(crate) struct MatrixArgs {
    /// Only these cases, such as app=fastapi,flask, users=1000, profile=tuned; also connection,
    /// language, waterfall (none, or an app's). May be given several times.
    #[arg(long, value_name = "FACTOR=LEVEL,…")]
    pub(crate) only: Vec<String>,

    /// Where an application answers that somebody else runs, in a container for example; with
    /// @pgbouncer, the one behind a pooler. May be given several times.
    #[arg(long = "url", value_name = "APP[@pgbouncer]=URL")]
    pub(crate) urls: Vec<String>,

    /// One of the experiment's ways to be run, such as k6's `quick` (10 users, 2 min) and `load` (100
    /// users, 10 min) of `cache`: their cases, times and limits.
    #[arg(long, value_name = "NAME", conflicts_with = "quick")]
    pub(crate) profile: Option<String>,

    /// A first impression, one trial of 3 s for each case.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Go on with the run whose result is in this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub(crate) resume: Option<PathBuf>,

    /// Double the users until throughput no longer grows, and name that point.
    #[arg(long)]
    pub(crate) until_limit: bool,

    /// The PgBouncer to use [default: the one in PATH or a usual place]
    #[arg(long, value_name = "FILE", env = "PINCHPOINT_PGBOUNCER")]
    pub(crate) pgbouncer: Option<PathBuf>,
}

/// How random the gaps between operations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arrivals {
    /// Even gaps.
    Constant,
    /// Exponential gaps, as independent users make them.
    Poisson,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Directory with PostgreSQL's server programs [default: newest found; see `doctor`]
    #[arg(long, value_name = "DIR", env = "PINCHPOINT_PG_BIN")]
    pub(crate) pg_bin: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print this experiment's file.
    #[arg(long, value_name = "NAME")]
    pub(crate) show: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A result directory, made by `run`.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,

    /// Show how the verdict on this rung or case came about instead: where an operation's time went,
    /// what speaks for and against it, what to do. May be given several times.
    #[arg(long, value_name = "VARIANT")]
    pub(crate) explain: Vec<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    pinchpoint_plan::parse_duration(text).map_err(|e| e.to_string())
}
