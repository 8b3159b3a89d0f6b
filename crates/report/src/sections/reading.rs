use crate::document::Document;

/// How to read the figures.
pub(super) fn reading(document: &mut Document) {
    document.heading("How to read this");
    document.list(
        [
            "A row is the unit of throughput; an operation is one statement with what it takes to \
             get a connection for it.",
            "In closed load each virtual user starts its next operation when the last one has \
             ended: throughput and latency depend on each other. In open load a schedule starts \
             operations, and the response time counts from the intended start, so that waiting \
             counts.",
            "The null rung sends the same rows over the same path and stores nothing: what the \
             generator and the wire can do at best.",
            "The 95 % interval is over trials: order statistics from six trials on, Student's t \
             on logarithms below that, batch means within the trial when there is one only.",
            "metrics.csv holds a line an interval of all trials in the order of time (metrics/ \
             has one file a rung); counts are rows, latencies are those of an operation, \
             error_rate is a share from 0 to 1. summary.csv holds a line a trial. histograms/ \
             holds HdrHistogram logs in nanoseconds.",
            "pinchpoint report DIR makes every derived file again from result.json.",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
}
