use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use pinchpoint_diagnose::{Experience, weigh_probes};
use pinchpoint_measure::{
    Event, Probe, RunResult, RunStatus, RungPlan, Sink, Sweep, Trial, TrialStatus, VariantStatus,
};
use pinchpoint_observe::CpuSampler;
use pinchpoint_plan::{Batch, Experiment, Like};
use pinchpoint_stack::{Cancel, Postgres, PostgresOptions};

use crate::blank::{blank_result, fresh_seed};
use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::ledger::Ledger;
use crate::options::{Options, Target};
use crate::overhead::Overhead;
use crate::prove::{RungSubject, hold_ms, prove};
use crate::resolve::{Settled, settle, sweep_owner};
use crate::server::Server;
use crate::trial::TrialRun;
use crate::{clock, environment, forecast, remembered, summary, sweep};

/// A run that has ended, well or not; its result is on disk.
#[derive(Debug)]
pub struct Finished {
    /// What `result.json` holds.
    pub result: RunResult,
    /// Where it is.
    pub directory: PathBuf,
    /// Why the run did not complete.
    pub error: Option<LabError>,
}

/// Runs an experiment: opens the result directory, brings up the server, climbs the rungs, removes
/// the server. An error means that nothing was started; later failures are in [`Finished`].
pub fn run(
    experiment: &Experiment,
    options: &Options,
    sink: &mut dyn Sink,
    cancel: &Cancel,
) -> Result<Finished, LabError> {
    let directory = ResultDirectory::create(options.directory.as_deref(), &experiment.name)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    let mut run = Run::new(experiment, directory, sink, cancel);
    let (experience, unreadable) = remembered::experience(options.ledger.as_ref());
    run.experience = experience;
    if let Some(text) = unreadable {
        run.warn(text);
    }
    let error = runtime.block_on(run.climb(options)).err();
    run.finish(error, options.ledger.as_ref())
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) directory: ResultDirectory,
    sink: &'a mut dyn Sink,
    pub(crate) cancel: &'a Cancel,
    pub(crate) result: RunResult,
    pub(crate) swept: BTreeMap<String, u32>,
    pub(crate) settled: BTreeMap<usize, Settled>,
    steal: CpuSampler,
    /// Probes by the rung's number, to be weighed once the verdicts are final.
    probes: BTreeMap<usize, Vec<Probe>>,
    /// What trials took on average beyond their measured part, to say how long the rest will take.
    pub(crate) overhead: Overhead,
    /// What the predictions of past runs teach.
    pub(crate) experience: Experience,
}

impl<'a> Run<'a> {
    fn new(
        experiment: &'a Experiment,
        directory: ResultDirectory,
        sink: &'a mut dyn Sink,
        cancel: &'a Cancel,
    ) -> Self {
        let mut steal = CpuSampler::new();
        steal.sample();
        Self {
            experiment,
            directory,
            sink,
            cancel,
            result: blank_result(experiment),
            swept: BTreeMap::new(),
            settled: BTreeMap::new(),
            steal,
            probes: BTreeMap::new(),
            overhead: Overhead::new(),
            experience: Experience::default(),
        }
    }

    async fn climb(&mut self, options: &Options) -> Result<(), LabError> {
        self.announce(options.prove);
        self.directory.write_result(&self.result)?;
        let mut server = self.bring_up(options).await?;
        let mut climbed = self.climb_on(&mut server).await;
        if climbed.is_ok() && options.prove {
            climbed = self.prove(&mut server).await;
        }
        match server.close().await {
            Ok(Some(log)) => self.directory.keep_log("postgres.log", &log),
            Ok(None) => (),
            Err(left) => self.warn(left),
        }
        climbed
    }

    async fn climb_on(&mut self, server: &mut Server) -> Result<(), LabError> {
        server.make_table(&self.experiment.table).await?;
        if !server.is_managed() && self.experiment.rungs.iter().any(|r| r.crash) {
            let text = "a server that is not ours is not crashed: what asynchronous commit loses \
                        is not measured in this run";
            self.warn(text.to_owned());
        }
        self.result.environment = environment::describe(server).await?;
        for warning in environment::warnings(&self.result.environment) {
            self.warn(warning);
        }
        self.sweep(server).await?;
        for number in 1..=self.experiment.load.trials {
            for rung in 0..self.experiment.rungs.len() {
                self.trial(server, rung, number).await?;
            }
        }
        Ok(())
    }

