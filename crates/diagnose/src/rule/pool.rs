use pinchpoint_measure::{Phase, factor_u64};

use super::{Candidate, Finding, LARGE_SHARE, Rule, part};
use crate::Machine;
use crate::reading::Reading;

/// Users waiting for a pooled connection.
pub(crate) const RULE: Rule = Rule { bottleneck: "pool-wait", cause: "pool", examine };

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let ms = reading.phase_ms(|p| p == Phase::Checkout);
    let share = reading.share(|p| p == Phase::Checkout);
    let text = format!("waiting for a connection takes {}", part(ms, reading.service_ms));
    // With the CPU used up, a larger pool would only move the queue into the server.
    if share < LARGE_SHARE || reading.cpu_is_full() {
        return Finding::cleared(text);
    }
    let mut evidence = vec![text.clone()];
    let mut against = Vec::new();
    if let Some(pool) = factor_u64(&reading.factors, "pool") {
        let sizes = format!("{pool} connections for {} users", reading.users);
        if (pool as f64) < reading.users { evidence.push(sizes) } else { against.push(sizes) }
    }
    evidence.extend(reading.idle_cpu());
    let candidate = Candidate { share, gain: reading.gain_without(share), evidence, against };
    Finding { text, candidate: Some(candidate) }
}
