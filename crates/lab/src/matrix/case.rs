use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use pinchpoint_http::{HttpDriver, HttpSpec, Kinds, Tally};
use pinchpoint_load::{LoadError, LoadSpec, Session, WarmUpPolicy, WarmedUp, warm_up};
use pinchpoint_measure::{
    Event, Limit, PoolerFigures, StackFigures, Stage, Threshold, Trial, TrialStatus,
};
use pinchpoint_observe::{Observer, Watched};
use pinchpoint_plan::{AppPlan, Case, Matrix, Via};
use pinchpoint_stack::Cancel;

use crate::error::LabError;
use crate::http_spec;
use crate::http_trial::{HttpTrial, Seen};
use crate::matrix::MatrixOptions;
use crate::matrix::bench::Bench;
use crate::matrix::evidence::{self, Evidence};
use crate::matrix::facts;
use crate::matrix::pool::Pooled;
use crate::matrix::processes::{Arranged, Stack};
use crate::matrix::readiness::Prepared;
use crate::matrix::readiness::Readiness;
use crate::matrix::readings::{Readings, growth};
use crate::matrix::watch::{self, Watch};
use crate::measuring::{Measured, Measuring, Sight};
use crate::observing;
use crate::rung_load::{cancelled, schedule_of, settle_grace, warm_up_of};

/// One trial of one case.
pub(crate) struct CaseRun<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) matrix: &'a Matrix,
    pub(crate) options: &'a MatrixOptions,
    pub(crate) case: &'a Case,
    pub(crate) prepared: &'a Prepared,
    pub(crate) number: u32,
    pub(crate) seed: u64,
    pub(crate) thresholds: &'a [Threshold],
    pub(crate) cancel: &'a Cancel,
    /// Seconds that the rest of the run takes after this trial, as far as known.
    pub(crate) left_after_s: f64,
}

/// A trial, and what the processes left behind for people.
pub(crate) struct Ended {
    pub(crate) trial: Trial,
    pub(crate) logs: Vec<(String, String)>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) warnings: Vec<String>,
}

/// Lines of a log that are kept of a failed case.
const LAST_LINES: usize = 12;

