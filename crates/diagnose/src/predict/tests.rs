use insta::assert_snapshot;
use pinchpoint_measure::{Pace, Phase};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::judge;
use crate::sample::{Sample, any_variant, spread};
use pinchpoint_measure::Judgement;

const N100: Machine = Machine { cpus: 4, fsync_us: None };
const HERE: Machine = Machine { cpus: 2, fsync_us: Some(85.0) };

/// pgbench on a 2-core machine, `PostgreSQL` 15: the base of the calibrated factors.
mod measured {
    use super::*;

    pub(super) fn connect_each() -> Sample {
        let phases = vec![
            (Phase::Tcp, 0.05),
            (Phase::Auth, 5.15),
            (Phase::Execute, 0.724),
            (Phase::Commit, 0.084),
            (Phase::Disconnect, 0.03),
        ];
        let rows_per_s = 166.0;
        Sample { phases, rows_per_s, cpu: 59.0, client_us_per_op: 2750.0, ..Sample::rung_1() }
    }

    pub(super) fn one() -> Sample {
        let phases = vec![(Phase::Execute, 0.068), (Phase::Commit, 0.084)];
        let rows_per_s = 6_559.0;
        Sample { phases, rows_per_s, cpu: 31.0, client_us_per_op: 17.0, ..Sample::rung_2() }
    }

    pub(super) fn batch_100() -> Sample {
        let phases = vec![(Phase::Execute, 30.0), (Phase::Commit, 0.6)];
        let rows_per_s = 161_480.0;
        let method = "executemany";
        Sample { phases, rows_per_s, method, batch: 100, cpu: 96.0, ..Sample::rung_2b() }
    }
}

fn expect(
    from: &Variant,
    to: &Factors,
    lever: &str,
    machine: &Machine,
    null_ceiling_per_s: Option<f64>,
) -> Option<Prediction> {
    let experience = Experience::default();
    let outlook = Outlook {
        lever,
        machine,
        null_ceiling_per_s,
        soundings: &[],
        trial_s: 5.0,
        experience: &experience,
    };
    predict(from, to, &outlook).ok()
}

fn check(from: &Sample, to: &Sample, machine: &Machine) -> Prediction {
    expect(&from.variant(), &to.factors(), "", machine, None).unwrap()
}

fn text(prediction: &Prediction) -> String {
    let [lo, hi] = prediction.range_per_s;
    format!("{}: {lo:.0}–{hi:.0}/s, because {}", prediction.lever, prediction.basis)
}

