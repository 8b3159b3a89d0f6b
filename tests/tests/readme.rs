//! The README shows real results: the stored ones, as the code of today shows them.

use std::fs;

use pinchpoint_measure::RunResult;
use pinchpoint_report::{Style, render, table};

use crate::tree::root;

/// Where an example is, and the mark around its table in the README.
const EXAMPLES: [(&str, &str); 4] = [
    ("docs/example", "climb"),
    ("docs/example/frameworks", "matrix"),
    ("docs/example/cache", "cache"),
    ("docs/example/sessions", "sessions"),
];
const PLOTS: [(&str, &str); 3] = [
    ("docs/example", "plots/ladder.png"),
    ("docs/example/frameworks", "plots/rps_comparison.png"),
    ("docs/example/frameworks", "plots/p95_latency_comparison.png"),
];

fn example(directory: &str) -> RunResult {
    let path = root().join(directory).join("result.json");
    let text = fs::read_to_string(path).expect("the example");
    RunResult::from_json(&text).expect("a result that today's code reads")
}

/// The page with a fresh table between its marks.
fn refresh(page: &str, mark: &str, table: &str) -> String {
    let (before, rest) = page.split_once(&format!("<!-- {mark}")).expect("the table");
    let (comment, rest) = rest.split_once("-->\n").expect("its comment");
    let end = format!("<!-- /{mark} -->");
    let (_, after) = rest.split_once(&end).expect("its end");
    format!("{before}<!-- {mark}{comment}-->\n```text\n{table}```\n{end}{after}")
}

#[test]
fn the_tables_in_the_readme_are_those_of_the_stored_results() {
    let page = fs::read_to_string(root().join("README.md")).expect("the README");
    let fresh = EXAMPLES.iter().fold(page.clone(), |page, (directory, mark)| {
        refresh(&page, mark, &table(&example(directory), 100, Style::Plain))
    });
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(root().join("README.md"), &fresh).expect("written");
        return;
    }
    assert!(page == fresh, "the README's tables are stale: run the tests with UPDATE_REFERENCE=1");
}

#[test]
fn the_plots_of_the_examples_are_made_from_them() {
    for (directory, name) in PLOTS {
        let files = render(&example(directory)).expect("a report");
        let plot = files.iter().find(|f| f.path == name).expect("the plot");
        let path = root().join(directory).join(name);
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(&path, &plot.bytes).expect("written");
        }
        assert!(fs::read(&path).unwrap_or_default() == plot.bytes, "{directory}/{name} is stale");
    }
}
