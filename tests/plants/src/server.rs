use std::path::PathBuf;
use std::time::Duration;

use pinchpoint_sql::{Connection, Dsn, TlsSetup};
use pinchpoint_stack::{
    Cancel, Helper, Postgres, PostgresOptions, Search, SearchInput, Transport, find_postgres,
};

/// A private PostgreSQL to plant something in.
#[derive(Debug)]
pub struct Server {
    postgres: Postgres,
    runtime: tokio::runtime::Runtime,
}

/// How to start one.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Settings.
    pub settings: Vec<(String, String)>,
    /// Variables of its environment: those of [`crate::Delays`], for instance.
    pub environment: Vec<(String, String)>,
    /// CPUs; infinity for a limit that may come later.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

impl Server {
    /// Starts it; dropping it removes it. `command` is the built `pinchpoint`, which sets up and
    /// guards the server's processes.
    pub fn start(command: PathBuf, options: &ServerOptions) -> Result<Self, String> {
        let installation = find_postgres(&SearchInput::from_env())
            .and_then(Search::newest)
            .map_err(|e| e.to_string())?;
        let options = PostgresOptions {
            installation,
            settings: options.settings.clone(),
            environment: options.environment.clone(),
            cpus: options.cpus,
            memory_bytes: options.memory_bytes,
            port: None,
            base_dir: None,
        };
        let helper = Helper { exe: command };
        let postgres =
            Postgres::start(&helper, &options, &Cancel::new()).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self { postgres, runtime })
    }

    /// Where it is.
    pub fn dsn(&self) -> String {
        self.postgres.dsn(Transport::Tcp)
    }

    /// The process itself, with its limits.
    pub const fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Waits until new sessions are encrypted: the server reads its settings when it gets to it.
    pub(crate) fn wait_for_tls(&self) -> Result<(), String> {
        let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        for _ in 0..100 {
            if self.session()?.run(encrypted)?.concat().contains(&Some("t".to_owned())) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("the server does not encrypt its sessions; its log says why".to_owned())
    }

    /// Opens a session.
    pub fn session(&self) -> Result<Session<'_>, String> {
        let explain = |e: pinchpoint_sql::SqlError| e.to_string();
        let dsn = Dsn::parse(&self.dsn()).map_err(|e| e.to_string())?.named("plants");
        let tls = TlsSetup::new(&dsn).map_err(explain)?;
        let connection = self.runtime.block_on(Connection::connect(&dsn, &tls)).map_err(explain)?;
        Ok(Session { server: self, connection })
    }
}

/// A session on a [`Server`].
#[derive(Debug)]
pub struct Session<'a> {
    server: &'a Server,
    connection: Connection,
}

impl Session<'_> {
    /// Runs statements, and gives their rows.
    pub fn run(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        self.server
            .runtime
            .block_on(self.connection.query(sql))
            .map_err(|e| format!("failed to run {sql:?}: {e}"))
    }
}
