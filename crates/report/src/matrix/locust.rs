//! Files with Locust's column names, for whatever reads those.

use std::collections::BTreeMap;

use pinchpoint_measure::{Endpoint, HttpFigures, Latency, Trial};

use crate::csv::line;

/// Percentiles in Locust's order: its header, and where ours is.
const PERCENTILES: [(&str, &str); 11] = [
    ("50%", "p50"),
    ("66%", "p66"),
    ("75%", "p75"),
    ("80%", "p80"),
    ("90%", "p90"),
    ("95%", "p95"),
    ("98%", "p98"),
    ("99%", "p99"),
    ("99.9%", "p99.9"),
    ("99.99%", "p99.99"),
    ("100%", "p100"),
];

/// `requests_stats.csv`: a line for each request and one for all. Times are in milliseconds; unlike
/// Locust's they are of right answers only, and not rounded to two digits.
pub fn stats(trial: &Trial) -> String {
    let mut text = String::new();
    let head = [
        "Type",
        "Name",
        "Request Count",
        "Failure Count",
        "Median Response Time",
        "Average Response Time",
        "Min Response Time",
        "Max Response Time",
        "Average Content Size",
        "Requests/s",
        "Failures/s",
    ];
    let percentiles = PERCENTILES.iter().map(|(name, _)| (*name).to_owned());
    line(&mut text, head.iter().map(|h| (*h).to_owned()).chain(percentiles));
    let Some(http) = &trial.http else { return text };
    for endpoint in &http.endpoints {
        line(&mut text, cells(endpoint, &endpoint.method, &endpoint.name, trial.duration_s));
    }
    line(&mut text, cells(&aggregated(http, trial), "", "Aggregated", trial.duration_s));
    text
}

/// All requests of a trial as one.
fn aggregated(http: &HttpFigures, trial: &Trial) -> Endpoint {
    let sum = |pick: fn(&Endpoint) -> u64| http.endpoints.iter().map(pick).sum();
    let least = http.endpoints.iter().map(|e| e.min_ms).filter(|ms| *ms > 0.0);
    let least = least.fold(f64::INFINITY, f64::min);
    Endpoint {
        requests: sum(|e| e.requests),
        failures: sum(|e| e.failures),
        body_bytes: sum(|e| e.body_bytes),
        latency_ms: trial.latency_ms,
        min_ms: if least.is_finite() { least } else { 0.0 },
        percentiles_ms: http.percentiles_ms.clone(),
        ..Endpoint::default()
    }
}

fn cells<'a>(
    endpoint: &'a Endpoint,
    method: &str,
    name: &str,
    seconds: f64,
) -> impl Iterator<Item = String> + use<'a> {
    let per_s = |n: u64| format!("{:.6}", if seconds > 0.0 { n as f64 / seconds } else { 0.0 });
    let size = endpoint.body_bytes as f64 / endpoint.requests.max(1) as f64;
    let latency = &endpoint.latency_ms;
    let answered = endpoint.requests > endpoint.failures;
    let head = [
        method.to_owned(),
        name.to_owned(),
        endpoint.requests.to_string(),
        endpoint.failures.to_string(),
        ms(latency.p50),
        ms(latency.avg),
        ms(endpoint.min_ms),
        ms(latency.max),
        format!("{size:.2}"),
        per_s(endpoint.requests),
        per_s(endpoint.failures),
    ];
    head.into_iter().chain(percentiles(latency, &endpoint.percentiles_ms, answered))
}

fn percentiles<'a>(
    latency: &Latency,
    more: &'a BTreeMap<String, f64>,
    answered: bool,
) -> impl Iterator<Item = String> + use<'a> {
    let latency = *latency;
    PERCENTILES.iter().map(move |(_, name)| {
        if !answered {
            return "N/A".to_owned();
        }
        match *name {
            "p50" => ms(latency.p50),
            "p90" => ms(latency.p90),
            "p95" => ms(latency.p95),
            "p99" => ms(latency.p99),
            other => more.get(other).map_or("N/A".to_owned(), |v| ms(*v)),
        }
    })
}

fn ms(value: f64) -> String {
    format!("{value:.3}")
}

/// `requests_stats_history.csv`: a line for each second, of all requests together. Percentiles are
/// those of the second, not cumulative as in Locust without `--csv-full-history`.
pub fn history(trial: &Trial) -> String {
    let mut text = String::new();
    let head = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"];
    let totals = [
        "Total Request Count",
        "Total Failure Count",
        "Total Median Response Time",
        "Total Average Response Time",
        "Total Min Response Time",
        "Total Max Response Time",
        "Total Average Content Size",
    ];
    let percentiles_head = PERCENTILES.iter().map(|(name, _)| *name);
    line(&mut text, head.into_iter().chain(percentiles_head).chain(totals).map(str::to_owned));
    let Some(http) = &trial.http else { return text };
    let all = aggregated(http, trial);
    let (mut requests, mut failures, mut before) = (0, 0, None);
    for second in &http.seconds {
        requests += second.succeeded + second.failed;
        failures += second.failed;
        // A second may be longer when the machine was busy.
        let length = before.map_or(1, |b: u64| second.unix_s.saturating_sub(b).max(1)) as f64;
        before = Some(second.unix_s);
        let none = BTreeMap::new();
        let answered = second.succeeded > 0;
        let cells = [
            second.unix_s.to_string(),
            second.users.to_string(),
            String::new(),
            "Aggregated".to_owned(),
            format!("{:.6}", (second.succeeded + second.failed) as f64 / length),
            format!("{:.6}", second.failed as f64 / length),
        ];
        let sums = [
            requests.to_string(),
            failures.to_string(),
            ms(second.latency_ms.p50),
            ms(second.latency_ms.avg),
            ms(all.min_ms),
            ms(second.latency_ms.max),
            format!("{:.2}", all.body_bytes as f64 / all.requests.max(1) as f64),
        ];
        let middle: Vec<String> = percentiles(&second.latency_ms, &none, answered).collect();
        line(&mut text, cells.into_iter().chain(middle).chain(sums));
    }
    text
}