#[test]
fn the_documents_pool() {
    let prediction = check(&Sample::rung_1(), &Sample::rung_2(), &N100);
    assert_snapshot!(text(&prediction), @r#"
    pool: 140–330/s, because 15.0 ms − 10.0 ms of connection set-up leaves 5.00 ms an operation, down to 3.25 ms where a fresh backend's first statement is slower than its later ones
    "#);
    let [lo, hi] = prediction.range_per_s;
    assert!(lo < 200.0 && 200.0 < hi);
    assert_eq!(judge(&prediction, &spread(175.0, None)), Judgement::Held);
}

#[test]
fn what_was_measured_holds_and_ranges_stay_useful() {
    let many = Sample { users: 50, ..measured::one() };
    let asynchronous = |sample: Sample| Sample { sync: "off", ..sample };
    let unnest = Sample { users: 2, method: "unnest", batch: 500, ..measured::batch_100() };
    let copy = Sample { users: 4, method: "copy", batch: 5_000, ..measured::batch_100() };
    for (from, to, measured_per_s, widest) in [
        (measured::connect_each(), measured::one(), 6_559.0, 6.5),
        (measured::connect_each(), measured::one(), 5_377.0, 6.5),
        (measured::one(), many.clone(), 31_740.0, 2.5),
        (measured::one(), Sample { users: 16, ..measured::one() }, 28_793.0, 3.0),
        (measured::one(), asynchronous(measured::one()), 14_766.0, 2.5),
        (Sample::rung_2b(), asynchronous(Sample::rung_2b()), 52_496.0, 2.5),
        (Sample::rung_2b(), measured::batch_100(), 161_480.0, 3.5),
        (measured::batch_100(), Sample { batch: 500, ..measured::batch_100() }, 170_000.0, 2.0),
        (measured::batch_100(), unnest, 400_000.0, 4.5),
        (measured::batch_100(), copy, 650_000.0, 4.5),
    ] {
        let prediction = check(&from, &to, &HERE);
        let [lo, hi] = prediction.range_per_s;
        assert_eq!(
            judge(&prediction, &spread(measured_per_s, None)),
            Judgement::Held,
            "{measured_per_s}: {}",
            text(&prediction)
        );
        let width = hi / lo / Experience::PRIOR.powi(2);
        assert!(width <= widest, "{width:.2} wide: {}", text(&prediction));
    }
}

/// Short looks at a 2-core machine, `PostgreSQL` 15: users, rows in a statement, rows per second.
fn tried(looks: &[(u32, u32, f64)], busy: f64) -> Vec<Sounding> {
    let of = |(users, rows, per_s): &(u32, u32, f64)| Sounding {
        plan: SoundingPlan { users: *users, rows: *rows },
        statements_per_s: per_s / f64::from(*rows),
        busy: Some(busy),
        rows_written: per_s * 0.5,
    };
    looks.iter().map(of).collect()
}

fn after_trying(from: &Sample, to: &Sample, soundings: &[Sounding]) -> Prediction {
    let experience = Experience::default();
    let outlook = Outlook {
        lever: "",
        machine: &HERE,
        null_ceiling_per_s: None,
        soundings,
        trial_s: 4.2,
        experience: &experience,
    };
    predict(&from.variant(), &to.factors(), &outlook).unwrap()
}

#[test]
fn what_is_tried_is_the_step_with_fewer_users_or_rows() {
    let plans = |from: &Sample, to: &Sample| {
        let plans = soundings(&from.variant(), &to.factors(), &HERE);
        plans.iter().map(|p| (p.users, p.rows)).collect::<Vec<_>>()
    };
    let many = Sample { users: 50, ..measured::one() };
    let copy = Sample { users: 2, pool: 2, method: "copy", batch: 50_000, ..many.clone() };
    assert_eq!(plans(&measured::connect_each(), &measured::one()), [(1, 1)]);
    assert_eq!(plans(&measured::one(), &many), [(17, 1)]);
    assert_eq!(plans(&many, &measured::batch_100()), [(17, 7), (17, 25)]);
    assert_eq!(plans(&measured::batch_100(), &copy), [(2, 3_125), (2, 12_500)]);
    let weaker = Sample { sync: "off", ..copy.clone() };
    assert_eq!(plans(&copy, &weaker), [], "the commit's share is known");
    assert_eq!(plans(&measured::one(), &measured::connect_each()), [], "to fresh connections");
    assert_eq!(plans(&many, &many), []);
}

#[test]
fn a_short_look_gives_a_narrow_range_that_holds() {
    let many = Sample { users: 50, ..measured::one() };
    let unnest =
        Sample { users: 8, pool: 8, method: "unnest", batch: 5_000, ..measured::batch_100() };
    let copy = Sample { users: 2, pool: 2, method: "copy", batch: 50_000, ..unnest.clone() };
    for (from, to, soundings, measured_per_s) in [
        (measured::connect_each(), measured::one(), tried(&[(1, 1, 6_200.0)], 0.3), 5_586.0),
        (measured::one(), many.clone(), tried(&[(17, 1, 28_793.0)], 0.95), 31_740.0),
        (
            measured::batch_100(),
            unnest.clone(),
            tried(&[(3, 313, 380_000.0), (3, 1_250, 445_000.0)], 1.0),
            424_374.0,
        ),
        (unnest, copy, tried(&[(2, 3_125, 690_000.0), (2, 12_500, 755_000.0)], 1.0), 599_470.0),
    ] {
        let prediction = after_trying(&from, &to, &soundings);
        let [lo, hi] = prediction.range_per_s;
        let held = judge(&prediction, &spread(measured_per_s, None));
        assert_eq!(held, Judgement::Held, "{measured_per_s}: {}", text(&prediction));
        assert!(hi / lo <= 2.0, "{:.2} wide: {}", hi / lo, text(&prediction));
    }
}

#[test]
fn what_was_tried_is_said() {
    let to = Sample { users: 2, pool: 2, method: "copy", batch: 50_000, ..measured::batch_100() };
    let soundings = tried(&[(2, 3_125, 690_000.0), (2, 12_500, 755_000.0)], 1.0);
    let prediction = after_trying(&measured::batch_100(), &to, &soundings);
    assert_snapshot!(text(&prediction), @"copy: 467421–880338/s, because tried for a moment before, 2 at a time on kept connections: 221 statements/s of 3,125 rows, 60.4 statements/s of 12,500 rows; so a statement of 50,000 rows takes 129 ms, and 2 at a time reach 0.88 to 1.1 times as much, less what a larger table costs");
}

#[test]
fn a_statement_is_never_cheaper_than_nothing() {
    // A longer statement that took less time, a rate that is none, sizes that are one.
    let to = Sample { users: 2, pool: 2, method: "copy", batch: 50_000, ..measured::batch_100() };
    let absurd = tried(&[(2, 3_125, 100.0), (2, 12_500, 755_000.0)], 1.0);
    let [lo, hi] = after_trying(&measured::batch_100(), &to, &absurd).range_per_s;
    assert!(lo > 0.0 && hi.is_finite(), "{lo} {hi}");
    let modelled = after_trying(&measured::batch_100(), &to, &[]);
    for nothing in [
        tried(&[(2, 3_125, f64::NAN), (2, 12_500, 755_000.0)], 1.0),
        tried(&[(2, 3_125, 0.0)], 1.0),
        tried(&[(2, 3_125, 700_000.0), (2, 3_125, 755_000.0)], 1.0),
    ] {
        assert_eq!(after_trying(&measured::batch_100(), &to, &nothing), modelled);
    }
}

#[test]
fn the_null_rung_is_a_ceiling_unless_it_is_not_comparable() {
    let (from, to) = (Sample::rung_2b().variant(), measured::batch_100().factors());
    let with = |ceiling| expect(&from, &to, "batch", &HERE, Some(ceiling)).unwrap();
    let free = expect(&from, &to, "batch", &HERE, None).unwrap();
    assert!(with(200_000.0).range_per_s[1] <= 200_000.0);
    assert!(with(200_000.0).basis.ends_with("no more than the rung that writes nothing"));
    for ceiling in [20_000.0, f64::NAN, 0.0, -1.0, f64::INFINITY] {
        assert_eq!(with(ceiling), free);
    }
}

#[test]
fn where_nothing_honest_can_be_said_nothing_is() {
    let rung_2 = Sample::rung_2();
    let none = |from: &Variant, to: &Factors| expect(from, to, "x", &HERE, None).is_none();
    let variant = rung_2.variant();
    assert!(none(&variant, &rung_2.factors()), "nothing differs");
    assert!(none(&variant, &Sample::rung_1().factors()), "to fresh connections");
    let mut to = rung_2.factors();
    to.insert("write".to_owned(), json!(false));
    assert!(none(&variant, &to), "the null rung");
    let mut to = Sample::rung_2b().factors();
    to.insert("method".to_owned(), json!("carrier pigeon"));
    assert!(none(&variant, &to), "unknown method");
    let mut paced = variant.clone();
    for trial in &mut paced.trials {
        trial.pace = Pace::Open { target_per_s: 200.0, poisson: false };
    }
    let outlook = Outlook {
        lever: "",
        machine: &HERE,
        null_ceiling_per_s: None,
        soundings: &[],
        trial_s: 5.0,
        experience: &Experience::default(),
    };
    let why = predict(&paced, &Sample::rung_2b().factors(), &outlook);
    assert_eq!(why, Err(Unpredicted::Schedule));
    assert!(none(&paced, &Sample::rung_2b().factors()), "a schedule sets the throughput");
    let mut blind = variant.clone();
    for trial in &mut blind.trials {
        trial.cpu_percent = None;
    }
    assert!(none(&blind, &Sample::rung_2b().factors()), "CPU not measured");
    let weaker = Sample { sync: "off", ..rung_2.clone() };
    assert!(none(&weaker.variant(), &rung_2.factors()), "the flush was not seen");
}

#[test]
fn what_limits_then_is_said_where_it_can_be_told() {
    let limit = |from: &Sample, to: &Sample| check(from, to, &HERE).limit;
    let one = limit(&Sample::rung_1(), &Sample::rung_2());
    assert_eq!(one.as_deref(), Some("serial-round-trips"));
    // 95 % of the cores are in use, and a larger batch leaves no more of them.
    let larger = Sample { batch: 100, method: "unnest", ..Sample::rung_2b() };
    assert_eq!(limit(&Sample::rung_2b(), &larger).as_deref(), Some("server-cpu"));
    // A statement that only waits.
    let idle = Sample { cpu: 5.0, client_us_per_op: 10.0, ..Sample::rung_2() };
    assert_eq!(limit(&idle, &Sample { users: 2, ..idle.clone() }), None);
}

#[test]
fn a_pool_that_is_larger_than_its_users_changes_nothing() {
    let larger = Sample { pool: 200, ..Sample::rung_2b() };
    assert_eq!(expect(&Sample::rung_2b().variant(), &larger.factors(), "pool", &HERE, None), None);
}

#[test]
fn a_sweep_that_holds_the_present_size_is_no_change() {
    let sample = measured::batch_100();
    let mut to = Sample { sync: "off", ..sample.clone() }.factors();
    to.insert("batch".to_owned(), json!([10, 100, 1000]));
    let prediction = expect(&sample.variant(), &to, "", &HERE, None).unwrap();
    assert_eq!(prediction.lever, "synchronous_commit");
    to.insert("batch".to_owned(), json!([500, 1000, 5000]));
    assert_eq!(expect(&sample.variant(), &to, "", &HERE, None).unwrap().lever, "batch");
}

fn any_target() -> impl Strategy<Value = Factors> {
    let method = prop::sample::select(vec!["insert", "executemany", "unnest", "copy"]);
    (
        0..u32::MAX,
        0..300_u32,
        prop_oneof![Just(0), Just(1), 1..1_000_000_u32],
        method,
        any::<bool>(),
    )
        .prop_map(|(users, pool, batch, method, sync)| {
            let sync = if sync { "on" } else { "off" };
            Sample { users, pool, batch, method, sync, ..Sample::rung_2() }.factors()
        })
}

proptest! {
    #[test]
    fn ranges_are_finite_and_ordered(
        from in any_variant(), to in any_target(), cpus in 0..200_u32, fsync in any::<f64>(), ceiling in any::<f64>(),
    ) {
        let machine = Machine { cpus, fsync_us: Some(fsync) };
        if let Some(prediction) = expect(&from, &to, "", &machine, Some(ceiling)) {
            let [lo, hi] = prediction.range_per_s;
            prop_assert!(lo.is_finite() && hi.is_finite() && 0.0 < lo && lo <= hi, "{lo} {hi}");
            prop_assert!(!prediction.basis.contains("NaN"), "{}", prediction.basis);
        }
    }

    #[test]
    fn twice_the_time_is_half_the_throughput(from in Sample::any(), to in any_target()) {
        let slow = Machine { fsync_us: HERE.fsync_us.map(|us| us * 2.0), ..HERE };
        let one = expect(&from.variant(), &to, "", &HERE, None);
        let two = expect(&from.slower(2.0).variant(), &to, "", &slow, None);
        prop_assert_eq!(one.is_some(), two.is_some());
        if let (Some(one), Some(two)) = (one, two) {
            for end in 0..2 {
                let ratio = one.range_per_s[end] / two.range_per_s[end];
                prop_assert!((ratio - 2.0).abs() < 1e-6, "{ratio}: {} {}", one.basis, two.basis);
            }
        }
    }

    #[test]
    fn an_explicit_name_changes_only_the_name(from in Sample::any(), to in any_target()) {
        let derived = expect(&from.variant(), &to, "", &HERE, None);
        let named = expect(&from.variant(), &to, "hope", &HERE, None);
        prop_assert_eq!(derived.map(|p| p.range_per_s), named.as_ref().map(|p| p.range_per_s));
        prop_assert!(named.is_none_or(|p| p.lever == "hope"));
    }
}
