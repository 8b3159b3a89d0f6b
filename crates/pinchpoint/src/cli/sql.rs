use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use pinchpoint_measure::SqlLever;

use super::{AddressArgs, PoolerArgs, SearchArgs, TablesArgs, duration};

#[derive(Debug, Args)]
#[command(
    version,
    disable_help_flag = true,
    after_help = "\
Examples:
  pinchpoint sql -c 16 -T 30                          pgbench's tpcb-like on a private PostgreSQL
  pinchpoint sql -b select-only@9 -b simple-update@1 -s 10 -c 16 -M prepared
  pinchpoint sql --init tables.sql -f script.sql -c 8 --cpus 0.5
  pinchpoint sql --dsn postgresql://me@db.example/test -f script.sql -c 16 -R 500
  pinchpoint sql -h db.example -p 5433 -U me -S -c 16 test
  pinchpoint sql -b simple-update -c 8 --next synchronous_commit=off --next clients=16
  pinchpoint sql --list                               the built-in scripts; --show NAME prints one
  pinchpoint sql --dsn postgresql://me@db:6432/shop -S -c 16 --observe-dsn postgresql://me@db/shop \\
      --observe-pgbouncer postgresql://me@db:6432

The letters mean what they mean to pgbench (-d the database, as from its version 17 on). Unlike pgbench:
without an address a private server is started, a warm-up comes first (--warmup 0s for none), a failed
transaction is counted and its client goes on, tables of pgbench's that are there are not dropped by -i
alone, -i is followed by the load, and a server that is not ours is vacuumed by -v alone. Not run:
\\shell, \\setshell, COPY.

Thresholds take k6's grammar, on transaction_duration (ms), transactions (count, rate),
transactions_failed, and with -L transactions_late and transactions_skipped (rate):
`--threshold 'transaction_duration: p(95)<20'`. A missed one ends with exit code 99."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of pgbench's")]
pub(crate) struct SqlArgs {
    /// Where the server itself is, to be observed under this load, when the load goes through a pooler.
    /// Nothing on it is changed.
    #[arg(long, value_name = "URL", requires = "address")]
    pub(crate) observe_dsn: Option<String>,

    #[command(flatten)]
    pub(crate) pooler: PoolerArgs,

    /// A script, and how often it is chosen among several; may be given several times
    #[arg(long, short = 'f', value_name = "FILE[@WEIGHT]")]
    pub(crate) file: Vec<String>,

    /// One of pgbench's scripts: tpcb-like, simple-update, select-only; may be given several times
    /// [default: tpcb-like, when there is no -f]
    #[arg(long, short = 'b', value_name = "NAME[@WEIGHT]")]
    pub(crate) builtin: Vec<String>,

    /// The same as -b simple-update
    #[arg(long, short = 'N')]
    pub(crate) skip_some_updates: bool,

    /// The same as -b select-only
    #[arg(long, short = 'S')]
    pub(crate) select_only: bool,

    /// Clients: transactions under way at once
    #[arg(long, short = 'c', value_name = "COUNT", default_value_t = 1)]
    pub(crate) client: u32,

    /// Load threads [default: one a core]
    #[arg(long, short = 'j', value_name = "COUNT")]
    pub(crate) jobs: Option<u32>,

    /// Measured time, in seconds or such as 500ms, 2min [default: 10]
    #[arg(long, short = 'T', value_name = "TIME", value_parser = seconds, conflicts_with = "transactions")]
    pub(crate) time: Option<Duration>,

    /// Transactions of each client instead of a time; there is no warm-up then
    #[arg(long, short = 't', value_name = "COUNT", conflicts_with = "rate")]
    pub(crate) transactions: Option<u64>,

    /// Transactions a second on a schedule with random gaps; latency then counts from the intended
    /// start [default: flat out]
    #[arg(long, short = 'R', value_name = "TPS", allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,

    /// Milliseconds above which a transaction is counted as late; with -R, one that is late by more
    /// before it is started is skipped
    #[arg(long, short = 'L', value_name = "MS", allow_negative_numbers = true)]
    pub(crate) latency_limit: Option<f64>,

    /// How statements are sent: as text with variables replaced in it, or with variables bound
    #[arg(long, short = 'M', value_enum, value_name = "MODE", default_value_t = Mode::Simple)]
    pub(crate) protocol: Mode,

    /// Give a variable a value; may be given several times
    #[arg(long, short = 'D', value_name = "NAME=VALUE")]
    pub(crate) define: Vec<String>,

    /// Scale of pgbench's tables, 100,000 accounts each [default: that of the tables, or 1]
    #[arg(long, short = 's', value_name = "SCALE")]
    pub(crate) scale: Option<u64>,

    /// Make pgbench's tables first; a private server gets them whenever -b needs them.
    #[arg(long, short = 'i')]
    pub(crate) initialize: bool,

