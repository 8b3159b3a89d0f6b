use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_load::{Ended, Probe, User};
use pinchpoint_measure::{Cause, Outcome, Phase};
use pinchpoint_script::{Client, Program, Random};

use super::ScriptDriver;
use super::log::{Entry, ThreadLog};
use super::source::Source;
use super::tally::{Incidents, ThreadTally};
use crate::backoff::Backoff;
use crate::{Connection, SqlError};

/// A virtual user that runs scripts.
#[derive(Debug)]
pub struct ScriptUser {
    source: Source,
    own: Option<Connection>,
    worker: Worker,
    backoff: Backoff,
    /// The last failure was the server's choice among transactions that were in each other's way.
    lost_a_race: bool,
    log: Option<ThreadLog>,
    /// Transactions that were logged, or could have been.
    noted: u64,
}

/// What a user works with, whatever its connection.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) program: Arc<Program>,
    /// The client's number, from 0.
    number: u64,
    pub(crate) names: Arc<[String]>,
    pub(crate) client: Client,
    /// The client as it was when the transaction began, for another try.
    pub(crate) before: Client,
    choice: Random,
    total_weight: u64,
    max_tries: u32,
    /// Tries that the last transaction took.
    tries: u32,
    pub(crate) tally: Arc<ThreadTally>,
    incidents: Arc<Incidents>,
    /// A statement as text, for the simple protocol; kept for its memory.
    pub(crate) text: String,
    /// Statements sent in the pipeline under way: their index, and whether they are prepared by it.
    pub(crate) sent: Vec<(usize, bool)>,
    /// Where each part of a pipeline ends in it.
    pub(crate) syncs: Vec<usize>,
}

/// Why a transaction failed, and whether the server may have carried it out.
pub(crate) struct Trouble {
    pub(crate) error: SqlError,
    pub(crate) in_doubt: bool,
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Self {
        Self { error, in_doubt: false }
    }
}

impl Worker {
    pub(crate) fn new(
        driver: &ScriptDriver,
        number: u64,
        seed: u64,
        tally: Arc<ThreadTally>,
    ) -> Self {
        let program = driver.spec.program.clone();
        let client = program.client(number, seed);
        Self {
            number,
            names: driver.names.clone(),
            before: client.clone(),
            client,
            // Of its own, so that the choice of scripts leaves what they draw as it is in pgbench.
            choice: Random::new(!seed),
            total_weight: program.total_weight(),
            max_tries: driver.spec.max_tries.max(1),
            tries: 1,
            program,
            tally,
            incidents: driver.incidents.clone(),
            text: String::new(),
            sent: Vec::new(),
            syncs: Vec::new(),
        }
    }

    fn pick(&mut self) -> usize {
        if self.program.scripts.len() == 1 {
            return 0;
        }
        let number = self.choice.bits() % self.total_weight;
        self.program.pick(number)
    }

    /// Runs a script until it ends well, fails for good, or has been tried often enough.
    async fn transact(
        &mut self,
        script: usize,
        connection: &mut Connection,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Result<(), Trouble> {
        probe.set_tag(connection.backend_pid());
        let mut tries = 1;
        self.tries = tries;
        if self.max_tries > 1 {
            self.before.restore(&self.client);
        }
        loop {
            let ended = self.run(script, connection, probe, at).await;
            let Err(trouble) = ended else {
                self.tally.transaction(script, true, tries);
                return Ok(());
            };
            let cleaned = self.clean_up(connection).await;
            probe.lap(Phase::Execute, at);
            if cleaned && tries < self.max_tries && lost_a_race(trouble.error.cause) {
                tries += 1;
                self.tries = tries;
                let Self { client, before, .. } = self;
                client.restore(before);
                continue;
            }
            self.tally.transaction(script, false, tries);
            self.incidents.note(trouble.error.message.clone());
            return Err(trouble);
        }
    }

    /// Ends what a failed transaction has left open; says whether the session can go on.
    async fn clean_up(&self, connection: &mut Connection) -> bool {
        if !connection.is_usable() {
            return false;
        }
        if !connection.in_transaction() {
            return true;
        }
        connection.out.clear();
        let ended = connection.query("ROLLBACK").await.is_ok();
        if !ended {
            connection.give_up();
        }
        ended
    }

    /// A transaction that had no connection.
    fn failed(&mut self, script: usize, error: SqlError) -> Trouble {
        self.tries = 1;
        self.tally.transaction(script, false, 1);
        self.incidents.note(error.message.clone());
        error.into()
    }
}

/// Serialization failures and deadlocks: tried again, the transaction may well succeed.
fn lost_a_race(cause: Cause) -> bool {
    matches!(cause, Cause::SqlState(state) if state == *b"40001" || state == *b"40P01")
}

impl ScriptUser {
    pub(crate) fn new(worker: Worker, source: Source, log: Option<ThreadLog>) -> Self {
        let backoff = Backoff::new(worker.choice.clone().bits());
        Self { source, own: None, worker, backoff, lost_a_race: false, log, noted: 0 }
    }

