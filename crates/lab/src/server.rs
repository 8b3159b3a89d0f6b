use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pinchpoint_measure::{Limit, Software, Table};
use pinchpoint_observe::{ObserverSpec, Sessions, Watched};
use pinchpoint_plan::{Experiment, Transport};
use pinchpoint_sql::{Admin, Dsn, LOAD_NAME, SqlError};
use pinchpoint_stack::{Cancel, Postgres};

use crate::error::LabError;
use crate::observe_job::Aside;

/// The server under test: ours, or somebody else's in which a schema of our own is all we touch.
pub(crate) struct Server {
    managed: Option<Postgres>,
    dsn: Dsn,
    admin: Admin,
    schema: String,
    schema_made: bool,
    transport: &'static str,
    aside: Aside,
}

/// A server that recovers for longer than this is not waited for.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// What is reported of the settings that matter to the figures.
pub(crate) const SETTINGS: [&str; 14] = [
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "wal_level",
    "wal_sync_method",
    "wal_compression",
    "max_wal_size",
    "checkpoint_timeout",
    "shared_buffers",
    "max_connections",
    "autovacuum",
    "ssl",
    "password_encryption",
    "data_checksums",
];

fn asked(action: &'static str) -> impl Fn(SqlError) -> LabError {
    move |source| LabError::Server { action, source }
}

impl Server {
    /// Connects to a managed server that has just been started.
    pub(crate) async fn managed(
        postgres: Postgres,
        transport: Transport,
    ) -> Result<Self, LabError> {
        let (over, name) = match transport {
            Transport::Tcp => (pinchpoint_stack::Transport::Tcp, "tcp"),
            Transport::Unix => (pinchpoint_stack::Transport::Unix, "unix"),
        };
        let dsn = parse(&postgres.dsn(over))?;
        let admin = Admin::connect(&dsn).await.map_err(asked("let us in"))?;
        let schema = "pinchpoint".to_owned();
        Ok(Self {
            managed: Some(postgres),
            dsn,
            admin,
            schema,
            schema_made: false,
            transport: name,
            aside: Aside::default(),
        })
    }

    /// Connects to a server that somebody else runs, and refuses it when it cannot carry the
    /// experiment. Nothing has been changed on it then.
    pub(crate) async fn external(
        dsn: &str,
        experiment: &Experiment,
        seed: u64,
    ) -> Result<Self, LabError> {
        let dsn = parse(dsn)?;
        let mut admin = Admin::connect(&dsn).await.map_err(asked("let us in"))?;
        check_suitable(&mut admin, experiment).await?;
        let transport = if dsn.is_unix() { "unix" } else { "tcp" };
        let schema = format!("pinchpoint_{:08x}", seed as u32);
        let aside = Aside::default();
        Ok(Self { managed: None, dsn, admin, schema, schema_made: false, transport, aside })
    }

    /// Connects to a server that somebody else runs, for a load that needs so many connections.
    /// Nothing is changed on it.
    pub(crate) async fn external_for(dsn: &str, connections: u64) -> Result<Self, LabError> {
        let dsn = parse(dsn)?;
        let mut admin = Admin::connect(&dsn).await.map_err(asked("let us in"))?;
        let facts = admin.suitability().await.map_err(asked("say what we may do"))?;
        // Where the server says that it listens elsewhere, something stands between (a pooler, most
        // likely), and the server's limit says nothing about what we may open.
        let port = admin.number("SELECT current_setting('port')").await;
        let direct = port.map_err(asked("say its port"))? == u64::from(dsn.port);
        if direct && connections + 1 > facts.free_connections {
            return Err(LabError::Unsuitable(format!(
                "the load opens {connections} connections and one more is needed to watch, but the \
                 server has {} free of max_connections = {}; use fewer clients, or raise \
                 max_connections",
                facts.free_connections, facts.max_connections
            )));
        }
        let transport = if dsn.is_unix() { "unix" } else { "tcp" };
        let (schema, aside) = (String::new(), Aside::default());
        Ok(Self { managed: None, dsn, admin, schema, schema_made: false, transport, aside })
    }

    /// Connections that the server would still take, ours to watch counted as taken.
    pub(crate) async fn free_connections(&mut self) -> Result<u64, LabError> {
        let facts = self.admin.suitability().await.map_err(asked("say what we may do"))?;
        Ok(facts.free_connections)
    }

