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
            // Some file systems take `a` and `A` for the same.
            while !taken.insert(name.to_ascii_lowercase()) {
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

pub(crate) fn metrics(path: &str, intervals: &[&Interval]) -> File {
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
pub(crate) fn line(text: &mut String, cells: impl Iterator<Item = String>) {
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

    /// The records of a CSV text, by RFC 4180.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
        let (mut quoted, mut chars) = (false, text.chars().peekable());
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => record.push(std::mem::take(&mut cell)),
                '\n' if !quoted => {
                    record.push(std::mem::take(&mut cell));
                    records.push(std::mem::take(&mut record));
                }
                other => cell.push(other),
            }
        }
        records
    }

    #[test]
    fn summary_csv_is_read_back_as_it_was_whatever_the_names() {
        for result in [fixture::ladder(), fixture::hostile()] {
            let file = files(&result).pop().unwrap();
            assert_eq!(file.path, "summary.csv");
            let mut records = parse(&String::from_utf8(file.bytes).unwrap()).into_iter();
            let head = records.next().unwrap();
            assert_eq!(head[0], "variant");
            assert_eq!(head.len(), TRIAL_METRICS.len() + 1);
            let tps = head.iter().position(|h| h == "tps").unwrap();
            let trials = result.variants.iter().flat_map(|v| v.trials.iter().map(move |t| (v, t)));
            for (variant, trial) in trials {
                let record = records.next().unwrap();
                assert_eq!(record.len(), head.len());
                assert_eq!(record[0], variant.name);
                assert_eq!(record[tps], format!("{:.2}", trial.throughput_per_s));
            }
            assert_eq!(records.next(), None);
        }
    }

    #[test]
    fn files_of_variants_never_share_a_name() {
        let mut result = fixture::ladder();
        for (variant, name) in result.variants.iter_mut().zip(["a/b", "a_b", "A.B", "", "_"]) {
            name.clone_into(&mut variant.name);
        }
        let paths: BTreeSet<_> =
            files(&result).into_iter().map(|f| f.path.to_ascii_lowercase()).collect();
        assert_eq!(paths.len(), result.variants.len() + 2);
        assert!(paths.iter().all(|p| !p.contains("..") && p.matches('/').count() <= 1));
    }

    #[test]
    fn cells_that_need_quotes_get_them() {
        let mut text = String::new();
        line(&mut text, ["a,b", "say \"x\"", "plain"].into_iter().map(str::to_owned));
        assert_eq!(text, "\"a,b\",\"say \"\"x\"\"\",plain\n");
    }
}
