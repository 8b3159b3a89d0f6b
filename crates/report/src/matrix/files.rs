use std::collections::BTreeSet;

use pinchpoint_measure::{Interval, RunResult, Trial};

use crate::matrix::document::{MEMORY, PLOTS, document};
use crate::matrix::rows::good;
use crate::matrix::{k6, locust};
use crate::plots::{Over, has_memory, memory, over_users};
use crate::text::file_name;
use crate::{File, ReportError, csv, file, html, markdown};

/// Every file that derives from the result of a matrix.
pub(crate) fn files(result: &RunResult) -> Result<Vec<File>, ReportError> {
    let document = document(result);
    let mut plots = vec![
        (PLOTS[0].0, over_users(result, Over::Rate)?),
        (PLOTS[1].0, over_users(result, Over::P95)?),
    ];
    if has_memory(result) {
        plots.push((MEMORY.0, memory(result)?));
    }
    let images: Vec<(&str, &[u8])> =
        plots.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    let mut files = csv::files(result);
    files.retain(|f| !f.path.starts_with("metrics/"));
    files.push(file("summary_report.md", markdown::render(&document).into_bytes()));
    files.push(file("report.html", html::render(&document, &images).into_bytes()));
    files.extend(plots.into_iter().map(|(path, bytes)| file(path, bytes)));
    let mut taken = BTreeSet::new();
    for variant in &result.variants {
        let mut name = file_name(&variant.name);
        // Some file systems take `a` and `A` for the same.
        while !taken.insert(name.to_ascii_lowercase()) {
            name.push('_');
        }
        // The last trial stands for the case where a file has room for one only.
        let Some(trial) = good(variant).last() else { continue };
        files.extend(case(&name, trial, &good(variant).collect::<Vec<_>>()));
    }
    Ok(files)
}

/// A case's own files.
fn case(name: &str, last: &Trial, trials: &[&Trial]) -> Vec<File> {
    let path = |file: &str| format!("cases/{name}/{file}");
    let intervals: Vec<&Interval> = trials.iter().flat_map(|t| &t.intervals).collect();
    vec![
        csv::metrics(&path("metrics.csv"), &intervals),
        file(&path("requests_stats.csv"), locust::stats(last).into_bytes()),
        file(&path("requests_stats_history.csv"), locust::history(last).into_bytes()),
        file(&path("summary.json"), k6::summary(last).into_bytes()),
    ]
}