    /// Runs statements, one after the other, each in a transaction of its own unless they say
    /// otherwise; `action` completes "the server did not …".
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        action: &'static str,
    ) -> Result<(), LabError> {
        self.admin.execute(sql).await.map_err(asked(action))
    }

    /// Fills a table by `COPY … FROM STDIN`, with the parts that `next` gives until there is none.
    pub(crate) async fn copy(
        &mut self,
        sql: &str,
        next: impl FnMut() -> Option<Vec<u8>>,
        action: &'static str,
    ) -> Result<(), LabError> {
        self.admin.copy(sql, next).await.map_err(asked(action))
    }

    /// A number that a query gives.
    pub(crate) async fn number(
        &mut self,
        sql: &str,
        action: &'static str,
    ) -> Result<u64, LabError> {
        self.admin.number(sql).await.map_err(asked(action))
    }

    pub(crate) fn is_managed(&self) -> bool {
        self.managed.is_some()
    }

    pub(crate) fn dsn(&self) -> &Dsn {
        &self.dsn
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Makes the schema and the table of the experiment.
    pub(crate) async fn make_table(&mut self, table: &Table) -> Result<(), LabError> {
        self.admin.create_schema(&self.schema).await.map_err(asked("create our schema"))?;
        self.schema_made = true;
        self.admin.create_table(table, &self.schema).await.map_err(asked("create the table"))
    }

    /// Empties the table and, where we may, writes a checkpoint, so that trials start alike.
    pub(crate) async fn reset_table(&mut self, table: &Table) -> Result<(), LabError> {
        self.admin.truncate(table, &self.schema).await.map_err(asked("empty the table"))?;
        if self.is_managed() {
            self.admin.checkpoint().await.map_err(asked("write a checkpoint"))?;
        }
        Ok(())
    }

    /// Counts the table's rows, once none of the load's sessions is left to change them.
    pub(crate) async fn count_rows(&mut self, table: &Table) -> Result<u64, LabError> {
        for _ in 0..60 {
            let left = self.admin.load_sessions().await.map_err(asked("list its sessions"))?;
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.admin.count_rows(table, &self.schema).await.map_err(asked("count the rows"))
    }

    /// Why the managed server has gone, if it has.
    pub(crate) fn obituary(&self) -> Option<String> {
        self.managed.as_ref().and_then(|p| p.alive().err().map(|gone| gone.to_string()))
    }

    /// Stops the managed server at once, as a crash would. `None` for a server that is not ours.
    pub(crate) fn crash(&mut self) -> Option<Result<(), LabError>> {
        self.managed.as_mut().map(|p| p.crash().map_err(LabError::from))
    }

    /// Starts the managed server again after a crash, and connects to it.
    pub(crate) async fn restart(&mut self, cancel: &Cancel) -> Result<Duration, LabError> {
        let Some(postgres) = self.managed.as_mut() else { return Ok(Duration::ZERO) };
        let took = postgres.restart(cancel)?;
        self.admin = Admin::connect(&self.dsn).await.map_err(asked("let us in again"))?;
        Ok(took)
    }

    /// Makes sure that the administrative connection works: the server may have restarted, and lets
    /// nobody in until it has recovered.
    pub(crate) async fn reconnect(&mut self) -> Result<(), LabError> {
        if self.admin.load_sessions().await.is_ok() {
            return Ok(());
        }
        let until = Instant::now() + RECOVERED_WITHIN;
        loop {
            match Admin::connect(&self.dsn).await {
                Err(error) if error.is_starting_up() && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                outcome => {
                    self.admin = outcome.map_err(asked("let us in again"))?;
                    return Ok(());
                }
            }
        }
    }

    /// The server as results describe it.
    pub(crate) async fn software(&mut self) -> Result<Software, LabError> {
        let settings: BTreeMap<_, _> =
            self.admin.settings(&SETTINGS).await.map_err(asked("show its settings"))?;
        Ok(Software {
            name: "PostgreSQL".to_owned(),
            version: self.admin.server_version(),
            managed: self.is_managed(),
            transport: self.transport.to_owned(),
            settings,
        })
    }

    /// Limits asked for, and whether they are in force.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        self.managed.as_ref().map(Postgres::limits).unwrap_or_default()
    }

    /// Observes this as well, or in place of what the load connects to.
    pub(crate) fn look_aside(&mut self, aside: Aside) {
        self.aside = aside;
    }

    /// What is observed of it while it is under load.
    pub(crate) fn observer_spec(&self, seed: u64) -> ObserverSpec {
        let process = self.managed.as_ref().and_then(|postgres| {
            let (cpus, memory_bytes) = postgres.limits_asked();
            Watched::new("postgres", postgres.pid(), postgres.groups(), cpus, memory_bytes)
        });
        ObserverSpec {
            dsn: Some(self.aside.dsn.as_ref().unwrap_or(&self.dsn).clone()),
            pooler: self.aside.pooler.clone(),
            sessions: Sessions::Named(LOAD_NAME),
            application: None,
            processes: process.into_iter().collect(),
            data_directory: self.data_directory(),
            statements: self.managed.is_none(),
            seed,
        }
    }

    /// The first process of the managed server.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.managed.as_ref().and_then(Postgres::pid)
    }

    /// CPUs that the managed server was given; infinite when prepared for a limit, without one.
    pub(crate) fn cpus(&self) -> Option<f64> {
        self.managed.as_ref().and_then(Postgres::cpus)
    }

    /// Changes the CPUs that the managed server may use; infinity lifts the limit.
    pub(crate) fn set_cpus(&self, cpus: f64) -> Result<(), LabError> {
        match &self.managed {
            Some(postgres) => Ok(postgres.set_cpus(cpus)?),
            None => Err(LabError::Unsuitable("the server is not ours".to_owned())),
        }
    }

    /// Where the server keeps its data, when it is ours.
    pub(crate) fn data_directory(&self) -> Option<std::path::PathBuf> {
        self.managed.as_ref().map(Postgres::data_dir)
    }

    /// Removes what we made: the server when it is ours, our schema when it is not. Says what could
    /// not be removed, and returns the server's last log lines.
    pub(crate) async fn close(mut self) -> Result<Option<String>, String> {
        if let Some(postgres) = self.managed.take() {
            let log = postgres.log_tail(200);
            drop(self.admin);
            postgres.stop();
            return Ok(Some(log));
        }
        if !self.schema_made {
            return Ok(None);
        }
        let left = |error: SqlError| {
            format!("schema {} could not be dropped: {error}; drop it by hand", self.schema)
        };
        if self.admin.load_sessions().await.is_err() {
            self.admin = Admin::connect(&self.dsn).await.map_err(left)?;
        }
        self.admin.drop_schema(&self.schema).await.map_err(left)?;
        Ok(None)
    }
}

