//! What a cache gave, and what a shared client gave, from the numbers that the applications and the
//! database tell of themselves.

use std::collections::BTreeMap;

use pinchpoint_measure::{Lookups, StackFigures, Trial, group_thousands, significant};

use crate::document::Document;
use crate::matrix::rows::{Row, cases, good};
use crate::text::clean;

/// What the documents had to estimate: endpoint, milliseconds on a miss and on a hit.
const DOCUMENTS: [(&str, &str, &str); 3] =
    [("user", "50", "5"), ("posts of a category", "100", "8"), ("categories", "30", "3")];

/// The sum of a family's series, those that have all these labels.
fn sum(metrics: &BTreeMap<String, f64>, family: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |series: &str| {
        let (name, rest) = series.split_once('{').unwrap_or((series, ""));
        name == family
            && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
    };
    metrics.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
}

/// What the cache of a case did in its first trial that counts.
struct Did {
    hits: f64,
    in_memory: f64,
    misses: f64,
    calls: f64,
}

impl Did {
    fn of(stack: &StackFigures) -> Option<Self> {
        let metrics = &stack.app_metrics;
        let did = Self {
            hits: sum(metrics, "cache_hits_total", &[]),
            in_memory: sum(metrics, "cache_hits_total", &[("level", "memory")]),
            misses: sum(metrics, "cache_misses_total", &[]),
            calls: sum(metrics, "cache_loads_total", &[]),
        };
        (did.hits + did.misses > 0.0).then_some(did)
    }
}

fn first<'a>(row: &Row<'a>) -> Option<(&'a Trial, &'a StackFigures)> {
    good(row.variant).find_map(|trial| Some((trial, trial.stack.as_ref()?)))
}

fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0} %", part * 100.0 / whole) } else { "–".to_owned() }
}

fn memory(stack: &StackFigures) -> String {
    let bytes = stack.process("app").map(|p| p.resident_bytes.as_slice()).unwrap_or_default();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => format!("{} → {}", first >> 20, last >> 20),
        _ => "–".to_owned(),
    }
}

