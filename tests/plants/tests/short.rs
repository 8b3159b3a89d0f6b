//! The plants that are clear on any machine: what `make plants` does, shortened.

use pinchpoint_plants::{
    Effort, Outcome, PLANTS, Planted, Scored, Strength, pinchpoint, run, score,
};

/// Bottlenecks that show whatever else goes on.
const CLEAR: [&str; 5] = ["fsync-delay", "tiny-pool", "hot-row", "round-trips", "cpu-quota"];

fn planted(name: &str) -> Scored {
    let plant = PLANTS.iter().find(|p| p.name == name).expect("it is in the table");
    let command = pinchpoint().expect("the command");
    let effort = Effort { seconds: 2.0, trials: 1 };
    let pairs = run(plant, &[Planted::At(Strength::Strong)], &command, effort);
    let pairs = pairs.unwrap_or_else(|error| panic!("{name}: {error}"));
    score(plant, &pairs[0])
}

#[test]
fn clear_bottlenecks_are_named_and_never_mistaken() {
    let scored: Vec<_> = CLEAR.iter().map(|name| planted(name)).collect();
    // A machine that others keep busy gives no verdict on what needs its CPU; the rest stands.
    let told: Vec<_> = scored.iter().filter(|s| s.verdict != "inconclusive").collect();
    assert!(told.len() >= 2, "{scored:#?}");
    assert!(told.iter().all(|s| s.outcome == Outcome::Right), "{told:#?}");
}
