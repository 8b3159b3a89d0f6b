use std::sync::Arc;
use std::time::SystemTime;

use pinchpoint_diagnose::{Experience, weigh_probes};
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
use crate::sql_ready::{bring_up, make_alike, make_ready};
use crate::sql_sounding::EXPECTED_S;
use crate::sql_trial::SqlTrial;
use crate::{clock, environment, forecast, remembered, summary};

/// What results call a load of scripts.
pub(crate) const NAME: &str = "sql";

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
    let mut run = SqlRun::new(job, desk, cancel, log)?;
    let mut steal = CpuSampler::new();
    steal.sample();
    let error = runtime.block_on(run.go()).err();
    run.result.environment.steal_share = steal.sample().map(|cpu| cpu.steal_share);
    run.finish(error)
}

/// A run under way.
pub(crate) struct SqlRun<'a> {
    job: &'a SqlJob,
    /// The load as given, and with each lever that is tried after it; a variant of each.
    pub(crate) loads: Vec<SqlJob>,
    pub(crate) desk: Desk<'a>,
    pub(crate) cancel: &'a Cancel,
    pub(crate) result: RunResult,
    /// The first trial's log, until it begins.
    log: Option<OpenLog>,
    /// What the predictions of past runs teach.
    pub(crate) experience: Experience,
}

/// A result with nothing measured yet.
fn blank(job: &SqlJob, loads: &[SqlJob]) -> Result<RunResult, LabError> {
    let title = match job.work.named()?.as_slice() {
        [only] => only.title.clone(),
        several => format!("{} scripts", several.len()),
    };
    let plan = blank_plan(&job.load, String::new());
    let mut result = crate::blank::blank(NAME, &format!("Load by {title}"), plan);
    result.environment = environment::of_machine(None);
    let levers = job.next.iter().map(|lever| (lever.to_string(), format!("{title}, with {lever}")));
    let names = std::iter::once((NAME.to_owned(), title.clone())).chain(levers);
    result.variants.extend(names.zip(loads).map(|((name, title), load)| Variant {
        name,
        title,
        factors: factors(load),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    }));
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
    if let Some(on) = job.synchronous_commit {
        factors.insert("synchronous_commit".to_owned(), json!(if on { "on" } else { "off" }));
    }
    factors
}

impl<'a> SqlRun<'a> {
    fn new(
        job: &'a SqlJob,
        desk: Desk<'a>,
        cancel: &'a Cancel,
        log: Option<OpenLog>,
    ) -> Result<Self, LabError> {
        let changed = job.next.iter().map(|lever| job.with_lever(*lever));
        let loads: Vec<SqlJob> = std::iter::once(job.clone()).chain(changed).collect();
        let result = blank(job, &loads)?;
        let mut run =
            Self { job, loads, desk, cancel, result, log, experience: Experience::default() };
        // Only what is predicted learns.
        let ledger = job.ledger.as_ref().filter(|_| !job.next.is_empty());
        let (experience, unreadable) = remembered::experience_of_scripts(ledger);
        run.experience = experience;
        if let Some(text) = unreadable {
            run.warn(text);
        }
        Ok(run)
    }

    fn announce(&mut self) {
        let load = &self.job.load;
        let directory = self.desk.shown();
        let plan = |v: &Variant| RungPlan { name: v.name.clone(), title: v.title.clone() };
        let each_s = f64::from(load.trials) * (load.duration.as_secs_f64() + 1.0);
        let probes_s = if self.job.prove { probes_s(load.duration) } else { 0.0 };
        self.desk.tell(&Event::RunStarted {
            experiment: NAME.to_owned(),
            rungs: self.result.variants.iter().map(plan).collect(),
            trials: load.trials,
            expected_s: each_s * self.loads.len() as f64
                + probes_s
                + EXPECTED_S * self.job.next.len() as f64,
            directory,
            cases: true,
        });
    }

