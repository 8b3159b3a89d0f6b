use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_load::{Histograms, Session, WarmUpPolicy, WarmedUp, warm_up};
use pinchpoint_measure::{Cause, Event, Stage, Trial, TrialStatus, WarmUp};
use pinchpoint_observe::Observer;
use pinchpoint_plan::{self as plan, Experiment};
use pinchpoint_stack::Cancel;

use crate::aftermath::Aftermath;
use crate::error::LabError;
use crate::measuring::{Measured, Measuring, Sight};
use crate::observing;
use crate::resolve::Settled;
use crate::rung_load::{concerns_rung, open, schedule, settle_grace, threads};
use crate::server::Server;

/// One trial to be run.
pub(crate) struct TrialRun<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) experiment: &'a Experiment,
    pub(crate) variant: &'a str,
    pub(crate) rung: &'a Settled,
    pub(crate) number: u32,
    pub(crate) seed: u64,
    pub(crate) log: std::fs::File,
    pub(crate) cancel: &'a Cancel,
    /// Seconds that the rest of the run takes after this trial, as far as known.
    pub(crate) left_after_s: f64,
}

impl TrialRun<'_> {
    /// Runs the trial. What concerns this trial only is in its status; an error ends the run.
    pub(crate) async fn run(mut self, tell: &mut dyn FnMut(&Event)) -> Result<Trial, LabError> {
        self.server.reset_table(&self.experiment.table).await?;
        // Before the load: it may take every connection that the server has.
        let observer = Observer::open(self.server.observer_spec(self.seed)).await;
        let rate = schedule(self.experiment, self.rung.batch, self.seed);
        let opened =
            open(self.server, self.experiment, self.rung, self.seed, rate, self.cancel).await;
        let mut session = match opened {
            Ok(session) => session,
            Err(error) if concerns_rung(&error) => return Ok(self.failed(&error.to_string())),
            Err(error) => return Err(error),
        };
        session.start();
        let warmed = self.warm_up(&session, tell).await;
        let (measured, observed) = observer.during(self.measure(&mut session, tell)).await;
        let measured = measured?;
        let rest = session.settle(settle_grace(self.cancel)).await?;
        let last = session.rotate(&mut Histograms::new()).await?;
        let aftermath = self.aftermath(session, &rest, &measured, tell).await?;
        let observation = observing::complete(observed, &measured);
        let mut trial = self.trial(warmed, measured, last.errors, aftermath);
        trial.observation = Some(observation);
        Ok(trial)
    }

    async fn warm_up(&self, session: &Session, tell: &mut dyn FnMut(&Event)) -> WarmedUp {
        let policy = match (&self.experiment.load.pace, self.experiment.load.warmup) {
            // Stages are a story with a beginning; a warm-up would tell it ahead of time.
            (plan::Pace::Stages(_), _) => WarmUpPolicy::Fixed(Duration::ZERO),
            (_, plan::WarmUp::Auto { at_most }) => WarmUpPolicy::Auto { at_most, users: 0 },
            (_, plan::WarmUp::Fixed(length)) => WarmUpPolicy::Fixed(length),
        };
        let duration_s = self.experiment.load.duration.as_secs_f64();
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
        &mut self,
        session: &mut Session,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Measured, LabError> {
        let duration = self.experiment.load.duration;
        let (variant, trial, left_after_s) = (self.variant, self.number, self.left_after_s);
        let measuring = Measuring {
            duration,
            interval: self.experiment.load.interval,
            cancel: self.cancel,
            enough: None,
            obituary: &mut || self.server.obituary(),
            log: self
                .log
                .try_clone()
                .map_err(|source| LabError::Directory { path: "histograms".into(), source })?,
        };
        let total_s = duration.as_secs_f64();
        measuring
            .run(session, |sight| match sight {
                Sight::Tick { elapsed, rows_per_s, p95_ms, failed } => tell(&Event::Progress {
                    variant: variant.to_owned(),
                    trial,
                    stage: Stage::Measure,
                    elapsed_s: elapsed.as_secs_f64(),
                    total_s,
                    tps: rows_per_s,
                    p95_ms,
                    errors: failed,
                    run_left_s: left_after_s + (total_s - elapsed.as_secs_f64()).max(0.0),
                }),
                Sight::Interval(ended) => tell(&ended.event(variant, trial)),
            })
            .await
    }

    fn trial(
        &self,
        warmed: WarmedUp,
        measured: Measured,
        last_errors: BTreeMap<Cause, u64>,
        aftermath: Aftermath,
    ) -> Trial {
        let threads = threads(self.experiment, self.rung);
        let mut trial = self.figures(&measured, threads);
        trial.warm_up = self.describe(warmed);
        let mut errors = measured.errors;
        for (cause, count) in measured.warm_up_errors.into_iter().chain(last_errors) {
            *errors.entry(cause).or_default() += count;
        }
        trial.errors = errors.into_iter().map(|(cause, n)| (cause.text(), n)).collect();
        trial.ledger = aftermath.ledger;
        trial.rows_in_table = aftermath.ledger.map(|l| l.rows_in_table);
        if let Some(ledger) = aftermath.ledger {
            trial.acknowledged_rows = ledger.acknowledged_rows;
        }
        trial.crash = aftermath.crash;
        (trial.status, trial.reason) = judge(&trial, measured.cancelled, aftermath.trouble);
        trial.gates = pinchpoint_diagnose::gates(&trial, self.rung.concurrency, threads as u32);
        trial
    }

    fn failed(&self, reason: &str) -> Trial {
        let mut trial = self.blank();
        trial.status = TrialStatus::Failed;
        trial.reason = Some(reason.to_owned());
        trial
    }

    fn describe(&self, warmed: WarmedUp) -> WarmUp {
        let auto = matches!(self.experiment.load.warmup, plan::WarmUp::Auto { .. });
        if matches!(self.experiment.load.pace, plan::Pace::Stages(_)) {
            let note =
                Some("stages run without a warm-up, as they are a story of their own".to_owned());
            return WarmUp { duration_s: 0.0, settled: true, note };
        }
        let note = if warmed.settled {
            None
        } else if auto {
            Some("throughput never settled within the bound of the warm-up".to_owned())
        } else {
            Some("throughput had not settled when the warm-up ended".to_owned())
        };
        WarmUp { duration_s: warmed.duration.as_secs_f64(), settled: warmed.settled, note }
    }
}

fn judge(trial: &Trial, cancelled: bool, died: Option<String>) -> (TrialStatus, Option<String>) {
    if cancelled {
        return (TrialStatus::Interrupted, Some("stopped by the user".to_owned()));
    }
    if let Some(died) = died {
        return (TrialStatus::Failed, Some(died));
    }
    if let Some(ledger) = trial.ledger.filter(|l| !l.balanced) {
        let reason = format!(
            "the ledger does not balance: {} rows acknowledged, {} in doubt, {} in the table",
            ledger.acknowledged_rows, ledger.in_doubt_rows, ledger.rows_in_table
        );
        return (TrialStatus::Failed, Some(reason));
    }
    if trial.succeeded == 0 {
        let causes: Vec<_> = trial.errors.iter().map(|(c, n)| format!("{c} × {n}")).collect();
        let reason = if causes.is_empty() {
            "no operation ended within the measured time; measure longer".to_owned()
        } else {
            format!("no operation succeeded: {}", causes.join(", "))
        };
        return (TrialStatus::Failed, Some(reason));
    }
    (TrialStatus::Ok, None)
}