    async fn bring_up(&mut self, options: &Options) -> Result<Server, LabError> {
        let began = Instant::now();
        let (what, server) = match &options.target {
            Target::Managed { installation, helper } => {
                let what = format!("PostgreSQL {}", installation.version);
                self.tell(&Event::StackStarting { what: what.clone() });
                let plan = &self.experiment.postgres;
                let postgres = Postgres::start(
                    helper,
                    &PostgresOptions {
                        installation: installation.clone(),
                        settings: plan.settings.clone(),
                        environment: Vec::new(),
                        cpus: plan.cpus.or(options.prove.then_some(f64::INFINITY)),
                        memory_bytes: plan.memory_bytes,
                        port: plan.port,
                        base_dir: None,
                    },
                    self.cancel,
                )?;
                (what, Server::managed(postgres, plan.transport).await?)
            }
            Target::External { dsn } => {
                let what = "external PostgreSQL".to_owned();
                self.tell(&Event::StackStarting { what: what.clone() });
                (what, Server::external(dsn, self.experiment, fresh_seed()).await?)
            }
        };
        self.tell(&Event::StackReady { what, ready_s: began.elapsed().as_secs_f64() });
        Ok(server)
    }

    /// Sweeps batch sizes, so that methods are ranked at their best.
    async fn sweep(&mut self, server: &mut Server) -> Result<(), LabError> {
        let experiment = self.experiment;
        for rung in &experiment.rungs {
            let Batch::Sweep(sizes) = &rung.batch else { continue };
            let owner = sweep_owner(rung).to_owned();
            let owned_elsewhere =
                owner != rung.name && experiment.rungs.iter().any(|r| r.name == owner);
            if rung.like == Some(Like::Best) || owned_elsewhere {
                continue;
            }
            let mut seen = Vec::with_capacity(sizes.len() * 2);
            // There and back, so that what drifts meanwhile favours no size.
            for size in sizes.iter().chain(sizes.iter().rev()) {
                let swept = BTreeMap::from([(rung.name.clone(), *size)]);
                let Ok(at_size) = settle(rung, experiment, &swept, &self.result) else { continue };
                let at_size = Settled { crash: false, ..at_size };
                let length = sweep::length(experiment);
                let seed = self.result.plan.seed;
                let point =
                    sweep::measure(server, experiment, &at_size, seed, length, self.cancel).await?;
                if let Some(point) = point {
                    self.tell(&Event::SweepPoint { variant: rung.name.clone(), point });
                    seen.push(point);
                }
            }
            let points = sweep::combine(&seen);
            let Some(batch) = sweep::choose(&points) else { continue };
            self.swept.insert(rung.name.clone(), u32::try_from(batch).unwrap_or(u32::MAX));
            self.tell(&Event::SweepEnded { variant: rung.name.clone(), batch });
            let variant = rung.name.clone();
            self.result.sweeps.push(Sweep { variant, points, chosen_batch: batch });
            self.directory.write_result(&self.result)?;
        }
        Ok(())
    }

    async fn trial(
        &mut self,
        server: &mut Server,
        index: usize,
        number: u32,
    ) -> Result<(), LabError> {
        if self.cancel.is_cancelled() {
            return Err(LabError::Interrupted);
        }
        let Some(settled) = self.settled(index) else { return Ok(()) };
        let variant = self.experiment.rungs[index].name.clone();
        self.tell(&Event::TrialStarted {
            variant: variant.clone(),
            trial: number,
            trials: self.experiment.load.trials,
            factors: settled.factors(),
        });
        let began = Instant::now();
        let log = self.directory.histogram_log(&variant, number)?;
        let run = TrialRun {
            server,
            experiment: self.experiment,
            variant: &variant,
            rung: &settled,
            number,
            seed: self
                .result
                .plan
                .seed
                .wrapping_add(u64::from(number) << 32)
                .wrapping_add(index as u64),
            log,
            cancel: self.cancel,
            left_after_s: self.left_after_s(index, number),
        };
        let (sink, directory) = (&mut *self.sink, &mut self.directory);
        let trial = run
            .run(&mut |event| {
                directory.keep_event(event);
                sink.event(event);
            })
            .await?;
        self.overhead.saw(began.elapsed(), trial.duration_s);
        self.keep(index, trial)?;
        self.look_ahead(server, index).await
    }

