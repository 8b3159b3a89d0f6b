//! The plants that are clear on any machine: what `make plants` does, shortened.

use pinchpoint_plants::{Effort, Outcome, PLANTS, Strength, pinchpoint, run, score};

/// Bottlenecks that show whatever else goes on.
const CLEAR: [&str; 5] = ["fsync-delay", "tiny-pool", "hot-row", "cpu-quota", "client-cpu"];
/// A machine that others keep busy gives no verdict; so each is tried again.
const TRIES: usize = 2;

/// What came of a plant, at last.
fn outcome(name: &str) -> Outcome {
    let plant = PLANTS.iter().find(|p| p.name == name).expect("it is in the table");
    let command = pinchpoint().expect("the command");
    let effort = Effort { seconds: 2.0, trials: 1 };
    let mut last = None;
    for _ in 0..TRIES {
        let pairs = run(plant, &[Strength::Strong], &command, effort)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let scored = score(plant, &pairs[0]);
        let inconclusive = scored.verdict == "inconclusive";
        last = Some(scored);
        if !inconclusive {
            break;
        }
    }
    let scored = last.expect("it was tried");
    assert_ne!(scored.outcome, Outcome::Forbidden, "{scored:#?}");
    assert_ne!(scored.outcome, Outcome::NoBottleneck, "{scored:#?}");
    scored.outcome
}

#[test]
fn clear_bottlenecks_are_named_and_never_mistaken() {
    let outcomes: Vec<_> = CLEAR.iter().map(|name| (*name, outcome(name))).collect();
    let right = outcomes.iter().filter(|(_, o)| *o == Outcome::Right).count();
    assert!(right >= CLEAR.len() - 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|(_, o)| *o != Outcome::Wrong), "{outcomes:?}");
}