    /// With -i, drop pgbench's tables that are there, as pgbench does without asking.
    #[arg(long, requires = "initialize")]
    pub(crate) drop_tables: bool,

    /// Do not vacuum pgbench's tables after -i has filled them; nor vacuum them and empty the history
    /// before the load, which is done on a private server.
    #[arg(long, short = 'n')]
    pub(crate) no_vacuum: bool,

    /// Vacuum all of pgbench's tables before the load, on a server that is not ours too.
    #[arg(long, short = 'v', conflicts_with = "no_vacuum")]
    pub(crate) vacuum_all: bool,

    /// A new connection for each transaction.
    #[arg(long, short = 'C', conflicts_with = "pool")]
    pub(crate) connect: bool,

    /// A pool of so many connections that all clients share [default: each client has its own]
    #[arg(long, value_name = "COUNT")]
    pub(crate) pool: Option<u32>,

    /// Tries of a transaction that ends in a serialization failure or a deadlock
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) max_tries: u32,

    /// Show the mean latency of each statement.
    #[arg(long, short = 'r')]
    pub(crate) report_per_command: bool,

    /// Tell failures apart: serialization failures and deadlocks.
    #[arg(long)]
    pub(crate) failures_detailed: bool,

    /// Write each measured transaction to a file, in pgbench's fields. The load never waits for it:
    /// lines that the disk does not take in time are left out and counted.
    #[arg(long, short = 'l')]
    pub(crate) log: bool,

    /// What the log's files begin with: PREFIX.PID, and PREFIX.PID.N for another load thread
    #[arg(long, value_name = "PREFIX", default_value = "pgbench_log", requires = "log")]
    pub(crate) log_prefix: String,

    /// Share of the transactions that are logged, chosen at random
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 1.0,
        requires = "log",
        allow_negative_numbers = true
    )]
    pub(crate) sampling_rate: f64,

    /// Log a line for each interval of so many seconds instead of one for each transaction; -T is a
    /// multiple of it
    #[arg(long, value_name = "SECONDS", requires = "log", conflicts_with = "sampling_rate")]
    pub(crate) aggregate_interval: Option<u32>,

    /// A limit in k6's grammar; may be given several times
    #[arg(long, value_name = "METRIC: EXPRESSION")]
    pub(crate) threshold: Vec<String>,

    /// Reporting interval, in seconds or such as 500ms; when given, each is told in pgbench's line,
    /// on standard error [default: 10]
    #[arg(long, short = 'P', value_name = "TIME", value_parser = seconds)]
    pub(crate) progress: Option<Duration>,

    /// With -P, the Unix time in each line instead of the seconds since the trial began.
    #[arg(long, requires = "progress")]
    pub(crate) progress_timestamp: bool,

    /// Time before that is not measured: `auto` (until steady) or a time
    #[arg(long, value_name = "auto|TIME", default_value = "auto")]
    pub(crate) warmup: String,

    /// Trials, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) trials: u32,

    /// Seed of all that is random; the first trial draws what pgbench draws; `time` and `rand` are
    /// the default [default: from the clock]
    #[arg(long, value_name = "NUMBER", value_parser = seed)]
    pub(crate) random_seed: Option<Seed>,

    /// Prove what limits: after the trials, make one demand after the other larger on purpose (CPU,
    /// round trips, flush of the WAL, hold of a pool's connection) and see whether throughput follows.
    /// A minute or less; all is put back as it was. On a server that is not ours only the way to it
    /// and the hold are changed.
    #[arg(long)]
    pub(crate) prove: bool,

    /// Then change one thing, predict what that gives, run it as often, and hold the prediction against
    /// it: `clients=N`, `synchronous_commit=off|on` (of the load's own sessions),
    /// `protocol=prepared|extended|simple`, `pool=N`, `connect=off` (own connections instead of -C).
    /// May be given several times; each starts from the load as given.
    #[arg(long, value_name = "LEVER")]
    pub(crate) next: Vec<SqlLever>,

    /// Neither keep what became of predictions in the ledger of all runs, nor learn from it (see
    /// `pinchpoint ledger`).
    #[arg(long)]
    pub(crate) no_ledger: bool,

    /// Directory for the result: result.json, metrics.csv, histograms [default: none]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Print `result.json` to standard output instead of the summary.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Show the verdict in full: where the time goes, evidence, what was looked at, what to do.
    #[arg(long)]
    pub(crate) explain: bool,

    /// List the built-in scripts.
    #[arg(long)]
    pub(crate) list: bool,

    /// Print this help; -h is the host, as in pgbench.
    #[arg(long, short = '?', action = ArgAction::HelpLong)]
    help: Option<bool>,

    /// Print a built-in script.
    #[arg(long, value_name = "NAME", visible_alias = "show-script")]
    pub(crate) show: Option<String>,

    #[command(flatten)]
    pub(crate) tables: TablesArgs,

    #[command(flatten)]
    pub(crate) address: AddressArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  pinchpoint pool -b select-only -c 64 --cpus 0.5     on a private PostgreSQL with half a CPU
  pinchpoint pool --dsn postgresql://me@db.example/test -f query.sql -c 200
  pinchpoint pool -f query.sql --sizes 4,8,16,32 --rounds 3 --out results/pool

