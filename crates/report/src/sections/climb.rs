use pinchpoint_measure::{RunResult, significant};

use crate::climb::rungs;
use crate::conclusions::conclusions;
use crate::document::Document;

/// The climb as a table, and what it says.
pub(super) fn climb(document: &mut Document, result: &RunResult) {
    document.heading("The climb");
    let rungs = rungs(result);
    let rows = rungs
        .iter()
        .map(|rung| {
            let title = match rung.trouble() {
                Some(trouble) => format!("{} ({trouble})", rung.title),
                None => rung.title.clone(),
            };
            let mut row = vec![rung.name.clone(), title];
            match &rung.figures {
                Some(f) => row.extend([
                    f.tps_text.clone(),
                    f.interval.clone(),
                    rung.ratio(),
                    f.p50.clone(),
                    f.p95.clone(),
                    f.p99.clone(),
                    f.per_row.clone(),
                    f.cpu_per_row.clone(),
                    f.errors.clone(),
                ]),
                None => row.extend(std::iter::repeat_n("–".to_owned(), 9)),
            }
            row
        })
        .collect();
    let head = [
        "rung",
        "what changed",
        "rows/s",
        "95 % interval",
        "× before",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "ms a row",
        "client µs a row",
        "errors",
    ];
    document.table(2, &head, rows);
    document.paragraph(
        "Rows/s is the median over the trials with its 95 % interval; p50, p95 and p99 are those \
         of one statement, a batch being one statement; ms a row is the mean statement time \
         divided by its rows.",
    );
    document.list(conclusions(result, &rungs));
}

/// A rung as the documents that the ladder is taken from measured it.
struct Original {
    rung: &'static str,
    rows_per_s: f64,
    /// Mean latency in milliseconds: of an operation, or of a row where `per_row`.
    latency_ms: f64,
    per_row: bool,
}

const fn original(rung: &'static str, rows_per_s: f64, latency_ms: f64, per_row: bool) -> Original {
    Original { rung, rows_per_s, latency_ms, per_row }
}

const ORIGINALS: [Original; 5] = [
    original("1", 70.0, 15.0, false),
    original("2", 175.0, 2.8, false),
    original("2-B", 5_100.0, 6.3, false),
    original("2-C", 17_400.0, 0.26, true),
    original("2-D", 17_500.0, 0.30, true),
];

/// The documents' figures beside ours.
pub(super) fn documents(document: &mut Document, result: &RunResult) {
    if result.experiment != "ladder" {
        return;
    }
    let ours = |name: &str| result.variant(name)?.summary.as_ref();
    let first = ours("1").map(|s| s.throughput_per_s.median).filter(|x| *x > 0.0);
    let times = |x: f64| format!("× {}", significant(x, 3));
    let latency = |ms: f64, per_row: bool| {
        format!("{} ms{}", significant(ms, 2), if per_row { " a row" } else { "" })
    };
    let rows: Vec<_> = ORIGINALS
        .iter()
        .filter_map(|o| {
            let own = ours(o.rung)?;
            let rate = own.throughput_per_s.median;
            let own_ms = if o.per_row { own.per_row_latency_ms } else { own.latency_ms.avg };
            Some(vec![
                o.rung.to_owned(),
                significant(o.rows_per_s, 2),
                significant(rate, 3),
                times(o.rows_per_s / ORIGINALS[0].rows_per_s),
                first.map_or_else(|| "–".to_owned(), |first| times(rate / first)),
                latency(o.latency_ms, o.per_row),
                latency(own_ms, o.per_row),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Beside the original measurements");
    let head = [
        "rung",
        "theirs: rows/s",
        "here: rows/s",
        "theirs: × rung 1",
        "here: × rung 1",
        "theirs: mean latency",
        "here: mean latency",
    ];
    document.table(1, &head, rows);
    document.paragraph(
        "Theirs: a Python generator (psycopg2, then asyncpg) against PostgreSQL 15 in a container \
         on an Intel N100 with 4 cores. Ratios compare better than figures, and rung 2 shows why: \
         theirs was held to a target of 200 rows/s. Latencies are those of an operation, the \
         connect included; of the batches theirs are known per row only.",
    );
}