/// Says what is wrong with a DSN, without connecting.
pub fn check_dsn(dsn: &str) -> Result<(), String> {
    Dsn::parse(dsn).map(|_| ()).map_err(|e| format!("the DSN is not usable: {e}"))
}

/// A DSN, with the environment's password where it has none.
pub(crate) fn parse(dsn: &str) -> Result<Dsn, LabError> {
    let dsn =
        Dsn::parse(dsn).map_err(|e| LabError::Unsuitable(format!("the DSN is not usable: {e}")))?;
    Ok(dsn.with_password(std::env::var("PGPASSWORD").ok()))
}

/// Refuses a server that lacks a right or has too few connections.
async fn check_suitable(admin: &mut Admin, experiment: &Experiment) -> Result<(), LabError> {
    let facts = admin.suitability().await.map_err(asked("say what we may do"))?;
    if facts.in_recovery {
        let text = "the server is a read-only replica (in recovery); use its primary";
        return Err(LabError::Unsuitable(text.to_owned()));
    }
    if !facts.may_create_schema {
        return Err(LabError::Unsuitable(format!(
            "role {0:?} may not create a schema in database {1:?}; \
             run: GRANT CREATE ON DATABASE \"{1}\" TO \"{0}\"",
            facts.user, facts.database
        )));
    }
    let worst = experiment.rungs.iter().map(|r| (r.connections_opened(), &r.name)).max();
    if let Some((needed, rung)) = worst
        && u64::from(needed) + 1 > facts.free_connections
    {
        return Err(LabError::Unsuitable(format!(
            "rung {rung} opens up to {needed} connections and one more is needed to watch, but \
             the server has {} free of max_connections = {}; leave the rung out with --rungs, or \
             raise max_connections",
            facts.free_connections, facts.max_connections
        )));
    }
    Ok(())
}
