use std::collections::BTreeSet;

use pinchpoint_measure::{INTERVAL_METRICS, Interval, RunResult, TRIAL_METRICS};

use crate::File;
use crate::text::file_name;

/// `metrics.csv` over all trials, the same for each variant, and `summary.csv`.
pub(crate) fn files(result: &RunResult) -> Vec<File> {
    let mut all: Vec<&Interval> = Vec::new();
    let mut files = Vec::new();
    let mut taken = BTreeSet::new();
    for variant in &result.variants {
        let own: Vec<&Interval> = variant.trials.iter().flat_map(|t| &t.intervals).collect();
        if !own.is_empty() {
            let mut name = file_name(&variant.name);
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            files.push(metrics(&format!("metrics/{name}.csv"), &own));
        }
        all.extend(own);
    }
    // RFC 3339 in UTC with fixed digits: the order of the text is the order of time.
    all.sort_by(|a, b| a.timestamp.cmp(&b.timestamp));
    files.insert(0, metrics("metrics.csv", &all));
    files.push(summary(result));
    files
}

fn metrics(path: &str, intervals: &[&Interval]) -> File {
    let mut text = String::new();
    line(&mut text, INTERVAL_METRICS.iter().map(|m| m.name.to_owned()));
    for interval in intervals {
        line(&mut text, INTERVAL_METRICS.iter().map(|m| (m.value)(interval).cell()));
    }
    File { path: path.to_owned(), bytes: text.into_bytes() }
}

fn summary(result: &RunResult) -> File {
    let mut text = String::new();
    let heads = TRIAL_METRICS.iter().map(|m| m.name.to_owned());
    line(&mut text, std::iter::once("variant".to_owned()).chain(heads));
    for variant in &result.variants {
        for trial in &variant.trials {
            let cells = TRIAL_METRICS.iter().map(|m| (m.value)(trial).cell());
            line(&mut text, std::iter::once(variant.name.clone()).chain(cells));
        }
    }
    File { path: "summary.csv".to_owned(), bytes: text.into_bytes() }
}

/// A record as RFC 4180 wants it, but with a line feed alone.
fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn metrics_csv_has_a_line_an_interval_in_time_order() {
        let result = fixture::ladder();
        let files = files(&result);
        let text = String::from_utf8(files[0].bytes.clone()).unwrap();
        let count: usize =
            result.variants.iter().flat_map(|v| &v.trials).map(|t| t.intervals.len()).sum();
        assert_eq!(text.lines().count(), count + 1);
        let times: Vec<_> = text.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
        assert!(times.is_sorted());
        assert!(text.lines().all(|l| l.split(',').count() == INTERVAL_METRICS.len()));
    }

    #[test]
    fn cells_that_need_quotes_get_them() {
        let mut text = String::new();
        line(&mut text, ["a,b", "say \"x\"", "plain"].into_iter().map(str::to_owned));
        assert_eq!(text, "\"a,b\",\"say \"\"x\"\"\",plain\n");
    }
}
