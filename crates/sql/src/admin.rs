use std::collections::BTreeMap;

use pinchpoint_measure::Table;

use crate::strategy::{qualified, quote};
use crate::tls::TlsSetup;
use crate::{Connection, Dsn, LOAD_NAME, SqlError};

/// What is done on a server around the load: one session of its own.
#[derive(Debug)]
pub struct Admin {
    connection: Connection,
}

/// What decides whether a server can carry an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suitability {
    /// Our role.
    pub user: String,
    /// The database.
    pub database: String,
    /// It is a replica that only reads.
    pub in_recovery: bool,
    /// We may create a schema in the database.
    pub may_create_schema: bool,
    /// The server's limit.
    pub max_connections: u64,
    /// What is left of it for us, ourselves not counted.
    pub free_connections: u64,
}

impl Admin {
    /// Opens the session.
    pub async fn connect(dsn: &Dsn) -> Result<Self, SqlError> {
        let dsn = dsn.clone().named("pinchpoint-admin");
        let connection = Connection::connect(&dsn, &TlsSetup::new(&dsn)?).await?;
        Ok(Self { connection })
    }

    /// The server's version, as it says at the start of a session: `15.18`.
    pub fn server_version(&self) -> String {
        let text = self.connection.parameter("server_version").unwrap_or("unknown");
        text.split_whitespace().next().unwrap_or(text).to_owned()
    }

    /// Creates a schema; an error when there is one of this name already.
    pub async fn create_schema(&mut self, schema: &str) -> Result<(), SqlError> {
        self.run(&format!("CREATE SCHEMA {}", quote(schema))).await
    }

    /// Drops a schema with all that is in it.
    pub async fn drop_schema(&mut self, schema: &str) -> Result<(), SqlError> {
        self.run(&format!("DROP SCHEMA {} CASCADE", quote(schema))).await
    }

    /// Creates the table in the schema.
    pub async fn create_table(&mut self, table: &Table, schema: &str) -> Result<(), SqlError> {
        let mut lines: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("{} {} NOT NULL", quote(&c.name), c.sql_type))
            .collect();
        if !table.primary_key.is_empty() {
            let key: Vec<_> = table.primary_key.iter().map(|name| quote(name)).collect();
            lines.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        let name = qualified(Some(schema), &table.name);
        self.run(&format!("CREATE TABLE {name} ({})", lines.join(", "))).await
    }

    /// Empties the table.
    pub async fn truncate(&mut self, table: &Table, schema: &str) -> Result<(), SqlError> {
        self.run(&format!("TRUNCATE {}", qualified(Some(schema), &table.name))).await
    }

    /// Counts the table's rows.
    pub async fn count_rows(&mut self, table: &Table, schema: &str) -> Result<u64, SqlError> {
        let sql = format!("SELECT count(*) FROM {}", qualified(Some(schema), &table.name));
        self.number(&sql).await
    }

    /// Writes all changed pages to disk, so that what was done before does not burden what comes.
    pub async fn checkpoint(&mut self) -> Result<(), SqlError> {
        self.run("CHECKPOINT").await
    }

    /// Sessions of our load in this database, by their application name.
    pub async fn load_sessions(&mut self) -> Result<u64, SqlError> {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{LOAD_NAME}' \
             AND datname = current_database() AND usename = current_user"
        );
        self.number(&sql).await
    }

    /// Values of settings, with their units; those that the server does not know are left out.
    pub async fn settings(&mut self, names: &[&str]) -> Result<BTreeMap<String, String>, SqlError> {
        let rows = self
            .connection
            .query("SELECT name, current_setting(name, true) FROM pg_settings")
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let mut cells = row.into_iter();
                Some((cells.next()??, cells.next()??))
            })
            .filter(|(name, _)| names.contains(&name.as_str()))
            .collect())
    }

    /// What decides whether the server can carry an experiment.
    ///
    /// A role without `pg_read_all_stats` does not see the kind of other roles' backends; those
    /// that are in a database count as sessions then, so that too few are promised, not too many.
    pub async fn suitability(&mut self) -> Result<Suitability, SqlError> {
        let rows = self
            .connection
            .query(
                "SELECT current_user, current_database(), pg_is_in_recovery(), \
                 has_database_privilege(current_database(), 'CREATE'), \
                 current_setting('max_connections'), \
                 current_setting('max_connections')::int \
                 - current_setting('superuser_reserved_connections')::int \
                 - coalesce(current_setting('reserved_connections', true)::int, 0) \
                 - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 OR (backend_type IS NULL AND datid IS NOT NULL))",
            )
            .await?;
        let cells: Vec<String> =
            rows.into_iter().next().unwrap_or_default().into_iter().flatten().collect();
        let [user, database, in_recovery, may_create, max, free] = cells.as_slice() else {
            return Err(SqlError::wrong("an answer of an unexpected shape"));
        };
        Ok(Suitability {
            user: user.clone(),
            database: database.clone(),
            in_recovery: in_recovery == "t",
            may_create_schema: may_create == "t",
            max_connections: max.parse().unwrap_or(0),
            free_connections: free.parse().unwrap_or(0),
        })
    }

    /// Runs statements by the simple protocol; what they return is let go.
    pub async fn execute(&mut self, sql: &str) -> Result<(), SqlError> {
        self.run(sql).await
    }

    /// Fills a table by `COPY … FROM STDIN`, with the parts that `next` gives until there is none.
    pub async fn copy(
        &mut self,
        sql: &str,
        mut next: impl FnMut() -> Option<Vec<u8>>,
    ) -> Result<(), SqlError> {
        let mut copy = self.connection.copy_in(sql).await?;
        while let Some(part) = next() {
            copy.send(&part).await?;
        }
        copy.finish().await
    }

    async fn run(&mut self, sql: &str) -> Result<(), SqlError> {
        self.connection.query(sql).await.map(|_| ())
    }

    /// The number in the first cell of what a query returns.
    pub async fn number(&mut self, sql: &str) -> Result<u64, SqlError> {
        let rows = self.connection.query(sql).await?;
        let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        cell.and_then(|text| text.parse().ok()).ok_or_else(|| SqlError::wrong("not a number"))
    }
}
