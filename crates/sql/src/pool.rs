use std::time::{Duration, Instant};

use deadpool::managed::{
    Manager, Metrics, Object, Pool as Deadpool, PoolError, RecycleError, RecycleResult, Timeouts,
};
use pinchpoint_load::Probe;
use pinchpoint_measure::{Cause, Phase};

use crate::tls::TlsSetup;
use crate::{Connection, Dsn, SqlError};

/// The connections of one load thread.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    inner: Deadpool<Maker>,
    wait: Timeouts,
}

/// A connection on loan; dropping it gives it back.
pub(crate) type Loan = Object<Maker>;

/// Makes connections, and looks at those that come back.
#[derive(Debug)]
pub(crate) struct Maker {
    dsn: Dsn,
    tls: TlsSetup,
}

impl Manager for Maker {
    type Type = Connection;
    type Error = SqlError;

    async fn create(&self) -> Result<Connection, SqlError> {
        Connection::connect(&self.dsn, &self.tls).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<SqlError> {
        if connection.is_usable() {
            Ok(())
        } else {
            Err(RecycleError::message("an operation on it did not end well"))
        }
    }
}

/// The first try does not wait: it sets no timer.
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

impl Pool {
    pub(crate) fn new(
        dsn: Dsn,
        tls: TlsSetup,
        max: usize,
        wait: Duration,
    ) -> Result<Self, SqlError> {
        let inner = Deadpool::builder(Maker { dsn, tls })
            .max_size(max)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| SqlError::wrong(format!("the pool cannot be made: {e}")))?;
        Ok(Self { inner, wait: Timeouts { wait: Some(wait), create: None, recycle: None } })
    }

    /// Opens this many connections, or as many as the pool holds, and gives them back. To ask for
    /// one more would be to wait for ourselves.
    pub(crate) async fn warm(&self, min: usize) -> Result<(), SqlError> {
        let min = min.min(self.inner.status().max_size);
        let mut loans = Vec::with_capacity(min);
        for _ in 0..min {
            let mut loan = self.inner.get().await.map_err(explain)?;
            loan.set_up = None;
            loans.push(loan);
        }
        Ok(())
    }

    /// Borrows a connection. What opening one took goes to its own phases, the rest is the wait.
    pub(crate) async fn check_out(
        &self,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Result<Loan, SqlError> {
        let loan = match self.inner.timeout_get(&AT_ONCE).await {
            Err(PoolError::Timeout(_)) => self.inner.timeout_get(&self.wait).await,
            other => other,
        };
        let mut loan = loan.map_err(explain)?;
        let now = Instant::now();
        let mut waited = now.duration_since(*at);
        *at = now;
        if let Some(set_up) = loan.set_up.take() {
            probe.add(Phase::Tcp, set_up.tcp);
            probe.add(Phase::Tls, set_up.tls);
            probe.add(Phase::Auth, set_up.auth);
            waited = waited.saturating_sub(set_up.tcp + set_up.tls + set_up.auth);
        }
        probe.add(Phase::Checkout, waited);
        Ok(loan)
    }

    /// Closes the connections that are not on loan.
    pub(crate) fn close(&self) {
        self.inner.close();
    }
}

fn explain(error: PoolError<SqlError>) -> SqlError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => {
            SqlError::new(Cause::PoolTimedOut, "no connection of the pool came free in time")
        }
        other => SqlError::new(Cause::Closed, other.to_string()),
    }
}
