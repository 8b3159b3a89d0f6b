//! Runs pgbench scripts as load.

mod encode;
mod log;
mod run;
mod source;
mod tally;
mod user;

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinchpoint_load::{Driver, DriverError, Seat};
use pinchpoint_script::{Program, Random};

pub use log::{LogLayout, LogWritten, TransactionLog};
pub use tally::{ScriptCounts, ScriptTally, StatementCounts};
pub use user::ScriptUser;

use self::source::Source;
use self::tally::{Incidents, ThreadTally};
use self::user::Worker;
use crate::hold::Hold;
use crate::pool::Pool;
use crate::tls::TlsSetup;
use crate::{Dsn, LOAD_NAME, SqlError};

/// What is run, and over which connections.
#[derive(Debug, Clone)]
pub struct ScriptSpec {
    /// Where.
    pub dsn: Dsn,
    /// The checked scripts.
    pub program: Arc<Program>,
    /// Where a transaction's connection comes from.
    pub connection: ScriptConnection,
    /// How often a transaction is tried that fails by a serialization failure or a deadlock; 1
    /// tries it once.
    pub max_tries: u32,
    /// What the clients' random numbers follow from, as with pgbench's `--random-seed`.
    pub seed: u64,
    /// Where a line is written for each transaction.
    pub log: Option<Arc<TransactionLog>>,
}

/// Where a transaction's connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptConnection {
    /// Each client has its own from the start.
    Own,
    /// A new one for each transaction: pgbench's `-C`.
    PerTransaction,
    /// A pool that all clients share, opened at the start. Its size is shared out over the load
    /// threads.
    Pool {
        /// Connections.
        size: u32,
        /// How long to wait for one.
        timeout: Duration,
    },
}

/// Runs scripts as a [`ScriptSpec`] says. An operation is one run through a script: a transaction,
/// as pgbench calls it, however many it holds on the server.
#[derive(Debug)]
pub struct ScriptDriver {
    spec: ScriptSpec,
    tls: TlsSetup,
    hold: Hold,
    /// Names of prepared statements, by their index.
    names: Arc<[String]>,
    threads: Mutex<Vec<Arc<ThreadTally>>>,
    incidents: Arc<Incidents>,
}

impl ScriptDriver {
    /// Reads the certificates that TLS needs; connects to nothing yet.
    pub fn new(mut spec: ScriptSpec) -> Result<Self, SqlError> {
        let tls = TlsSetup::new(&spec.dsn)?;
        spec.dsn = spec.dsn.named(LOAD_NAME);
        let names = (0..spec.program.statements).map(|n| format!("pinchpoint_{n}")).collect();
        let (threads, incidents) = (Mutex::default(), Arc::default());
        Ok(Self { spec, tls, hold: Hold::default(), names, threads, incidents })
    }

    /// Pooled connections go back only after this pause.
    #[must_use]
    pub fn holding(self, hold: Hold) -> Self {
        Self { hold, ..self }
    }

    /// What was counted since the start.
    pub fn tally(&self) -> ScriptTally {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = ScriptTally::new(&self.spec.program);
        threads.iter().for_each(|thread| thread.add_to(&mut tally));
        tally.incidents = self.incidents.seen();
        tally
    }

    fn source(&self, seat: Seat) -> Result<Source, SqlError> {
        let place = || Rc::new((self.spec.dsn.clone(), self.tls.clone()));
        Ok(match self.spec.connection {
            ScriptConnection::Own => Source::Own(place()),
            ScriptConnection::PerTransaction => Source::Fresh(place()),
            ScriptConnection::Pool { size, timeout } => {
                let size = seat.share(size as usize);
                Source::Pool(
                    Pool::new(self.spec.dsn.clone(), self.tls.clone(), size, timeout)?,
                    size,
                    self.hold.clone(),
                )
            }
        })
    }
}

/// The number, from 0, of a thread's first client.
fn first_client(seat: Seat) -> usize {
    let threads = seat.threads.max(1);
    seat.thread * (seat.all_users / threads) + seat.thread.min(seat.all_users % threads)
}

impl Driver for ScriptDriver {
    type User = ScriptUser;

    async fn open(&self, seat: Seat) -> Result<Vec<ScriptUser>, DriverError> {
        let explain = |error: SqlError| DriverError(error.to_string());
        let tally = Arc::new(ThreadTally::new(&self.spec.program));
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        let source = self.source(seat).map_err(explain)?;
        if let Source::Pool(pool, size, _) = &source {
            pool.warm(*size).await.map_err(explain)?;
        }
        let log = match &self.spec.log {
            Some(log) => log.of_thread(seat.thread, seat.seed).map_err(|error| {
                DriverError(format!("no thread could be started for the transaction log: {error}"))
            })?,
            None => None,
        };
        // One generator makes the seeds of all clients, as in pgbench.
        let mut seeds = Random::new(self.spec.seed);
        let first = first_client(seat);
        for _ in 0..first {
            seeds.bits();
        }
        let mut users = Vec::with_capacity(seat.users);
        for place in 0..seat.users {
            let client = (first + place) as u64;
            let worker = Worker::new(self, client, seeds.bits(), tally.clone());
            let mut user = ScriptUser::new(worker, source.clone(), log.clone());
            user.connect_at_first().await.map_err(explain)?;
            users.push(user);
        }
        Ok(users)
    }
}