impl CaseRun<'_> {
    pub(crate) fn app(&self) -> &AppPlan {
        &self.matrix.apps[self.case.app]
    }

    /// What the trial is to be.
    fn trial(&self) -> HttpTrial<'_> {
        let readiness = Readiness::Ready(self.prepared.clone());
        HttpTrial {
            http: &self.matrix.http,
            load: &self.matrix.load,
            users: self.case.users,
            number: self.number,
            factors: facts::factors(self.case, self.app(), Some(&readiness)),
            thresholds: self.thresholds,
        }
    }

    /// Runs the trial, whose histograms go into `log`. What concerns this case only is in its status; an
    /// error ends the run.
    pub(crate) async fn run(
        mut self,
        log: &File,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Ended, LabError> {
        self.progress(Stage::Prepare, tell);
        self.bench.reset(self.cancel).await?;
        let (mut stack, pooled) = match self.set_up(Arranged::default()).await {
            Ok(both) => both,
            Err(LabError::Interrupted) => return Err(LabError::Interrupted),
            Err(LabError::Stack(error)) if error.is_cancelled() => {
                return Err(LabError::Interrupted);
            }
            Err(error) => return Ok(Self::ended(self.trial().failed(&error.to_string()), None)),
        };
        let mut warnings = Vec::new();
        warnings.extend(pooled.as_ref().filter(|p| p.ready < p.wanted).map(|p| {
            format!(
                "{}: {} of the {} connections that PgBouncer keeps ready were there before the load",
                self.case.name, p.ready, p.wanted
            )
        }));
        let spec = http_spec::http_spec(&self.matrix.http, &stack.url, &self.bench.session_prefix)?;
        let outcome = match self.load(&mut stack, pooled, &spec, log, tell).await {
            Ok(seen) => Ok(seen),
            // Connections that cannot be opened; a server that died while the case warmed up.
            Err(LabError::Load(LoadError::Open(error))) => Err(error.to_string()),
            Err(error @ LabError::Server { .. }) => {
                Err(self.obituary(&stack).unwrap_or_else(|| error.to_string()))
            }
            Err(error) => return Err(error),
        };
        let trial = match outcome {
            Err(reason) => self.trial().failed(&reason),
            Ok(mut seen) => {
                let healthy = seen.measured.server_died.is_none() && !seen.measured.cancelled;
                if healthy && self.number == 1 {
                    match self.evidence(&spec).await {
                        Ok(Some(evidence)) => seen.add(evidence),
                        Ok(None) => (),
                        // The figures stand without it, but not unmarked.
                        Err(error) => warnings.push(format!(
                            "{}: its statements were not counted: {error}",
                            self.case.name
                        )),
                    }
                }
                self.trial().judge(seen)
            }
        };
        let mut ended = Self::ended(trial, Some(&stack));
        ended.warnings = warnings;
        Ok(ended)
    }

    fn ended(trial: Trial, stack: Option<&Stack>) -> Ended {
        let (logs, limits, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended = Ended { trial, logs, limits, warnings };
        let Some(stack) = stack else { return ended };
        if let Some(app) = &stack.app {
            ended.logs.push(("app".to_owned(), app.log_tail(200)));
            ended.limits.extend(app.limits());
        }
        if let Some(beside) = &stack.beside {
            ended.logs.push(("beside".to_owned(), beside.log_tail(200)));
        }
        if let Some(pooler) = &stack.pooler {
            ended.logs.push(("pgbouncer".to_owned(), pooler.log_tail(200)));
            ended.limits.extend(pooler.limits());
        }
        // Whoever ended by itself has its last lines in the reason already.
        if ended.trial.status == TrialStatus::Failed
            && let Some(reason) = &mut ended.trial.reason
            && !reason.contains("end of its log")
            && let Some((_, log)) = ended.logs.iter().find(|(name, _)| name == "app")
        {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            if !last.is_empty() {
                let text = format!("\nthe end of the application's log:\n{}", last.join("\n"));
                reason.push_str(&text);
            }
        }
        ended
    }

    /// What the users of this case do, of so many different requests.
    pub(super) fn load_spec(&self, requests: usize) -> LoadSpec {
        let users = self.case.users as usize;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        LoadSpec {
            users,
            threads: self.matrix.load.threads.map_or(cores, |n| n as usize).min(users).max(1),
            schedule: schedule_of(&self.matrix.load, 1, self.seed),
            seed: self.seed,
            spawn_per_s: self.matrix.http.spawn_per_s,
            think: self.matrix.http.think,
            labels: Kinds::count(requests),
            operations_per_user: None,
            latency_limit: None,
            keep_acks: false,
        }
    }

    async fn load(
        &mut self,
        stack: &mut Stack,
        pooled: Option<Pooled>,
        spec: &HttpSpec,
        log: &File,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Seen, LabError> {
        let driver =
            Arc::new(HttpDriver::new(spec).map_err(|e| LabError::Unsuitable(e.to_string()))?);
        let load = self.load_spec(spec.requests.len());
        let threads = load.threads;
        // Before the load: it may take every connection that the server has.
        let processes = self.processes(stack);
        let pooler = pooled.as_ref().map(|pooled| pooled.observed.clone());
        let observed = self.bench.observer_spec(&processes, pooler, self.seed);
        let mut observer = Observer::open(observed).await;
        let mut watch = Watch::new(processes);
        let mut session = tokio::select! {
            session = Session::open(driver.clone(), &load) => session?,
            () = cancelled(self.cancel) => return Err(LabError::Interrupted),
        };
        session.start();
        let warmed = self.warm_up(&session, tell).await;
        let readings = Readings::take(self.app(), stack, self.bench);
        observer.begin().await;
        let before = driver.tally();
        let (measured, after) =
            self.measure(stack, &driver, &mut session, &mut watch, log, tell).await?;
        let observed = observer.end().await;
        let after_it = Readings::take(self.app(), stack, self.bench);
        let allowed = self.case.profile.connections.map(u64::from);
        let allowed = if self.case.via == Via::Direct { allowed } else { None };
        let mut observation = observing::complete(observed, &measured);
        watch.end(&mut observation.processes);
        let servers_ready = pooled.map_or(0, |pooled| pooled.ready);
        let pooler = observation.pooler.take().map(|seen| PoolerFigures { servers_ready, ..seen });
        if let (None, Some(host)) = (&stack.app, &mut observation.host) {
            // An application that somebody else runs cannot be told from the rest of the machine.
            host.foreign_cpu_s = None;
        }
        // Answers that depend on a process that has gone do not come.
        let died = measured.server_died.is_some();
        let grace = if died { Duration::ZERO } else { settle_grace(self.cancel) };
        let rest = session.settle(grace).await?;
        let whole = driver.tally();
        session.close().await;
        let stack = Some(StackFigures {
            processes: observation.processes.clone(),
            sessions: Some(watch::sessions(&observation, allowed)),
            pooler,
            evidence: None,
            app_metrics: growth(&readings.app, after_it.app),
            beside_metrics: growth(&readings.beside, after_it.beside),
            redis: growth(&readings.redis, after_it.redis),
        });
        let tally = after.since(&before);
        let observation = Some(observation);
        Ok(Seen { warmed, measured, rest, tally, whole, stack, observation, threads })
    }

    /// The processes under test.
    pub(super) fn processes(&self, stack: &Stack) -> Vec<Watched> {
        let mut processes = Vec::new();
        if let Some(postgres) = &self.bench.postgres {
            let plan = &self.matrix.postgres;
            let (pid, groups) = (postgres.pid(), postgres.groups());
            processes.push(Watched::new("postgres", pid, groups, plan.cpus, plan.memory_bytes));
        }
        if let Some(pooler) = &stack.pooler {
            let plan = &self.matrix.pgbouncer;
            let (pid, groups) = (pooler.pid(), pooler.groups());
            processes.push(Watched::new("pgbouncer", pid, groups, plan.cpus, plan.memory_bytes));
        }
        let app = self.app();
        for (name, process) in [("app", &stack.app), ("beside", &stack.beside)] {
            if let Some(process) = process {
                let (pid, groups) = (process.pid(), process.groups());
                processes.push(Watched::new(name, pid, groups, app.cpus, app.memory_bytes));
            }
        }
        if let (Some(redis), Some(plan)) = (&self.bench.redis, &self.matrix.redis) {
            let (pid, groups) = (redis.pid(), redis.groups());
            processes.push(Watched::new("redis", pid, groups, plan.cpus, plan.memory_bytes));
        }
        processes.into_iter().flatten().collect()
    }

    async fn warm_up(&self, session: &Session, tell: &mut dyn FnMut(&Event)) -> WarmedUp {
        let policy = if self.case.profile.cold {
            WarmUpPolicy::Fixed(Duration::ZERO)
        } else {
            warm_up_of(&self.matrix.load, self.case.users)
        };
        let duration_s = self.matrix.load.duration.as_secs_f64();
        warm_up(session, policy, |tick| {
            tell(&Event::Progress {
                variant: self.case.name.clone(),
                trial: self.number,
                stage: Stage::WarmUp,
                elapsed_s: tick.elapsed.as_secs_f64(),
                total_s: tick.at_most.as_secs_f64(),
                tps: tick.rows_per_s,
                p95_ms: None,
                errors: tick.failed,
                run_left_s: self.left_after_s + duration_s,
            });
            !self.cancel.is_cancelled()
        })
        .await
    }

    async fn measure(
        &mut self,
        stack: &Stack,
        driver: &HttpDriver,
        session: &mut Session,
        watch: &mut Watch,
        log: &File,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(Measured, Tally), LabError> {
        let duration = self.matrix.load.duration;
        let (variant, trial, left_after_s) = (&self.case.name, self.number, self.left_after_s);
        let mut obituary = || self.obituary(stack);
        let measuring = Measuring {
            duration,
            interval: self.matrix.load.interval,
            cancel: self.cancel,
            enough: None,
            obituary: &mut obituary,
            log: log
                .try_clone()
                .map_err(|source| LabError::Directory { path: "histograms".into(), source })?,
        };
        let total_s = duration.as_secs_f64();
        let measured = Box::pin(measuring.run(session, |sight| match sight {
            Sight::Tick { elapsed, rows_per_s, p95_ms, failed } => tell(&Event::Progress {
                variant: variant.clone(),
                trial,
                stage: Stage::Measure,
                elapsed_s: elapsed.as_secs_f64(),
                total_s,
                tps: rows_per_s,
                p95_ms,
                errors: failed,
                run_left_s: left_after_s + (total_s - elapsed.as_secs_f64()).max(0.0),
            }),
            Sight::Interval(ended) => tell(&ended.event(variant, trial)),
        }));
        // The load goes on, so what it has done is read before anything else.
        watch.during(async { Ok((measured.await?, driver.tally())) }).await
    }

    async fn evidence(&mut self, spec: &HttpSpec) -> Result<Option<Evidence>, LabError> {
        let Some(expected) = self.matrix.http.statements_per_request else { return Ok(None) };
        evidence::count(self.bench, spec, expected, self.case.users).await
    }

    /// How a process of the case ended, if one did.
    fn obituary(&self, stack: &Stack) -> Option<String> {
        let postgres = self.bench.postgres.as_ref();
        // The server first: when it has gone, the others follow.
        let gone = [
            postgres.and_then(|p| p.alive().err()),
            stack.pooler.as_ref().and_then(|p| p.alive().err()),
            stack.app.as_ref().and_then(|a| a.alive().err()),
        ];
        gone.into_iter().flatten().next().map(|gone| gone.to_string())
    }

    fn progress(&self, stage: Stage, tell: &mut dyn FnMut(&Event)) {
        tell(&Event::Progress {
            variant: self.case.name.clone(),
            trial: self.number,
            stage,
            elapsed_s: 0.0,
            total_s: 0.0,
            tps: 0.0,
            p95_ms: None,
            errors: 0,
            run_left_s: self.left_after_s + self.matrix.load.duration.as_secs_f64(),
        });
    }
}
