use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use pinchpoint_dataset::{Blog, BlogSize, Seeded};
use pinchpoint_diagnose::Experience;
use pinchpoint_measure::{
    Dataset, Event, Limit, RunResult, RunStatus, RungPlan, Sink, Software, Threshold, Trial,
    TrialStatus, VariantStatus, group_thousands,
};
use pinchpoint_observe::CpuSampler;
use pinchpoint_plan::{Case, Matrix, Via};
use pinchpoint_stack::{Cancel, Postgres};

use crate::directory::ResultDirectory;
use crate::environment;
use crate::error::LabError;
use crate::forecast::machine;
use crate::matrix::bench::Bench;
use crate::matrix::case::CaseRun;
use crate::matrix::readiness::{Prepared, Readiness, obstacle, prepare};
use crate::matrix::{MatrixOptions, facts, result};
use crate::run::Finished;
use crate::{clock, remembered, summary};

/// Runs a matrix: opens the result directory, brings up and fills the database, goes round the
/// cases once for each trial, removes everything. An error means that nothing was started; later
/// failures are in [`Finished`].
pub fn run_matrix(
    matrix: &Matrix,
    options: &MatrixOptions,
    sink: &mut dyn Sink,
    cancel: &Cancel,
) -> Result<Finished, LabError> {
    let directory = if options.resume {
        ResultDirectory::reopen(options.directory.as_deref())?
    } else {
        ResultDirectory::create(options.directory.as_deref(), &matrix.name)?
    };
    let cases = matrix.cases();
    let mut result = result::blank(matrix, &cases);
    if options.resume {
        take_over(&mut result, directory.read_result()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    let mut steal = CpuSampler::new();
    steal.sample();
    let (experience, unreadable) = remembered::experience(options.ledger.as_ref());
    let mut run = MatrixRun {
        matrix,
        options,
        cases,
        directory,
        sink,
        cancel,
        result,
        thresholds: matrix.thresholds.iter().filter_map(|t| t.parse().ok()).collect(),
        readiness: BTreeMap::new(),
        steal,
        spent: (0.0, 0),
        experience,
    };
    if let Some(text) = unreadable {
        run.warn(text);
    }
    let error = runtime.block_on(run.go()).err();
    run.finish(error)
}

/// Keeps what an interrupted run of the same matrix had finished.
fn take_over(result: &mut RunResult, earlier: RunResult) {
    result.started_at = earlier.started_at;
    result.plan.seed = earlier.plan.seed;
    for variant in &mut result.variants {
        if let Some(old) = earlier.variants.iter().find(|v| v.name == variant.name)
            && old.status != VariantStatus::Skipped
        {
            *variant = old.clone();
            variant.trials.retain(|t| t.status != TrialStatus::Interrupted);
            summary::update(variant);
        }
    }
}

/// A matrix under way.
pub(crate) struct MatrixRun<'a> {
    pub(crate) matrix: &'a Matrix,
    pub(super) options: &'a MatrixOptions,
    pub(crate) cases: Vec<Case>,
    pub(crate) directory: ResultDirectory,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) cancel: &'a Cancel,
    pub(crate) result: RunResult,
    thresholds: Vec<Threshold>,
    pub(crate) readiness: BTreeMap<usize, Readiness>,
    steal: CpuSampler,
    /// Seconds that trials took beyond their measured part, and how many trials.
    pub(crate) spent: (f64, u32),
    /// What the predictions of past runs teach.
    pub(super) experience: Experience,
}

