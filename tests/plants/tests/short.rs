//! The plants that are clear on any machine: what `make plants` does, shortened.

use pinchpoint_plants::{
    Effort, Outcome, PLANTS, Planted, Scored, Strength, pinchpoint, run, score,
};

/// Bottlenecks that show whatever else goes on.
const CLEAR: [&str; 5] = ["fsync-delay", "tiny-pool", "hot-row", "round-trips", "cpu-quota"];

fn planted(name: &str, what: Planted) -> Scored {
    let plant = PLANTS.iter().find(|p| p.name == name).expect("it is in the table");
    let command = pinchpoint().expect("the command");
    let effort = Effort { seconds: 2.0, trials: 1 };
    let pairs = run(plant, &[what], &command, effort);
    let pairs = pairs.unwrap_or_else(|error| panic!("{name}: {error}"));
    score(plant, &pairs[0])
}

#[test]
fn clear_bottlenecks_are_named_and_never_mistaken() {
    let scored: Vec<_> =
        CLEAR.iter().map(|name| planted(name, Planted::At(Strength::Strong))).collect();
    // A machine that others keep busy gives no verdict on what needs its CPU; the rest stands.
    let told: Vec<_> = scored.iter().filter(|s| s.verdict != "inconclusive").collect();
    assert!(told.len() >= 2, "{scored:#?}");
    assert!(told.iter().all(|s| s.outcome == Outcome::Right), "{told:#?}");
}

/// A limit on the CPU, beside statements that hardly use it.
#[test]
fn what_only_looks_like_a_bottleneck_is_not_named() {
    let scored = planted("cpu-quota", Planted::Decoy);
    assert!(scored.planted_per_s > 0.0, "{scored:#?}");
    assert!(!["cpu-throttling", "server-cpu"].contains(&scored.verdict.as_str()), "{scored:#?}");
}
