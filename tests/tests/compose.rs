//! The containers hold what the experiment holds.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use pinchpoint_plan::{BuiltIn, Plan, read_plan};

use crate::tree::root;

fn deploy(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name)).expect("a file of deploy/")
}

#[test]
fn pgbouncer_in_a_container_has_the_settings_of_the_experiment() {
    let ini: BTreeMap<String, String> = deploy("pgbouncer/pgbouncer.ini")
        .lines()
        .filter_map(|l| l.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let text = BuiltIn::find("frameworks").expect("it ships").text;
    let Ok(Plan::Matrix(matrix)) = read_plan("frameworks.toml", text) else { panic!("a matrix") };
    for (name, value) in &matrix.pgbouncer.settings {
        assert_eq!(ini.get(name), Some(value), "{name}");
    }
}

#[test]
fn containers_listen_on_loopback_alone_and_have_their_limits() {
    let text = deploy("compose.yaml");
    let ports: Vec<&str> = text.lines().filter(|l| l.trim().starts_with("ports:")).collect();
    assert_eq!(ports.len(), 11, "five applications, direct and pooled, and PostgreSQL");
    assert!(ports.iter().all(|l| l.contains("[\"127.0.0.1:")), "{ports:?}");
    assert!(text.contains("    cpus: 0.5\n    mem_limit: 512m"), "PostgreSQL's limits");
    assert!(
        text.contains("x-app: &app\n  cpus: 1.0\n  mem_limit: 512m"),
        "the applications' limits"
    );
    let password = text.lines().find(|l| l.contains("PASSWORD")).expect("a line");
    assert!(password.contains("/run/secrets/"), "no password stands in the file: {password}");
}

#[test]
fn the_experiment_for_the_containers_is_one() {
    let plan = read_plan("deploy/frameworks.toml", &deploy("frameworks.toml"));
    let Ok(Plan::Matrix(matrix)) = plan else { panic!("{plan:?}") };
    assert_eq!(matrix.cases().len(), 5 * 2 * 4);
    assert!(matrix.apps.iter().all(|a| a.url.is_some() && a.pooled_url.is_some()));
}

#[test]
fn docker_compose_accepts_the_file() {
    let mut command = Command::new("docker-compose");
    command.args(["-f", "compose.yaml", "config", "--quiet"]).current_dir(root().join("deploy"));
    command.env("DATABASE_URL", "x").env("POOLED_URL", "x");
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => println!("not checked: docker-compose cannot be run ({error})"),
    }
}
