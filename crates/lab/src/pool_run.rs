use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use pinchpoint_diagnose::{Machine, PoolLevel, PoolRound, pool_advice, verdict};
use pinchpoint_measure::{
    Event, RunResult, RungPlan, Sink, Trial, TrialStatus, Variant, VariantStatus,
};
use pinchpoint_observe::CpuSampler;
use pinchpoint_plan::LoadPlan;
use pinchpoint_script::{Program, Random};
use pinchpoint_stack::Cancel;

use crate::blank::blank_plan;
use crate::desk::Desk;
use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::pool_job::{PoolJob, WARM_UP};
use crate::run::Finished;
use crate::server::Server;
use crate::sql_job::{SqlAccount, SqlConnection};
use crate::sql_ready::{bring_up, make_ready};
use crate::sql_run::{factors, finish, note_commit};
use crate::sql_trial::SqlTrial;
use crate::{environment, summary};

const NAME: &str = "pool";
/// Connections that are left to others on a server that is not ours, beside a tenth of all.
const LEFT_FREE: u64 = 3;
/// A size that gives less than this share of the best in the first round is not measured again.
const HOPELESS: f64 = 0.4;
/// Noise below which the search is over once its last rounds agree.
const CLEAR: f64 = 0.03;
/// Fewer rounds show no noise.
const FEWEST_ROUNDS: u32 = 3;

