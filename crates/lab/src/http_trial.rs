use std::collections::BTreeMap;

use pinchpoint_diagnose::CaseLoad;
use pinchpoint_http::{EndpointTally, Kinds, Tally};
use pinchpoint_load::{Distribution, Histograms, Rest, WarmedUp};
use pinchpoint_measure::{
    Census, CheckFigures, Endpoint, Factors, HttpFigures, Latency, Lookups, Observation, PHASES,
    Pace, PerRow, Phase, StackFigures, Threshold, Trial, TrialStatus, WarmUp,
};
use pinchpoint_plan::{self as plan, HttpPlan, LoadPlan, RequestPlan};

use crate::blank::blank_trial;
use crate::clock;
use crate::http_spec;
use crate::matrix::Evidence;
use crate::measuring::Measured;

/// Percentiles beyond the usual ones, for Locust's files.
const PERCENTILES: [(&str, f64); 7] = [
    ("p66", 0.66),
    ("p75", 0.75),
    ("p80", 0.80),
    ("p98", 0.98),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p100", 1.0),
];

/// What a trial of HTTP load was to be.
pub(crate) struct HttpTrial<'a> {
    pub(crate) http: &'a HttpPlan,
    pub(crate) load: &'a LoadPlan,
    pub(crate) users: u32,
    pub(crate) number: u32,
    pub(crate) factors: Factors,
    pub(crate) thresholds: &'a [Threshold],
}

/// What a trial gave, before it is judged.
pub(crate) struct Seen {
    pub(crate) warmed: WarmedUp,
    pub(crate) measured: Measured,
    pub(crate) rest: Rest,
    /// Counted in the measured part.
    pub(crate) tally: Tally,
    /// Counted in the whole trial.
    pub(crate) whole: Tally,
    pub(crate) stack: Option<StackFigures>,
    pub(crate) observation: Option<Observation>,
    pub(crate) threads: usize,
}

impl Seen {
    /// Adds what was counted in a pass of its own.
    pub(crate) fn add(&mut self, evidence: Evidence) {
        if let Some(stack) = &mut self.stack {
            stack.evidence = Some(evidence.figures);
        }
        if let Some(observation) = &mut self.observation {
            observation.statements = evidence.dearest;
        }
    }
}

impl HttpTrial<'_> {
    /// A trial that gave no figures.
    pub(crate) fn failed(&self, reason: &str) -> Trial {
        let mut trial = self.blank();
        trial.status = TrialStatus::Failed;
        trial.reason = Some(reason.to_owned());
        trial
    }

    fn blank(&self) -> Trial {
        blank_trial(self.number, self.factors.clone(), pace(self.load))
    }

    /// A trial's figures, judged.
    pub(crate) fn judge(&self, seen: Seen) -> Trial {
        let mut trial = self.figures(&seen);
        trial.warm_up = warm_up(&seen, self.load.warmup);
        (trial.status, trial.reason) = judge(&trial, &seen);
        trial.http = Some(http_figures(self.http, &trial, &seen));
        let load = CaseLoad {
            users: self.users,
            think_s: self.http.think.as_secs_f64(),
            threads: seen.threads as u32,
        };
        let none = StackFigures::default();
        let stack = seen.stack.as_ref().unwrap_or(&none);
        trial.gates = pinchpoint_diagnose::case_gates(&trial, &load, stack);
        trial.stack = seen.stack;
        trial.observation = seen.observation;
        // What was stopped half-way has not shown what it would have shown.
        if trial.status != TrialStatus::Interrupted {
            trial.thresholds = self.thresholds.iter().map(|t| t.judge(&trial)).collect();
        }
        trial
    }

    fn figures(&self, seen: &Seen) -> Trial {
        let measured = &seen.measured;
        let seconds = measured.elapsed.as_secs_f64().max(1e-9);
        let requests = measured.totals.operations;
        let per = |total: f64| if requests == 0 { 0.0 } else { total / requests as f64 };
        let service = measured.histograms.statement_ms();
        Trial {
            started_at: clock::timestamp(measured.started),
            duration_s: measured.elapsed.as_secs_f64(),
            succeeded: requests,
            failed: measured.totals.failed,
            rows: requests,
            rows_failed: measured.totals.failed,
            throughput_per_s: requests as f64 / seconds,
            throughput_ci95: measured.rates.ci95().map(|i| [i.lo, i.hi]),
            operations_per_s: requests as f64 / seconds,
            latency_ms: measured.histograms.response_ms(),
            statement_latency_ms: service,
            per_row_latency_ms: PerRow { avg: service.avg },
            phases_ms: PHASES
                .into_iter()
                .map(|p| (p, measured.histograms.phase_mean_ms(p)))
                .filter(|(_, ms)| *ms > 0.0)
                .collect(),
            client_cpu_us_per_op: per(measured.cpu.as_secs_f64() * 1e6),
            client_cpu_us_per_row: per(measured.cpu.as_secs_f64() * 1e6),
            client_cpu_share: measured.cpu.as_secs_f64() / (seconds * seen.threads.max(1) as f64),
            cpu_percent: measured.cpu_percent(),
            memory_percent: measured.memory_percent(),
            backlog_max: measured.intervals.iter().map(|i| i.queue_length).max().unwrap_or(0),
            backlog_end: measured.intervals.last().map_or(0, |i| i.queue_length),
            acknowledged_rows: requests,
            errors: measured.errors.iter().map(|(cause, n)| (cause.text(), *n)).collect(),
            intervals: measured.intervals.clone(),
            ..self.blank()
        }
    }
}

