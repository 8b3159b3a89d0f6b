use pinchpoint_observe::{PoolerConsole, PoolerSpec};
use pinchpoint_sql::{Admin, Dsn};

use crate::error::LabError;
use crate::server::{check_dsn, parse};

/// What is observed beside a load, on machines that somebody else runs.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// The database, past whatever stands before it.
    pub dsn: Option<String>,
    /// The admin console of the PgBouncer that the load goes through.
    pub pgbouncer: Option<String>,
}

impl Observe {
    /// Says what is wrong with a URL, without connecting.
    pub fn check(&self) -> Result<(), String> {
        if let Some(dsn) = &self.dsn {
            check_dsn(dsn).map_err(|text| format!("--observe-dsn: {text}"))?;
        }
        if let Some(url) = &self.pgbouncer {
            PoolerSpec::read(url, None, None)
                .map_err(|e| format!("--observe-pgbouncer: the URL is not usable: {e}"))?;
        }
        Ok(())
    }

    /// The same, read; `database` is what the load asks PgBouncer for, where that is known.
    pub(crate) fn read(&self, database: Option<&str>) -> Result<Aside, LabError> {
        let dsn = self.dsn.as_deref().map(parse).transpose()?;
        let database = database.or_else(|| dsn.as_ref().map(|dsn| dsn.database.as_str()));
        let read = |url: &String| {
            PoolerSpec::read(url, std::env::var("PGPASSWORD").ok(), database)
                .map_err(|e| LabError::Unsuitable(format!("the URL of PgBouncer's console: {e}")))
        };
        let pooler = self.pgbouncer.as_ref().map(read).transpose()?;
        Ok(Aside { dsn, pooler })
    }
}

/// What is looked at beside the load's own way to the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aside {
    pub(crate) dsn: Option<Dsn>,
    pub(crate) pooler: Option<PoolerSpec>,
}

impl Aside {
    /// Makes sure of it before anything is sent. A database that does not let us in is an error; a
    /// console that does not is told, and the load goes on without it.
    pub(crate) async fn try_out(&self) -> Result<Option<String>, LabError> {
        if let Some(dsn) = &self.dsn {
            let admin = Admin::connect(dsn).await;
            admin.map_err(|source| LabError::Server { action: "let us observe it", source })?;
        }
        let Some(pooler) = &self.pooler else { return Ok(None) };
        let refused = PoolerConsole::open(&pooler.dsn).await.err();
        Ok(refused.map(|error| format!("PgBouncer's queues will not be seen: {error}")))
    }
}
