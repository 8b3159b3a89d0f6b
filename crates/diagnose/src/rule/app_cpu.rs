use pinchpoint_measure::significant;

use super::{CPU_FULL, Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;
use crate::seen::Seen;

/// The application's processes.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "app-cpu",
    cause: "application's CPU",
    examine,
    shows_as: &["pool-wait", "idle-in-transaction", "slow-reader", "pooler-slots"],
    page: Page {
        signature: "The application uses at least 85 % of the CPU that it may use, or one of its \
                    threads or interpreters 85 % of a core, or it is held back in at least half of \
                    the scheduler's periods.",
        evidence: "CPU time of its process tree and of its busiest thread (of Python, Ruby and \
                   Node: process, whose threads take turns); throttling of its control group. \
                   `pinchpoint http` finds the processes by the socket that they listen at.",
        counter_evidence: "PostgreSQL is at its own limit as well.",
        advice: &[
            "another process or machine for the application: the database has room",
            "a faster driver or serializer, fewer rows for each request",
            "a cache in front of what is computed again and again",
        ],
        plant: "An application held to 0.4, 0.2 or 0.05 CPUs.",
    },
};

/// Response time from so many times its CPU time on is spent in a queue.
const QUEUES: f64 = 2.0;

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(text) = reading.cpu_text("app") else { return Finding::cleared("") };
    if !reading.at_limit("app") {
        return Finding::cleared(text);
    }
    let share = seen.fullness("app").unwrap_or(1.0).min(1.0);
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    if let Some(used) = seen.busiest_lane("app").filter(|used| *used >= CPU_FULL) {
        let text = format!(
            "one thread of it, or one interpreter, was on a CPU {:.0} % of the time",
            used * 100.0
        );
        evidence.push(Signal::Kernel.says(text));
    }
    if let Some(times) = queue(reading, seen) {
        let text = format!("an answer takes {times} × the CPU time spent on it: requests queue");
        evidence.push(Signal::Clock.says(text));
    }
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

/// How many times the application's CPU time of a request its answer takes, where several are under
/// way and wait for each other.
fn queue(reading: &Reading, seen: &Seen) -> Option<String> {
    let cpu_ms = seen.each_ms(seen.process("app")?.cpu_s?);
    let times = reading.service_ms / cpu_ms;
    (reading.users > 1.0 && times.is_finite() && times >= QUEUES).then(|| significant(times, 2))
}
