use std::time::{Duration, Instant};

use pinchpoint_sql::{Connection, Dsn, SqlError, TlsSetup};

use crate::error::LabError;

/// Round trips of which the shortest counts.
const ROUND_TRIPS: u32 = 30;

/// A session of our own beside the load, for what is asked of the server and set on it.
pub(super) struct ServerSide {
    connection: Connection,
    version: u32,
}

/// Flushes of the write-ahead log so far, and the milliseconds that they took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flushes {
    count: f64,
    ms: f64,
}

impl ServerSide {
    pub(super) async fn open(dsn: &Dsn) -> Result<Self, LabError> {
        let asked = |source: SqlError| LabError::Server { action: "let us in", source };
        let dsn = dsn.clone().named("pinchpoint-admin");
        let tls = TlsSetup::new(&dsn).map_err(asked)?;
        let connection = Connection::connect(&dsn, &tls).await.map_err(asked)?;
        let text = connection.parameter("server_version").unwrap_or_default();
        let version = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        Ok(Self { version: version.parse().unwrap_or(0), connection })
    }

    /// Sets something for all sessions, or takes it back with `None`.
    pub(super) async fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let change = match value {
            Some(value) => format!("ALTER SYSTEM SET {name} = '{value}'"),
            None => format!("ALTER SYSTEM RESET {name}"),
        };
        for sql in [change.as_str(), "SELECT pg_reload_conf()"] {
            self.connection.query(sql).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Lets the server time its flushes, or stop it.
    pub(super) async fn time_flushes(&mut self, on: bool) -> Result<(), String> {
        self.set("track_wal_io_timing", on.then_some("on")).await
    }

    /// What the server counts of its flushes: in `pg_stat_wal` up to 17, in `pg_stat_io` since.
    pub(super) async fn flushes(&mut self) -> Option<Flushes> {
        let sql = if self.version >= 18 {
            "SELECT sum(fsyncs), sum(fsync_time) FROM pg_stat_io WHERE object = 'wal'"
        } else {
            "SELECT wal_sync, wal_sync_time FROM pg_stat_wal"
        };
        let rows = self.connection.query(sql).await.ok()?;
        let number = |at: usize| rows.first()?.get(at)?.as_deref()?.parse::<f64>().ok();
        Some(Flushes { count: number(0)?, ms: number(1)? })
    }

    /// Mean milliseconds of a flush since then. Sessions report once a second, so it waits for them.
    pub(super) async fn flush_ms_since(&mut self, before: Option<Flushes>) -> Option<f64> {
        let before = before?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = self.flushes().await?;
        let count = now.count - before.count;
        (count >= 1.0).then(|| (now.ms - before.ms) / count)
    }

    /// Transactions that have written so far, whether or not they were committed: each is given a
    /// number. (`pg_stat_database` would say it a second late.)
    pub(super) async fn writes(&mut self) -> Option<u64> {
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        let rows = self.connection.query(sql).await.ok()?;
        rows.first()?.first()?.as_deref()?.parse().ok()
    }

    /// The shortest of some round trips with nothing to do, in milliseconds.
    pub(super) async fn round_trip_ms(&mut self) -> Option<f64> {
        shortest_ms(&mut self.connection, "").await
    }
}

/// The shortest of some round trips with this query, in milliseconds: the way itself, without the
/// waits for a CPU that a load brings.
pub(crate) async fn shortest_ms(connection: &mut Connection, sql: &str) -> Option<f64> {
    let mut shortest: Option<Duration> = None;
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        connection.query(sql).await.ok()?;
        let took = began.elapsed();
        shortest = Some(shortest.map_or(took, |s| s.min(took)));
    }
    shortest.map(|s| s.as_secs_f64() * 1000.0)
}
