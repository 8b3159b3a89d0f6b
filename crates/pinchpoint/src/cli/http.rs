use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pinchpoint_plan::Stage;

use super::{Arrivals, ObserveArgs, duration};

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

/// `users=N`.
fn users_lever(text: &str) -> Result<u32, String> {
    text.strip_prefix("users=")
        .and_then(|number| number.parse().ok())
        .filter(|users| *users > 0)
        .ok_or_else(|| "the one lever is users=N, with a number above 0".to_owned())
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