Clients always have a transaction to run and share a pool of each size in turn, in random order, round
by round. The answer is the smallest size that cannot be told from the best: closer than the noise of
the rounds, 2 % at least and 5 % at most. It ends early: after three rounds or more, of which the last
left the answer as it was, with a noise below 3 %. On a server that is not ours it never takes the last
connections: a tenth of those that are free, and three more, are left."
)]
pub(crate) struct PoolArgs {
    /// A pgbench script, and how often it is chosen among several; may be given several times
    #[arg(long, short = 'f', value_name = "FILE[@WEIGHT]")]
    pub(crate) file: Vec<String>,

    /// One of pgbench's scripts: tpcb-like, simple-update, select-only; may be given several times
    #[arg(long, short = 'b', value_name = "NAME[@WEIGHT]")]
    pub(crate) builtin: Vec<String>,

    /// Clients that share the pool
    #[arg(long, short = 'c', value_name = "COUNT", default_value_t = 64)]
    pub(crate) client: u32,

    /// Sizes to try [default: 1, 2, 3, 4, 6, 8, 12, 16, … up to the clients]
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',')]
    pub(crate) sizes: Vec<u32>,

    /// The largest size to try
    #[arg(long, value_name = "SIZE", default_value_t = 512)]
    pub(crate) max_size: u32,

    /// Measured time of each size in each round, in seconds or such as 500ms
    #[arg(long, short = 'T', value_name = "TIME", value_parser = seconds, default_value = "2")]
    pub(crate) duration: Duration,

    /// The most rounds over all sizes
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    pub(crate) rounds: u32,

    /// No round begins that would not end within this time
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5min")]
    pub(crate) max_time: Duration,

    /// How statements are sent: as text with variables replaced in it, or with variables bound
    #[arg(long, short = 'M', value_enum, value_name = "MODE", default_value_t = Mode::Prepared)]
    pub(crate) protocol: Mode,

    /// Give a variable a value; may be given several times
    #[arg(long, short = 'D', value_name = "NAME=VALUE")]
    pub(crate) define: Vec<String>,

    /// Scale of pgbench's tables [default: that of the tables, or 1]
    #[arg(long, short = 's', value_name = "SCALE")]
    pub(crate) scale: Option<u64>,

    /// Make pgbench's tables first; a private server gets them whenever -b needs them.
    #[arg(long, short = 'i')]
    pub(crate) initialize: bool,

    /// Seed of all that is random [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// Directory for the result: result.json, summary.csv, a plot, histograms [default: none]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Print `result.json` to standard output instead of the table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Print this help; -h is the host, as in pgbench.
    #[arg(long, short = '?', action = ArgAction::HelpLong)]
    help: Option<bool>,

    #[command(flatten)]
    pub(crate) address: AddressArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How a private server is set up.
#[derive(Debug, Args)]
#[command(next_help_heading = "The private server")]
pub(crate) struct ServerArgs {
    /// SQL that is run first, statement by statement; on a server of somebody else's too.
    #[arg(long, value_name = "FILE")]
    pub(crate) init: Option<PathBuf>,

    /// A server setting; may be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE", conflicts_with = "address")]
    pub(crate) settings: Vec<String>,

    /// CPUs that the server may use, such as 0.5 [default: all]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true, conflicts_with = "address")]
    pub(crate) cpus: Option<f64>,

    /// Memory that the server may use, such as 512MB or 2GB [default: all]
    #[arg(long, value_name = "SIZE", conflicts_with = "address")]
    pub(crate) memory: Option<String>,

    #[command(flatten)]
    pub(crate) search: SearchArgs,
}

/// pgbench's query modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// As text.
    Simple,
    /// Parsed each time, variables bound.
    Extended,
    /// Prepared once on each connection, variables bound.
    Prepared,
}

/// A seed as pgbench takes it: a number, or the clock's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) Option<u64>);

fn seed(text: &str) -> Result<Seed, String> {
    match text {
        "time" | "rand" => Ok(Seed(None)),
        number => number
            .parse()
            .map(|seed| Seed(Some(seed)))
            .map_err(|_| "it is a number from 0 on, `time` or `rand`".to_owned()),
    }
}

/// A time as pgbench takes it: a number is of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(whole) => Ok(Duration::from_secs(whole.into())),
        Err(_) => duration(text),
    }
}
