use clap::Args;

/// What is observed beside a load.
#[derive(Debug, Args)]
pub(crate) struct ObserveArgs {
    /// The PostgreSQL behind it, to be observed under this load: what its sessions wait for, its
    /// counters. Nothing on it is changed. A password may come from PGPASSWORD instead of the URL.
    #[arg(long, value_name = "URL")]
    pub(crate) observe_dsn: Option<String>,

    #[command(flatten)]
    pub(crate) pooler: PoolerArgs,
}

/// A pooler before the database.
#[derive(Debug, Args)]
pub(crate) struct PoolerArgs {
    /// The admin console of the PgBouncer before the database, such as `postgresql://me@db:6432`: who
    /// waits there for a server connection, its totals, its CPU where it runs here. Its user is in
    /// `stats_users` or `admin_users`; nothing but SHOW is said to it. A password may come from
    /// PGPASSWORD.
    #[arg(long, value_name = "URL")]
    pub(crate) observe_pgbouncer: Option<String>,
}
