use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;

/// The application's processes.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "app-cpu",
    cause: "application's CPU",
    examine,
    shows_as: &["pool-wait", "idle-in-transaction", "slow-reader", "pooler-slots"],
    page: Page {
        signature: "The application uses at least 85 % of the CPU that it may use, or is held back \
                    in at least half of the scheduler's periods.",
        evidence: "CPU time of its process tree; throttling of its control group.",
        counter_evidence: "PostgreSQL is at its own limit as well.",
        advice: &[
            "another process or machine for the application: the database has room",
            "a faster driver or serializer, fewer rows for each request",
            "a cache in front of what is computed again and again",
        ],
        plant: "An application held to 0.4, 0.2 or 0.05 CPUs.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(text) = reading.cpu_text("app") else { return Finding::cleared("") };
    if !reading.at_limit("app") {
        return Finding::cleared(text);
    }
    let share = seen.fullness("app").unwrap_or(1.0).min(1.0);
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    if seen.held_back("app") > 0.0 {
        evidence.push(Signal::Counters.says("its control group was throttled"));
    }
    if !reading.server_at_limit()
        && let Some(server) = reading.cpu_text("postgres")
    {
        evidence.push(Signal::Counters.says(server));
    }
    let mut against = Vec::new();
    if reading.server_at_limit() {
        against.extend(reading.cpu_text("postgres"));
    }
    let gain = [1.0, reading.headroom_without("app")];
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}
