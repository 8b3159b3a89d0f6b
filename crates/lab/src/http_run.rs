use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pinchpoint_diagnose::Experience;
use pinchpoint_http::{HttpDriver, Kinds};
use pinchpoint_load::{LoadSpec, Session, WarmedUp, warm_up};
use pinchpoint_measure::{
    Event, Factors, RunResult, RungPlan, Sink, Stage, Threshold, TrialStatus, Variant,
    VariantStatus,
};
use pinchpoint_observe::{CpuSampler, Observer, ObserverSpec, Sessions};
use pinchpoint_plan::{HttpPlan, LoadPlan, Pace};
use pinchpoint_stack::Cancel;
use serde_json::json;

use crate::blank::blank_plan;
use crate::desk::Desk;
use crate::directory::ResultDirectory;
use crate::error::LabError;
use crate::http_trial::{HttpTrial, Seen};
use crate::ledger::Ledger;
use crate::measuring::{Measured, Measuring, Sight};
use crate::observe_job::{Aside, Observe};
use crate::run::Finished;
use crate::rung_load::{cancelled, schedule_of, settle_grace, warm_up_of};
use crate::{environment, forecast, http_forecast, http_spec, observing, remembered, summary};

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
    /// Other numbers of users to be tried after the load as given: what each should give is said before.
    pub next: Vec<u32>,
    /// Where predictions of past runs are kept, and this run's; none to neither learn nor keep.
    pub ledger: Option<Ledger>,
    /// The result directory; a result is kept in memory alone when absent.
    pub directory: Option<PathBuf>,
}

impl HttpJob {
    /// Refuses a lever that would change nothing, or that is given twice.
    fn check(&self) -> Result<(), LabError> {
        for (at, users) in self.next.iter().enumerate() {
            let because = if *users == self.users {
                "the load has so many users already; name another number"
            } else if self.next[..at].contains(users) {
                "it is given twice"
            } else {
                continue;
            };
            return Err(LabError::Unsuitable(format!("--next users={users}: {because}")));
        }
        Ok(())
    }
}

/// What results call load on a server that somebody else runs.
pub(crate) const NAME: &str = "http";

