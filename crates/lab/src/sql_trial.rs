use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_load::{Histograms, LoadSpec, Rest, Session, WarmedUp, warm_up};
use pinchpoint_measure::{
    Cause, Event, Factors, PHASES, Pace, PerRow, SqlFailures, Stage, Trial, TrialStatus, WarmUp,
};
use pinchpoint_observe::{Observer, ObserverSpec};
use pinchpoint_plan as plan;
use pinchpoint_script::Program;
use pinchpoint_sql::{
    Dsn, ScriptConnection, ScriptDriver, ScriptSpec, ScriptTally, TransactionLog,
};
use pinchpoint_stack::Cancel;

use crate::blank::blank_trial;
use crate::clock;
use crate::error::LabError;
use crate::measuring::{Measured, Measuring, Sight};
use crate::observing;
use crate::rung_load::{cancelled, schedule_of, settle_grace, warm_up_of};
use crate::sql_job::{SqlAccount, SqlConnection, SqlWork};

/// One trial of a load of scripts.
pub(crate) struct SqlTrial<'a> {
    pub(crate) variant: &'a str,
    pub(crate) number: u32,
    pub(crate) factors: Factors,
    pub(crate) work: &'a SqlWork,
    pub(crate) program: Arc<Program>,
    pub(crate) scale: u64,
    pub(crate) shows_statements: bool,
    pub(crate) account: &'a SqlAccount,
    /// Where a line is written for each transaction.
    pub(crate) transaction_log: Option<Arc<TransactionLog>>,
    pub(crate) clients: u32,
    pub(crate) connection: SqlConnection,
    pub(crate) transactions: Option<u64>,
    pub(crate) load: &'a plan::LoadPlan,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) dsn: Dsn,
    /// What is observed of the server.
    pub(crate) observed: ObserverSpec,
    pub(crate) log: File,
    pub(crate) cancel: &'a Cancel,
    /// Seconds that the rest of the run takes after this trial.
    pub(crate) left_after_s: f64,
}

/// How long a client waits for a connection of a pool.
const POOL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a run may take whose end is a number of transactions.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where the scripts' connections come from.
pub(crate) const fn connection_of(connection: SqlConnection) -> ScriptConnection {
    match connection {
        SqlConnection::Own => ScriptConnection::Own,
        SqlConnection::PerTransaction => ScriptConnection::PerTransaction,
        SqlConnection::Pool(size) => ScriptConnection::Pool { size, timeout: POOL_TIMEOUT },
    }
}

/// What a trial gave, before it is judged.
pub(crate) struct Seen {
    pub(crate) connecting: Duration,
    warmed: WarmedUp,
    pub(crate) measured: Measured,
    rest: Rest,
    pub(crate) tally: ScriptTally,
    pub(crate) whole: ScriptTally,
    /// Failures of the measured part by kind.
    pub(crate) failures: SqlFailures,
}

