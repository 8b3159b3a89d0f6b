//! The matrix that ships, copies of it with slips, and what the command line makes of it.

use pinchpoint_plan::{
    BuiltIn, Matrix, MatrixOverrides, Pace, Plan, Via, WarmUp, WarmUpChoice, read_plan,
};
use proptest::prelude::*;

fn shipped() -> &'static str {
    BuiltIn::find("frameworks").expect("it ships").text
}

fn read(text: &str) -> Matrix {
    match read_plan("m.toml", text) {
        Ok(Plan::Matrix(matrix)) => *matrix,
        Ok(Plan::Ladder(_)) => panic!("a ladder"),
        Err(problems) => panic!("{problems}"),
    }
}

/// The problems of the shipped file with a slip in it.
fn slip(from: &str, to: &str) -> String {
    assert!(shipped().contains(from), "{from}");
    read_plan("m.toml", &shipped().replacen(from, to, 1)).expect_err(to).to_string()
}

#[test]
fn the_shipped_matrix_has_the_values_of_the_mission() {
    let matrix = read(shipped());
    assert_eq!((matrix.postgres.cpus, matrix.postgres.memory_bytes), (Some(0.5), Some(512 << 20)));
    let data = matrix.dataset;
    assert_eq!((data.users, data.posts, data.comments), (10_000, 50_000, 100_000));
    assert_eq!(matrix.connections, [Via::Direct, Via::PgBouncer]);
    assert_eq!(matrix.users, [10, 100, 500, 1000]);
    assert_eq!(matrix.profiles, ["documents"]);
    for (name, value) in [
        ("pool_mode", "transaction"),
        ("max_client_conn", "10000"),
        ("default_pool_size", "20"),
        ("min_pool_size", "5"),
        ("reserve_pool_size", "5"),
        ("so_reuseport", "1"),
        ("ignore_startup_parameters", "extra_float_digits"),
        ("log_connections", "0"),
        ("log_disconnections", "0"),
        ("log_stats", "1"),
        ("stats_period", "60"),
        ("verbose", "0"),
        ("query_wait_timeout", "15"),
        ("client_idle_timeout", "0"),
        ("server_idle_timeout", "600"),
        ("listen_backlog", "4096"),
    ] {
        let there = matrix.pgbouncer.settings.iter().find(|(n, _)| n == name);
        assert_eq!(there.map(|(_, v)| v.as_str()), Some(value), "{name}");
    }
    for app in &matrix.apps {
        assert_eq!((app.cpus, app.memory_bytes), (Some(1.0), Some(512 << 20)), "{}", app.name);
        assert!(app.profiles.iter().any(|p| p.name == "tuned"), "{}", app.name);
    }
    let cases: Vec<String> = matrix.cases().into_iter().map(|c| c.name).collect();
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn slips_are_told_with_their_place_and_what_was_meant() {
    let slips = [
        ("[matrix]", "[matrx]"),
        ("users = [10, 100, 500, 1000]", "users = [10, 5]"),
        ("connections = [\"direct\", \"pgbouncer\"]", "connections = [\"dirct\"]"),
        ("profiles = [\"documents\"]", "profiles = [\"document\"]"),
        ("pool_mode = \"transaction\"", "pol_mode = \"transaction\""),
        ("verbose = 0", "listen_addr = \"*\""),
        ("path = \"/benchmark/db-test\"", "path = \"benchmark/{id}\""),
        ("{ status = 200 }", "{ status = 200, json = \"/a\" }"),
        ("{ json = \"/post/id\" }", "{ json = \"post/id\" }"),
        ("name = \"actix\"", "name = \"axum\""),
        ("command = [\"pinchpoint-app-axum\"] # looked for beside pinchpoint, then in PATH", ""),
        ("env = { DB_POOL_SIZE = 20 }", "env = { \"DB POOL\" = [1] }"),
        ("app = \"django\"\nusers = 100", "app = \"djang\"\nusers = 0"),
        ("statements_per_request = 2", "statements_per_request = -2"),
        (
            "# [thresholds]",
            "[thresholds]\nhttp_req_time = [\"p(95)<1\"]\nchecks = [\"p(95)<1\"]\n#",
        ),
    ];
    let texts: Vec<String> = slips.iter().map(|(from, to)| slip(from, to)).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_ladder_is_no_matrix_and_the_other_way_round() {
    let ladder = BuiltIn::find("ladder").unwrap().text;
    assert!(matches!(read_plan("l.toml", ladder), Ok(Plan::Ladder(_))));
    let both = format!("{}\n[[rung]]\nname = \"1\"\n", shipped());
    assert!(read_plan("b.toml", &both).unwrap_err().to_string().contains("unknown key `rung`"));
}

fn cases(overrides: &MatrixOverrides) -> Vec<String> {
    let matrix = read(shipped()).with(overrides).unwrap_or_else(|e| panic!("{e}"));
    matrix.cases().into_iter().map(|c| c.name).collect()
}

#[test]
fn the_cache_has_the_profiles_of_k6() {
    let built_in = BuiltIn::find("cache").unwrap();
    let Ok(Plan::Matrix(matrix)) = read_plan("cache.toml", built_in.text) else {
        panic!("no matrix")
    };
    let load = MatrixOverrides { profile: Some("load".into()), ..MatrixOverrides::default() };
    let load = matrix.clone().with(&load).unwrap();
    let names: Vec<String> = load.cases().into_iter().map(|case| case.name).collect();
    assert_eq!(names, ["warm-direct-100"]);
    assert_eq!(load.load.duration.as_secs(), 600);
    assert_eq!(load.thresholds.len(), 3);
    let shorter = MatrixOverrides {
        profile: Some("quick".into()),
        duration: Some(std::time::Duration::from_secs(5)),
        ..MatrixOverrides::default()
    };
    assert_eq!(matrix.clone().with(&shorter).unwrap().load.duration.as_secs(), 5);
    let unknown = MatrixOverrides { profile: Some("lode".into()), ..MatrixOverrides::default() };
    let error = matrix.with(&unknown).unwrap_err().to_string();
    assert_eq!(error, "the experiment has no profile \"lode\"; did you mean \"load\"?");
}

fn only(filters: &[&str]) -> MatrixOverrides {
    let only = filters.iter().map(|f| (*f).to_owned()).collect();
    MatrixOverrides { only, ..MatrixOverrides::default() }
}

#[test]
fn the_command_line_chooses_cases() {
    let chosen = cases(&only(&["app=axum,django", "users=10", "waterfall=none"]));
    assert_eq!(
        chosen,
        ["axum-direct-10", "axum-pgbouncer-10", "django-direct-10", "django-pgbouncer-10"]
    );
    let chosen = cases(&only(&["waterfall=fastapi", "connection=direct"]));
    assert_eq!(chosen.len(), 3, "{chosen:?}");
    let chosen =
        cases(&only(&["language=Rust", "profile=tuned", "users=2000", "connection=direct"]));
    assert_eq!(chosen, ["axum-direct-2000", "actix-direct-2000"]);
    let both = cases(&only(&["app=axum", "profile=documents,tuned", "users=10"]));
    assert_eq!(both[0], "axum-documents-direct-10");
    let nothing = read(shipped()).with(&only(&["app=axum", "waterfall=django"]));
    assert!(nothing.is_err());
}

#[test]
fn quick_is_short_and_what_is_said_expressly_wins() {
    let quick = MatrixOverrides { quick: true, ..MatrixOverrides::default() };
    let load = read(shipped()).with(&quick).unwrap().load;
    assert_eq!((load.trials, load.duration.as_secs()), (1, 3));
    let more = MatrixOverrides {
        trials: Some(2),
        warmup: Some(WarmUpChoice::Fixed(std::time::Duration::ZERO)),
        target_per_s: Some(50.0),
        ..quick
    };
    let load = read(shipped()).with(&more).unwrap().load;
    assert_eq!((load.trials, load.warmup), (2, WarmUp::Fixed(std::time::Duration::ZERO)));
    assert_eq!(load.pace, Pace::Rate { per_s: 50.0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_never_panics(at in 0..12_000_usize, length in 0..60_usize, with in "\\PC{0,8}") {
        let text = shipped();
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let (from, to) = (floor(at), floor(at + length));
        let damaged = format!("{}{with}{}", &text[..from], &text[to..]);
        if let Err(problems) = read_plan("m.toml", &damaged) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn hostile_choices_never_panic(choice in "(app|users|profile|=|,|[0-9]{1,12}|\\PC){0,8}") {
        let _ = read(shipped()).with(&only(&[&choice]));
    }
}
