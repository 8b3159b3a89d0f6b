//! The experiment that ships, and what the command line makes of it.

use std::time::Duration;

use pinchpoint_measure::{Choice, Generator, Method, SqlType};
use pinchpoint_plan::{
    BUILT_IN, Batch, BuiltIn, Connection, Experiment, LEVERS, Like, OverrideError, Overrides, Pace,
    Plan, Rung, WarmUp, WarmUpChoice, parse, read_plan,
};

fn ladder() -> Experiment {
    let built_in = BuiltIn::find("ladder").expect("the ladder ships");
    parse("ladder.toml", built_in.text).unwrap_or_else(|e| panic!("{e}"))
}

fn rung(name: &str) -> Rung {
    ladder().rung(name).expect("it is on the ladder").clone()
}

fn pool(min: u32, max: u32) -> Connection {
    Connection::Pool { min, max, timeout: Duration::from_secs(30) }
}

fn shape(rung: &Rung) -> (Connection, u32, Method, Batch) {
    (rung.connection, rung.concurrency, rung.method, rung.batch.clone())
}

#[test]
fn what_ships_can_be_run_and_says_what_it_is() {
    for built_in in BUILT_IN {
        let plan = read_plan(built_in.name, built_in.text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(plan.name(), built_in.name);
        assert_eq!(plan.description(), built_in.summary);
        match plan {
            Plan::Ladder(ladder) => assert!(ladder.durable() && ladder.source == built_in.text),
            Plan::Matrix(matrix) => assert_eq!(matrix.source, built_in.text),
        }
    }
}

#[test]
fn the_ladder_has_the_rungs_of_the_mission() {
    let ladder = ladder();
    let names: Vec<&str> = ladder.rungs.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2", "2-B", "2-C", "2-D", "3-A", "3-B", "4-A"]);
    let one = Batch::Fixed(1);
    assert_eq!(shape(&rung("1")), (Connection::PerOperation, 1, Method::Insert, one.clone()));
    assert_eq!(shape(&rung("2")), (pool(10, 50), 1, Method::Insert, one.clone()));
    assert_eq!(shape(&rung("2-B")), (pool(10, 50), 50, Method::Insert, one));
    assert_eq!(shape(&rung("2-C")), (pool(100, 100), 50, Method::ExecuteMany, Batch::Fixed(100)));
    assert_eq!(shape(&rung("2-D")), (pool(50, 200), 50, Method::ExecuteMany, Batch::Fixed(500)));
    let sweep = Batch::Sweep(vec![100, 500, 1000, 5000, 10_000]);
    assert_eq!(shape(&rung("3-A")), (pool(8, 8), 8, Method::Unnest, sweep));
    let sweep = Batch::Sweep(vec![100, 1000, 5000, 20_000, 50_000]);
    assert_eq!(shape(&rung("3-B")), (pool(2, 2), 2, Method::Copy, sweep));
    for rung in &ladder.rungs {
        assert_eq!(rung.write, rung.name != "0");
        assert_eq!(rung.crash, rung.name == "4-A");
        assert_eq!(rung.synchronous_commit, rung.name != "4-A");
        assert!(rung.title.chars().count() <= 45, "{} is too long for a table", rung.title);
        assert!(rung.lever.as_deref().is_none_or(|l| LEVERS.contains(&l)));
    }
    assert_eq!(ladder.max_connections_needed(), 205);
}

#[test]
fn the_null_rung_is_the_copy_rung_without_the_write() {
    let null = rung("0");
    assert_eq!(null.like, Some(Like::Rung("3-B".to_owned())));
    assert_eq!(shape(&null), shape(&rung("3-B")));
    assert_eq!(null.batch_of.as_deref(), Some("3-B"));
    assert!(!null.is_durable());
}

#[test]
fn the_last_rung_becomes_the_best_one() {
    let last = rung("4-A");
    assert_eq!(last.like, Some(Like::Best));
    let taken = last.taking(&rung("3-A"));
    assert_eq!(shape(&taken), shape(&rung("3-A")));
    assert_eq!((taken.name.as_str(), taken.synchronous_commit, taken.crash), ("4-A", false, true));
}

#[test]
fn the_table_and_the_load_are_read() {
    let ladder = ladder();
    let columns = &ladder.table.columns;
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["id", "user_id", "merchant_id", "amount", "currency", "status", "created_at"]
    );
    assert_eq!(ladder.table.primary_key, ["id"]);
    assert_eq!(columns[3].sql_type, SqlType::Numeric { precision: 12, scale: 2 });
    let amount = Generator::Decimal { min: 100, max: 1_000_000, scale: 2 };
    assert_eq!(columns[3].generator, amount);
    let zipf = Choice::Zipf { exponent: 1.0 };
    assert_eq!(columns[2].generator, Generator::Integer { min: 1, max: 1000, choice: zipf });
    let load = &ladder.load;
    assert_eq!((load.duration, load.trials), (Duration::from_secs(10), 3));
    assert_eq!(load.warmup, WarmUp::Auto { at_most: Duration::from_secs(10) });
    assert_eq!((&load.pace, load.seed, load.threads), (&Pace::FlatOut, None, None));
}

