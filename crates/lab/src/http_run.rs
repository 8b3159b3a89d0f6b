use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pinchpoint_http::{HttpDriver, Kinds};
use pinchpoint_load::{LoadSpec, Session, WarmedUp, warm_up};
use pinchpoint_measure::{
    Event, Factors, RunResult, RunStatus, RungPlan, Sink, Stage, Threshold, TrialStatus, Variant,
    VariantStatus,
};
use pinchpoint_observe::{CpuSampler, Observer, ObserverSpec, Sessions};
use pinchpoint_plan::{HttpPlan, LoadPlan, Pace};
use pinchpoint_stack::Cancel;
use serde_json::json;

use crate::blank::blank_plan;
use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::forecast::machine;
use crate::http_trial::{HttpTrial, Seen};
use crate::measuring::{Measured, Measuring, Sight};
use crate::observe_job::{Aside, Observe};
use crate::run::Finished;
use crate::rung_load::{cancelled, schedule_of, settle_grace, warm_up_of};
use crate::{clock, environment, http_spec, observing, summary};

/// Load on one server that somebody else runs.
#[derive(Debug, Clone)]
pub struct HttpJob {
    /// Where it is; the requests have their own paths.
    pub url: String,
    /// What is asked of it.
    pub http: HttpPlan,
    /// How long, how often, how fast.
    pub load: LoadPlan,
    /// Virtual users.
    pub users: u32,
    /// Limits that the figures must keep.
    pub thresholds: Vec<Threshold>,
    /// The database behind it and a pooler's console, to be observed while it is under load.
    pub observe: Observe,
    /// The result directory; a result is kept in memory alone when absent.
    pub directory: Option<PathBuf>,
}

const NAME: &str = "http";

