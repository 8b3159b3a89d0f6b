//! The walls between the crates: the table in ARCHITECTURE.md is what `cargo metadata` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::tree::root;

/// Crates and what each may import, as the table says.
fn promised() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let table = page.split("<!-- layers").nth(1).expect("the layers table");
    let table = table.split("<!-- /layers").next().expect("the end of the table");
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let imports = cells[2].split_whitespace().filter(|w| *w != "–").map(str::to_owned);
            (cells[1].trim_matches('`').to_owned(), imports.collect())
        })
        .collect()
}

/// Crates and what each really imports, test dependencies included for the test crate only.
fn real() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let short = |name: &str| name.strip_prefix("pinchpoint-").unwrap_or(name).to_owned();
    let mut edges = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let imports = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|d| d["kind"].is_null() || name == "pinchpoint-tests")
            .filter_map(|d| d["name"].as_str())
            .filter(|d| d.starts_with("pinchpoint"))
            .map(short)
            .collect();
        edges.insert(short(name), imports);
    }
    edges
}

#[test]
fn every_edge_between_crates_is_in_the_table() {
    let (promised, real) = (promised(), real());
    for (name, imports) in &real {
        let allowed = promised.get(name).unwrap_or_else(|| {
            panic!("crate {name} is not in the table of ARCHITECTURE.md: add it, with what it owns")
        });
        let extra: Vec<_> = imports.difference(allowed).collect();
        assert!(
            extra.is_empty(),
            "{name} imports {extra:?}, which the table of ARCHITECTURE.md does not allow; \
             if the edge is right, add it there"
        );
    }
    let gone: Vec<_> = promised.keys().filter(|name| !real.contains_key(*name)).collect();
    assert!(gone.is_empty(), "the table has crates that are not there: {gone:?}");
}

#[test]
fn outside_crates_live_where_the_table_puts_them() {
    // Crates that would leak a subject into a room where it does not belong.
    let homes: &[(&str, &[&str])] = &[
        ("plotters", &["report"]),
        ("toml", &["plan"]),
        ("hdrhistogram", &["load"]),
        ("postgres-protocol", &["sql"]),
        ("deadpool", &["sql"]),
        ("rustls", &["sql", "http"]),
        ("httparse", &["http"]),
        ("clap", &["pinchpoint", "bench"]),
        ("indicatif", &["pinchpoint"]),
    ];
    for (krate, allowed) in homes {
        for entry in fs::read_dir(root().join("crates")).expect("crates") {
            let path = entry.expect("an entry").path();
            let room = path.file_name().expect("a name").to_string_lossy().into_owned();
            let manifest = fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
            let imports = manifest
                .split("[dev-dependencies]")
                .next()
                .is_some_and(|m| m.lines().any(|l| l.starts_with(&format!("{krate}."))));
            assert!(!imports || allowed.contains(&room.as_str()), "{room} imports {krate}");
        }
    }
}
