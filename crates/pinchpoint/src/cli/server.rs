use std::path::PathBuf;

use clap::Args;

use super::SearchArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinchpoint postgres                                  until Ctrl-C
  pinchpoint postgres --set shared_buffers=1GB --cpus 0.5 --memory 512MB
  # then, in a second terminal, psql with the line that it printed")]
pub(crate) struct PostgresArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// A server setting; may be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,

    /// CPUs that the server may use, such as 0.5 [default: all]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(crate) cpus: Option<f64>,

    /// Memory that the server may use, such as 512MB or 2GB [default: all]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,

    /// TCP port on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Also stop when standard input ends, for use from a script.
    #[arg(long)]
    pub(crate) until_eof: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinchpoint redis                                     until Ctrl-C
  pinchpoint redis --set maxmemory=64mb --set maxmemory-policy=allkeys-lru
  # then, in a second terminal, redis-cli -u with the line that it printed")]
pub(crate) struct RedisArgs {
    /// The redis-server program [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) redis: Option<PathBuf>,

    /// A setting of redis.conf; may be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,

    /// CPUs that it may use, such as 0.5 [default: all]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(crate) cpus: Option<f64>,

    /// Memory that it may use, such as 512MB or 2GB [default: all]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,

    /// TCP port on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Also stop when standard input ends, for use from a script.
    #[arg(long)]
    pub(crate) until_eof: bool,
}
