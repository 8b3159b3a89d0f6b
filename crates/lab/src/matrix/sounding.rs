//! A changed stack, tried for a moment by few users before it is run with all of them.

use std::sync::Arc;
use std::time::Duration;

use pinchpoint_diagnose::{ProcessDemand, StackSounding, cache_hits};
use pinchpoint_http::{HttpDriver, Kinds};
use pinchpoint_load::{Histograms, LoadSpec, Session, WarmUpPolicy, warm_up};

use crate::error::LabError;
use crate::http_spec;
use crate::matrix::case::CaseRun;
use crate::matrix::processes::Arranged;
use crate::matrix::readings::{Readings, growth};
use crate::rung_load::{cancelled, settle_grace};

/// Before the look: connections are opened, code is warm, a cache has something.
const WARM_UP: Duration = Duration::from_millis(500);
/// The look: long enough for CPU that the kernel counts in hundredths of a second.
const LENGTH: Duration = Duration::from_secs(1);
/// A stack that has answered less often by then is looked at again, up to three times as long.
const ENOUGH: u64 = 80;
const LOOKS: u32 = 3;
/// About what bringing up and taking down a stack takes.
const AROUND: Duration = Duration::from_millis(1_500);

/// Seconds that one such trial takes.
pub(super) const EXPECTED_S: f64 =
    WARM_UP.as_secs_f64() + LENGTH.as_secs_f64() + AROUND.as_secs_f64();

impl CaseRun<'_> {
    /// Tries the stack of this case by so many users. What stands in the way of that concerns the
    /// prediction only, and is the inner error; the outer one ends the run.
    pub(super) async fn sound(
        &mut self,
        users: u32,
    ) -> Result<Result<StackSounding, String>, LabError> {
        match self.try_to_sound(users).await {
            Ok(found) => Ok(Ok(found)),
            Err(LabError::Interrupted) => Err(LabError::Interrupted),
            Err(_) if self.cancel.is_cancelled() => Err(LabError::Interrupted),
            Err(error) => {
                Ok(Err(format!("its stack was tried with {users} users, in vain: {error}")))
            }
        }
    }

    async fn try_to_sound(&mut self, users: u32) -> Result<StackSounding, LabError> {
        self.bench.reset(self.cancel).await?;
        let (stack, pooled) = self.set_up(Arranged::default()).await?;
        let spec = http_spec::http_spec(&self.matrix.http, &stack.url, &self.bench.session_prefix)?;
        let driver =
            Arc::new(HttpDriver::new(&spec).map_err(|e| LabError::Unsuitable(e.to_string()))?);
        let load = LoadSpec {
            users: users as usize,
            threads: 1,
            schedule: None,
            seed: self.seed.wrapping_add(1),
            spawn_per_s: None,
            think: self.matrix.http.think,
            labels: Kinds::count(spec.requests.len()),
            operations_per_user: None,
            latency_limit: None,
            keep_acks: false,
        };
        let mut session = tokio::select! {
            session = Session::open(driver, &load) => session?,
            () = cancelled(self.cancel) => return Err(LabError::Interrupted),
        };
        session.start();
        warm_up(&session, WarmUpPolicy::Fixed(WARM_UP), |_| !self.cancel.is_cancelled()).await;
        let mut processes = self.processes(&stack);
        let before = Readings::take(self.app(), &stack, self.bench);
        session.rotate(&mut Histograms::new()).await?;
        processes.iter_mut().for_each(pinchpoint_observe::Watched::begin);
        let answered = session.totals().operations;
        for _ in 0..LOOKS {
            tokio::select! {
                () = tokio::time::sleep(LENGTH) => (),
                () = cancelled(self.cancel) => return Err(LabError::Interrupted),
            }
            if session.totals().operations - answered >= ENOUGH {
                break;
            }
        }
        processes.iter_mut().for_each(pinchpoint_observe::Watched::end);
        let harvest = session.rotate(&mut Histograms::new()).await?;
        let after = Readings::take(self.app(), &stack, self.bench);
        session.settle(settle_grace(self.cancel)).await?;
        session.close().await;
        drop(pooled);
        let operations = harvest.totals.operations;
        let each_ms = |time: Duration| time.as_secs_f64() * 1000.0 / operations.max(1) as f64;
        let demand = |process: &pinchpoint_observe::Watched| {
            let cpus = process.figures(operations).most_cpus();
            let cpu_ms = each_ms(process.cpu()?);
            Some(ProcessDemand { name: process.name().to_owned(), cpu_ms, cpus })
        };
        Ok(StackSounding {
            users,
            seconds: harvest.elapsed.as_secs_f64(),
            operations,
            load_ms: each_ms(harvest.cpu),
            processes: processes.iter().filter_map(demand).collect(),
            hits: cache_hits(&growth(&before.app, after.app), &growth(&before.redis, after.redis)),
        })
    }
}
