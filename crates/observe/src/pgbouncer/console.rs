use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_measure::Cause;
use pinchpoint_sql::{Connection, Dsn, SqlError, TlsSetup};

use super::CONSOLE;
use super::queues::{Pool, counts};
use crate::link::WATCH_NAME;

/// A console that does not answer for so long is not asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A row by column name: versions differ in their columns and in their order.
pub(crate) type Row = BTreeMap<String, String>;

/// A session on PgBouncer's console.
#[derive(Debug)]
pub struct PoolerConsole {
    connection: Connection,
    version: Option<String>,
}

/// Why the console could not be read. The text says what to do, and never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsoleError {
    /// It let nobody in.
    #[error("PgBouncer's console at {place} does not let us in: {said}; {advice}")]
    Refused {
        /// Its URL without the password.
        place: String,
        /// What was said.
        said: String,
        /// What would help.
        advice: String,
    },
    /// It let us in and does not answer as a console does.
    #[error("{place} does not answer {asked}: {said}; {advice}")]
    Unanswered {
        /// Its URL without the password.
        place: String,
        /// The command.
        asked: &'static str,
        /// What was said.
        said: String,
        /// What would help.
        advice: String,
    },
    /// It went silent.
    #[error(
        "PgBouncer's console gave no answer to {asked} within {seconds} s; is its process stopped, or \
         without CPU?"
    )]
    Silent {
        /// The command.
        asked: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// It answered once and no longer does.
    #[error("PgBouncer's console no longer answers {asked}: {said}; was it restarted?")]
    Lost {
        /// The command.
        asked: &'static str,
        /// What was said.
        said: String,
    },
}

impl PoolerConsole {
    /// Opens it and makes sure that it is one.
    pub async fn open(dsn: &Dsn) -> Result<Self, ConsoleError> {
        let dsn = dsn.clone().named(WATCH_NAME);
        let refused = |error: SqlError| {
            let place = dsn.to_string();
            let said = error.message.trim_start_matches(&format!("no connection to {place}: "));
            let (said, advice) = (said.to_owned(), advice(&dsn, &error));
            ConsoleError::Refused { place, said, advice }
        };
        let tls = TlsSetup::new(&dsn).map_err(refused)?;
        let connection = Connection::connect(&dsn, &tls).await.map_err(refused)?;
        let mut console = Self { connection, version: None };
        let asked = "SHOW VERSION";
        match console.rows(asked).await {
            Ok(rows) => {
                // Before 1.12 it is told in a notice, and there is no row.
                console.version = rows.into_iter().flatten().map(|(_, value)| value).next();
                Ok(console)
            }
            Err(ConsoleError::Lost { asked, said }) => Err(ConsoleError::Unanswered {
                place: dsn.to_string(),
                asked,
                said,
                advice: format!(
                    "that is a database and not PgBouncer's console: end the URL in /{CONSOLE}, with \
                     PgBouncer's port"
                ),
            }),
            Err(error) => Err(error),
        }
    }

    /// What it says of its version, such as `PgBouncer 1.18.0`.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Its pools, its own left out.
    pub(crate) async fn pools(&mut self) -> Result<Vec<Pool>, ConsoleError> {
        let rows = self.rows("SHOW POOLS").await?;
        Ok(rows.iter().filter(|row| !is_console(row)).map(Pool::of).collect())
    }

    /// The totals of each database, by column. Its averages are made once in `stats_period`, so a
    /// short load cannot be read from them.
    pub(crate) async fn totals(
        &mut self,
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, ConsoleError> {
        let rows = self.rows("SHOW STATS").await?;
        let named = rows.into_iter().filter(|row| !is_console(row)).filter_map(|row| {
            let database = row.get("database")?.clone();
            Some((database, counts(&row)))
        });
        Ok(named.collect())
    }

    /// Server connections that are ready to be used, of all pools.
    pub async fn ready_servers(&mut self) -> Result<u64, ConsoleError> {
        Ok(self.pools().await?.iter().map(|pool| pool.idle).sum())
    }

    /// The session itself, to measure the way to it.
    pub const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) async fn close(self) {
        self.connection.close().await;
    }

    async fn rows(&mut self, asked: &'static str) -> Result<Vec<Row>, ConsoleError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.connection.query_named(asked)).await;
        let Ok(answer) = answer else {
            return Err(ConsoleError::Silent { asked, seconds: ANSWER_WITHIN.as_secs() });
        };
        let (columns, rows) = answer.map_err(|e| ConsoleError::Lost { asked, said: e.message })?;
        let named = rows.into_iter().map(|row| {
            columns.iter().cloned().zip(row).filter_map(|(name, v)| Some((name, v?))).collect()
        });
        Ok(named.collect())
    }
}

fn is_console(row: &Row) -> bool {
    row.get("database").is_some_and(|database| database == CONSOLE)
}

/// What to do about a refusal, by what versions from 1.8 on say.
fn advice(dsn: &Dsn, error: &SqlError) -> String {
    let user = &dsn.user;
    let said = |text: &str| error.message.contains(text);
    match error.cause {
        Cause::Refused | Cause::TimedOut | Cause::Io => {
            "give the host and port that PgBouncer listens at".to_owned()
        }
        _ if said("not allowed") => {
            format!("add {user} to stats_users in pgbouncer.ini, and RELOAD")
        }
        _ if dsn.password.is_none() && said("password") => {
            "put the password into the URL or PGPASSWORD".to_owned()
        }
        _ if said("authentication failed") || said("no such user") || said("proof") => {
            format!("check the password, and that {user} is in auth_file and in stats_users")
        }
        _ if said("does not exist") || said("no such database") => {
            format!("end the URL in /{CONSOLE}, with PgBouncer's port")
        }
        _ => format!("its user, {user}, must be in stats_users or admin_users of pgbouncer.ini"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_follows_from_what_was_said() {
        let dsn = Dsn::parse("postgresql://me:secret@h:6432/pgbouncer").unwrap();
        let said =
            |cause, message: &str| advice(&dsn, &SqlError { cause, message: message.to_owned() });
        let state = Cause::SqlState(*b"08P01");
        assert_eq!(
            said(state, "not allowed"),
            "add me to stats_users in pgbouncer.ini, and RELOAD"
        );
        assert!(said(state, "password authentication failed").contains("check the password"));
        assert!(said(state, "no such user: me").contains("auth_file"));
        assert!(said(Cause::Refused, "connection refused").contains("host and port"));
        assert!(said(state, "database \"pgbouncer\" does not exist").contains("/pgbouncer"));
        assert!(said(state, "no more connections allowed").contains("stats_users or admin_users"));
        let open = Dsn::parse("postgresql://me@h:6432/pgbouncer").unwrap();
        let error = SqlError {
            cause: Cause::Authentication,
            message: "the server wants a password for it".to_owned(),
        };
        assert!(advice(&open, &error).contains("PGPASSWORD"));
    }
}
