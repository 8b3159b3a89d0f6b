use std::time::Duration;

use clap::Args;

use super::{PoolerArgs, duration};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinchpoint watch --dsn postgresql://me@db.example/shop
  pinchpoint watch --dsn postgresql://me@db.example/shop --for 10s > waits.txt
  pinchpoint watch --dsn postgresql://me@db.example/shop --json | jq .observation.sessions
  pinchpoint watch --dsn postgresql://me@db/shop --observe-pgbouncer postgresql://me@db:6432

It sees the clients of the DSN's database, but not pinchpoint's own administration. A role without
pg_read_all_stats sees its own sessions only, and is told so.")]
pub(crate) struct WatchArgs {
    /// The server. A password may come from PGPASSWORD instead of the URL.
    #[arg(long, value_name = "URL")]
    pub(crate) dsn: String,

    #[command(flatten)]
    pub(crate) pooler: PoolerArgs,

    /// How long to watch [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) length: Option<Duration>,

    /// How long each observation is. Shorter ones cost more: all counters are read for each.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2s")]
    pub(crate) every: Duration,

    /// Print each observation as JSON, on one line.
    #[arg(long)]
    pub(crate) json: bool,
}
