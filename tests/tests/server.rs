//! A private server for a test, from the command itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pinchpoint_sql::{Connection, Dsn, TlsSetup};

use crate::command::binary;

/// A running server; gone when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) dsn: String,
}

impl Server {
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_from(None, settings)
    }

    /// The same with the programs of this directory.
    pub(crate) fn start_from(programs: Option<&Path>, settings: &[&str]) -> Self {
        let mut command = Command::new(binary());
        if let Some(programs) = programs {
            command.env("PINCHPOINT_PG_BIN", programs);
        }
        command.args(["postgres", "--until-eof"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command.spawn().expect("the command starts");
        let mut dsn = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        stdout.read_line(&mut dsn).expect("its DSN");
        assert!(dsn.starts_with("postgresql://"), "no DSN came, but {dsn:?}");
        Self { child, dsn: dsn.trim().to_owned() }
    }

    pub(crate) fn parsed(&self) -> Dsn {
        Dsn::parse(&self.dsn).expect("a DSN")
    }

    /// The DSN for another role and database, with the same server.
    pub(crate) fn dsn_as(&self, user: &str, password: &str, database: &str) -> String {
        let place = self.dsn.split('@').nth(1).and_then(|p| p.split('/').next()).expect("a place");
        format!("postgresql://{user}:{password}@{place}/{database}")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by a signal; its exit code.
    pub(crate) fn end_by(mut self, signal: rustix::process::Signal) -> Option<i32> {
        crate::processes::signal(self.pid(), signal);
        self.child.wait().expect("its status").code()
    }

    /// Runs a statement as the superuser and returns its rows.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let dsn = self.parsed();
        block_on_aside(async {
            let tls = TlsSetup::new(&dsn).expect("TLS");
            let mut connection = Connection::connect(&dsn, &tls).await.expect("a connection");
            connection.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
        })
    }

    /// A session that stays open between its statements.
    pub(crate) fn session(&self) -> Session {
        let dsn = self.parsed();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let tls = TlsSetup::new(&dsn).expect("TLS");
        let connection = runtime.block_on(Connection::connect(&dsn, &tls)).expect("a connection");
        Session { runtime, connection }
    }

    /// The single value of a query.
    pub(crate) fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        rows.into_iter().flatten().flatten().next().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A session of a test's own.
pub(crate) struct Session {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

impl Session {
    pub(crate) fn query(&mut self, sql: &str) {
        let asked = self.runtime.block_on(self.connection.query(sql));
        asked.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// Runs a future to its end on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// The same on a thread of its own, for use inside another runtime.
fn block_on_aside<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| block_on(future)).join().expect("it ends"))
}
