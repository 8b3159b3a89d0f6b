use std::rc::Rc;
use std::time::{Duration, Instant};

use pinchpoint_load::{Driver, DriverError, Probe, Seat, User};
use pinchpoint_measure::{Method, Outcome, Phase, Table};
use postgres_protocol::message::frontend;

use crate::backoff::Backoff;
use crate::hold::Hold;
use crate::pool::Pool;
use crate::rows::RowMaker;
use crate::strategy::{PREPARED, Statement, Target, WriteStrategy, strategy};
use crate::tls::TlsSetup;
use crate::wire::{flush, sync};
use crate::{Connection, Dsn, LOAD_NAME, SqlError};

/// What to write, where, and how.
#[derive(Debug, Clone)]
pub struct WriteSpec {
    /// The server.
    pub dsn: Dsn,
    /// The schema of the table; the search path decides when absent.
    pub schema: Option<String>,
    /// The table and its generators.
    pub table: Table,
    /// How a batch is written.
    pub method: Method,
    /// Rows in a statement.
    pub batch: u32,
    /// The session's `synchronous_commit`; the server's default when absent.
    pub synchronous_commit: Option<bool>,
    /// Whether rows are stored; if not, the statement does all but that.
    pub write: bool,
    /// Where connections come from.
    pub connection: ConnectionSpec,
}

/// Where an operation's connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionSpec {
    /// A new one for each operation.
    PerOperation,
    /// A pool. Its size is shared out over the load threads.
    Pool {
        /// Connections opened at the start.
        min: u32,
        /// Most connections.
        max: u32,
        /// How long to wait for one.
        timeout: Duration,
    },
}

/// Writes rows as a [`WriteSpec`] says.
#[derive(Debug)]
pub struct WriteDriver {
    spec: WriteSpec,
    tls: TlsSetup,
    hold: Hold,
}

impl WriteDriver {
    /// Reads the certificates that TLS needs; connects to nothing yet.
    pub fn new(mut spec: WriteSpec) -> Result<Self, SqlError> {
        let tls = TlsSetup::new(&spec.dsn)?;
        spec.dsn = spec.dsn.named(LOAD_NAME);
        if let Some(on) = spec.synchronous_commit {
            // In the start-up packet, so that it costs no round trip.
            spec.dsn = spec.dsn.with_setting("synchronous_commit", if on { "on" } else { "off" });
        }
        Ok(Self { spec, tls, hold: Hold::default() })
    }

    /// Pooled connections go back only after this pause.
    #[must_use]
    pub fn holding(self, hold: Hold) -> Self {
        Self { hold, ..self }
    }
}

impl Driver for WriteDriver {
    type User = WriteUser;

    async fn open(&self, seat: Seat) -> Result<Vec<WriteUser>, DriverError> {
        let explain = |error: SqlError| DriverError(error.to_string());
        let source = match self.spec.connection {
            ConnectionSpec::PerOperation => {
                Source::Fresh(Rc::new((self.spec.dsn.clone(), self.tls.clone())))
            }
            ConnectionSpec::Pool { min, max, timeout } => {
                let max = seat.share(max as usize);
                let pool = Pool::new(self.spec.dsn.clone(), self.tls.clone(), max, timeout)
                    .map_err(explain)?;
                let min = if min == 0 { 0 } else { seat.share(min as usize) };
                pool.warm(min).await.map_err(explain)?;
                Source::Pool(pool)
            }
        };
        Ok((0..seat.users).map(|user| self.user(&source, seat.seed, user as u64)).collect())
    }
}

impl WriteDriver {
    fn user(&self, source: &Source, seed: u64, user: u64) -> WriteUser {
        let spec = &self.spec;
        let strategy = strategy(spec.method);
        let target =
            Target { schema: spec.schema.as_deref(), table: &spec.table, write: spec.write };
        let seed = seed.wrapping_add(user.wrapping_mul(0xD1B5_4A32_D192_ED03));
        WriteUser {
            source: source.clone(),
            work: Work {
                statement: strategy.statement(&target),
                strategy,
                rows: RowMaker::new(&spec.table.columns, seed),
                batch: spec.batch,
                stored: if spec.write { u64::from(spec.batch) } else { 0 },
            },
            backoff: Backoff::new(seed),
            hold: self.hold.clone(),
        }
    }
}

#[derive(Debug, Clone)]
enum Source {
    Pool(Pool),
    Fresh(Rc<(Dsn, TlsSetup)>),
}

