//! The cases of a matrix as loads of which one demand after the other is made larger.

use std::sync::Arc;
use std::time::Duration;

use pinchpoint_diagnose::weigh_probes;
use pinchpoint_http::HttpDriver;
use pinchpoint_load::{Session, WarmUpPolicy};
use pinchpoint_measure::{DEMANDS, Demand, Event};
use pinchpoint_plan::{AppPlan, Case, Pace, Via};
use pinchpoint_sql::{Dsn, Hold};
use pinchpoint_stack::{App, Postgres};

use crate::error::LabError;
use crate::http_spec;
use crate::matrix::bench::Bench;
use crate::matrix::case::CaseRun;
use crate::matrix::pool::Pooled;
use crate::matrix::processes::{Arranged, Stack};
use crate::matrix::readiness::{Prepared, Readiness};
use crate::matrix::run::MatrixRun;
use crate::prove::{Opened, SCHEDULED, Subject, probes_s, prove, shortest_ms};
use crate::rung_load::{cancelled, warm_up_of};

/// About what bringing up a stack and warming it up takes, for each probe.
const AROUND_S: f64 = 4.0;
/// Languages of which a process runs on one CPU at a time, as its interpreter has a lock or a loop.
const ONE_CPU: [&str; 6] = ["python", "ruby", "javascript", "typescript", "php", "perl"];

/// A case whose demands are made larger, on a stack of its own for each.
struct CaseSubject<'a> {
    run: CaseRun<'a>,
    admin: Dsn,
    stack: Option<(Stack, Option<Pooled>)>,
}

impl CaseSubject<'_> {
    fn process(&self, demand: Demand) -> Option<u32> {
        match demand {
            Demand::AppCpu => self.application().and_then(App::pid),
            _ => self.run.bench.postgres.as_ref().and_then(Postgres::pid),
        }
    }

    fn application(&self) -> Option<&App> {
        self.stack.as_ref()?.0.app.as_ref()
    }
}

impl Subject for CaseSubject<'_> {
    fn variant(&self) -> &str {
        &self.run.case.name
    }

    fn users(&self) -> u32 {
        self.run.case.users
    }

    fn trial(&self) -> Duration {
        self.run.matrix.load.duration
    }

    fn hold_ms(&self) -> Option<f64> {
        None
    }

    fn demands(&self) -> &'static [Demand] {
        &DEMANDS
    }

    fn obstacle(&self, demand: Demand) -> Option<String> {
        let ours = self.run.bench.postgres.is_some();
        obstacle(&self.run.matrix.load.pace, self.run.case, self.run.app(), ours, demand)
    }

    fn admin(&self) -> &Dsn {
        &self.admin
    }

    async fn reset(&mut self) -> Result<(), LabError> {
        self.run.bench.reset(self.run.cancel).await
    }

    async fn open(&mut self, by_proxy: bool, _: Hold) -> Result<Opened, LabError> {
        let run = &self.run;
        let (mut stack, pooled) = run.set_up(Arranged { by_proxy, changeable: true }).await?;
        let proxy = stack.proxy.take();
        let spec = http_spec::http_spec(&run.matrix.http, &stack.url, &run.bench.session_prefix)?;
        let driver =
            Arc::new(HttpDriver::new(&spec).map_err(|e| LabError::Unsuitable(e.to_string()))?);
        let load = run.load_spec(spec.requests.len());
        self.stack = Some((stack, pooled));
        tokio::select! {
            session = Session::open(driver, &load) => Ok(Opened { session: session?, proxy }),
            () = cancelled(self.run.cancel) => Err(LabError::Interrupted),
        }
    }

    fn closed(&mut self) {
        self.stack = None;
    }

    fn warm_up(&self) -> Option<WarmUpPolicy> {
        Some(warm_up_of(&self.run.matrix.load, self.run.case.users))
    }

    /// Through PgBouncer, to it and back; what lies behind it is the server's own way.
    async fn detour_ms(&mut self) -> f64 {
        match &mut self.stack {
            Some((_, Some(pooled))) => {
                shortest_ms(pooled.console.connection(), "SHOW VERSION").await.unwrap_or(0.0)
            }
            _ => 0.0,
        }
    }

    fn pid(&self, demand: Demand) -> Option<u32> {
        self.process(demand)
    }

    fn cpus(&self, demand: Demand) -> Option<f64> {
        match demand {
            Demand::AppCpu => Some(self.run.app().cpus.unwrap_or(f64::INFINITY)),
            _ => self.run.bench.postgres.as_ref().and_then(Postgres::cpus),
        }
    }

    fn most_cpus(&self, demand: Demand) -> f64 {
        match demand {
            Demand::AppCpu => most_cpus(self.run.app(), self.run.case),
            _ => f64::INFINITY,
        }
    }

    fn alone(&self) -> bool {
        false
    }

    fn set_cpus(&self, demand: Demand, cpus: f64) -> Result<(), LabError> {
        match (demand, self.application(), &self.run.bench.postgres) {
            (Demand::AppCpu, Some(app), _) => Ok(app.set_cpus(cpus)?),
            (Demand::AppCpu, None, _) | (_, _, None) => {
                Err(LabError::Unsuitable("it is not ours".to_owned()))
            }
            (_, _, Some(postgres)) => Ok(postgres.set_cpus(cpus)?),
        }
    }
}

