use std::sync::Arc;
use std::time::SystemTime;

use pinchpoint_diagnose::{Machine, verdict, weigh_probes};
use pinchpoint_measure::{
    Event, Factors, RunResult, RunStatus, RungPlan, Sink, Trial, TrialStatus, Variant,
    VariantStatus,
};
use pinchpoint_observe::CpuSampler;
use pinchpoint_script::Program;
use pinchpoint_stack::Cancel;
use serde_json::json;

use crate::blank::blank_plan;
use crate::desk::Desk;
use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::prove::{ScriptSubject, hold_ms, probes_s, prove};
use crate::run::Finished;
use crate::server::Server;
use crate::sql_job::{SqlConnection, SqlJob};
use crate::sql_log::OpenLog;
use crate::sql_ready::{bring_up, make_ready};
use crate::sql_trial::SqlTrial;
use crate::{clock, environment, summary};

const NAME: &str = "sql";

/// Loads a server with scripts. An error means that nothing was sent; later failures are in
/// [`Finished`].
pub fn run_sql(job: &SqlJob, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Finished, LabError> {
    job.check()?;
    let directory = match &job.directory {
        Some(path) => Some(ResultDirectory::create(Some(path), NAME)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    let log = OpenLog::open(job, 1, threads(job))?;
    let desk = Desk { directory, sink };
    let mut run = SqlRun { job, desk, cancel, result: blank(job)?, log };
    let mut steal = CpuSampler::new();
    steal.sample();
    let error = runtime.block_on(run.go()).err();
    run.result.environment.steal_share = steal.sample().map(|cpu| cpu.steal_share);
    run.finish(error)
}

struct SqlRun<'a> {
    job: &'a SqlJob,
    desk: Desk<'a>,
    cancel: &'a Cancel,
    result: RunResult,
    /// The first trial's log, until it begins.
    log: Option<OpenLog>,
}

/// A result with nothing measured yet.
fn blank(job: &SqlJob) -> Result<RunResult, LabError> {
    let title = match job.work.named()?.as_slice() {
        [only] => only.title.clone(),
        several => format!("{} scripts", several.len()),
    };
    let plan = blank_plan(&job.load, String::new());
    let mut result = crate::blank::blank(NAME, &format!("Load by {title}"), plan);
    result.environment = environment::of_machine(None);
    result.variants.push(Variant {
        name: NAME.to_owned(),
        title,
        factors: factors(job),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    });
    Ok(result)
}

pub(crate) fn factors(job: &SqlJob) -> Factors {
    let mut factors = Factors::from([
        ("concurrency".to_owned(), json!(job.clients)),
        ("batch".to_owned(), json!(1)),
        ("method".to_owned(), json!("script")),
        ("mode".to_owned(), json!(format!("{:?}", job.work.mode).to_lowercase())),
    ]);
    let (connection, pool) = match job.connection {
        SqlConnection::PerTransaction => ("per-operation", None),
        SqlConnection::Own => ("own", None),
        SqlConnection::Pool(size) => ("pool", Some(size)),
    };
    factors.insert("connection".to_owned(), json!(connection));
    if let Some(pool) = pool {
        factors.insert("pool".to_owned(), json!(pool));
    }
    factors
}

impl SqlRun<'_> {
    async fn go(&mut self) -> Result<(), LabError> {
        let load = &self.job.load;
        let directory = self.desk.shown();
        self.desk.tell(&Event::RunStarted {
            experiment: NAME.to_owned(),
            rungs: vec![RungPlan {
                name: NAME.to_owned(),
                title: self.result.variants[0].title.clone(),
            }],
            trials: load.trials,
            expected_s: f64::from(load.trials) * (load.duration.as_secs_f64() + 1.0)
                + if self.job.prove { probes_s(load.duration) } else { 0.0 },
            directory,
            cases: true,
        });
        let connections = u64::from(self.job.clients);
        let mut server = self.job.server.clone();
        if self.job.prove {
            // Limits nothing, and prepares what a probe changes.
            server.cpus = server.cpus.or(Some(f64::INFINITY));
        }
        let mut server = bring_up(&server, connections, &mut self.desk, self.cancel).await?;
        let loaded = match self.look_aside(&mut server).await {
            Ok(()) => self.load_on(&mut server).await,
            Err(error) => Err(error),
        };
        let log = server.close().await;
        if let (Ok(Some(log)), Some(directory)) = (log, &self.desk.directory) {
            directory.keep_log("postgres.log", &log);
        }
        loaded
    }

    /// Observes what was asked for beside the server, and says what of it lets nobody in.
    async fn look_aside(&mut self, server: &mut Server) -> Result<(), LabError> {
        let aside = self.job.observe.read(Some(&server.dsn().database))?;
        if let Some(text) = aside.try_out().await? {
            self.desk.tell(&Event::Warning { text: text.clone() });
            self.result.warnings.push(text);
        }
        server.look_aside(aside);
        Ok(())
    }

    async fn load_on(&mut self, server: &mut Server) -> Result<(), LabError> {
        self.result.environment = environment::describe(server).await?;
        for warning in environment::warnings(&self.result.environment) {
            self.desk.tell(&Event::Warning { text: warning.clone() });
            self.result.warnings.push(warning);
        }
        let scale = make_ready(self.job, server, &mut self.desk, self.cancel).await?;
        let program = self.job.work.program(scale, self.result.plan.seed)?;
        note_commit(&mut self.result);
        for number in 1..=self.job.load.trials {
            if self.cancel.is_cancelled() {
                return Err(LabError::Interrupted);
            }
            self.trial(server, number, scale, &program).await?;
        }
        if self.job.prove {
            self.prove(server, &program).await?;
        }
        Ok(())
    }

    /// Probes the load, where it has figures, and weighs the verdict against what came of it.
    async fn prove(&mut self, server: &mut Server, program: &Arc<Program>) -> Result<(), LabError> {
        let Some(hold_ms) = self.result.variants[0].summary.as_ref().map(hold_ms) else {
            return Ok(());
        };
        let mut subject = ScriptSubject {
            server,
            job: self.job,
            program,
            variant: NAME,
            seed: self.result.plan.seed,
            cancel: self.cancel,
            hold_ms: Some(hold_ms),
        };
        let desk = &mut self.desk;
        let probes = prove(&mut subject, self.cancel, &mut |event| desk.tell(event)).await?;
        if let Some(verdict) = &mut self.result.variants[0].verdict {
            weigh_probes(verdict, probes);
            let verdict = Box::new(verdict.clone());
            self.desk.tell(&Event::Verdict { variant: NAME.to_owned(), verdict });
        }
        self.desk.write(&self.result)
    }

    async fn trial(
        &mut self,
        server: &mut Server,
        number: u32,
        scale: u64,
        program: &Arc<Program>,
    ) -> Result<(), LabError> {
        let job = self.job;
        let variant = &self.result.variants[0];
        let factors = variant.factors.clone();
        self.desk.tell(&Event::TrialStarted {
            variant: NAME.to_owned(),
            trial: number,
            trials: job.load.trials,
            factors: factors.clone(),
        });
        let left = f64::from(job.load.trials - number);
        let log = match self.log.take() {
            Some(first) => Some(first),
            None => OpenLog::open(job, number, threads(job))?,
        };
        let run = SqlTrial {
            variant: NAME,
            number,
            factors,
            work: &job.work,
            program: program.clone(),
            scale,
            shows_statements: job.shows_statements,
            account: &job.account,
            transaction_log: log.as_ref().map(|log| log.log.clone()),
            clients: job.clients,
            connection: job.connection,
            transactions: job.transactions,
            load: &job.load,
            threads: threads(job),
            // The first trial draws what pgbench draws from the same seed.
            seed: self.result.plan.seed.wrapping_add(u64::from(number - 1) << 32),
            dsn: server.dsn().clone(),
            observed: server.observer_spec(self.result.plan.seed),
            log: self.desk.histogram_log(NAME, number)?,
            cancel: self.cancel,
            left_after_s: left * job.load.duration.as_secs_f64(),
        };
        let desk = &mut self.desk;
        let mut trial = run.run(&mut || server.obituary(), &mut |event| desk.tell(event)).await?;
        let unwritten = log.and_then(|log| self.keep_log(&mut trial, log));
        let interrupted = trial.status == TrialStatus::Interrupted;
        let died = server.obituary();
        let variant = &mut self.result.variants[0];
        variant.trials.push(trial.clone());
        summary::update(variant);
        self.desk.tell(&Event::TrialEnded { variant: NAME.to_owned(), trial: Box::new(trial) });
        self.conclude();
        self.desk.write(&self.result)?;
        match died {
            _ if interrupted => Err(LabError::Interrupted),
            // Nothing more can be measured; why is the trial's reason.
            Some(died) => Err(LabError::Unsuitable(died)),
            None => unwritten.map_or(Ok(()), Err),
        }
    }

    /// Ends a trial's log, and says why it is not whole if the disk did not take it.
    fn keep_log(&mut self, trial: &mut Trial, log: OpenLog) -> Option<LabError> {
        let (figures, error) = log.finish();
        if figures.lost > 0 {
            let text = format!(
                "the transaction log is without {} transactions: the disk did not keep up, and the \
                 load was not to wait for it",
                figures.lost
            );
            self.desk.tell(&Event::Warning { text: text.clone() });
            self.result.warnings.push(text);
        }
        if let Some(sql) = &mut trial.sql {
            sql.log = Some(figures);
        }
        error
    }

    /// What limited the load, as far as is known so far.
    fn conclude(&mut self) {
        let environment = &self.result.environment;
        let machine = Machine { cpus: environment.cpus, fsync_us: environment.fsync_us };
        let variant = &mut self.result.variants[0];
        variant.verdict = verdict(variant, &machine);
        if let Some(found) = variant.verdict.clone() {
            self.desk.tell(&Event::Verdict { variant: NAME.to_owned(), verdict: Box::new(found) });
        }
    }

    fn finish(mut self, error: Option<LabError>) -> Result<Finished, LabError> {
        if let Some(log) = self.log.take() {
            log.discard();
        }
        finish(&mut self.result, error.as_ref());
        self.desk.write(&self.result)?;
        self.desk.tell(&Event::RunEnded { status: self.result.status });
        let directory = self.desk.directory.map(|d| d.path().to_owned()).unwrap_or_default();
        Ok(Finished { directory, result: self.result, error })
    }
}

/// Says in the result how the run ended.
pub(crate) fn finish(result: &mut RunResult, error: Option<&LabError>) {
    result.status = match error {
        None => RunStatus::Complete,
        Some(LabError::Interrupted) => RunStatus::Interrupted,
        Some(LabError::Stack(e)) if e.is_cancelled() => RunStatus::Interrupted,
        Some(_) => RunStatus::Failed,
    };
    result.reason = error.map(ToString::to_string);
    result.finished_at = Some(clock::timestamp(SystemTime::now()));
}

/// The server's own choice, which no script of ours changes, as the ladder's rungs have it.
pub(crate) fn note_commit(result: &mut RunResult) {
    let settings = result.environment.software.first().map(|s| &s.settings);
    let commit = settings.and_then(|s| s.get("synchronous_commit")).cloned();
    for variant in &mut result.variants {
        if let Some(commit) = &commit {
            let commit = if commit == "off" { "off" } else { "on" };
            variant.factors.insert("synchronous_commit".to_owned(), json!(commit));
        }
    }
}

/// Load threads: one a core, but none without a client.
pub(crate) fn threads(job: &SqlJob) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = job.load.threads.map_or(cores, |n| n as usize);
    wanted.clamp(1, (job.clients as usize).max(1))
}
