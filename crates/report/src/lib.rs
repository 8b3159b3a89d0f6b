//! A result in, report files out: Markdown, HTML, CSV, plots, and the terminal's table.
//!
//! Pure and deterministic: the same result gives the same bytes, so that a result directory can be
//! made again from its `result.json`.

mod climb;
mod conclusions;
mod csv;
mod document;
mod error;
mod explain;
#[cfg(test)]
mod fixture;
mod html;
mod http;
mod markdown;
mod matrix;
mod next;
mod plots;
mod pool;
mod pooler;
mod predictions;
mod probes;
#[cfg(test)]
mod properties;
mod sections;
mod share;
mod sql;
mod table;
mod text;
mod track;
mod watch;

pub use error::ReportError;
pub use explain::{explain, verdict_line};
pub use matrix::{k6_summary, locust_history, locust_stats};
pub use probes::probe_line;
pub use table::{Style, climb_table};
pub use track::track_table;
pub use watch::{watch_line, watch_screen, watch_unseen};

/// The terminal's table of a result of any kind, no wider than `width` columns.
pub fn table(result: &RunResult, width: usize, style: Style) -> String {
    if result.is_matrix() {
        matrix::matrix_table(result, width, style)
    } else if http::is_http(result) {
        http::summary(result, width, style)
    } else if pool::is_pool(result) {
        pool::summary(result, width, style)
    } else if sql::is_sql(result) {
        sql::summary(result, width, style)
    } else {
        climb_table(result, width, style)
    }
}

use pinchpoint_measure::RunResult;

/// A file of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the result directory, with `/`.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Every file that derives from a result.
pub fn render(result: &RunResult) -> Result<Vec<File>, ReportError> {
    if result.is_matrix() {
        return matrix::files(result);
    }
    if http::is_http(result) {
        return Ok(http::files(result));
    }
    if pool::is_pool(result) {
        return pool::files(result);
    }
    if sql::is_sql(result) {
        return Ok(sql::files(result));
    }
    let document = sections::document(result);
    let plot = plots::ladder(result)?;
    let images = [("plots/ladder.png", plot.as_slice())];
    let mut files = csv::files(result);
    files.push(file("summary_report.md", markdown::render(&document).into_bytes()));
    files.push(file("report.html", html::render(&document, &images).into_bytes()));
    files.push(file("plots/ladder.png", plot));
    Ok(files)
}

fn file(path: &str, bytes: Vec<u8>) -> File {
    File { path: path.to_owned(), bytes }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::RunResult;

    use super::*;

    #[test]
    fn the_same_result_gives_the_same_bytes_also_after_a_round_trip() {
        let result = fixture::ladder();
        let again = RunResult::from_json(&result.to_json().unwrap()).unwrap();
        assert!(again == result);
        assert!(render(&result).unwrap() == render(&again).unwrap());
    }

    #[test]
    fn every_promised_file_is_there_once() {
        let files = render(&fixture::ladder()).unwrap();
        let mut paths: Vec<_> = files.iter().map(|f| f.path.as_str()).collect();
        for wanted in
            ["metrics.csv", "summary.csv", "summary_report.md", "report.html", "plots/ladder.png"]
        {
            assert!(paths.contains(&wanted), "{paths:?}");
        }
        paths.sort_unstable();
        let before = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), before);
    }
}