/// Loads a server. An error means that nothing was sent; later failures are in [`Finished`].
pub fn run_http(job: &HttpJob, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Finished, LabError> {
    let spec = http_spec::http_spec(&job.http, &job.url, "")?;
    let driver = Arc::new(HttpDriver::new(&spec).map_err(|e| LabError::Unsuitable(e.to_string()))?);
    let observed = job.observe.read(None)?;
    let directory = match &job.directory {
        Some(path) => Some(ResultDirectory::create(Some(path), NAME)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    let mut run = HttpRun { job, driver, observed, directory, sink, cancel, result: blank(job) };
    let mut steal = CpuSampler::new();
    steal.sample();
    let error = runtime.block_on(run.go()).err();
    run.result.environment.steal_share = steal.sample().map(|cpu| cpu.steal_share);
    run.finish(error)
}

/// What is observed of the database behind a server that somebody else runs.
fn observer_spec(observed: Aside, seed: u64) -> ObserverSpec {
    ObserverSpec {
        dsn: observed.dsn,
        pooler: observed.pooler,
        sessions: Sessions::Others,
        processes: Vec::new(),
        data_directory: None,
        statements: true,
        seed,
    }
}

struct HttpRun<'a> {
    job: &'a HttpJob,
    driver: Arc<HttpDriver>,
    observed: Aside,
    directory: Option<ResultDirectory>,
    sink: &'a mut dyn Sink,
    cancel: &'a Cancel,
    result: RunResult,
}

/// A result with nothing measured yet.
fn blank(job: &HttpJob) -> RunResult {
    let factors = Factors::from([
        ("url".to_owned(), json!(job.url)),
        ("users".to_owned(), json!(job.users)),
        ("keep_alive".to_owned(), json!(job.http.keep_alive)),
    ]);
    let plan = blank_plan(&job.load, String::new());
    let mut result = crate::blank::blank(NAME, &format!("Load on {}", job.url), plan);
    result.environment = environment::of_machine(None);
    result.variants.push(Variant {
        name: NAME.to_owned(),
        title: job.url.clone(),
        factors,
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    });
    result
}

impl HttpRun<'_> {
    async fn go(&mut self) -> Result<(), LabError> {
        // What was asked for and cannot be is said before anything is sent.
        let unseen = self.observed.try_out().await?;
        let load = &self.job.load;
        let each = load.duration.as_secs_f64();
        let directory = self.directory.as_ref().map(|d| d.path().display().to_string());
        self.tell(&Event::RunStarted {
            experiment: NAME.to_owned(),
            rungs: vec![RungPlan { name: NAME.to_owned(), title: self.job.url.clone() }],
            trials: load.trials,
            expected_s: f64::from(load.trials) * (each + 1.0),
            directory: directory.unwrap_or_else(|| "memory (give --out to keep it)".to_owned()),
            cases: true,
        });
        if let Some(text) = unseen {
            self.tell(&Event::Warning { text: text.clone() });
            self.result.warnings.push(text);
        }
        for number in 1..=load.trials {
            if self.cancel.is_cancelled() {
                return Err(LabError::Interrupted);
            }
            self.trial(number).await?;
        }
        Ok(())
    }

    async fn trial(&mut self, number: u32) -> Result<(), LabError> {
        let job = self.job;
        let factors = self.result.variants[0].factors.clone();
        self.tell(&Event::TrialStarted {
            variant: NAME.to_owned(),
            trial: number,
            trials: job.load.trials,
            factors: factors.clone(),
        });
        let load = self.spec(number);
        let observed = self.observed.clone();
        let observer = if observed.dsn.is_some() || observed.pooler.is_some() {
            Some(Observer::open(observer_spec(observed, load.seed)).await)
        } else {
            None
        };
        let at_first = self.driver.tally();
        let mut session = tokio::select! {
            session = Session::open(self.driver.clone(), &load) => session?,
            () = cancelled(self.cancel) => return Err(LabError::Interrupted),
        };
        session.start();
        let warmed = self.warm_up(&session, number).await;
        let before = self.driver.tally();
        let (measured, observed) = match observer {
            Some(observer) => {
                let (measured, observed) =
                    observer.during(self.measure(&mut session, number)).await;
                (measured?, Some(observed))
            }
            None => (self.measure(&mut session, number).await?, None),
        };
        let tally = self.driver.tally().since(&before);
        let observation = observed.map(|observed| observing::complete(observed, &measured));
        let rest = session.settle(settle_grace(self.cancel).min(job.http.timeout)).await?;
        let whole = self.driver.tally().since(&at_first);
        session.close().await;
        let threads = load.threads;
        let trial = HttpTrial {
            http: &job.http,
            load: &job.load,
            users: job.users,
            number,
            factors,
            thresholds: &job.thresholds,
        }
        .judge(Seen {
            warmed,
            measured,
            rest,
            tally,
            whole,
            stack: None,
            observation,
            threads,
        });
        let interrupted = trial.status == TrialStatus::Interrupted;
        let machine = machine(&self.result);
        let variant = &mut self.result.variants[0];
        variant.trials.push(trial.clone());
        summary::update(variant);
        // Under stages no rate lasts, and no verdict is that of all of them.
        if !matches!(self.job.load.pace, Pace::Stages(_)) {
            variant.verdict = pinchpoint_diagnose::verdict(variant, &machine);
        }
        self.tell(&Event::TrialEnded { variant: NAME.to_owned(), trial: Box::new(trial) });
        if interrupted { Err(LabError::Interrupted) } else { Ok(()) }
    }

    fn spec(&self, number: u32) -> LoadSpec {
        let job = self.job;
        let seed = self.result.plan.seed.wrapping_add(u64::from(number) << 32);
        let users = job.users as usize;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        LoadSpec {
            users,
            threads: job.load.threads.map_or(cores, |n| n as usize).min(users).max(1),
            schedule: schedule_of(&job.load, 1, seed),
            seed,
            spawn_per_s: job.http.spawn_per_s,
            think: job.http.think,
            labels: Kinds::count(job.http.requests.len()),
            operations_per_user: None,
            latency_limit: None,
            keep_acks: false,
        }
    }

    async fn measure(&mut self, session: &mut Session, number: u32) -> Result<Measured, LabError> {
        let load = &self.job.load;
        let log = match &self.directory {
            Some(directory) => directory.histogram_log(NAME, number)?,
            None => File::options()
                .write(true)
                .open("/dev/null")
                .map_err(|source| LabError::Directory { path: "/dev/null".into(), source })?,
        };
        let (sink, directory) = (&mut *self.sink, &mut self.directory);
        let mut tell = |event: Event| {
            if let Some(directory) = directory.as_mut() {
                directory.keep_event(&event);
            }
            sink.event(&event);
        };
        let total_s = load.duration.as_secs_f64();
        let left = f64::from(load.trials - number) * total_s;
        let measuring = Measuring {
            duration: load.duration,
            interval: load.interval,
            cancel: self.cancel,
            enough: None,
            obituary: &mut || None,
            log,
        };
        measuring
            .run(session, |sight| match sight {
                Sight::Tick { elapsed, rows_per_s, p95_ms, failed } => tell(Event::Progress {
                    variant: NAME.to_owned(),
                    trial: number,
                    stage: Stage::Measure,
                    elapsed_s: elapsed.as_secs_f64(),
                    total_s,
                    tps: rows_per_s,
                    p95_ms,
                    errors: failed,
                    run_left_s: left + (total_s - elapsed.as_secs_f64()).max(0.0),
                }),
                Sight::Interval(ended) => tell(ended.event(NAME, number)),
            })
            .await
    }

    async fn warm_up(&mut self, session: &Session, number: u32) -> WarmedUp {
        let policy = warm_up_of(&self.job.load, self.job.users);
        let left = self.job.load.duration.as_secs_f64();
        let (sink, cancel) = (&mut *self.sink, self.cancel);
        warm_up(session, policy, |tick| {
            sink.event(&Event::Progress {
                variant: NAME.to_owned(),
                trial: number,
                stage: Stage::WarmUp,
                elapsed_s: tick.elapsed.as_secs_f64(),
                total_s: tick.at_most.as_secs_f64(),
                tps: tick.rows_per_s,
                p95_ms: None,
                errors: tick.failed,
                run_left_s: left,
            });
            !cancel.is_cancelled()
        })
        .await
    }

    fn tell(&mut self, event: &Event) {
        if let Some(directory) = &mut self.directory {
            directory.keep_event(event);
        }
        self.sink.event(event);
    }

    fn finish(mut self, error: Option<LabError>) -> Result<Finished, LabError> {
        self.result.status = match &error {
            None => RunStatus::Complete,
            Some(LabError::Interrupted) => RunStatus::Interrupted,
            Some(_) => RunStatus::Failed,
        };
        self.result.reason = error.as_ref().map(ToString::to_string);
        self.result.finished_at = Some(clock::timestamp(SystemTime::now()));
        if let Some(directory) = &self.directory {
            directory.write_result(&self.result)?;
        }
        self.tell(&Event::RunEnded { status: self.result.status });
        let directory = self.directory.map(|d| d.path().to_owned()).unwrap_or_default();
        Ok(Finished { directory, result: self.result, error })
    }
}