fn pace(load: &LoadPlan) -> Pace {
    let poisson = load.poisson;
    match &load.pace {
        plan::Pace::FlatOut => Pace::Closed,
        plan::Pace::Rate { per_s } => Pace::Open { target_per_s: *per_s, poisson },
        plan::Pace::Stages(stages) => {
            let highest = stages.iter().map(|s| s.target_per_s).fold(0.0, f64::max);
            Pace::Open { target_per_s: highest, poisson }
        }
    }
}

fn warm_up(seen: &Seen, plan: plan::WarmUp) -> WarmUp {
    let note = match (seen.warmed.settled, plan) {
        (true, _) => None,
        (false, plan::WarmUp::Auto { .. }) => Some(
            "throughput had not settled, or some users had no answer yet, at the end of the \
             warm-up"
                .to_owned(),
        ),
        (false, plan::WarmUp::Fixed(_)) => {
            Some("throughput had not settled when the warm-up ended".to_owned())
        }
    };
    let settled = seen.warmed.settled;
    WarmUp { duration_s: seen.warmed.duration.as_secs_f64(), settled, note }
}

fn judge(trial: &Trial, seen: &Seen) -> (TrialStatus, Option<String>) {
    if seen.measured.cancelled {
        return (TrialStatus::Interrupted, Some("stopped by the user".to_owned()));
    }
    if let Some(died) = &seen.measured.server_died {
        return (TrialStatus::Failed, Some(died.clone()));
    }
    if trial.succeeded == 0 {
        let causes: Vec<_> = trial.errors.iter().map(|(c, n)| format!("{c} × {n}")).collect();
        let reason = if causes.is_empty() {
            "no request was answered within the measured time; measure longer".to_owned()
        } else {
            format!("no request was answered rightly: {}", causes.join(", "))
        };
        return (TrialStatus::Failed, Some(reason));
    }
    (TrialStatus::Ok, None)
}

fn http_figures(plan: &HttpPlan, trial: &Trial, seen: &Seen) -> HttpFigures {
    let measured = &seen.measured;
    let open = matches!(trial.pace, Pace::Open { .. });
    HttpFigures {
        endpoints: endpoints(plan, &measured.histograms, &seen.tally),
        census: census(seen, open),
        service_latency_ms: trial.statement_latency_ms,
        percentiles_ms: percentiles(|q| measured.histograms.response_quantile_ms(q)),
        schedule_lag_ms: open.then(|| trial.phase_sum_ms(|p| p == Phase::Schedule)),
        bytes_received: seen.tally.bytes_received,
        bytes_sent: seen.tally.bytes_sent,
        connections_opened: seen.whole.opened,
        statuses: seen.tally.statuses.clone(),
        checks: checks(&plan.requests, &seen.tally),
        seconds: measured.seconds.clone(),
    }
}

/// Where every operation of the whole trial went.
fn census(seen: &Seen, open: bool) -> Census {
    let sum = |pick: fn(&EndpointTally) -> u64| seen.whole.endpoints.iter().map(pick).sum::<u64>();
    Census {
        scheduled: open.then_some(seen.rest.due),
        ok: sum(|e| e.succeeded),
        wrong_answer: sum(|e| e.wrong_answer),
        status: sum(|e| e.status),
        timed_out: sum(|e| e.timed_out),
        refused: sum(|e| e.refused),
        reset: sum(|e| e.reset),
        other: sum(|e| e.other),
        not_started: seen.rest.not_started,
        in_flight: seen.rest.abandoned as u64,
    }
}

fn percentiles(quantile: impl Fn(f64) -> f64) -> BTreeMap<String, f64> {
    PERCENTILES.iter().map(|(name, q)| ((*name).to_owned(), quantile(*q))).collect()
}

fn endpoints(plan: &HttpPlan, histograms: &Histograms, tally: &Tally) -> Vec<Endpoint> {
    let both = plan.requests.iter().zip(&tally.endpoints).enumerate();
    both.map(|(at, (request, counts))| {
        let classes = [
            ("check failed", counts.wrong_answer),
            ("status", counts.status),
            ("timed out", counts.timed_out),
            ("connection refused", counts.refused),
            ("connection closed", counts.reset),
            ("other", counts.other),
        ];
        let kinds = Kinds::of(at);
        let own = histograms.kinds(kinds.all());
        Endpoint {
            method: request.method.clone(),
            name: request.name.clone(),
            // As many as its latencies are made of: the tally is read a moment later.
            requests: own.operations() + counts.failed(),
            failures: counts.failed(),
            body_bytes: counts.body_bytes,
            latency_ms: own.latency_ms(),
            min_ms: own.min_ms(),
            percentiles_ms: percentiles(|q| own.quantile_ms(q)),
            errors: classes
                .into_iter()
                .filter(|(_, n)| *n > 0)
                .map(|(class, n)| (class.to_owned(), n))
                .collect(),
            hits: lookups(&histograms.kinds(kinds.hits())),
            misses: lookups(&histograms.kinds(kinds.misses())),
        }
    })
    .collect()
}

fn lookups(own: &Distribution) -> Option<Lookups> {
    let (answers, time) = (own.operations(), own.latency_ms());
    let Latency { avg: mean_ms, p50, p95, .. } = time;
    (answers > 0).then_some(Lookups { answers, mean_ms, p50_ms: Some(p50), p95_ms: Some(p95) })
}

fn checks(requests: &[RequestPlan], tally: &Tally) -> Vec<CheckFigures> {
    let several = requests.len() > 1;
    let mut figures = Vec::new();
    for (request, counts) in requests.iter().zip(&tally.endpoints) {
        for (plan, [passed, failed]) in request.checks.iter().zip(&counts.checks) {
            let text = match http_spec::check(plan) {
                Ok(check) => check.to_string(),
                Err(reason) => reason,
            };
            let name = if several { format!("{}: {text}", request.name) } else { text };
            figures.push(CheckFigures { name, passed: *passed, failed: *failed });
        }
    }
    figures
}
