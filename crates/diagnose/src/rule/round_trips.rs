use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, Rule};
use crate::Machine;
use crate::reading::Reading;

/// One operation at a time: client and server take turns waiting for each other.
pub(crate) const RULE: Rule =
    Rule { bottleneck: "serial-round-trips", cause: "one at a time", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    if reading.users > 1.0 {
        return Finding::cleared(format!("{} operations at a time", reading.users));
    }
    let text = "1 operation at a time".to_owned();
    if reading.cpu_is_full() {
        return Finding::cleared(text);
    }
    let mut evidence = vec![format!(
        "{text}: every {} ms one round trip, and nothing overlaps",
        significant(reading.service_ms, 3)
    )];
    evidence.extend(reading.idle_cpu());
    let mut against = Vec::new();
    if reading.cpu.is_none() {
        against.push("CPU was not measured: room for more is not shown".to_owned());
    }
    // Only the time between set-up and tear-down is the statement's to overlap.
    let share = reading.share(|p| !p.is_connection());
    let candidate =
        Candidate { share, gain: 1.0 + (reading.headroom() - 1.0) * share, evidence, against };
    let commit = reading.share(|p| p == Phase::Commit);
    let text = format!("{text}, of which {:.0} % is the commit", commit * 100.0);
    Finding { text, candidate: Some(candidate) }
}