/// Loads a server. An error means that nothing was sent; later failures are in [`Finished`].
pub fn run_http(job: &HttpJob, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Finished, LabError> {
    job.check()?;
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
    let (experience, unreadable) =
        remembered::experience_of_requests(job.ledger.as_ref().filter(|_| !job.next.is_empty()));
    let mut run = HttpRun {
        job,
        users: std::iter::once(job.users).chain(job.next.iter().copied()).collect(),
        driver,
        address: spec.target.address,
        observed,
        desk: Desk { directory, sink },
        cancel,
        result: blank(job),
        experience,
    };
    if let Some(text) = unreadable {
        run.warn(text);
    }
    let mut steal = CpuSampler::new();
    steal.sample();
    let error = runtime.block_on(run.go()).err();
    run.result.environment.steal_share = steal.sample().map(|cpu| cpu.steal_share);
    run.desk.end(run.result, job.ledger.as_ref(), error)
}

/// What is observed behind a server that somebody else runs.
fn observer_spec(observed: Aside, application: SocketAddr, seed: u64) -> ObserverSpec {
    ObserverSpec {
        application: Some(application),
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
    /// The users as given, and those that are tried after them; a variant of each.
    users: Vec<u32>,
    driver: Arc<HttpDriver>,
    /// Where the requests go.
    address: SocketAddr,
    observed: Aside,
    desk: Desk<'a>,
    cancel: &'a Cancel,
    result: RunResult,
    /// What the predictions of past runs teach.
    experience: Experience,
}

/// A result with nothing measured yet.
fn blank(job: &HttpJob) -> RunResult {
    let plan = blank_plan(&job.load, String::new());
    let mut result = crate::blank::blank(NAME, &format!("Load on {}", job.url), plan);
    result.environment = environment::of_machine(None);
    let changed = job.next.iter().map(|users| (format!("users={users}"), *users));
    let loads = std::iter::once((NAME.to_owned(), job.users)).chain(changed);
    result.variants.extend(loads.map(|(name, users)| Variant {
        name,
        title: job.url.clone(),
        factors: Factors::from([
            ("url".to_owned(), json!(job.url)),
            ("users".to_owned(), json!(users)),
            ("keep_alive".to_owned(), json!(job.http.keep_alive)),
        ]),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    }));
    result
}

impl HttpRun<'_> {
    async fn go(&mut self) -> Result<(), LabError> {
        // What was asked for and cannot be is said before anything is sent.
        let unseen = self.observed.try_out().await?;
        let load = &self.job.load;
        let each = load.duration.as_secs_f64();
        let directory = self.desk.shown();
        let plan = |v: &Variant| RungPlan { name: v.name.clone(), title: v.title.clone() };
        self.desk.tell(&Event::RunStarted {
            experiment: NAME.to_owned(),
            rungs: self.result.variants.iter().map(plan).collect(),
            trials: load.trials,
            expected_s: f64::from(load.trials) * (each + 1.0) * self.users.len() as f64,
            directory,
            cases: true,
        });
        if let Some(text) = unseen {
            self.warn(text);
        }
        for at in 0..self.users.len() {
            if at > 0 {
                self.look_ahead(at)?;
            }
            for number in 1..=load.trials {
                if self.cancel.is_cancelled() {
                    return Err(LabError::Interrupted);
                }
                self.trial(at, number).await?;
            }
        }
        Ok(())
    }

    /// States what other users should give before they come, or why that is not said. On disk, and
    /// sealed, before they start.
    fn look_ahead(&mut self, at: usize) -> Result<(), LabError> {
        let named = self.observed.dsn.is_some();
        let expected = http_forecast::expect(&self.result, self.users[at], named, &self.experience);
        let event = forecast::keep(&mut self.result, at, expected);
        self.desk.write(&self.result)?;
        self.desk.tell(&event);
        Ok(())
    }

    async fn trial(&mut self, at: usize, number: u32) -> Result<(), LabError> {
        let job = self.job;
        let (name, factors) = {
            let variant = &self.result.variants[at];
            (variant.name.clone(), variant.factors.clone())
        };
        self.desk.tell(&Event::TrialStarted {
            variant: name.clone(),
            trial: number,
            trials: job.load.trials,
            factors: factors.clone(),
        });
        let load = self.spec(at, number);
        let spec = observer_spec(self.observed.clone(), self.address, load.seed);
        let observer = Observer::open(spec).await;
        let at_first = self.driver.tally();
        let mut session = tokio::select! {
            session = Session::open(self.driver.clone(), &load) => session?,
            () = cancelled(self.cancel) => return Err(LabError::Interrupted),
        };
        session.start();
        let warmed = self.warm_up(&session, at, number).await;
        let before = self.driver.tally();
        let (measured, observed) = observer.during(self.measure(&mut session, at, number)).await;
        let measured = measured?;
        let tally = self.driver.tally().since(&before);
        let observation = Some(observing::complete(observed, &measured));
        let rest = session.settle(settle_grace(self.cancel).min(job.http.timeout)).await?;
        let whole = self.driver.tally().since(&at_first);
        session.close().await;
        let threads = load.threads;
        let trial = HttpTrial {
            http: &job.http,
            load: &job.load,
            users: self.users[at],
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
        let machine = forecast::machine(&self.result);
        let variant = &mut self.result.variants[at];
        variant.trials.push(trial.clone());
        summary::update(variant);
        // Under stages no rate lasts, and no verdict is that of all of them.
        if !matches!(self.job.load.pace, Pace::Stages(_)) {
            variant.verdict = pinchpoint_diagnose::verdict(variant, &machine);
        }
        self.desk.tell(&Event::TrialEnded { variant: name, trial: Box::new(trial) });
        self.desk.write(&self.result)?;
        if interrupted { Err(LabError::Interrupted) } else { Ok(()) }
    }

    fn spec(&self, at: usize, number: u32) -> LoadSpec {
        let job = self.job;
        let seed = self.result.plan.seed.wrapping_add(u64::from(number) << 32);
        let users = self.users[at] as usize;
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

    /// Seconds of load that come after this trial's.
    fn left_after_s(&self, at: usize, number: u32) -> f64 {
        let load = &self.job.load;
        let later = (self.users.len() - 1 - at) as f64 * f64::from(load.trials);
        (f64::from(load.trials - number) + later) * load.duration.as_secs_f64()
    }

    async fn measure(
        &mut self,
        session: &mut Session,
        at: usize,
        number: u32,
    ) -> Result<Measured, LabError> {
        let load = &self.job.load;
        let name = self.result.variants[at].name.clone();
        let log = self.desk.histogram_log(&name, number)?;
        let left = self.left_after_s(at, number);
        let total_s = load.duration.as_secs_f64();
        let desk = &mut self.desk;
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
                Sight::Tick { elapsed, rows_per_s, p95_ms, failed } => {
                    desk.tell(&Event::Progress {
                        variant: name.clone(),
                        trial: number,
                        stage: Stage::Measure,
                        elapsed_s: elapsed.as_secs_f64(),
                        total_s,
                        tps: rows_per_s,
                        p95_ms,
                        errors: failed,
                        run_left_s: left + (total_s - elapsed.as_secs_f64()).max(0.0),
                    });
                }
                Sight::Interval(ended) => desk.tell(&ended.event(&name, number)),
            })
            .await
    }

    async fn warm_up(&mut self, session: &Session, at: usize, number: u32) -> WarmedUp {
        let policy = warm_up_of(&self.job.load, self.users[at]);
        let left = self.left_after_s(at, number) + self.job.load.duration.as_secs_f64();
        let name = &self.result.variants[at].name;
        let (sink, cancel) = (&mut *self.desk.sink, self.cancel);
        warm_up(session, policy, |tick| {
            sink.event(&Event::Progress {
                variant: name.clone(),
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

    fn warn(&mut self, text: String) {
        self.desk.warn(&mut self.result, text);
    }
}
