use std::time::Instant;

use bytes::BufMut;
use pinchpoint_load::{Driver, DriverError, Probe, Seat, User};
use pinchpoint_measure::{Outcome, Phase};
use postgres_protocol::message::frontend;

use crate::backoff::Backoff;
use crate::tls::TlsSetup;
use crate::wire::{execute, patch_length, sync};
use crate::{Connection, Dsn, LOAD_NAME, SqlError};

/// Runs one prepared statement with one `integer` parameter, on a connection for each user, and
/// checks that it gives one row: pgbench's `-S -M prepared`.
#[derive(Debug)]
pub struct StatementDriver {
    dsn: Dsn,
    tls: TlsSetup,
    sql: String,
    range: (i32, i32),
}

impl StatementDriver {
    /// The parameter is drawn uniformly from `range`, both ends included.
    pub fn new(dsn: Dsn, sql: &str, range: (i32, i32)) -> Result<Self, SqlError> {
        let tls = TlsSetup::new(&dsn)?;
        Ok(Self { dsn: dsn.named(LOAD_NAME), tls, sql: sql.to_owned(), range })
    }
}

impl Driver for StatementDriver {
    type User = StatementUser;

    async fn open(&self, seat: Seat) -> Result<Vec<StatementUser>, DriverError> {
        let mut users = Vec::with_capacity(seat.users);
        for user in 0..seat.users {
            let seed = seat.seed.wrapping_add(user as u64);
            let mut opened = StatementUser {
                place: (self.dsn.clone(), self.tls.clone()),
                sql: self.sql.clone(),
                connection: None,
                range: self.range,
                rng: fastrand::Rng::with_seed(seed),
                backoff: Backoff::new(seed),
            };
            opened.connect().await.map_err(|e| DriverError(e.to_string()))?;
            users.push(opened);
        }
        Ok(users)
    }
}

/// A virtual user with a connection of its own.
#[derive(Debug)]
pub struct StatementUser {
    place: (Dsn, TlsSetup),
    sql: String,
    connection: Option<Connection>,
    range: (i32, i32),
    rng: fastrand::Rng,
    backoff: Backoff,
}

impl StatementUser {
    async fn connect(&mut self) -> Result<(), SqlError> {
        let mut connection = Connection::connect(&self.place.0, &self.place.1).await?;
        frontend::parse("w", &self.sql, [23], &mut connection.out)
            .map_err(|e| SqlError::wrong(e.to_string()))?;
        sync(&mut connection.out);
        connection.send().await?;
        let (answer, _) = connection.receive(0).await?;
        if let Some(error) = answer.error {
            return Err(error);
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn run(&mut self, probe: &mut Probe) -> Result<(), SqlError> {
        let mut at = Instant::now();
        if self.connection.as_ref().is_none_or(|c| !c.is_usable()) {
            self.connect().await?;
            probe.lap(Phase::Auth, &mut at);
        }
        let value = self.rng.i32(self.range.0..=self.range.1);
        let Some(connection) = &mut self.connection else { return Err(SqlError::closed()) };
        probe.set_tag(connection.backend_pid());
        let out = &mut connection.out;
        out.clear();
        out.put_u8(b'B');
        // Portal, statement, one format (binary), one parameter of four bytes.
        let from = out.len();
        out.put_slice(b"\0\0\0\0\0w\0\0\x01\0\x01\0\x01\0\0\0\x04");
        out.put_i32(value);
        out.put_slice(b"\0\x01\0\x01");
        patch_length(out, from);
        execute(out);
        sync(out);
        connection.send().await?;
        let (answer, _) = connection.receive(0).await?;
        probe.lap(Phase::Execute, &mut at);
        match answer.error {
            Some(error) => Err(error),
            None if answer.data_rows == 1 => Ok(()),
            None => Err(SqlError::wrong(format!("{} rows instead of one", answer.data_rows))),
        }
    }
}

impl User for StatementUser {
    async fn operate(&mut self, probe: &mut Probe) -> Outcome {
        match self.run(probe).await {
            Ok(()) => {
                self.backoff.reset();
                Outcome::Done { rows: 1 }
            }
            Err(error) => Outcome::Failed { cause: error.cause, rows: 1, in_doubt: false },
        }
    }

    async fn recover(&mut self) {
        self.backoff.wait().await;
    }

    async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }
}