    /// Opens the user's own connection, when it is to have one.
    pub(crate) async fn connect_at_first(&mut self) -> Result<(), SqlError> {
        if let Source::Own(place) = &self.source {
            self.own = Some(Connection::connect(&place.0, &place.1).await?);
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        script: usize,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Result<(), Trouble> {
        let worker = &mut self.worker;
        match &self.source {
            Source::Own(place) => {
                if self.own.as_ref().is_none_or(|c| !c.is_usable()) {
                    self.own = None;
                    let opened = Connection::connect(&place.0, &place.1).await;
                    let mut fresh = opened.map_err(|error| worker.failed(script, error))?;
                    fresh.note_set_up(probe);
                    *at = Instant::now();
                    self.own = Some(fresh);
                }
                match &mut self.own {
                    Some(connection) => worker.transact(script, connection, probe, at).await,
                    None => Err(SqlError::closed().into()),
                }
            }
            Source::Fresh(place) => {
                let opened = Connection::connect(&place.0, &place.1).await;
                let mut connection = opened.map_err(|error| worker.failed(script, error))?;
                connection.note_set_up(probe);
                *at = Instant::now();
                let ended = worker.transact(script, &mut connection, probe, at).await;
                connection.close().await;
                probe.lap(Phase::Disconnect, at);
                ended
            }
            Source::Pool(pool, _, hold) => match pool.check_out(probe, at).await {
                Ok(mut loan) => {
                    let ended = worker.transact(script, &mut loan, probe, at).await;
                    hold.give_back(loan);
                    ended
                }
                Err(error) => Err(worker.failed(script, error)),
            },
        }
    }
}

/// The first pause after a failure that is not the connection's: enough to keep a script that always
/// fails from flooding the server.
const BREATH: Duration = Duration::from_millis(1);

impl User for ScriptUser {
    async fn operate(&mut self, probe: &mut Probe) -> Outcome {
        let mut at = Instant::now();
        let script = self.worker.pick();
        probe.set_label(u16::try_from(script).unwrap_or(u16::MAX));
        match self.attempt(script, probe, &mut at).await {
            Ok(()) => {
                self.backoff.reset();
                Outcome::Done { rows: 1 }
            }
            Err(Trouble { error, in_doubt }) => {
                self.lost_a_race = lost_a_race(error.cause);
                Outcome::Failed { cause: error.cause, rows: 1, in_doubt }
            }
        }
    }

    async fn recover(&mut self) {
        if self.lost_a_race {
            tokio::time::sleep(BREATH).await;
        } else {
            self.backoff.wait().await;
        }
    }

    fn note(&mut self, ended: &Ended<'_>) {
        let Some(log) = &self.log else { return };
        self.noted += 1;
        let mut ended = *ended;
        let mut entry = Entry { client: self.worker.number, number: self.noted, retries: 0 };
        if ended.outcome.is_some() {
            entry.retries = self.worker.tries - 1;
        } else {
            // As in pgbench, the script is chosen before it turns out to be too late for it.
            ended.label = u16::try_from(self.worker.pick()).unwrap_or(u16::MAX);
        }
        log.write(entry, &ended);
    }

    async fn close(self) {
        if let Some(connection) = self.own {
            connection.close().await;
        }
        if let Source::Pool(pool, ..) = self.source {
            pool.close();
        }
    }
}