#[test]
fn every_line_that_the_ladder_offers_in_a_comment_works() {
    let text = BUILT_IN[0].text;
    let offered = ["cpus", "memory", "port", "target_tps", "arrivals", "seed"];
    let text: Vec<&str> = text
        .lines()
        .map(|line| {
            let bare = line.trim_start_matches("# ");
            if offered.iter().any(|key| bare.starts_with(&format!("{key} "))) { bare } else { line }
        })
        .collect();
    let experiment = parse("mine.toml", &text.join("\n")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(experiment.postgres.cpus, Some(0.5));
    assert_eq!(experiment.postgres.memory_bytes, Some(512 << 20));
    assert_eq!(experiment.postgres.port, Some(5433));
    assert_eq!(experiment.load.pace, Pace::Rate { per_s: 200.0 });
    assert_eq!((experiment.load.poisson, experiment.load.seed), (true, Some(1)));
}

#[test]
fn an_edited_copy_is_an_experiment() {
    let text = BUILT_IN[0].text.replace("experiment = \"ladder\"", "experiment = \"mine\"");
    let text = text.replace("max = 10000.00", "max = 99.5").replace("\r\n", "\n");
    let text = text.replace("[[rung]]\nname = \"1\"", "[[rung]]\nname = \"first\"");
    let text = text.replace(
        "shared_buffers = \"256MB\"",
        "fsync = false\nauto_explain.log_nested_statements = true",
    );
    let mine = parse("mine.toml", &text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(mine.name, "mine");
    assert!(mine.rung("first").is_some());
    assert!(!mine.durable());
    let settings: Vec<String> =
        mine.postgres.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        settings,
        [
            "max_connections=250",
            "fsync=off",
            "auto_explain.log_nested_statements=on",
            "max_wal_size=4GB"
        ]
    );
    // The same file as an editor on Windows saves it.
    let windows = parse("mine.toml", &text.replace('\n', "\r\n")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(windows.rungs, mine.rungs);
}

fn over(overrides: &Overrides) -> Result<Experiment, OverrideError> {
    ladder().with(overrides)
}

fn rungs(names: &[&str]) -> Overrides {
    let names = names.iter().map(|n| (*n).to_owned()).collect();
    Overrides { rungs: Some(names), ..Overrides::default() }
}

#[test]
fn the_command_line_lies_over_the_file() {
    assert_eq!(over(&Overrides::default()), Ok(ladder()));
    let experiment = over(&Overrides {
        duration: Some(Duration::from_secs(5)),
        warmup: Some(WarmUpChoice::Fixed(Duration::ZERO)),
        trials: Some(1),
        target_per_s: Some(50.0),
        poisson: Some(true),
        seed: Some(7),
        ..rungs(&["2", "1"])
    })
    .unwrap();
    let load = experiment.load;
    assert_eq!((load.duration, load.trials), (Duration::from_secs(5), 1));
    assert_eq!(load.warmup, WarmUp::Fixed(Duration::ZERO));
    assert_eq!((load.pace, load.poisson), (Pace::Rate { per_s: 50.0 }, true));
    assert_eq!(load.seed, Some(7));
    let names: Vec<String> = experiment.rungs.into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["1", "2"], "in the file's order");
}

#[test]
fn a_selection_keeps_what_rungs_took_from_others() {
    let alone = over(&rungs(&["0"])).unwrap();
    assert_eq!(shape(&alone.rungs[0]), shape(&rung("3-B")));
    assert_eq!(alone.rungs[0].batch_of, None, "it must sweep itself");
    assert_eq!(alone.max_connections_needed(), 7);
    let both = over(&rungs(&["0", "3-B"])).unwrap();
    assert_eq!(both.rungs[0].batch_of.as_deref(), Some("3-B"));
    let best = over(&rungs(&["2-C", "4-A"])).unwrap();
    assert_eq!(shape(&best.rungs[1]), shape(&rung("2-C")));
}

#[test]
fn what_the_command_line_cannot_ask() {
    let why = |overrides: Overrides| over(&overrides).unwrap_err().to_string();
    let nothing = Overrides::default;
    insta::assert_snapshot!(why(rungs(&["1", "2B"])), @"experiment ladder has no rung `2B`; did you mean `2-B`?");
    insta::assert_snapshot!(why(rungs(&["climb"])), @"experiment ladder has no rung `climb`; it has 0, 1, 2, 2-B, 2-C, 2-D, 3-A, 3-B, 4-A");
    insta::assert_snapshot!(why(rungs(&[])), @"no rung is selected; name at least one");
    insta::assert_snapshot!(why(rungs(&["0", "4-A"])), @"rung 4-A takes the best of the durable writing rungs before it, and none of them is selected; add one, such as 3-B");
    insta::assert_snapshot!(why(Overrides { duration: Some(Duration::ZERO), ..nothing() }), @"the duration cannot be 0s: it is 100ms to 168h");
    insta::assert_snapshot!(why(Overrides { trials: Some(0), ..nothing() }), @"the number of trials cannot be 0: it is 1 to 1000");
    insta::assert_snapshot!(why(Overrides { target_per_s: Some(f64::NAN), ..nothing() }), @"the target cannot be NaN rows per second: it is 0.001 to 1000000000");
    insta::assert_snapshot!(why(Overrides { target_per_s: Some(-1.0), ..nothing() }), @"the target cannot be -1 rows per second: it is 0.001 to 1000000000");
    insta::assert_snapshot!(why(Overrides { poisson: Some(true), ..nothing() }), @"random arrivals need a schedule: give a target in rows per second");
}

#[test]
fn stages_have_a_length_of_their_own() {
    let stages = "stages = [{ duration = \"10s\", target_tps = 200 }, { duration = \"1m\", target_tps = 0 }]";
    let text =
        BUILT_IN[0].text.replace("duration = \"10s\"       # measured time of a trial", stages);
    let staged = parse("staged.toml", &text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(staged.load.duration, Duration::from_secs(70));
    let longer = Overrides { duration: Some(Duration::from_secs(99)), ..Overrides::default() };
    assert_eq!(staged.clone().with(&longer), Err(OverrideError::DurationOfStages));
    let flat = Overrides { target_per_s: Some(10.0), ..longer };
    assert_eq!(staged.with(&flat).unwrap().load.duration, Duration::from_secs(99));
}

#[test]
fn a_warm_up_is_auto_or_a_duration() {
    assert_eq!("auto".parse(), Ok(WarmUpChoice::Auto));
    assert_eq!("5s".parse(), Ok(WarmUpChoice::Fixed(Duration::from_secs(5))));
    assert!("soon".parse::<WarmUpChoice>().is_err());
    let fixed = BUILT_IN[0].text.replace("warmup = \"auto\"", "warmup = \"2s\"");
    let fixed = fixed.replace("warmup_at_most = \"10s\"", "");
    let fixed = parse("fixed.toml", &fixed).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(fixed.load.warmup, WarmUp::Fixed(Duration::from_secs(2)));
    let auto = Overrides { warmup: Some(WarmUpChoice::Auto), ..Overrides::default() };
    assert_eq!(fixed.with(&auto).unwrap().load.warmup, ladder().load.warmup);
}