/// A virtual user that writes batches.
#[derive(Debug)]
pub struct WriteUser {
    source: Source,
    work: Work,
    backoff: Backoff,
    hold: Hold,
}

/// A batch after the other.
#[derive(Debug)]
struct Work {
    strategy: Box<dyn WriteStrategy>,
    statement: Statement,
    rows: RowMaker,
    batch: u32,
    /// Rows that the server must acknowledge for each batch.
    stored: u64,
}

impl User for WriteUser {
    async fn operate(&mut self, probe: &mut Probe) -> Outcome {
        let mut at = Instant::now();
        let work = &mut self.work;
        let outcome = match &self.source {
            Source::Pool(pool) => match pool.check_out(probe, &mut at).await {
                Ok(mut loan) => {
                    probe.set_tag(loan.backend_pid());
                    let outcome = work.write(&mut loan, probe, &mut at).await;
                    self.hold.give_back(loan);
                    outcome
                }
                Err(error) => work.failed(&error, false),
            },
            Source::Fresh(place) => match Connection::connect(&place.0, &place.1).await {
                Ok(mut connection) => {
                    probe.set_tag(connection.backend_pid());
                    connection.note_set_up(probe);
                    at = Instant::now();
                    let outcome = work.write(&mut connection, probe, &mut at).await;
                    connection.close().await;
                    probe.lap(Phase::Disconnect, &mut at);
                    outcome
                }
                Err(error) => work.failed(&error, false),
            },
        };
        if matches!(outcome, Outcome::Done { .. }) {
            self.backoff.reset();
        }
        outcome
    }

    async fn recover(&mut self) {
        self.backoff.wait().await;
    }

    async fn close(self) {
        if let Source::Pool(pool) = self.source {
            pool.close();
        }
    }
}

impl Work {
    fn failed(&self, error: &SqlError, in_doubt: bool) -> Outcome {
        Outcome::Failed { cause: error.cause, rows: self.batch.into(), in_doubt }
    }

    async fn write(
        &mut self,
        connection: &mut Connection,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Outcome {
        match self.send(connection, probe, at).await {
            Ok(()) => (),
            Err((error, whole)) => return self.failed(&error, whole),
        }
        let completions = self.strategy.completions(self.batch);
        let (answer, completed) = match connection.receive(completions).await {
            Ok(received) => received,
            Err(error) => return self.failed(&error, true),
        };
        match completed {
            Some(completed) => {
                probe.add(Phase::Execute, completed.duration_since(*at));
                *at = completed;
                probe.lap(Phase::Commit, at);
                probe.split();
            }
            None => probe.lap(Phase::Execute, at),
        }
        if let Some(error) = answer.error {
            connection.prepared = false;
            return self.failed(&error, false);
        }
        connection.prepared = true;
        if answer.completions != completions || answer.rows != self.stored {
            let error = SqlError::wrong("not the rows that were sent");
            return self.failed(&error, true);
        }
        Outcome::Done { rows: self.batch.into() }
    }

    /// Makes the batch and sends it, in parts when it is large. With an error comes whether the
    /// end was being sent: without it the server cannot have committed the batch.
    async fn send(
        &mut self,
        connection: &mut Connection,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Result<(), (SqlError, bool)> {
        connection.out.clear();
        if !connection.prepared {
            self.prepare(connection).map_err(|error| (error, false))?;
        }
        self.rows.begin_batch();
        let mut done = 0;
        loop {
            done = self.strategy.encode(&mut self.rows, done, self.batch, &mut connection.out);
            let last = done >= self.batch;
            if last {
                // The flush makes the server answer before it commits, at the price of a packet.
                if self.batch > 1 || probe.wants_split() {
                    flush(&mut connection.out);
                }
                sync(&mut connection.out);
            }
            probe.lap(Phase::Encode, at);
            connection.send().await.map_err(|error| (error, last))?;
            probe.lap(Phase::Transfer, at);
            if last {
                return Ok(());
            }
        }
    }

    /// Prepares the statement in the same packet as its first use. A statement that failed may
    /// have been prepared all the same, so an earlier one of its name is closed first.
    fn prepare(&self, connection: &mut Connection) -> Result<(), SqlError> {
        let bad = |e: std::io::Error| SqlError::wrong(e.to_string());
        let Statement { sql, parameters } = &self.statement;
        frontend::close(b'S', PREPARED, &mut connection.out).map_err(bad)?;
        frontend::parse(PREPARED, sql, parameters.iter().copied(), &mut connection.out).map_err(bad)
    }
}