/// Searches for the size. An error means that nothing was sent; later failures are in [`Finished`].
pub fn run_pool(job: &PoolJob, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Finished, LabError> {
    job.check()?;
    let directory = match &job.directory {
        Some(path) => Some(ResultDirectory::create(Some(path), NAME)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    let load = job.load();
    let mut result = crate::blank::blank(
        NAME,
        &format!("The right size of a pool for {} clients", job.clients),
        blank_plan(&load, String::new()),
    );
    result.environment = environment::of_machine(None);
    let desk = Desk { directory, sink };
    let began = Instant::now();
    let mut run = PoolRun { job, load, desk, cancel, result, sizes: Vec::new(), began };
    let mut steal = CpuSampler::new();
    steal.sample();
    let error = runtime.block_on(run.go()).err();
    run.result.environment.steal_share = steal.sample().map(|cpu| cpu.steal_share);
    finish(&mut run.result, error.as_ref());
    run.desk.write(&run.result)?;
    run.desk.tell(&Event::RunEnded { status: run.result.status });
    let directory = run.desk.directory.map(|d| d.path().to_owned()).unwrap_or_default();
    Ok(Finished { directory, result: run.result, error })
}

struct PoolRun<'a> {
    job: &'a PoolJob,
    load: LoadPlan,
    desk: Desk<'a>,
    cancel: &'a Cancel,
    result: RunResult,
    sizes: Vec<u32>,
    began: Instant,
}

impl PoolRun<'_> {
    async fn go(&mut self) -> Result<(), LabError> {
        let job = self.job;
        // A private server is made for the largest pool; any other is asked what it has free.
        let wanted = u64::from(job.sizes.iter().copied().max().unwrap_or(job.clients));
        let wanted = wanted.min(job.largest.into());
        let at_first =
            if matches!(job.server.target, crate::Target::External { .. }) { 1 } else { wanted };
        let mut server = bring_up(&job.server, at_first, &mut self.desk, self.cancel).await?;
        let searched = self.search(&mut server).await;
        let log = server.close().await;
        if let (Ok(Some(log)), Some(directory)) = (log, &self.desk.directory) {
            directory.keep_log("postgres.log", &log);
        }
        searched
    }

    async fn search(&mut self, server: &mut Server) -> Result<(), LabError> {
        let room = server.free_connections().await?;
        let left = if server.is_managed() { 0 } else { LEFT_FREE + room / 10 };
        self.sizes = self.job.sizes(room.saturating_sub(left).saturating_sub(1))?;
        self.result.variants = self.sizes.iter().map(|size| self.variant(*size)).collect();
        self.announce();
        self.result.environment = environment::describe(server).await?;
        for warning in environment::warnings(&self.result.environment) {
            self.desk.tell(&Event::Warning { text: warning.clone() });
            self.result.warnings.push(warning);
        }
        let sql = self.job.as_sql(1);
        let scale = make_ready(&sql, server, &mut self.desk, self.cancel).await?;
        let program = self.job.work.program(scale, self.result.plan.seed)?;
        note_commit(&mut self.result);
        let mut order = Random::new(self.result.plan.seed);
        let mut answers = Vec::new();
        for round in 1..=self.job.rounds {
            if round > 1 && !self.has_time_for_another(round) {
                let text = format!("the time was over after {} rounds", round - 1);
                self.desk.tell(&Event::Warning { text: text.clone() });
                self.result.warnings.push(text);
                break;
            }
            for index in shuffled(&self.left(round), &mut order) {
                self.trial(server, index, round, scale, &program).await?;
            }
            self.conclude();
            self.desk.write(&self.result)?;
            answers.push(self.result.pool.as_ref().map(|advice| advice.size));
            let noise = self.result.pool.as_ref().map(|advice| advice.noise);
            if noise.is_some_and(|noise| is_clear(round, &answers, noise)) {
                break;
            }
        }
        Ok(())
    }

    fn variant(&self, size: u32) -> Variant {
        let factors = factors(&self.job.as_sql(size));
        Variant {
            name: size.to_string(),
            title: format!("a pool of {size}"),
            factors,
            status: VariantStatus::Pending,
            reason: None,
            trials: Vec::new(),
            summary: None,
            verdict: None,
            prediction: None,
            unpredicted: None,
        }
    }

    fn announce(&mut self) {
        let rungs = self.result.variants.iter();
        let rungs =
            rungs.map(|v| RungPlan { name: v.name.clone(), title: v.title.clone() }).collect();
        let points = self.sizes.len() as f64 * f64::from(self.job.rounds);
        let directory = self.desk.shown();
        self.desk.tell(&Event::RunStarted {
            experiment: NAME.to_owned(),
            rungs,
            trials: self.job.rounds,
            expected_s: (points * self.point_s()).min(self.job.at_most.as_secs_f64()),
            directory,
            cases: true,
        });
    }

    /// Seconds that one size takes in one round, opening and closing included.
    fn point_s(&self) -> f64 {
        (self.job.duration + WARM_UP).as_secs_f64() + 0.3
    }

    /// The variants of a round: all in the first, later those that may still be the answer.
    fn left(&self, round: u32) -> Vec<usize> {
        let rate = |v: &Variant| v.summary.as_ref().map_or(0.0, |s| s.throughput_per_s.median);
        let best = self.result.variants.iter().map(rate).fold(0.0, f64::max);
        let variants = self.result.variants.iter().enumerate();
        variants
            .filter(|(_, v)| round == 1 || rate(v) >= HOPELESS * best)
            .map(|(at, _)| at)
            .collect()
    }

    fn has_time_for_another(&self, round: u32) -> bool {
        let next = self.left(round).len() as f64 * self.point_s();
        self.began.elapsed().as_secs_f64() + next <= self.job.at_most.as_secs_f64()
    }

    async fn trial(
        &mut self,
        server: &mut Server,
        index: usize,
        round: u32,
        scale: u64,
        program: &Arc<Program>,
    ) -> Result<(), LabError> {
        if self.cancel.is_cancelled() {
            return Err(LabError::Interrupted);
        }
        let size = self.sizes[index];
        let variant = self.result.variants[index].name.clone();
        let factors = self.result.variants[index].factors.clone();
        self.desk.tell(&Event::TrialStarted {
            variant: variant.clone(),
            trial: round,
            trials: self.job.rounds,
            factors: factors.clone(),
        });
        let seed = self.result.plan.seed;
        let run = SqlTrial {
            variant: &variant,
            number: round,
            factors,
            work: &self.job.work,
            program: program.clone(),
            scale,
            shows_statements: false,
            account: &SqlAccount::default(),
            transaction_log: None,
            clients: self.job.clients,
            connection: SqlConnection::Pool(size),
            transactions: None,
            load: &self.load,
            threads: 1,
            seed: seed.wrapping_add(u64::from(round) << 32).wrapping_add(index as u64),
            dsn: server.dsn().clone(),
            observed: server.observer_spec(seed),
            log: self.desk.histogram_log(&variant, round)?,
            cancel: self.cancel,
            left_after_s: 0.0,
        };
        let desk = &mut self.desk;
        let trial = run.run(&mut || server.obituary(), &mut |event| desk.tell(event)).await?;
        self.keep(index, trial)?;
        match server.obituary() {
            Some(died) => Err(LabError::Unsuitable(died)),
            None => Ok(()),
        }
    }

    fn keep(&mut self, index: usize, trial: Trial) -> Result<(), LabError> {
        let interrupted = trial.status == TrialStatus::Interrupted;
        let environment = &self.result.environment;
        let machine = Machine { cpus: environment.cpus, fsync_us: environment.fsync_us };
        let variant = &mut self.result.variants[index];
        variant.trials.push(trial.clone());
        summary::update(variant);
        variant.verdict = verdict(variant, &machine);
        let name = variant.name.clone();
        self.desk.tell(&Event::TrialEnded { variant: name, trial: Box::new(trial) });
        if interrupted {
            self.conclude();
            return Err(LabError::Interrupted);
        }
        Ok(())
    }

    /// The advice, as far as the figures go.
    fn conclude(&mut self) {
        let sizes: BTreeMap<_, _> = self.sizes.iter().zip(&self.result.variants).collect();
        let levels: Vec<PoolLevel> = sizes
            .into_iter()
            .map(|(size, variant)| {
                let good = variant.trials.iter().filter(|t| t.status == TrialStatus::Ok);
                PoolLevel {
                    size: u64::from(*size),
                    rounds: good
                        .map(|t| PoolRound {
                            round: t.number,
                            per_s: t.throughput_per_s,
                            p95_ms: t.latency_ms.p95,
                        })
                        .collect(),
                }
            })
            .collect();
        self.result.pool = pool_advice(&levels, self.job.clients.into());
    }
}

/// The same in random order, so that what drifts hits all sizes alike (Fisher and Yates).
fn shuffled(indices: &[usize], random: &mut Random) -> Vec<usize> {
    let mut order = indices.to_vec();
    for last in (1..order.len()).rev() {
        let other = random.bits() % (last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap_or(0));
    }
    order
}

/// Enough rounds, of which the last two have left the answer as it was, and what they differ by is
/// small.
fn is_clear(round: u32, answers: &[Option<u64>], noise: f64) -> bool {
    let last: BTreeSet<_> = answers.iter().rev().take(2).collect();
    round >= FEWEST_ROUNDS && last.len() == 1 && noise < CLEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_ends_when_the_answer_stays_and_noise_is_small() {
        let quiet = CLEAR / 2.0;
        let (four, eight) = (Some(4), Some(8));
        assert!(is_clear(FEWEST_ROUNDS, &[eight, four, four], quiet));
        assert!(!is_clear(FEWEST_ROUNDS - 1, &[four, four], quiet), "too early");
        assert!(!is_clear(FEWEST_ROUNDS, &[four, four, eight], quiet), "it changed");
        assert!(!is_clear(FEWEST_ROUNDS, &[four, four, four], CLEAR), "too noisy");
    }

    #[test]
    fn a_shuffled_order_holds_each_once() {
        let mut random = Random::new(7);
        for n in 0..20 {
            let indices: Vec<usize> = (0..n).collect();
            let mut order = shuffled(&indices, &mut random);
            order.sort_unstable();
            assert_eq!(order, indices);
        }
    }
}
