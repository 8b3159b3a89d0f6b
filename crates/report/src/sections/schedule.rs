use pinchpoint_measure::{RunResult, group_thousands, significant};

use crate::climb::rungs;
use crate::document::Document;

/// How the rungs in open load kept to their schedule.
pub(super) fn schedule(document: &mut Document, result: &RunResult) {
    let rungs = rungs(result);
    let rows: Vec<_> = rungs
        .iter()
        .filter_map(|rung| {
            let (target, summary) = (rung.target()?, rung.variant.summary.as_ref()?);
            let (most, end) = rung.backlog();
            let latency = &summary.latency_ms;
            let mut row = vec![rung.name.clone()];
            row.extend([target, summary.throughput_per_s.median].map(|x| significant(x, 3)));
            let response = [latency.avg, latency.p50, latency.p95, latency.p99, latency.max];
            row.extend(response.map(|ms| significant(ms, 3)));
            row.extend([most, end].map(group_thousands));
            Some(row)
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Held to a schedule");
    let head = [
        "rung",
        "asked: rows/s",
        "reached: rows/s",
        "response avg ms",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "longest ms",
        "largest backlog",
        "backlog at the end",
    ];
    document.table(1, &head, rows);
    document.paragraph(
        "The response time counts from the instant at which the schedule wanted the operation, so \
         that waiting for a free virtual user is part of it. The backlog is the operations due and \
         not begun: one that grows to the end says that the target is beyond the rung.",
    );
}
