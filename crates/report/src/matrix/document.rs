use pinchpoint_measure::{
    RunResult, RunStatus, VariantStatus, group_thousands, human_duration, significant,
};

use crate::document::{Block, Document};
use crate::matrix::rows::{Row, cases, ratios, rows};
use crate::matrix::table::percent;
use crate::matrix::thresholds::{Threshold, thresholds};
use crate::matrix::{before_after, surroundings};
use crate::plots::has_memory;
use crate::predictions;
use crate::probes::{probe_lines, proof_words};
use crate::sections;
use crate::text::{clean, count};

/// What the documents measured at 1,000 users: framework, mode, requests/s, p95 in milliseconds.
type Measured = (&'static str, &'static str, Option<(f64, f64)>);
const DOCUMENTS: [Measured; 6] = [
    ("Django", "direct", Some((61.0, 18_000.0))),
    ("Django", "pgbouncer", Some((377.0, 3_700.0))),
    ("FastAPI", "direct", None),
    ("FastAPI", "pgbouncer", Some((1_134.0, 1_200.0))),
    ("Flask", "direct", Some((706.0, 1_700.0))),
    ("Flask", "pgbouncer", Some((814.0, 1_400.0))),
];
const DOCUMENTS_USERS: u64 = 1000;

pub(crate) const PLOTS: [(&str, &str); 2] = [
    (
        "plots/rps_comparison.png",
        "Requests per second of each framework over the users, with and without PgBouncer",
    ),
    (
        "plots/p95_latency_comparison.png",
        "95th percentile of the response time of each framework over the users, with and without PgBouncer",
    ),
];

pub(crate) const MEMORY: (&str, &str) =
    ("plots/memory.png", "Resident memory of the application over the measured part");

/// The report of a matrix.
pub(crate) fn document(result: &RunResult) -> Document {
    let rows = rows(result);
    let mut document =
        Document { title: format!("pinchpoint: {}", result.experiment), blocks: Vec::new() };
    opening(&mut document, result);
    table(&mut document, &rows);
    document.list(thresholds(result).iter().map(Threshold::line).collect());
    let memory = has_memory(result).then_some(MEMORY);
    for (path, alt) in PLOTS.into_iter().chain(memory) {
        document.blocks.push(Block::Image { path: path.to_owned(), alt: alt.to_owned() });
    }
    before_after::sections(&mut document, &rows);
    pooler(&mut document, &rows);
    documents(&mut document, &rows);
    limits(&mut document, &rows);
    if result.variants.iter().any(|v| v.prediction.is_some() || v.unpredicted.is_some()) {
        document.heading("What was expected of cases");
        predictions::section(&mut document, result, "case", "requests");
    }
    waterfalls(&mut document, &rows);
    knees(&mut document, result);
    surroundings::depends(&mut document, &rows);
    surroundings::queues(&mut document, &rows);
    troubles(&mut document, &rows);
    sections::checks(&mut document, result);
    data(&mut document, result);
    sections::environment(&mut document, result);
    reading(&mut document);
    document
}

fn opening(document: &mut Document, result: &RunResult) {
    let reason = result.reason.as_deref().unwrap_or("no reason given");
    match result.status {
        RunStatus::Complete => (),
        RunStatus::Interrupted => document.note(format!(
            "This run was stopped before its end ({reason}). What is here was measured before; go \
             on with it by `pinchpoint run … --resume DIR`."
        )),
        RunStatus::Failed => document.note(format!("This run failed: {reason}.")),
        RunStatus::Running => {
            document.note("This run has not ended, or was killed: its last word is missing.");
        }
    }
    if !result.description.is_empty() {
        document.paragraph(result.description.clone());
    }
    let plan = &result.plan;
    let pace = match plan.target_per_s {
        Some(target) => format!("{} requests/s by schedule (open load)", significant(target, 3)),
        None => "closed load: each user asks again when it has its answer".to_owned(),
    };
    document.paragraph(format!(
        "Begun {}. {} of {} for each case, interleaved; {pace}; warm-up {}; seed {}; {}. Written by \
         pinchpoint {}.",
        result.started_at,
        count(plan.trials as usize, "trial", "trials"),
        human_duration(plan.duration_s),
        plan.warmup,
        plan.seed,
        count(plan.load_threads as usize, "load thread", "load threads"),
        result.pinchpoint_version,
    ));
    for warning in &result.warnings {
        document.note(warning.clone());
    }
}

