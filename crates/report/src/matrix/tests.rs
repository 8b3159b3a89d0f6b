use pinchpoint_measure::RunResult;

use super::fixture::{hostile, interrupted, matrix};
use super::{document, k6_summary, locust_history, locust_stats, matrix_table};
use crate::table::Style;
use crate::text::width;
use crate::{html, markdown, render};

#[test]
fn the_table_at_80_columns() {
    insta::assert_snapshot!(matrix_table(&matrix(), 80, Style::Plain));
}

#[test]
fn the_table_at_120_columns() {
    insta::assert_snapshot!(matrix_table(&matrix(), 120, Style::Plain));
}

#[test]
fn an_interrupted_matrix_says_so_first() {
    insta::assert_snapshot!(matrix_table(&interrupted(), 80, Style::Plain));
}

#[test]
fn the_whole_report() {
    insta::assert_snapshot!(markdown::render(&document::document(&matrix())));
}

#[test]
fn locusts_files_have_its_columns() {
    let trial = &matrix().variants[2].trials[0];
    insta::assert_snapshot!(format!("{}\n{}", locust_stats(trial), locust_history(trial)));
}

#[test]
fn the_summary_has_ks_shape() {
    insta::assert_snapshot!(k6_summary(&matrix().variants[2].trials[0]));
}

#[test]
fn no_line_is_wider_than_the_terminal_whatever_the_names() {
    for result in [matrix(), interrupted(), hostile()] {
        for columns in [0, 40, 60, 80, 97, 98, 120, 200] {
            for line in matrix_table(&result, columns, Style::Plain).lines() {
                assert!(width(line) <= columns.clamp(40, 400), "{columns}: {line:?}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}

#[test]
fn every_file_is_made_of_any_result_the_same_each_time() {
    for result in [matrix(), interrupted(), hostile()] {
        let again = RunResult::from_json(&result.to_json().unwrap_or_default());
        let files = render(&result).unwrap();
        if let Ok(again) = again {
            assert!(files == render(&again).unwrap());
        }
        let mut paths: Vec<String> = files.iter().map(|f| f.path.to_lowercase()).collect();
        let count = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), count, "no two files of one name");
        assert!(paths.iter().all(|p| !p.contains("..") && !p.starts_with('/')), "{paths:?}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let document = document::document(&hostile());
    let page = html::render(&document, &[]);
    assert!(!page.contains("<script>"));
    for line in markdown::render(&document).lines().filter(|l| !l.starts_with("    ")) {
        assert!(!line.replace("\\<script", "").contains("<script"), "{line}");
    }
}
