mod address;
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
use pinchpoint_plan::Stage;

pub(crate) use address::AddressArgs;
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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinchpoint http http://127.0.0.1:8000/ -u 100 --duration 30s
  pinchpoint http http://127.0.0.1:8000/ --rate 500 --arrivals poisson
  pinchpoint http http://127.0.0.1:8000/ -u 200 --stage 30s:500 --stage 10s:0
  pinchpoint http http://127.0.0.1:8000/api -d @body.json -H 'Content-Type: text/json'
  pinchpoint http http://127.0.0.1:8000/ --observe-dsn postgresql://me@db/shop \\
      --observe-pgbouncer postgresql://me@db:6432
  pinchpoint http http://127.0.0.1:8000/ --check-json /status=ok \\
      --threshold 'http_req_duration: p(95)<200' \\
      --threshold 'http_req_failed: rate<0.01'

Thresholds take k6's grammar, on http_req_duration, http_req_failed, http_reqs and checks;
a missed one ends with exit code 99.")]
pub(crate) struct HttpArgs {
    /// What to ask for.
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Virtual users, each with one connection; with a schedule the most requests at once
    #[arg(long, short, value_name = "COUNT", default_value_t = 10)]
    pub(crate) users: u32,

    /// Measured time, such as 500ms, 30s, 2min
    #[arg(long, short = 't', value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) duration: Duration,

    /// Time before that is not measured: `auto` (until steady and every user had an answer) or a time
    #[arg(long, value_name = "auto|TIME", default_value = "auto")]
    pub(crate) warmup: String,

    /// Trials, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) trials: u32,

    /// Users that start a second [default: all at once]
    #[arg(long, short = 'r', value_name = "USERS/S", allow_negative_numbers = true)]
    pub(crate) spawn_rate: Option<f64>,

    /// Pause of a user after each answer [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) think: Option<Duration>,

    /// Requests a second on a schedule; response time then counts from the intended start
    /// [default: flat out]
    #[arg(long, value_name = "REQUESTS/S", allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,

    /// A stage of a schedule, such as 30s:200: from 0, or from the stage before, the rate goes in a
    /// straight line to this one; may be given several times
    #[arg(
        long,
        value_name = "TIME:REQUESTS/S",
        value_parser = stage,
        conflicts_with_all = ["rate", "duration", "warmup", "think", "spawn_rate"]
    )]
    pub(crate) stage: Vec<Stage>,

    /// Gaps between intended starts under --rate and --stage
    #[arg(long, value_enum, value_name = "SHAPE", default_value_t = Arrivals::Constant)]
    pub(crate) arrivals: Arrivals,

    /// A limit in k6's grammar; may be given several times
    #[arg(long, value_name = "METRIC: EXPRESSION")]
    pub(crate) threshold: Vec<String>,

    /// Load threads [default: one a core]
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<u32>,

    /// Seed of all that is random [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    #[command(flatten)]
    pub(crate) observe: ObserveArgs,

    /// Then change the users, predict what that gives, run it as often, and hold the prediction against
    /// it: `users=N`. From the CPU that a request takes, so --observe-dsn is needed and all must run on
    /// this machine. May be given several times; each starts from the load as given.
    #[arg(long, value_name = "LEVER", value_parser = users_lever)]
    pub(crate) next: Vec<u32>,

    /// Neither keep what became of predictions in the ledger of all runs, nor learn from it (see
    /// `pinchpoint ledger`).
    #[arg(long)]
    pub(crate) no_ledger: bool,

    /// Directory for the result: result.json, Locust's and k6's files, histograms [default: none]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Print `result.json` to standard output instead of the summary.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// What is asked, and what an answer must be.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request and answer")]
pub(crate) struct RequestArgs {
    /// Method [default: GET, or POST with --data]
    #[arg(long, short = 'X', value_name = "METHOD")]
    pub(crate) method: Option<String>,

    /// Header field; may be given several times
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Body, or @FILE
    #[arg(long, short = 'd', value_name = "TEXT|@FILE")]
    pub(crate) data: Option<String>,

    /// An answer that takes longer is a failure
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(crate) timeout: Duration,

    /// A status that the answer must have [default: below 400]
    #[arg(long, value_name = "STATUS")]
    pub(crate) check_status: Option<u16>,

    /// A JSON pointer at which the body must have something, or this value; may be given several times
    #[arg(long, value_name = "POINTER[=VALUE]")]
    pub(crate) check_json: Vec<String>,

    /// A new connection for each request.
    #[arg(long)]
    pub(crate) disable_keepalive: bool,

    /// Do not check the server's certificate.
    #[arg(long)]
    pub(crate) insecure: bool,
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

/// `users=N`.
fn users_lever(text: &str) -> Result<u32, String> {
    text.strip_prefix("users=")
        .and_then(|number| number.parse().ok())
        .filter(|users| *users > 0)
        .ok_or_else(|| "the one lever is users=N, with a number above 0".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    pinchpoint_plan::parse_duration(text).map_err(|e| e.to_string())
}

/// A stage as `TIME:RATE`.
fn stage(text: &str) -> Result<Stage, String> {
    let (time, rate) = text.rsplit_once(':').ok_or("it is a time and a rate, such as 30s:200")?;
    let duration = duration(time)?;
    if duration < Duration::from_millis(100) {
        return Err("a stage takes at least 100 ms".to_owned());
    }
    let target_per_s: f64 = rate.parse().map_err(|_| format!("{rate:?} is not a rate"))?;
    if !(0.0..=1e9).contains(&target_per_s) {
        return Err("the rate is 0 to 1000000000 requests/s".to_owned());
    }
    Ok(Stage { duration, target_per_s })
}