/// Whether any case has a cache to tell of.
fn has_cache(rows: &[Row<'_>]) -> bool {
    cases(rows).any(|row| row.stack().is_some_and(|stack| Did::of(stack).is_some()))
}

/// Whether it is about a cache or about clients of another service.
pub(crate) fn applies(rows: &[Row<'_>]) -> bool {
    has_cache(rows)
        || cases(rows).any(|row| row.stack().is_some_and(|s| s.process("beside").is_some()))
}

/// The case that the others are held against: the first one, with as many users.
fn base<'r, 'a>(rows: &'r [Row<'a>], row: &Row<'_>) -> Option<&'r Row<'a>> {
    cases(rows).find(|other| other.users == row.users)
}

pub(crate) const HEAD: [&str; 10] = [
    "variant",
    "users",
    "RPS",
    "× first",
    "P95, ms",
    "hit ratio",
    "in memory",
    "calls/s",
    "database, tx/s",
    "connections",
];

/// A line for each case; nothing where no case has a cache.
pub(crate) fn lines(rows: &[Row<'_>]) -> Vec<Vec<String>> {
    if !has_cache(rows) {
        return Vec::new();
    }
    let line = |row: &Row<'_>| {
        let figures = row.figures.as_ref()?;
        let (trial, stack) = first(row)?;
        let did = Did::of(stack);
        let per_second = |n: f64| significant(n / trial.duration_s.max(1e-9), 3);
        let base = base(rows, row).and_then(|base| base.figures.as_ref()).map(|f| f.rps.value);
        let sessions = stack.sessions.clone().unwrap_or_default();
        let dash = || "–".to_owned();
        Some(vec![
            row.framework.clone(),
            row.users.to_string(),
            significant(figures.rps.value, 3),
            base.filter(|b| *b > 0.0).map_or_else(dash, |b| significant(figures.rps.value / b, 3)),
            significant(figures.latency_ms.p95, 3),
            did.as_ref().map_or_else(dash, |d| share(d.hits, d.hits + d.misses)),
            did.as_ref().map_or_else(dash, |d| share(d.in_memory, d.hits + d.misses)),
            did.as_ref().map_or_else(dash, |d| per_second(d.calls)),
            sessions.transactions.map_or_else(dash, |n| per_second(n as f64)),
            sessions.most.to_string(),
        ])
    };
    cases(rows).filter_map(line).collect()
}

pub(crate) fn sections(document: &mut Document, rows: &[Row<'_>]) {
    cache(document, rows);
    hits_and_misses(document, rows);
    endpoints(document, rows);
    functions(document, rows);
    connections(document, rows);
}

fn cache(document: &mut Document, rows: &[Row<'_>]) {
    let lines = lines(rows);
    if lines.is_empty() {
        return;
    }
    document.heading("What the cache gave");
    let mut head: Vec<&str> = HEAD.to_vec();
    head.push("app memory, MiB");
    let memories = cases(rows).filter(|row| row.figures.is_some()).filter_map(first);
    let lines = lines.into_iter().zip(memories.map(|(_, stack)| memory(stack)));
    let lines = lines.map(|(mut line, memory)| {
        line.push(memory);
        line
    });
    document.table(1, &head, lines.collect());
    document.paragraph(
        "Hit ratio: lookups of cached functions that were answered by the cache, in memory or in \
         Redis; one request may look up more than one. Calls: of the functions behind the cache. tx/s: \
         transactions that PostgreSQL ended; a statement outside a transaction is one. Connections: most \
         sessions seen at once. Memory: resident at the beginning and at the end. × first: RPS against \
         the first variant with as many users. From the first trial of each case, RPS and P95 from all.",
    );
    document.paragraph(
        "The documents could only estimate: hit ratio about 70 %, database load −70 %, connections \
         about 50 → about 15, memory −25 %, p95 −38 %.",
    );
}

/// Response times by request: before, after, and what the documents estimated.
fn endpoints(document: &mut Document, rows: &[Row<'_>]) {
    let several = |row: &Row<'_>| first(row).is_some_and(|(trial, _)| endpoints_of(trial) > 1);
    if !has_cache(rows) || !cases(rows).any(several) {
        return;
    }
    document.heading("Response times by request");
    let mut users: Vec<u64> = cases(rows).map(|row| row.users).collect();
    users.sort_unstable();
    users.dedup();
    for users in users {
        let at: Vec<(&Row<'_>, &Trial)> = cases(rows)
            .filter(|row| row.users == users)
            .filter_map(|row| Some((row, first(row)?.0)))
            .collect();
        let Some((_, trial)) = at.first() else { continue };
        let names = trial.http.as_ref().map(|http| http.endpoints.as_slice()).unwrap_or_default();
        let lines = names.iter().enumerate().map(|(place, endpoint)| {
            let mut cells = vec![clean(&endpoint.name)];
            cells.extend(at.iter().map(|(_, trial)| {
                let endpoint = trial.http.as_ref().and_then(|http| http.endpoints.get(place));
                endpoint.map_or("–".to_owned(), |e| {
                    format!(
                        "{} / {}",
                        significant(e.latency_ms.avg, 3),
                        significant(e.latency_ms.p95, 3)
                    )
                })
            }));
            let theirs = DOCUMENTS.iter().find(|(name, _, _)| *name == endpoint.name);
            cells.push(theirs.map_or("–".to_owned(), |(_, miss, hit)| format!("{miss} → {hit}")));
            cells
        });
        let mut head = vec!["request".to_owned()];
        head.extend(at.iter().map(|(row, _)| row.framework.clone()));
        head.push("documents, miss → hit".to_owned());
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        document
            .paragraph(format!("At {} users: mean / P95 in milliseconds.", group_thousands(users)));
        document.table(1, &head, lines.collect());
    }
}

fn endpoints_of(trial: &Trial) -> usize {
    trial.http.as_ref().map_or(0, |http| http.endpoints.len())
}

/// Response times of the requests that a cache could answer, by whether it had the answer.
fn hits_and_misses(document: &mut Document, rows: &[Row<'_>]) {
    let mut lines = Vec::new();
    for row in cases(rows) {
        let Some((trial, _)) = first(row) else { continue };
        for endpoint in trial.http.iter().flat_map(|http| &http.endpoints) {
            if endpoint.hits.is_none() && endpoint.misses.is_none() {
                continue;
            }
            let ms = |time: Option<f64>| time.map_or("–".to_owned(), |ms| significant(ms, 3));
            let mean = |l: Option<Lookups>| ms(l.map(|l| l.mean_ms));
            let p95 = |l: Option<Lookups>| ms(l.and_then(|l| l.p95_ms));
            let count = |l: Option<Lookups>| group_thousands(l.map_or(0, |l| l.answers));
            let theirs = DOCUMENTS.iter().find(|(name, _, _)| *name == endpoint.name);
            lines.push(vec![
                row.framework.clone(),
                row.users.to_string(),
                clean(&endpoint.name),
                count(endpoint.misses),
                count(endpoint.hits),
                mean(endpoint.misses),
                p95(endpoint.misses),
                mean(endpoint.hits),
                p95(endpoint.hits),
                theirs.map_or("–".to_owned(), |(_, miss, hit)| format!("{miss} → {hit}")),
            ]);
        }
    }
    if lines.is_empty() {
        return;
    }
    document.heading("Misses and hits by request");
    let head = [
        "variant",
        "users",
        "request",
        "misses",
        "hits",
        "miss, ms",
        "p95",
        "hit, ms",
        "p95",
        "documents, miss → hit",
    ];
    document.table(3, &head, lines);
    document.paragraph(
        "Mean times and 95th percentiles of right answers in the first trial, as the load saw them, told apart by the answer's \
         own field `X-Cache`; what says neither is not in the table.",
    );
}

/// What a hit and a miss took inside the application.
fn functions(document: &mut Document, rows: &[Row<'_>]) {
    let mut lines = Vec::new();
    for row in cases(rows) {
        let Some((_, stack)) = first(row) else { continue };
        let metrics = &stack.app_metrics;
        let mut names: Vec<&str> = metrics
            .keys()
            .filter_map(|series| {
                series.strip_prefix("cache_latency_seconds_count{")?.split_once("cache=\"")
            })
            .filter_map(|(_, rest)| Some(rest.split_once('"')?.0))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let mean = |labels: &[(&str, &str)]| {
                let labels: Vec<_> = [("cache", name)].iter().chain(labels).copied().collect();
                let count = sum(metrics, "cache_latency_seconds_count", &labels);
                let total = sum(metrics, "cache_latency_seconds_sum", &labels);
                (count > 0.0).then(|| total / count)
            };
            let text = |seconds: Option<f64>, unit: f64| {
                seconds.map_or("–".to_owned(), |s| significant(s * unit, 3))
            };
            lines.push(vec![
                row.framework.clone(),
                row.users.to_string(),
                name.to_owned(),
                text(mean(&[("level", "memory"), ("outcome", "hit")]), 1e6),
                text(mean(&[("level", "redis")]), 1e3),
                text(mean(&[("level", "origin")]), 1e3),
            ]);
        }
    }
    if lines.is_empty() {
        return;
    }
    document.heading("Hits and misses inside the application");
    let head =
        ["variant", "users", "function", "hit in memory, µs", "hit in Redis, ms", "miss, ms"];
    document.table(3, &head, lines);
    document.paragraph(
        "Means over the measured part of the first trial, as the cache itself timed them, without \
         HTTP. A miss includes the wait for another's call of the same key.",
    );
}

/// A line for each case that has a service beside it, which counts the connections it accepts.
pub(crate) fn connection_lines(rows: &[Row<'_>]) -> Vec<Vec<String>> {
    let line = |row: &Row<'_>| {
        let (trial, stack) = first(row)?;
        stack.process("beside")?;
        // The reading that told of them came over a connection itself.
        let accepted = sum(&stack.beside_metrics, "http_connections_accepted_total", &[]) - 1.0;
        let figures = row.figures.as_ref()?;
        let cpu = |name: &str| {
            let each = stack.process(name).and_then(|p| p.cpu_us_per_op);
            each.map_or("–".to_owned(), |us| significant(us, 3))
        };
        Some(vec![
            row.framework.clone(),
            row.users.to_string(),
            significant(figures.rps.value, 3),
            significant(figures.latency_ms.p50, 3),
            significant(figures.latency_ms.p95, 3),
            significant(accepted.max(0.0) * 1000.0 / trial.succeeded.max(1) as f64, 3),
            set_up(stack, "connection", trial),
            set_up(stack, "client", trial),
            cpu("app"),
            cpu("beside"),
            memory(stack),
        ])
    };
    cases(rows).filter_map(line).collect()
}

/// Milliseconds spent to set something up, for each request.
fn set_up(stack: &StackFigures, part: &str, trial: &Trial) -> String {
    let count = sum(&stack.app_metrics, "upstream_setup_seconds_count", &[("part", part)]);
    let total = sum(&stack.app_metrics, "upstream_setup_seconds_sum", &[("part", part)]);
    // What was set up before the measured part left no trace in it.
    if count <= 0.0 {
        "0".to_owned()
    } else {
        significant(total * 1e3 / trial.succeeded.max(1) as f64, 3)
    }
}

fn connections(document: &mut Document, rows: &[Row<'_>]) {
    let lines = connection_lines(rows);
    if lines.is_empty() {
        return;
    }
    document.heading("Connections between the services");
    let head = [
        "variant",
        "users",
        "RPS",
        "P50, ms",
        "P95, ms",
        "connections opened for 1,000 requests",
        "connecting, ms a request",
        "making a client, ms a request",
        "app CPU, µs a request",
        "CPU beside, µs a request",
        "app memory, MiB",
    ];
    document.table(1, &head, lines);
    document.paragraph(
        "Connections are counted by the service that accepts them, and timed by the one that opens them, \
         names included. The documents, from one client per request to a \
         shared one: set-up 15 ms → 0 ms, connections −90 %, p95 85 → 57 ms, throughput +20 %. There \
         the services had a network between them; here it is the loopback interface, where a connection \
         costs CPU and no waiting.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_family_and_labels() {
        let metrics: BTreeMap<String, f64> = [
            ("cache_hits_total{cache=\"a\",level=\"memory\"}", 3.0),
            ("cache_hits_total{cache=\"a\",level=\"redis\"}", 2.0),
            ("cache_hits_total{cache=\"b\",level=\"memory\"}", 1.0),
            ("cache_hits_total_more{level=\"memory\"}", 100.0),
            ("plain", 7.0),
        ]
        .map(|(series, value)| (series.to_owned(), value))
        .into();
        assert!((sum(&metrics, "cache_hits_total", &[]) - 6.0).abs() < 1e-9);
        assert!((sum(&metrics, "cache_hits_total", &[("level", "memory")]) - 4.0).abs() < 1e-9);
        assert!((sum(&metrics, "plain", &[]) - 7.0).abs() < 1e-9);
    }
}