/// The documents' table.
fn table(document: &mut Document, rows: &[Row<'_>]) {
    document.heading("Results");
    let head = [
        "Framework",
        "Pool Mode",
        "Users",
        "RPS",
        "P95",
        "P99",
        "error rate",
        "Failures/s",
        "RPS 95 %",
        "note",
    ];
    let lines = cases(rows).map(|row| {
        let mut cells = vec![row.framework.clone(), row.mode.clone(), row.users.to_string()];
        match &row.figures {
            Some(f) => cells.extend([
                significant(f.rps.value, 3),
                significant(f.latency_ms.p95, 3),
                significant(f.latency_ms.p99, 3),
                percent(f.error_rate),
                significant(f.failures_per_s, 3),
                f.rps.interval(),
            ]),
            None => cells.extend(vec!["–".to_owned(); 6]),
        }
        cells.push(row.mark());
        cells
    });
    document.table(2, &head, lines.collect());
    document.paragraph(
        "RPS: right answers per second, median over the trials. P95, P99: response time in \
         milliseconds, of right answers. RPS 95 %: interval of the median, or of the batch means of \
         a single trial. A row with a note is not to be used: what voids it stands below, under the \
         checks of the figures or the cases without figures.",
    );
}

fn pooler(document: &mut Document, rows: &[Row<'_>]) {
    let ratios = ratios(rows);
    if ratios.is_empty() {
        return;
    }
    document.heading("What PgBouncer changes");
    let lines = ratios.iter().map(|r| {
        vec![
            r.framework.clone(),
            r.users.to_string(),
            significant(r.direct, 3),
            significant(r.pooled, 3),
            format!("{}×", significant(r.value(), 2)),
            r.range.map_or("one trial".to_owned(), |(low, high)| {
                format!("{}–{}", significant(low, 2), significant(high, 2))
            }),
        ]
    });
    let head = ["Framework", "Users", "direct", "pooled", "pooled ÷ direct", "over the trials"];
    document.table(1, &head, lines.collect());
}

/// The documents' own figures beside ours.
fn documents(document: &mut Document, rows: &[Row<'_>]) {
    let lines: Vec<Vec<String>> = DOCUMENTS
        .iter()
        .filter_map(|(framework, mode, theirs)| {
            let row = cases(rows).find(|r| {
                r.framework == *framework && r.mode == *mode && r.users == DOCUMENTS_USERS
            })?;
            let (rps, p95) = match theirs {
                Some((rps, p95)) => (significant(*rps, 3), significant(*p95, 3)),
                None => ("failed".to_owned(), "–".to_owned()),
            };
            let ours = row.figures.as_ref();
            Some(vec![
                (*framework).to_owned(),
                (*mode).to_owned(),
                rps,
                ours.map_or("–".to_owned(), |f| significant(f.rps.value, 3)),
                p95,
                ours.map_or("–".to_owned(), |f| significant(f.latency_ms.p95, 3)),
                ours.map_or("–".to_owned(), |f| percent(f.error_rate)),
            ])
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    document.heading("Beside the documents");
    let head =
        ["Framework", "Pool Mode", "RPS then", "RPS here", "P95 then", "P95 here", "errors here"];
    document.table(2, &head, lines);
    document.paragraph(
        "At 1,000 users. Then: the figures of the documents that this experiment repeats, on another \
         machine, with PostgreSQL 16 and another load generator. Only the order of magnitude and the \
         direction compare.",
    );
}

fn limits(document: &mut Document, rows: &[Row<'_>]) {
    let lines: Vec<Vec<String>> = cases(rows)
        .filter_map(|row| {
            let verdict = row.variant.verdict.as_ref()?;
            Some(vec![
                row.framework.clone(),
                row.mode.clone(),
                row.users.to_string(),
                format!("{}{}", verdict.bottleneck, proof_words(verdict)),
                verdict.evidence.join("; "),
                verdict.against.join("; "),
            ])
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    document.heading("What limited each case");
    let head = ["Framework", "Pool Mode", "Users", "limit", "evidence", "beside it"];
    document.table(6, &head, lines);
    document.paragraph(
        "As far as the figures of all trials show it; `pinchpoint report DIR --explain CASE` shows how \
         each came about.",
    );
    probes(document, rows);
}

/// What became of verdicts when demands were made larger.
fn probes(document: &mut Document, rows: &[Row<'_>]) {
    let of = |row: &Row<'_>| {
        let name = clean(&row.variant.name);
        let lines = row.variant.verdict.as_ref().map(probe_lines).unwrap_or_default();
        lines.into_iter().map(move |line| format!("{name}: {line}")).collect::<Vec<_>>()
    };
    let lines: Vec<String> = rows.iter().flat_map(of).collect();
    if !lines.is_empty() {
        document.heading("What throughput did when a demand was made larger");
        document.list(lines);
    }
}

fn waterfalls(document: &mut Document, rows: &[Row<'_>]) {
    let mut apps: Vec<&str> =
        rows.iter().filter_map(|r| r.step.as_ref()).map(|(app, _)| app.as_str()).collect();
    apps.dedup();
    for app in apps {
        let steps: Vec<&Row<'_>> =
            rows.iter().filter(|r| r.step.as_ref().is_some_and(|(a, _)| a == app)).collect();
        let Some(first) = steps.first() else { continue };
        document.heading(&format!("One setting at a time: {}", first.framework));
        let mut before: Option<f64> = None;
        let mut lines = Vec::new();
        for row in &steps {
            let mut cells = vec![clean(&row.variant.title), row.mode.clone()];
            let figures = row.figures.as_ref().filter(|_| row.variant.status == VariantStatus::Ok);
            match figures {
                Some(f) => {
                    let postgres = row.stack().and_then(|s| s.process("postgres"));
                    let each = postgres.and_then(|p| p.cpu_us_per_op);
                    cells.extend([
                        significant(f.rps.value, 3),
                        before.filter(|b| *b > 0.0).map_or("–".to_owned(), |b| {
                            format!("{}×", significant(f.rps.value / b, 2))
                        }),
                        significant(f.latency_ms.p95, 3),
                        each.map_or("–".to_owned(), |us| significant(us / 1000.0, 2)),
                    ]);
                    before = Some(f.rps.value);
                }
                None => cells.extend(vec!["–".to_owned(); 4]),
            }
            cells.push(row.trouble().unwrap_or_default());
            lines.push(cells);
        }
        let head =
            ["step", "Pool Mode", "RPS", "gain", "P95", "PostgreSQL CPU, ms a request", "note"];
        document.table(2, &head, lines);
        document.paragraph(format!(
            "At {} users; gain over the step before that has figures.",
            group_thousands(first.users)
        ));
    }
}

fn knees(document: &mut Document, result: &RunResult) {
    if result.knees.is_empty() {
        return;
    }
    document.heading("Where more users gave no more");
    let lines = result.knees.iter().map(|k| {
        vec![
            k.app.clone(),
            k.connection.clone(),
            group_thousands(k.users),
            significant(k.throughput_per_s, 3),
            k.detail.clone(),
        ]
    });
    document.table(2, &["app", "Pool Mode", "Users", "RPS", "how"], lines.collect());
}

/// Cases without figures, with the end of their logs.
fn troubles(document: &mut Document, rows: &[Row<'_>]) {
    let without = |r: &&Row<'_>| r.figures.is_none() && r.variant.reason.is_some();
    let failed: Vec<&Row<'_>> = rows.iter().filter(without).collect();
    if failed.is_empty() {
        return;
    }
    document.heading("Cases without figures");
    for row in failed {
        let word = match row.variant.status {
            VariantStatus::Skipped => "skipped",
            _ => "failed",
        };
        document.paragraph(format!("{} {word}:", row.variant.name));
        let reason = row.variant.reason.clone().unwrap_or_default();
        document.blocks.push(Block::Verbatim(reason));
    }
}

fn data(document: &mut Document, result: &RunResult) {
    let Some(data) = &result.environment.dataset else { return };
    document.heading("The data");
    let how = match data.loaded_s {
        Some(seconds) => format!("loaded in {}", human_duration(seconds)),
        None => "there already".to_owned(),
    };
    document.paragraph(format!(
        "A blog of {} users, {} posts and {} comments, {how}. Fingerprint: {}.",
        group_thousands(data.users),
        group_thousands(data.posts),
        group_thousands(data.comments),
        data.fingerprint
    ));
}

fn reading(document: &mut Document) {
    document.heading("How to read this");
    document.list(
        [
            "Load generator, application, pooler and database share one machine; the limits keep \
             them apart, and the gates say when they did not suffice.",
            "Closed load without think time: users wait for answers, so a slow case is asked less. \
             Latency at a rate needs `--target-tps`.",
            "The profile `documents` keeps each framework's defaults, so a direct row measures the \
             framework's connection policy more than its speed; `tuned` gives all the same budget.",
            "Behind PgBouncer 1.18 a driver must not keep prepared statements; a driver that does \
             without them by anonymous statements or by a transaction around each query pays for it \
             at the database.",
            "A ratio within the range of its trials says more than the rank of two neighbours.",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
}