impl MatrixRun<'_> {
    async fn go(&mut self) -> Result<(), LabError> {
        self.announce();
        self.directory.write_result(&self.result)?;
        self.prepare_apps()?;
        let what = Bench::describe(self.options);
        self.tell(&Event::StackStarting { what: what.clone() });
        let began = Instant::now();
        let mut bench = Bench::start(self.matrix, self.options, self.cancel).await?;
        self.tell(&Event::StackReady { what, ready_s: began.elapsed().as_secs_f64() });
        let outcome = self.on(&mut bench).await;
        if let Some(postgres) = &bench.postgres {
            self.directory.keep_log("postgres.log", &postgres.log_tail(400));
        }
        outcome
    }

    async fn on(&mut self, bench: &mut Bench) -> Result<(), LabError> {
        self.seed(bench).await?;
        bench.complete().await?;
        bench.warm_cache().await?;
        self.describe(bench).await?;
        for number in 1..=self.matrix.load.trials {
            for at in 0..self.cases.len() {
                self.trial(bench, at, number).await?;
            }
        }
        if self.options.until_limit {
            self.until_limit(bench).await?;
        }
        if self.options.prove {
            self.prove(bench).await?;
        }
        Ok(())
    }

    /// Files and packages of every application that has a case.
    fn prepare_apps(&mut self) -> Result<(), LabError> {
        let wanted: Vec<usize> = self.cases.iter().map(|c| c.app).collect();
        for (at, app) in self.matrix.apps.iter().enumerate() {
            if !wanted.contains(&at) {
                continue;
            }
            let (sink, directory) = (&mut *self.sink, &mut self.directory);
            let mut tell = |what: &str| {
                let event = Event::Preparing { what: what.to_owned() };
                directory.keep_event(&event);
                sink.event(&event);
            };
            let readiness = prepare(app, self.options, self.cancel, &mut tell)?;
            self.readiness.insert(at, readiness);
        }
        for (variant, case) in self.result.variants.iter_mut().zip(&self.cases) {
            let app = &self.matrix.apps[case.app];
            variant.factors = facts::factors(case, app, self.readiness.get(&case.app));
        }
        Ok(())
    }

    /// Fills the database.
    async fn seed(&mut self, bench: &mut Bench) -> Result<(), LabError> {
        let plan = &self.matrix.dataset;
        let size = BlogSize { users: plan.users, posts: plan.posts, comments: plan.comments };
        let blog = Blog { size, seed: plan.seed };
        let [users, posts, comments] = [plan.users, plan.posts, plan.comments].map(group_thousands);
        let what = format!("loading the blog: {users} users, {posts} posts, {comments} comments");
        self.tell(&Event::Preparing { what });
        let began = Instant::now();
        let cancel = self.cancel;
        let (sink, directory) = (&mut *self.sink, &mut self.directory);
        let seeded = pinchpoint_dataset::ensure(&mut bench.admin, &blog, &mut |progress| {
            let event = Event::Seeding {
                table: progress.table.to_owned(),
                rows_done: progress.rows_done,
                rows_total: progress.rows_total,
            };
            directory.keep_event(&event);
            sink.event(&event);
            !cancel.is_cancelled()
        })
        .await;
        let seeded = match seeded {
            Err(_) if self.cancel.is_cancelled() => return Err(LabError::Interrupted),
            other => other?,
        };
        self.result.environment.dataset = Some(Dataset {
            users: plan.users,
            posts: plan.posts,
            comments: plan.comments,
            seed: plan.seed,
            fingerprint: blog.fingerprint(),
            loaded_s: matches!(seeded, Seeded::Loaded { .. })
                .then(|| began.elapsed().as_secs_f64()),
        });
        let what = "the blog".to_owned();
        self.tell(&Event::StackReady { what, ready_s: began.elapsed().as_secs_f64() });
        Ok(())
    }

    async fn describe(&mut self, bench: &mut Bench) -> Result<(), LabError> {
        let dataset = self.result.environment.dataset.take();
        let data = bench.postgres.as_ref().map(Postgres::data_dir);
        let mut described = environment::of_machine(data.as_deref());
        described.dataset = dataset;
        described.software.push(bench.software().await?);
        if let Ok(pooler) = &self.options.pooler
            && self.cases.iter().any(|c| c.via == Via::PgBouncer)
        {
            described.software.push(Software {
                name: "PgBouncer".to_owned(),
                version: pooler.version.clone(),
                managed: true,
                transport: "tcp".to_owned(),
                settings: self.matrix.pgbouncer.settings.iter().cloned().collect(),
            });
        }
        described.limits = bench.postgres.as_ref().map(Postgres::limits).unwrap_or_default();
        self.result.environment = described;
        for warning in environment::warnings(&self.result.environment) {
            self.warn(warning);
        }
        self.directory.write_result(&self.result)
    }

    pub(crate) async fn trial(
        &mut self,
        bench: &mut Bench,
        at: usize,
        number: u32,
    ) -> Result<(), LabError> {
        if self.cancel.is_cancelled() {
            return Err(LabError::Interrupted);
        }
        if self.result.variants[at].trials.iter().any(|t| t.number == number) {
            return Ok(());
        }
        let case = self.cases[at].clone();
        let prepared = match self.readiness.get(&case.app) {
            Some(readiness) => match obstacle(&case, readiness, self.options) {
                Some(reason) => return self.skip(at, reason),
                None => match readiness {
                    Readiness::Ready(prepared) => prepared.clone(),
                    Readiness::Missing(_) => return Ok(()),
                },
            },
            None => Prepared::default(),
        };
        self.look_ahead(bench, at, &prepared).await?;
        self.tell(&Event::TrialStarted {
            variant: case.name.clone(),
            trial: number,
            trials: self.matrix.load.trials,
            factors: self.result.variants[at].factors.clone(),
        });
        bench.set_indexes(case.profile.indexes).await?;
        let began = Instant::now();
        let log = self.directory.histogram_log(&case.name, number)?;
        let seed = self.result.plan.seed.wrapping_add((u64::from(number) << 32) + at as u64);
        let run = CaseRun {
            bench,
            matrix: self.matrix,
            options: self.options,
            case: &case,
            prepared: &prepared,
            number,
            seed,
            thresholds: &self.thresholds,
            cancel: self.cancel,
            left_after_s: self.left_after_s(at, number),
        };
        let (sink, directory) = (&mut *self.sink, &mut self.directory);
        let ended = run
            .run(&log, &mut |event| {
                directory.keep_event(event);
                sink.event(event);
            })
            .await?;
        self.spent.0 += began.elapsed().as_secs_f64() - ended.trial.duration_s;
        self.spent.1 += 1;
        for (what, text) in &ended.logs {
            self.directory.keep_log(&format!("{}-{number}-{what}.log", case.name), text);
        }
        self.note_limits(ended.limits);
        for warning in ended.warnings {
            self.warn(warning);
        }
        self.keep(at, ended.trial)
    }

    fn skip(&mut self, at: usize, reason: String) -> Result<(), LabError> {
        let variant = &mut self.result.variants[at];
        if variant.status == VariantStatus::Skipped {
            return Ok(());
        }
        variant.status = VariantStatus::Skipped;
        variant.reason = Some(reason.clone());
        let variant = variant.name.clone();
        self.tell(&Event::VariantSkipped { variant, reason });
        self.directory.write_result(&self.result)
    }

    /// Limits of the cases' processes, each once.
    fn note_limits(&mut self, limits: Vec<Limit>) {
        for limit in limits {
            if self.result.environment.limits.iter().any(|known| known.name == limit.name) {
                continue;
            }
            if !limit.in_force {
                let text = format!("limit not set: {} {} ({})", limit.name, limit.asked, limit.how);
                self.warn(text);
            }
            self.result.environment.limits.push(limit);
        }
    }

    /// Takes a trial into the result, and writes it.
    fn keep(&mut self, at: usize, trial: Trial) -> Result<(), LabError> {
        let interrupted = trial.status == TrialStatus::Interrupted;
        let machine = machine(&self.result);
        let variant = &mut self.result.variants[at];
        variant.trials.push(trial.clone());
        summary::update(variant);
        let verdict = pinchpoint_diagnose::verdict(variant, &machine);
        if verdict.is_some() {
            variant.verdict.clone_from(&verdict);
        }
        let name = variant.name.clone();
        self.tell(&Event::TrialEnded { variant: name.clone(), trial: Box::new(trial) });
        if let Some(verdict) = verdict {
            self.tell(&Event::Verdict { variant: name, verdict: Box::new(verdict) });
        }
        self.directory.write_result(&self.result)?;
        if interrupted { Err(LabError::Interrupted) } else { Ok(()) }
    }

    fn announce(&mut self) {
        let event = Event::RunStarted {
            experiment: self.matrix.name.clone(),
            rungs: self
                .cases
                .iter()
                .map(|c| RungPlan { name: c.name.clone(), title: c.title.clone() })
                .collect(),
            trials: self.matrix.load.trials,
            expected_s: self.expected_s(),
            directory: self.directory.path().display().to_string(),
            cases: true,
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
    fn finish(mut self, error: Option<LabError>) -> Result<Finished, LabError> {
        self.result.status = match &error {
            None => RunStatus::Complete,
            Some(LabError::Interrupted) => RunStatus::Interrupted,
            Some(LabError::Stack(e)) if e.is_cancelled() => RunStatus::Interrupted,
            Some(_) => RunStatus::Failed,
        };
        self.result.reason = error.as_ref().map(ToString::to_string);
        self.result.finished_at = Some(clock::timestamp(SystemTime::now()));
        self.result.environment.steal_share = self.steal.sample().map(|cpu| cpu.steal_share);
        for event in remembered::judge(&mut self.result) {
            self.tell(&event);
        }
        let ledger = self.options.ledger.as_ref();
        if let Some(warning) = ledger.and_then(|l| remembered::remember(&self.result, l)) {
            self.warn(warning);
        }
        self.directory.write_result(&self.result)?;
        self.tell(&Event::RunEnded { status: self.result.status });
        Ok(Finished { directory: self.directory.path().to_owned(), result: self.result, error })
    }
}
