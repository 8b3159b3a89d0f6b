//! A load of scripts with a lever applied.

use pinchpoint_measure::{SqlLever, SqlProtocol};
use pinchpoint_sql::Dsn;

use crate::error::LabError;
use crate::server::Server;
use crate::sql_job::{QueryMode, SqlConnection, SqlJob};

impl SqlJob {
    /// Refuses a lever that would change nothing, or that is given twice.
    pub(crate) fn check_next(&self) -> Result<(), LabError> {
        for (at, lever) in self.next.iter().enumerate() {
            let because = if self.next[..at].contains(lever) {
                Some("it is given twice".to_owned())
            } else {
                self.already(*lever)
            };
            if let Some(because) = because {
                return Err(LabError::Unsuitable(format!("--next {lever}: {because}")));
            }
        }
        Ok(())
    }

    /// Why a lever would change nothing, as far as that is known before a server is asked.
    fn already(&self, lever: SqlLever) -> Option<String> {
        match (lever, self.connection) {
            (SqlLever::Clients(n), _) if n == self.clients => {
                Some(format!("the load has {n} clients already; name another number"))
            }
            (SqlLever::Protocol(protocol), _) if mode_of(protocol) == self.work.mode => {
                Some("statements are sent like that already (-M)".to_owned())
            }
            (SqlLever::Pool(n), SqlConnection::Pool(size)) if n == size => {
                Some(format!("the pool has {n} connections already; name another number"))
            }
            (SqlLever::Connected, SqlConnection::Own | SqlConnection::Pool(_)) => {
                Some("connections are kept already; only a load with -C opens new ones".to_owned())
            }
            _ => None,
        }
    }

    /// The load with a lever applied.
    pub(crate) fn with_lever(&self, lever: SqlLever) -> Self {
        let mut changed = self.clone();
        match lever {
            SqlLever::Clients(clients) => changed.clients = clients,
            SqlLever::SynchronousCommit(on) => changed.synchronous_commit = Some(on),
            SqlLever::Protocol(protocol) => changed.work.mode = mode_of(protocol),
            SqlLever::Pool(size) => changed.connection = SqlConnection::Pool(size),
            SqlLever::Connected => changed.connection = SqlConnection::Own,
        }
        changed
    }

    /// The way to the server for the load's own sessions.
    pub(crate) fn dsn(&self, server: &Server) -> Dsn {
        let dsn = server.dsn().clone();
        match self.synchronous_commit {
            Some(on) => dsn.with_setting("synchronous_commit", if on { "on" } else { "off" }),
            None => dsn,
        }
    }

    /// Transactions that can be at the server at a time: clients beyond a pool's size wait outside.
    pub(crate) fn at_once(&self) -> u32 {
        match self.connection {
            SqlConnection::Pool(size) => self.clients.min(size),
            SqlConnection::Own | SqlConnection::PerTransaction => self.clients,
        }
    }

    /// Connections that it opens at most.
    pub(crate) fn connections(&self) -> u64 {
        let pool = match self.connection {
            SqlConnection::Pool(size) => size,
            SqlConnection::Own | SqlConnection::PerTransaction => 0,
        };
        self.clients.max(pool).into()
    }
}

const fn mode_of(protocol: SqlProtocol) -> QueryMode {
    match protocol {
        SqlProtocol::Simple => QueryMode::Simple,
        SqlProtocol::Extended => QueryMode::Extended,
        SqlProtocol::Prepared => QueryMode::Prepared,
    }
}
