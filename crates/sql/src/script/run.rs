use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_load::Probe;
use pinchpoint_measure::{Cause, Phase};
use pinchpoint_script::{Action, Gather, Program, Protocol, Role, Statement, Value};

use super::encode;
use super::user::{Trouble, Worker};
use crate::connection::{data_row, row_description};
use crate::wire::{flush, sync};
use crate::{Connection, SqlError};

/// Bytes of a pipeline that are sent before it ends.
const PART: usize = 64 << 10;

/// One run through a script: its connection and its clock.
struct Way<'a> {
    connection: &'a mut Connection,
    probe: &'a mut Probe,
    at: &'a mut Instant,
    /// Some statement's commit could not be told from its execution.
    blurred: bool,
}

impl Worker {
    /// One run through a script.
    pub(crate) async fn run(
        &mut self,
        script: usize,
        connection: &mut Connection,
        probe: &mut Probe,
        at: &mut Instant,
    ) -> Result<(), Trouble> {
        let program = self.program.clone();
        let Some(script) = program.scripts.get(script) else { return Ok(()) };
        let mut way = Way { connection, probe, at, blurred: false };
        let mut next = 0;
        let mut piped = false;
        while let Some(step) = script.steps.get(next) {
            next += 1;
            let went = match &step.action {
                Action::Set(slot, formula) => self.client.value(formula).map(|value| {
                    self.client.set(*slot, value);
                }),
                Action::Unless(formula, to) => self.client.holds(formula).map(|holds| {
                    if !holds {
                        next = *to;
                    }
                }),
                Action::Jump(to) => {
                    next = *to;
                    Ok(())
                }
                Action::Sleep(pause) => match self.client.pause_us(pause) {
                    Ok(us) => {
                        way.sleep(us).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Action::Sql(statement) => {
                    let done = if piped {
                        self.pipe(&program, statement, &mut way).await
                    } else {
                        self.statement(&program, statement, &mut way).await
                    };
                    done.map_err(|t| t.at(&script.name, step.line))?;
                    Ok(())
                }
                Action::StartPipeline => {
                    piped = true;
                    way.connection.out.clear();
                    self.sent.clear();
                    self.syncs.clear();
                    Ok(())
                }
                Action::SyncPipeline => {
                    self.sync_pipeline(&mut way);
                    Ok(())
                }
                Action::EndPipeline => {
                    piped = false;
                    self.end_pipeline(&mut way).await.map_err(|t| t.at(&script.name, step.line))?;
                    Ok(())
                }
            };
            went.map_err(|error| {
                Trouble::from(SqlError::script(error.to_string())).at(&script.name, step.line)
            })?;
        }
        if way.connection.in_transaction() {
            let error = SqlError::script("the script ends within a transaction");
            return Err(
                Trouble::from(error).at(&script.name, script.steps.last().map_or(1, |s| s.line))
            );
        }
        way.probe.lap(Phase::Encode, way.at);
        // A commit that was seen counts, whatever else there was.
        if !way.blurred || way.probe.nanos(Phase::Commit) > 0 {
            way.probe.split();
        }
        Ok(())
    }

    /// Sends a statement and waits for its answer.
    async fn statement(
        &mut self,
        program: &Program,
        statement: &Statement,
        way: &mut Way<'_>,
    ) -> Result<(), Trouble> {
        let began = Instant::now();
        let inside = way.connection.in_transaction();
        way.connection.out.clear();
        let name = self.names.get(statement.index).map_or("", String::as_str);
        let prepares = encode::statement(
            program,
            statement,
            name,
            &self.client,
            way.connection,
            &mut self.text,
        )?;
        let alone = !inside && statement.role == Role::Other;
        // The flush makes the server answer before it commits, at the price of a packet.
        let told = alone && program.protocol != Protocol::Simple && way.probe.wants_split();
        if program.protocol != Protocol::Simple {
            if told {
                flush(&mut way.connection.out);
            }
            sync(&mut way.connection.out);
        }
        way.blurred |= alone && !told;
        way.probe.lap(Phase::Encode, way.at);
        way.connection.send().await.map_err(|error| Trouble { error, in_doubt: true })?;
        way.probe.lap(Phase::Transfer, way.at);
        let mut rows = LastRow::new(statement.gather.as_ref());
        let received =
            way.connection.receive_each(u64::from(told), |tag, body| rows.take(tag, body)).await;
        let (answer, completed) = match received {
            Ok(received) => received,
            Err(error) => {
                self.tally.statement_failed(statement.index);
                return Err(Trouble { error, in_doubt: true });
            }
        };
        match (completed, statement.role) {
            (Some(completed), _) => {
                way.probe.add(Phase::Execute, completed.saturating_duration_since(*way.at));
                *way.at = completed.max(*way.at);
                way.probe.lap(Phase::Commit, way.at);
            }
            (None, Role::End) => way.probe.lap(Phase::Commit, way.at),
            (None, _) => way.probe.lap(Phase::Execute, way.at),
        }
        if prepares && answer.parsed > 0 {
            remember(way.connection, statement.index);
        }
        if let Some(error) = answer.error {
            self.tally.statement_failed(statement.index);
            return Err(error.into());
        }
        self.tally.statement(statement.index, way.at.saturating_duration_since(began));
        rows.store(&mut self.client)?;
        Ok(())
    }

    /// Puts a statement into the pipeline under way.
    async fn pipe(
        &mut self,
        program: &Program,
        statement: &Statement,
        way: &mut Way<'_>,
    ) -> Result<(), Trouble> {
        let name = self.names.get(statement.index).map_or("", String::as_str);
        let again =
            self.sent.iter().any(|(index, prepares)| *index == statement.index && *prepares);
        if again {
            // Its Parse is under way; to the encoder it is known.
            remember(way.connection, statement.index);
        }
        let encoded = encode::statement(
            program,
            statement,
            name,
            &self.client,
            way.connection,
            &mut self.text,
        );
        let prepares = match encoded {
            Ok(prepares) => prepares,
            Err(error) => {
                // What was sent is without an end, and what was encoded will not be sent.
                way.connection.give_up();
                return Err(error.into());
            }
        };
        self.sent.push((statement.index, prepares));
        way.blurred = true;
        if way.connection.out.len() >= PART {
            way.probe.lap(Phase::Encode, way.at);
            way.connection.send().await.map_err(|error| Trouble { error, in_doubt: true })?;
            way.probe.lap(Phase::Transfer, way.at);
        }
        Ok(())
    }

    fn sync_pipeline(&mut self, way: &mut Way<'_>) {
        sync(&mut way.connection.out);
        self.syncs.push(self.sent.len());
    }

    /// Sends what is left of a pipeline, and takes all answers.
    async fn end_pipeline(&mut self, way: &mut Way<'_>) -> Result<(), Trouble> {
        let began = Instant::now();
        self.sync_pipeline(way);
        way.probe.lap(Phase::Encode, way.at);
        way.connection.send().await.map_err(|error| Trouble { error, in_doubt: true })?;
        way.probe.lap(Phase::Transfer, way.at);
        let (mut first, mut failure) = (0, None);
        for part in 0..self.syncs.len() {
            let end = self.syncs[part];
            let (answer, _) = match way.connection.receive(0).await {
                Ok(received) => received,
                Err(error) => return Err(Trouble { error, in_doubt: true }),
            };
            let mut parsed = answer.parsed;
            let statements = self.sent.get(first..end).unwrap_or_default();
            for (index, prepares) in statements {
                if *prepares {
                    let known = parsed > 0;
                    parsed = parsed.saturating_sub(1);
                    set_known(way.connection, *index, known);
                }
            }
            if let Some(error) = answer.error {
                // The server answers up to the one that fails, and passes over the rest.
                let at = usize::try_from(answer.completions).unwrap_or(usize::MAX);
                if let Some((index, _)) = statements.get(at) {
                    self.tally.statement_failed(*index);
                }
                failure = failure.or(Some(error));
            }
            first = end;
        }
        way.probe.lap(Phase::Execute, way.at);
        if let Some(error) = failure {
            return Err(error.into());
        }
        let each = began.elapsed() / u32::try_from(self.sent.len()).unwrap_or(u32::MAX).max(1);
        for (index, _) in &self.sent {
            self.tally.statement(*index, each);
        }
        Ok(())
    }
}

impl Way<'_> {
    async fn sleep(&mut self, us: u64) {
        self.probe.lap(Phase::Encode, self.at);
        tokio::time::sleep(Duration::from_micros(us)).await;
        self.probe.lap(Phase::Sleep, self.at);
    }
}

impl Trouble {
    /// Says where in the script it happened.
    fn at(mut self, script: &str, line: u32) -> Self {
        self.error.message = format!("{script} line {line}: {}", self.error.message);
        self
    }
}

fn remember(connection: &mut Connection, index: usize) {
    set_known(connection, index, true);
}

fn set_known(connection: &mut Connection, index: usize, known: bool) {
    if connection.scripted.len() <= index {
        connection.scripted.resize(index + 1, false);
    }
    connection.scripted[index] = known;
}

/// The last row of a statement whose rows become variables.
struct LastRow<'a> {
    gather: Option<&'a Gather>,
    columns: Vec<String>,
    row: Option<Vec<Option<String>>>,
    count: u64,
}

impl<'a> LastRow<'a> {
    const fn new(gather: Option<&'a Gather>) -> Self {
        Self { gather, columns: Vec::new(), row: None, count: 0 }
    }

    fn take(&mut self, tag: u8, body: &[u8]) {
        if self.gather.is_none() {
            return;
        }
        match tag {
            b'T' => {
                self.columns = row_description(body);
                self.count = 0;
            }
            b'D' => {
                self.row = data_row(body);
                self.count += 1;
            }
            _ => (),
        }
    }

    /// Gives the variables their values.
    fn store(self, client: &mut pinchpoint_script::Client) -> Result<(), SqlError> {
        let Some(gather) = self.gather else { return Ok(()) };
        if !gather.any_number && self.count != 1 {
            let text = format!("\\gset wants one row, and {} came", self.count);
            return Err(SqlError::new(Cause::Script, text));
        }
        for (column, cell) in self.columns.iter().zip(self.row.unwrap_or_default()) {
            if let Some(slot) = gather.slot(column) {
                // As in pgbench, no value is an empty text.
                client.set(slot, Value::Text(Arc::from(cell.unwrap_or_default())));
            }
        }
        Ok(())
    }
}
