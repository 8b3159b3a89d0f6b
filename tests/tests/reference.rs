//! Reference pages are made from the code; a stale one fails, and `UPDATE_REFERENCE=1` makes it anew.

use std::fs;

use pinchpoint_measure::{ExitCode, INTERVAL_METRICS, Metric, PHASES, TRIAL_METRICS};

use crate::command::pinchpoint_with;
use crate::tree::root;

fn check(name: &str, text: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(root().join("docs/reference")).expect("a directory");
        fs::write(&path, text).expect("written");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == text,
        "docs/reference/{name} is stale: run `UPDATE_REFERENCE=1 cargo nextest run -p pinchpoint-tests reference`"
    );
}

#[test]
fn the_experiment_file() {
    check("experiment-file.md", &pinchpoint_plan::reference());
}

#[test]
fn metrics() {
    let mut text = String::from("# Metrics\n\n## metrics.csv: a line an interval\n\n");
    table(&mut text, INTERVAL_METRICS);
    text.push_str("\n## summary.csv: a line a trial, after the column `variant`\n\n");
    table(&mut text, TRIAL_METRICS);
    text.push_str("\n## Phases of an operation\n\n| phase | meaning |\n|---|---|\n");
    for phase in PHASES {
        text.push_str(&format!("| `{}` | {} |\n", phase.name(), phase.help()));
    }
    check("metrics.md", &text);
}

fn table<T>(text: &mut String, metrics: &[Metric<T>]) {
    text.push_str("| column | unit | better | meaning |\n|---|---|---|---|\n");
    for metric in metrics {
        text.push_str(&format!(
            "| `{}` | {:?} | {:?} | {} |\n",
            metric.name, metric.unit, metric.direction, metric.help
        ));
    }
}

#[test]
fn exit_codes() {
    let mut text = String::from("# Exit codes\n\n| code | meaning |\n|---:|---|\n");
    for code in ExitCode::ALL {
        text.push_str(&format!("| {} | {} |\n", code.code(), code.help()));
    }
    check("exit-codes.md", &text);
    let help = pinchpoint_with(("COLUMNS", "100"), &["--help"]).stdout;
    for code in ExitCode::ALL {
        assert!(help.contains(&format!("  {:<4} {}", code.code(), code.help())), "{code:?}");
    }
}

#[test]
fn the_command_line() {
    let mut text = String::from("# Command line\n");
    for name in ["", "run", "http", "sql", "pool", "list", "doctor", "report", "ledger", "postgres"]
    {
        let arguments: Vec<&str> = [name, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let help = pinchpoint_with(("COLUMNS", "100"), &arguments).stdout;
        let title =
            if name.is_empty() { "pinchpoint".to_owned() } else { format!("pinchpoint {name}") };
        text.push_str(&format!("\n## {title}\n\n```text\n{help}```\n"));
    }
    check("cli.md", &text);
}

#[test]
fn verdicts() {
    check("../verdicts.md", &pinchpoint_diagnose::verdicts_reference());
}
