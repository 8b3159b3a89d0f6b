use pinchpoint_measure::Phase;

use super::{Candidate, Finding, LARGE_SHARE, Rule, part};
use crate::Machine;
use crate::reading::Reading;

/// The server is waiting inside the statement, for something that phases alone cannot name: a
/// lock, a data page, the WAL.
pub(crate) const RULE: Rule = Rule { bottleneck: "server-wait", cause: "server", examine };

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let execute = reading.phase_ms(|p| p == Phase::Execute);
    let text = format!("the server executes for {}", part(execute, reading.service_ms));
    // What is CPU within it is not a wait; of one user it is the round trip.
    let waiting = execute - reading.cpu_ms(machine.cores()).unwrap_or(0.0);
    let share = (waiting / reading.service_ms).clamp(0.0, 1.0);
    if share < LARGE_SHARE || reading.cpu_is_full() || reading.users <= 1.0 {
        return Finding::cleared(text);
    }
    let mut evidence = vec![text.clone()];
    evidence.extend(reading.idle_cpu());
    let against = vec!["what the server waits for was not sampled".to_owned()];
    let candidate = Candidate { share, gain: reading.gain_without(share), evidence, against };
    Finding { text, candidate: Some(candidate) }
}
