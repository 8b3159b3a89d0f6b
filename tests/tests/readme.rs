//! The README shows a real climb: the stored result, as the code of today shows it.

use std::fs;

use pinchpoint_measure::RunResult;
use pinchpoint_report::{Style, climb_table, render};

use crate::tree::root;

fn example() -> RunResult {
    let text = fs::read_to_string(root().join("docs/example/result.json")).expect("the example");
    RunResult::from_json(&text).expect("a result that today's code reads")
}

#[test]
fn the_climb_in_the_readme_is_the_stored_result() {
    let page = fs::read_to_string(root().join("README.md")).expect("the README");
    let (before, rest) = page.split_once("<!-- climb").expect("the climb");
    let (comment, rest) = rest.split_once("-->\n").expect("its comment");
    let (_, after) = rest.split_once("<!-- /climb -->").expect("its end");
    let table = climb_table(&example(), 100, Style::Plain);
    let fresh =
        format!("{before}<!-- climb{comment}-->\n```text\n{table}```\n<!-- /climb -->{after}");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(root().join("README.md"), &fresh).expect("written");
        return;
    }
    assert!(page == fresh, "the README's climb is stale: run the tests with UPDATE_REFERENCE=1");
}

#[test]
fn the_plot_of_the_example_is_made_from_it() {
    let files = render(&example()).expect("a report");
    let plot = files.iter().find(|f| f.path == "plots/ladder.png").expect("the plot");
    let path = root().join("docs/example/plots/ladder.png");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, &plot.bytes).expect("written");
    }
    assert!(fs::read(&path).unwrap_or_default() == plot.bytes, "docs/example/plots is stale");
}
