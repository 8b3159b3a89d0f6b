use pinchpoint_measure::{RunResult, significant};

use crate::climb::{conclusions, rungs};
use crate::document::Document;

/// The climb as a table, and what it says.
pub(super) fn climb(document: &mut Document, result: &RunResult) {
    document.heading("The climb");
    let rungs = rungs(result);
    let rows = rungs
        .iter()
        .map(|rung| {
            let mut row = vec![rung.name.clone(), rung.title.clone()];
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
                None => {
                    row[1] = format!("{} ({})", row[1], rung.absence());
                    row.extend(std::iter::repeat_n("–".to_owned(), 9));
                }
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

/// The figures of the documents that the ladder is taken from: rung, rows/s, latency.
const DOCUMENTS: [(&str, f64, &str); 5] = [
    ("1", 70.0, "15 ms"),
    ("2", 175.0, "2.8 ms"),
    ("2-B", 5_100.0, "6.3 ms"),
    ("2-C", 17_400.0, "0.26 ms a row"),
    ("2-D", 17_500.0, "0.30 ms a row"),
];

/// The documents' figures beside ours.
pub(super) fn documents(document: &mut Document, result: &RunResult) {
    if result.experiment != "ladder" {
        return;
    }
    let ours = |name: &str| {
        let summary = result.variant(name)?.summary.as_ref()?;
        Some(summary.throughput_per_s.median)
    };
    let first = ours("1").filter(|x| *x > 0.0);
    let times = |x: f64| format!("× {}", significant(x, 3));
    let rows = DOCUMENTS
        .iter()
        .filter_map(|(name, tps, latency)| {
            let own = ours(name)?;
            let ratio = first.map_or_else(|| "–".to_owned(), |first| times(own / first));
            Some(vec![
                (*name).to_owned(),
                significant(*tps, 3),
                (*latency).to_owned(),
                times(tps / DOCUMENTS[0].1),
                significant(own, 3),
                ratio,
            ])
        })
        .collect::<Vec<_>>();
    if rows.is_empty() {
        return;
    }
    document.heading("Beside the original measurements");
    let head =
        ["rung", "theirs: rows/s", "theirs: latency", "× rung 1", "here: rows/s", "× rung 1"];
    document.table(1, &head, rows);
    document.paragraph(
        "Theirs: a Python generator (psycopg2, then asyncpg) against PostgreSQL 15 in a container \
         on an Intel N100 with 4 cores. Ratios compare better than figures, and rung 2 shows why: \
         theirs was held to a target of 200 rows/s.",
    );
}
