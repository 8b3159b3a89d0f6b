use std::time::{Duration, Instant};

use pinchpoint_load::{Rest, Session};
use pinchpoint_measure::{Crash, Event, Ledger, Stage};

use crate::error::LabError;
use crate::measuring::Measured;
use crate::rung_load::age_ms;
use crate::trial::TrialRun;

/// What the end of a trial brought to light.
pub(crate) struct Aftermath {
    pub(crate) crash: Option<Crash>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) trouble: Option<String>,
}

impl TrialRun<'_> {
    /// The crash where the rung asks for one, the end of the load, and the count of the rows.
    pub(crate) async fn aftermath(
        &mut self,
        session: Session,
        rest: &Rest,
        measured: &Measured,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Aftermath, LabError> {
        tell(&Event::Progress {
            variant: self.variant.to_owned(),
            trial: self.number,
            stage: Stage::Settle,
            elapsed_s: 0.0,
            total_s: 0.0,
            tps: 0.0,
            p95_ms: None,
            errors: measured.totals.failed,
            run_left_s: self.left_after_s,
        });
        let died = measured.server_died.clone().or_else(|| self.server.obituary());
        let crash_now = self.rung.crash && died.is_none() && !measured.cancelled;
        let crashed_at = Instant::now();
        let crashed = if crash_now { self.server.crash() } else { None };
        let totals = session.totals();
        session.close().await;
        if measured.cancelled || self.cancel.is_cancelled() {
            return Ok(Aftermath { crash: None, ledger: None, trouble: None });
        }
        let mut recovery = Duration::ZERO;
        if let Some(crashed) = crashed {
            crashed?;
            recovery = self.server.restart(self.cancel).await?;
        } else if died.is_some() {
            self.server.restart(self.cancel).await?;
        } else {
            self.server.reconnect().await?;
        }
        let stored = self.server.count_rows(&self.experiment.table).await?;
        let batch = u64::from(self.rung.batch);
        let mut ledger = Ledger {
            acknowledged_rows: if self.rung.write { totals.rows } else { 0 },
            in_doubt_rows: if self.rung.write {
                totals.in_doubt_rows + rest.abandoned as u64 * batch
            } else {
                0
            },
            rows_in_table: stored,
            balanced: false,
        };
        let may_lose = (crash_now || died.is_some()) && !self.rung.synchronous_commit;
        ledger.balanced = balanced(&ledger, may_lose);
        let crash = crash_now.then(|| {
            let lost_rows = ledger.acknowledged_rows.saturating_sub(stored);
            let oldest = rest.oldest_of_last(lost_rows);
            Crash {
                lost_rows,
                oldest_lost_ms: oldest.map(|o| age_ms(o.at, crashed_at)),
                oldest_lost_is_lower_bound: oldest.is_some_and(|o| o.or_earlier),
                recovery_s: recovery.as_secs_f64(),
            }
        });
        Ok(Aftermath { crash, ledger: Some(ledger), trouble: died })
    }
}

/// Acknowledged ≤ stored ≤ acknowledged + in doubt; the lower bound only where nothing may be lost.
fn balanced(ledger: &Ledger, may_lose: bool) -> bool {
    let most = ledger.acknowledged_rows + ledger.in_doubt_rows;
    let least = if may_lose { 0 } else { ledger.acknowledged_rows };
    (least..=most).contains(&ledger.rows_in_table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(acknowledged_rows: u64, in_doubt_rows: u64, rows_in_table: u64) -> Ledger {
        Ledger { acknowledged_rows, in_doubt_rows, rows_in_table, balanced: false }
    }

    #[test]
    fn a_promise_is_kept_or_the_trial_fails() {
        assert!(balanced(&ledger(10, 0, 10), false));
        assert!(!balanced(&ledger(10, 0, 9), false), "an acknowledged row is gone");
        assert!(!balanced(&ledger(10, 0, 11), false), "a row that nobody acknowledged");
        assert!(balanced(&ledger(10, 5, 12), false), "in doubt: stored or not");
        assert!(!balanced(&ledger(10, 5, 16), false));
        assert!(balanced(&ledger(10, 0, 3), true), "an asynchronous commit may lose");
        assert!(!balanced(&ledger(10, 0, 11), true), "but never invents");
    }
}
