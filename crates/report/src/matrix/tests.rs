use pinchpoint_measure::{Demand, Probe, ProbeFigures, ProbeFinding, Proof, RunResult};

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

/// The first case and a waterfall's step with a verdict that a probe confirmed.
fn proven() -> RunResult {
    let mut result = matrix();
    for at in [0, 7] {
        let verdict = result.variants[at].verdict.as_mut().unwrap();
        let claim = verdict.bottleneck.clone();
        verdict.proof = Some(Proof { claim, finding: ProbeFinding::Confirmed, reason: None });
        verdict.probes = vec![
            Probe {
                demand: Demand::ServerCpu,
                means: "quota 0.40 instead of 0.50 CPUs".to_owned(),
                figures: Some(ProbeFigures {
                    demand_ms: 0.08,
                    added_ms: 0.02,
                    cycle_ms: 1.7,
                    slowed_cycle_ms: 2.1,
                    slope: 20.0,
                    criticality: 0.95,
                    ci95: [0.8, 1.1],
                    pairs: 6,
                }),
                reason: None,
                finding: Some(ProbeFinding::Confirmed),
            },
            Probe {
                demand: Demand::Hold,
                means: String::new(),
                figures: None,
                reason: Some("the application decides".to_owned()),
                finding: None,
            },
        ];
    }
    result
}

#[test]
fn probes_stand_below_their_case_and_in_the_report() {
    let result = proven();
    let table = matrix_table(&result, 100, Style::Plain);
    let words: String = table.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = [
        "confidence 0.9), confirmed by a probe",
        "probe of CPU of the server: confirmed, 0.080 ms + 0.020 ms",
        "probe of hold of a connection: not made, the application decides",
    ];
    for line in lines {
        assert_eq!(words.matches(line).count(), 2, "{line}: {table}");
    }
    assert!(table.lines().all(|line| width(line) <= 100), "{table}");
    let report = markdown::render(&document::document(&result));
    assert!(report.contains("confirmed by a probe"), "{report}");
    for name in ["axum-direct-10", "django-step-2"] {
        assert!(report.contains(&format!("{name}: probe of CPU of the server")), "{report}");
    }
    let without = markdown::render(&document::document(&matrix()));
    assert!(!without.contains("probe of"), "{without}");
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