impl SqlTrial<'_> {
    /// Runs the trial. What concerns this trial only is in its status; an error ends the run.
    /// `obituary` says why the server has gone, if it has.
    pub(crate) async fn run(
        self,
        obituary: &mut dyn FnMut() -> Option<String>,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Trial, LabError> {
        let spec = ScriptSpec {
            dsn: self.dsn.clone(),
            program: self.program.clone(),
            connection: connection_of(self.connection),
            max_tries: self.work.max_tries,
            seed: self.seed,
            log: self.transaction_log.clone(),
        };
        let driver = ScriptDriver::new(spec).map_err(|e| LabError::Unsuitable(e.to_string()))?;
        let driver = Arc::new(driver);
        // Before the load: it may take every connection that the server has.
        let observer = Observer::open(self.observed.clone()).await;
        let (began, load) = (Instant::now(), self.load_spec());
        let mut session = tokio::select! {
            opened = Session::open(driver.clone(), &load) => match opened {
                Ok(session) => session,
                // Why the server has gone says more than that it does not answer.
                Err(error) => {
                    let reason = obituary().unwrap_or_else(|| error.to_string());
                    return Ok(self.failed(&reason));
                }
            },
            () = cancelled(self.cancel) => return Err(LabError::Interrupted),
        };
        let connecting = began.elapsed();
        let warmed = match self.transactions {
            Some(_) => WarmedUp { duration: Duration::ZERO, settled: true },
            None => {
                session.start();
                self.warm_up(&session, tell).await
            }
        };
        let before = driver.tally();
        if let Some(log) = &self.transaction_log {
            log.begin();
        }
        let (measured, observed) =
            observer.during(self.measure(&mut session, obituary, tell)).await;
        if let Some(log) = &self.transaction_log {
            log.end();
        }
        let measured = measured?;
        let whole = driver.tally();
        let tally = whole.since(&before);
        let rest = session.settle(settle_grace(self.cancel)).await?;
        let last = session.rotate(&mut Histograms::with_labels(self.program.scripts.len())).await?;
        session.close().await;
        let observation = observing::complete(observed, &measured);
        let failures = by_kind(&measured.errors);
        let whole = driver.tally();
        let mut seen = Seen { connecting, warmed, measured, rest, tally, whole, failures };
        for (cause, count) in seen.measured.warm_up_errors.clone().into_iter().chain(last.errors) {
            *seen.measured.errors.entry(cause).or_default() += count;
        }
        let mut trial = self.judge(&seen);
        trial.observation = Some(observation);
        Ok(trial)
    }

    fn load_spec(&self) -> LoadSpec {
        LoadSpec {
            users: self.clients as usize,
            threads: self.threads,
            schedule: schedule_of(self.load, 1, self.seed),
            seed: self.seed,
            spawn_per_s: None,
            think: Duration::ZERO,
            labels: self.program.scripts.len(),
            operations_per_user: self.transactions,
            latency_limit: self.account.latency_limit,
            keep_acks: false,
        }
    }

    async fn warm_up(&self, session: &Session, tell: &mut dyn FnMut(&Event)) -> WarmedUp {
        let policy = warm_up_of(self.load, self.clients);
        let duration_s = self.load.duration.as_secs_f64();
        warm_up(session, policy, |tick| {
            tell(&Event::Progress {
                variant: self.variant.to_owned(),
                trial: self.number,
                stage: Stage::WarmUp,
                elapsed_s: tick.elapsed.as_secs_f64(),
                total_s: tick.at_most.as_secs_f64(),
                tps: tick.rows_per_s,
                p95_ms: None,
                errors: tick.failed,
                run_left_s: self.left_after_s + duration_s,
            });
            !self.cancel.is_cancelled()
        })
        .await
    }

    async fn measure(
        &self,
        session: &mut Session,
        obituary: &mut dyn FnMut() -> Option<String>,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Measured, LabError> {
        let duration = if self.transactions.is_some() { LONGEST } else { self.load.duration };
        let total_s = duration.as_secs_f64();
        let measuring = Measuring {
            duration,
            interval: self.load.interval,
            cancel: self.cancel,
            enough: self.transactions.map(|n| n.saturating_mul(self.clients.into())),
            obituary,
            log: self
                .log
                .try_clone()
                .map_err(|source| LabError::Directory { path: "histograms".into(), source })?,
        };
        measuring
            .run(session, |sight| match sight {
                Sight::Tick { elapsed, rows_per_s, p95_ms, failed } => tell(&Event::Progress {
                    variant: self.variant.to_owned(),
                    trial: self.number,
                    stage: Stage::Measure,
                    elapsed_s: elapsed.as_secs_f64(),
                    total_s,
                    tps: rows_per_s,
                    p95_ms,
                    errors: failed,
                    run_left_s: self.left_after_s + (total_s - elapsed.as_secs_f64()).max(0.0),
                }),
                Sight::Interval(ended) => tell(&ended.event(self.variant, self.number)),
            })
            .await
    }

    fn blank(&self) -> Trial {
        let poisson = self.load.poisson;
        let pace = match &self.load.pace {
            plan::Pace::FlatOut => Pace::Closed,
            plan::Pace::Rate { per_s } => Pace::Open { target_per_s: *per_s, poisson },
            plan::Pace::Stages(stages) => {
                let highest = stages.iter().map(|s| s.target_per_s).fold(0.0, f64::max);
                Pace::Open { target_per_s: highest, poisson }
            }
        };
        blank_trial(self.number, self.factors.clone(), pace)
    }

    fn failed(&self, reason: &str) -> Trial {
        let mut trial = self.blank();
        trial.status = TrialStatus::Failed;
        trial.reason = Some(reason.to_owned());
        trial
    }

    fn judge(&self, seen: &Seen) -> Trial {
        let mut trial = self.figures(&seen.measured);
        trial.warm_up = self.describe(seen.warmed);
        trial.acknowledged_rows = seen.whole.scripts.iter().map(|s| s.succeeded).sum();
        trial.sql = Some(self.sql_figures(&trial, seen));
        (trial.status, trial.reason) = judge(&trial, seen);
        let threads = u32::try_from(self.threads).unwrap_or(1);
        trial.gates = pinchpoint_diagnose::gates(&trial, self.clients, threads);
        // What was stopped half-way has not shown what it would have shown.
        if trial.status != TrialStatus::Interrupted {
            let thresholds = &self.account.thresholds;
            trial.thresholds = thresholds.iter().map(|t| t.judge(&trial)).collect();
        }
        trial
    }

    fn figures(&self, measured: &Measured) -> Trial {
        let seconds = measured.elapsed.as_secs_f64().max(1e-9);
        let transactions = measured.totals.operations;
        let per = |total: f64| if transactions == 0 { 0.0 } else { total / transactions as f64 };
        let cpu_us = per(measured.cpu.as_secs_f64() * 1e6);
        let statement = measured.histograms.statement_ms();
        let rate = transactions as f64 / seconds;
        Trial {
            started_at: clock::timestamp(measured.started),
            duration_s: measured.elapsed.as_secs_f64(),
            succeeded: transactions,
            failed: measured.totals.failed,
            rows: transactions,
            rows_failed: measured.totals.failed,
            throughput_per_s: rate,
            throughput_ci95: measured.rates.ci95().map(|i| [i.lo, i.hi]),
            operations_per_s: rate,
            latency_ms: measured.histograms.response_ms(),
            statement_latency_ms: statement,
            per_row_latency_ms: PerRow { avg: statement.avg },
            phases_ms: PHASES
                .into_iter()
                .map(|p| (p, measured.histograms.phase_mean_ms(p)))
                .filter(|(_, ms)| *ms > 0.0)
                .collect(),
            client_cpu_us_per_op: cpu_us,
            client_cpu_us_per_row: cpu_us,
            client_cpu_share: measured.cpu.as_secs_f64() / (seconds * self.threads.max(1) as f64),
            cpu_percent: measured.cpu_percent(),
            memory_percent: measured.memory_percent(),
            backlog_max: measured.intervals.iter().map(|i| i.queue_length).max().unwrap_or(0),
            backlog_end: measured.intervals.last().map_or(0, |i| i.queue_length),
            errors: measured.errors.iter().map(|(cause, n)| (cause.text(), *n)).collect(),
            intervals: measured.intervals.clone(),
            ..self.blank()
        }
    }

    fn describe(&self, warmed: WarmedUp) -> WarmUp {
        let note = if self.transactions.is_some() {
            return WarmUp {
                duration_s: 0.0,
                settled: true,
                note: Some("transactions are counted from the first, without a warm-up".to_owned()),
            };
        } else if warmed.settled {
            None
        } else if matches!(self.load.warmup, plan::WarmUp::Auto { .. }) {
            Some("throughput never settled within the bound of the warm-up".to_owned())
        } else {
            Some("throughput had not settled when the warm-up ended".to_owned())
        };
        WarmUp { duration_s: warmed.duration.as_secs_f64(), settled: warmed.settled, note }
    }
}

/// Failures that the server chose among transactions in each other's way.
fn by_kind(errors: &BTreeMap<Cause, u64>) -> SqlFailures {
    let of = |state: &[u8; 5]| errors.get(&Cause::SqlState(*state)).copied().unwrap_or(0);
    SqlFailures { serialization: of(b"40001"), deadlock: of(b"40P01") }
}

fn judge(trial: &Trial, seen: &Seen) -> (TrialStatus, Option<String>) {
    if seen.measured.cancelled {
        return (TrialStatus::Interrupted, Some("stopped by the user".to_owned()));
    }
    if let Some(died) = &seen.measured.server_died {
        return (TrialStatus::Failed, Some(died.clone()));
    }
    if trial.succeeded > 0 {
        return (TrialStatus::Ok, None);
    }
    let often = seen.whole.incidents.iter().max_by_key(|(_, n)| **n);
    let reason = match (often, seen.rest.abandoned) {
        (Some((text, _)), _) => format!("no transaction succeeded: {text}"),
        (None, 0) => "no transaction ended within the measured time; measure longer".to_owned(),
        (None, n) => format!(
            "no transaction ended within the measured time, and {n} did not in the seconds after it"
        ),
    };
    (TrialStatus::Failed, Some(reason))
}