/// CPUs that an application's processes can make use of.
fn most_cpus(app: &AppPlan, case: &Case) -> f64 {
    let language = app.language.to_lowercase();
    if ONE_CPU.contains(&language.as_str()) {
        f64::from(case.profile.processes.max(1))
    } else {
        f64::INFINITY
    }
}

/// Why a demand of a case cannot be made larger.
fn obstacle(pace: &Pace, case: &Case, app: &AppPlan, ours: bool, demand: Demand) -> Option<String> {
    let url = match case.via {
        Via::Direct => &app.url,
        Via::PgBouncer => &app.pooled_url,
    };
    let reason = if *pace != Pace::FlatOut {
        SCHEDULED
    } else if url.is_some() {
        "somebody else runs the application, and it is not slowed down"
    } else if case.profile.cold {
        "its cache is cold once only, and a probe looks many times"
    } else {
        match demand {
            Demand::ServerCpu | Demand::WalFlush if !ours => {
                "the server is not ours, and is not slowed down"
            }
            Demand::Hold => "the application decides for how long it keeps a connection",
            _ => return None,
        }
    };
    Some(reason.to_owned())
}

impl MatrixRun<'_> {
    /// Probes every case that has figures and a verdict to be weighed, unless an earlier part of the
    /// run has done so.
    pub(super) async fn prove(&mut self, bench: &mut Bench) -> Result<(), LabError> {
        for at in 0..self.cases.len() {
            let variant = &self.result.variants[at];
            let open = variant.verdict.as_ref().is_some_and(|verdict| verdict.proof.is_none());
            let case = self.cases[at].clone();
            let prepared = match self.readiness.get(&case.app) {
                Some(Readiness::Ready(prepared)) => prepared.clone(),
                Some(Readiness::Missing(_)) => continue,
                None => Prepared::default(),
            };
            if variant.summary.is_some() && open {
                self.prove_case(bench, at, &case, &prepared).await?;
            }
        }
        Ok(())
    }

    async fn prove_case(
        &mut self,
        bench: &mut Bench,
        at: usize,
        case: &Case,
        prepared: &Prepared,
    ) -> Result<(), LabError> {
        bench.set_indexes(case.profile.indexes).await?;
        let admin = bench.admin_dsn()?;
        let run = self.apart(bench, case, prepared);
        let mut subject = CaseSubject { run, admin, stack: None };
        let (sink, directory) = (&mut *self.sink, &mut self.directory);
        let mut tell = |event: &Event| {
            directory.keep_event(event);
            sink.event(event);
        };
        let probes = prove(&mut subject, self.cancel, &mut tell).await?;
        drop(subject);
        if let Some(verdict) = &mut self.result.variants[at].verdict {
            weigh_probes(verdict, probes);
            let verdict = Box::new(verdict.clone());
            self.tell(&Event::Verdict { variant: case.name.clone(), verdict });
        }
        self.directory.write_result(&self.result)
    }

    /// About how long all probes of the run take, in seconds.
    pub(super) fn proof_s(&self) -> f64 {
        if !self.options.prove {
            return 0.0;
        }
        let each_s = probes_s(self.matrix.load.duration) + AROUND_S * 3.0;
        each_s * self.cases.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_plan::Matrix;

    use Demand::{AppCpu, Hold, RoundTrip, ServerCpu, WalFlush};

    use super::*;
    use crate::matrix::tests::built_in;

    fn case(matrix: &Matrix, name: &str) -> Case {
        matrix.cases().into_iter().find(|c| c.name == name).unwrap()
    }

    fn reason(matrix: &Matrix, name: &str, ours: bool, demand: Demand) -> Option<String> {
        let case = case(matrix, name);
        obstacle(&matrix.load.pace, &case, &matrix.apps[case.app], ours, demand)
    }

    #[test]
    fn what_is_not_ours_or_not_repeatable_is_not_slowed_down() {
        let mut cache = built_in("cache");
        let open = |matrix: &Matrix, name: &str, ours: bool| -> Vec<Demand> {
            DEMANDS.into_iter().filter(|d| reason(matrix, name, ours, *d).is_none()).collect()
        };
        let warm = "warm-direct-10";
        assert_eq!(open(&cache, warm, true), [ServerCpu, AppCpu, RoundTrip, WalFlush]);
        assert_eq!(open(&cache, warm, false), [AppCpu, RoundTrip], "somebody else's server");
        assert!(reason(&cache, warm, true, Hold).unwrap().contains("decides"));
        assert_eq!(open(&cache, "cold-direct-10", true), []);
        assert!(reason(&cache, "cold-direct-10", true, AppCpu).unwrap().contains("once only"));
        cache.load.pace = Pace::Rate { per_s: 100.0 };
        assert!(reason(&cache, warm, true, AppCpu).unwrap().contains("schedule"));
        cache.load.pace = Pace::FlatOut;
        cache.apps.iter_mut().for_each(|a| a.url = Some("http://elsewhere/".to_owned()));
        assert!(reason(&cache, warm, true, AppCpu).unwrap().contains("somebody else"));
    }

    #[test]
    fn an_interpreter_with_a_lock_uses_a_cpu_a_process() {
        let frameworks = built_in("frameworks");
        let most = |name: &str| {
            let case = case(&frameworks, name);
            (most_cpus(&frameworks.apps[case.app], &case), case.profile.processes)
        };
        let (python, processes) = most("flask-direct-10");
        assert!((python - f64::from(processes)).abs() < 1e-9, "{python} {processes}");
        assert!(most("axum-direct-10").0.is_infinite());
    }
}