    fn warn(&mut self, text: String) {
        self.desk.warn(&mut self.result, text);
    }

    async fn go(&mut self) -> Result<(), LabError> {
        self.announce();
        let connections = self.loads.iter().map(SqlJob::connections).max().unwrap_or(1);
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
            self.warn(text);
        }
        server.look_aside(aside);
        Ok(())
    }

    async fn load_on(&mut self, server: &mut Server) -> Result<(), LabError> {
        self.result.environment = environment::describe(server).await?;
        for warning in environment::warnings(&self.result.environment) {
            self.warn(warning);
        }
        let scale = make_ready(self.job, server, &mut self.desk, self.cancel).await?;
        note_commit(&mut self.result);
        for at in 0..self.loads.len() {
            let program = self.loads[at].work.program(scale, self.result.plan.seed)?;
            if let Some(before) = at.checked_sub(1) {
                self.look_ahead(server, at, self.job.next[before], &program).await?;
                // The tables as the load before found them.
                make_alike(&self.loads[at], server, self.cancel).await?;
            }
            for number in 1..=self.job.load.trials {
                if self.cancel.is_cancelled() {
                    return Err(LabError::Interrupted);
                }
                self.trial(server, at, number, scale, &program).await?;
            }
            if at == 0 && self.job.prove {
                self.prove(server, &program).await?;
            }
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
        at: usize,
        number: u32,
        scale: u64,
        program: &Arc<Program>,
    ) -> Result<(), LabError> {
        let job = &self.loads[at];
        let variant = &self.result.variants[at];
        let (name, factors) = (variant.name.clone(), variant.factors.clone());
        self.desk.tell(&Event::TrialStarted {
            variant: name.clone(),
            trial: number,
            trials: job.load.trials,
            factors: factors.clone(),
        });
        let later = (self.loads.len() - 1 - at) as f64 * f64::from(job.load.trials);
        let left = f64::from(job.load.trials - number) + later;
        let log = match self.log.take() {
            Some(first) => Some(first),
            None => OpenLog::open(job, at as u32 * job.load.trials + number, threads(job))?,
        };
        let run = SqlTrial {
            variant: &name,
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
            // The first trial draws what pgbench draws from the same seed, whatever the lever.
            seed: self.result.plan.seed.wrapping_add(u64::from(number - 1) << 32),
            dsn: job.dsn(server),
            observed: server.observer_spec(self.result.plan.seed),
            log: self.desk.histogram_log(&name, number)?,
            cancel: self.cancel,
            left_after_s: left * job.load.duration.as_secs_f64(),
        };
        let desk = &mut self.desk;
        let mut trial = run.run(&mut || server.obituary(), &mut |event| desk.tell(event)).await?;
        let unwritten = log.and_then(|log| self.keep_log(&mut trial, log));
        let interrupted = trial.status == TrialStatus::Interrupted;
        let died = server.obituary();
        let variant = &mut self.result.variants[at];
        variant.trials.push(trial.clone());
        summary::update(variant);
        self.desk.tell(&Event::TrialEnded { variant: name, trial: Box::new(trial) });
        if let Some(event) = forecast::diagnose(&mut self.result, at) {
            self.desk.tell(&event);
        }
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
            self.warn(text);
        }
        if let Some(sql) = &mut trial.sql {
            sql.log = Some(figures);
        }
        error
    }

    fn finish(mut self, error: Option<LabError>) -> Result<Finished, LabError> {
        if let Some(log) = self.log.take() {
            log.discard();
        }
        self.desk.end(self.result, self.job.ledger.as_ref(), error)
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
            let known = variant.factors.entry("synchronous_commit".to_owned());
            known.or_insert_with(|| json!(commit));
        }
    }
}

/// Load threads: one a core, but none without a client.
pub(crate) fn threads(job: &SqlJob) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = job.load.threads.map_or(cores, |n| n as usize);
    wanted.clamp(1, (job.clients as usize).max(1))
}