    /// Takes a trial into the result, and writes it.
    fn keep(&mut self, index: usize, trial: Trial) -> Result<(), LabError> {
        let interrupted = trial.status == TrialStatus::Interrupted;
        let variant = &mut self.result.variants[index];
        variant.trials.push(trial.clone());
        summary::update(variant);
        let name = variant.name.clone();
        self.tell(&Event::TrialEnded { variant: name, trial: Box::new(trial) });
        if let Some(event) = forecast::diagnose(&mut self.result, index) {
            self.tell(&event);
        }
        self.directory.write_result(&self.result)?;
        if interrupted { Err(LabError::Interrupted) } else { Ok(()) }
    }

    /// Probes every rung that has figures.
    async fn prove(&mut self, server: &mut Server) -> Result<(), LabError> {
        for index in 0..self.experiment.rungs.len() {
            let Some(hold_ms) = self.result.variants[index].summary.as_ref().map(hold_ms) else {
                continue;
            };
            let Some(settled) = self.settled(index) else { continue };
            let mut subject = RungSubject {
                server,
                experiment: self.experiment,
                variant: &self.experiment.rungs[index].name,
                rung: &settled,
                seed: self.result.plan.seed.wrapping_add(index as u64),
                cancel: self.cancel,
                hold_ms: Some(hold_ms),
            };
            let (sink, directory) = (&mut *self.sink, &mut self.directory);
            let mut tell = |event: &Event| {
                directory.keep_event(event);
                sink.event(event);
            };
            let probes = prove(&mut subject, self.cancel, &mut tell).await?;
            self.probes.insert(index, probes);
        }
        Ok(())
    }

    /// Weighs the verdicts against the probes.
    fn weigh(&mut self) {
        for (index, probes) in std::mem::take(&mut self.probes) {
            let variant = &mut self.result.variants[index];
            let Some(verdict) = &mut variant.verdict else { continue };
            weigh_probes(verdict, probes);
            let event = Event::Verdict {
                variant: variant.name.clone(),
                verdict: Box::new(verdict.clone()),
            };
            self.tell(&event);
        }
    }

    /// What a rung runs with; settled in its first trial and kept, so that trials are alike.
    fn settled(&mut self, index: usize) -> Option<Settled> {
        if let Some(settled) = self.settled.get(&index) {
            return Some(settled.clone());
        }
        let rung = &self.experiment.rungs[index];
        match settle(rung, self.experiment, &self.swept, &self.result) {
            Ok(settled) => {
                self.result.variants[index].factors = settled.factors();
                self.settled.insert(index, settled.clone());
                Some(settled)
            }
            Err(reason) => {
                let variant = &mut self.result.variants[index];
                if variant.status != VariantStatus::Skipped {
                    variant.status = VariantStatus::Skipped;
                    variant.reason = Some(reason.clone());
                    let variant = rung.name.clone();
                    self.tell(&Event::VariantSkipped { variant, reason });
                }
                None
            }
        }
    }

    fn announce(&mut self, prove: bool) {
        let load = &self.experiment.load;
        let event = Event::RunStarted {
            experiment: self.experiment.name.clone(),
            rungs: self
                .experiment
                .rungs
                .iter()
                .map(|r| RungPlan { name: r.name.clone(), title: r.title.clone() })
                .collect(),
            trials: load.trials,
            expected_s: self.expected_s(prove),
            directory: self.directory.path().display().to_string(),
            cases: false,
        };
        self.tell(&event);
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        self.directory.keep_event(event);
        self.sink.event(event);
    }

    fn warn(&mut self, text: String) {
        self.tell(&Event::Warning { text: text.clone() });
        self.result.warnings.push(text);
    }

    /// Writes the last word.
    fn finish(
        mut self,
        error: Option<LabError>,
        ledger: Option<&Ledger>,
    ) -> Result<Finished, LabError> {
        self.result.status = match &error {
            None => RunStatus::Complete,
            Some(LabError::Interrupted) => RunStatus::Interrupted,
            Some(LabError::Stack(e)) if e.is_cancelled() => RunStatus::Interrupted,
            Some(_) => RunStatus::Failed,
        };
        self.result.reason = error.as_ref().map(ToString::to_string);
        self.result.finished_at = Some(clock::timestamp(SystemTime::now()));
        self.result.environment.steal_share = self.steal.sample().map(|cpu| cpu.steal_share);
        forecast::after_run(&mut self.result);
        for event in remembered::judge(&mut self.result) {
            self.tell(&event);
        }
        self.weigh();
        if let Some(warning) = ledger.and_then(|l| remembered::remember(&self.result, l)) {
            self.warn(warning);
        }
        self.directory.write_result(&self.result)?;
        self.tell(&Event::RunEnded { status: self.result.status });
        Ok(Finished { directory: self.directory.path().to_owned(), result: self.result, error })
    }
}
