//! A changed load of scripts, tried for a moment by few clients before it is run with all of them.

use std::sync::Arc;
use std::time::Duration;

use pinchpoint_diagnose::ScriptSounding;
use pinchpoint_load::{Histograms, Session, WarmUpPolicy, warm_up};
use pinchpoint_observe::{Observer, ObserverSpec};
use pinchpoint_script::Program;
use pinchpoint_sql::Dsn;
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::rung_load::{cancelled, settle_grace};
use crate::sql_flat_out::flat_out;
use crate::sql_job::{SqlConnection, SqlJob};

/// Before the look: statements are prepared and pages read.
const WARM_UP: Duration = Duration::from_millis(300);
/// The look: long enough for CPU that the kernel counts in hundredths of a second.
const LENGTH: Duration = Duration::from_secs(1);
/// A load that has answered less often by then is looked at again, up to three times as long.
const ENOUGH: u64 = 80;
const LOOKS: u32 = 3;

/// Seconds that one such trial takes.
pub(crate) const EXPECTED_S: f64 = WARM_UP.as_secs_f64() + LENGTH.as_secs_f64() + 0.3;

/// A changed load, and where it is tried.
pub(crate) struct Trying<'a> {
    pub(crate) job: &'a SqlJob,
    pub(crate) program: &'a Arc<Program>,
    pub(crate) dsn: Dsn,
    pub(crate) observed: ObserverSpec,
    pub(crate) seed: u64,
    pub(crate) cancel: &'a Cancel,
}

impl Trying<'_> {
    /// Tries it with so many clients. What stands in the way of that concerns the prediction only,
    /// and is the inner error; the outer one ends the run.
    pub(crate) async fn sound(
        self,
        clients: u32,
    ) -> Result<Result<ScriptSounding, String>, LabError> {
        let cancel = self.cancel;
        match self.look(clients).await {
            Ok(found) => Ok(Ok(found)),
            Err(LabError::Interrupted) => Err(LabError::Interrupted),
            Err(_) if cancel.is_cancelled() => Err(LabError::Interrupted),
            Err(error) => Ok(Err(format!("it was tried {clients} at a time, in vain: {error}"))),
        }
    }

    async fn look(self, clients: u32) -> Result<ScriptSounding, LabError> {
        let job = SqlJob {
            clients,
            connection: match self.job.connection {
                SqlConnection::Pool(size) => SqlConnection::Pool(size.min(clients)),
                other => other,
            },
            ..self.job.clone()
        };
        let (driver, load) = flat_out(&job, self.program, self.dsn, self.seed)?;
        let observer = Observer::open(self.observed).await;
        let cancel = self.cancel;
        let mut session = tokio::select! {
            session = Session::open(Arc::new(driver), &load) => session?,
            () = cancelled(cancel) => return Err(LabError::Interrupted),
        };
        session.start();
        warm_up(&session, WarmUpPolicy::Fixed(WARM_UP), |_| !cancel.is_cancelled()).await;
        let labels = self.program.scripts.len();
        session.rotate(&mut Histograms::with_labels(labels)).await?;
        let answered = session.totals().operations;
        let looking = async {
            for _ in 0..LOOKS {
                tokio::select! {
                    () = tokio::time::sleep(LENGTH) => (),
                    () = cancelled(cancel) => return Err(LabError::Interrupted),
                }
                if session.totals().operations - answered >= ENOUGH {
                    break;
                }
            }
            Ok(session.rotate(&mut Histograms::with_labels(labels)).await?)
        };
        let (harvest, observed) = observer.during(looking).await;
        session.settle(settle_grace(cancel)).await?;
        session.close().await;
        let harvest = harvest?;
        let transactions = harvest.totals.operations;
        Ok(ScriptSounding {
            clients,
            seconds: harvest.elapsed.as_secs_f64(),
            transactions,
            load_ms: harvest.cpu.as_secs_f64() * 1000.0 / transactions.max(1) as f64,
            observation: observed.observation,
        })
    }
}
