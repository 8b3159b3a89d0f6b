use std::collections::BTreeSet;

use pinchpoint_measure::RunResult;

use crate::document::Document;

/// How to read the figures.
pub(super) fn reading(document: &mut Document, result: &RunResult) {
    let summaries = result.variants.iter().filter_map(|v| v.summary.as_ref());
    let methods: BTreeSet<_> = summaries
        .map(|s| s.throughput_per_s.ci_method.as_str())
        .filter(|m| !m.is_empty())
        .collect();
    let methods: Vec<_> = methods.into_iter().collect();
    let how = if methods.is_empty() { "none here".to_owned() } else { methods.join("; ") };
    document.heading("How to read this");
    let interval = format!(
        "The 95 % interval is that of the median throughput, over the trials where there are \
         several; here by: {how}. Two rungs whose intervals overlap may not differ at all."
    );
    let mut items = vec![interval];
    items.extend(
        [
            "A row is the unit of throughput; an operation is one statement with what it takes to \
             get a connection for it.",
            "In closed load each virtual user starts its next operation when the last one has \
             ended: throughput and latency depend on each other. In open load a schedule starts \
             operations, and the response time counts from the intended start, so that waiting \
             counts.",
            "The null rung sends the same rows over the same path and stores nothing: what the \
             generator and the wire can do at best.",
            "metrics.csv holds a line an interval of all trials in the order of time (metrics/ \
             has one file a rung); counts are rows, latencies are those of an operation, \
             error_rate is a share from 0 to 1. summary.csv holds a line a trial. histograms/ \
             holds HdrHistogram logs in nanoseconds.",
            "pinchpoint report DIR makes every derived file again from result.json.",
        ]
        .map(str::to_owned),
    );
    document.list(items);
}
