use pinchpoint_measure::{Phase, WaitClass};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::budget::split;
use crate::reading::Reading;
use crate::seen::Seen;

const CLASSES: [WaitClass; 3] = [WaitClass::Process, WaitClass::Pause, WaitClass::Other];

/// The server is waiting inside the statement, for something that no other rule names.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "server-wait",
    cause: "server",
    examine,
    shows_as: &[],
    page: Page {
        signature: "At least 30 % of an operation's time the server executes and is not on a CPU, \
                    and what it waits for was not sampled, is reported by nobody, or has no rule of \
                    its own.",
        evidence: "The phase `execute` less the CPU; sampled sessions; the kernel's accounts.",
        counter_evidence: "Sessions were sampled, and the wait has a name.",
        advice: &[
            "let pinchpoint look at the server's sessions: a role in pg_monitor",
            "look at pg_stat_activity while it runs (`pinchpoint watch`)",
        ],
        plant: "Statements that wait on purpose for 0.2, 2 or 20 ms (`pg_sleep`).",
    },
};

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    if let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) {
        return sampled(reading, seen);
    }
    if reading.requests {
        return Finding::cleared("");
    }
    let execute = reading.phase_ms(|p| p == Phase::Execute);
    let text = format!("the server executes for {}", part(execute, reading.service_ms));
    // What is CPU within it is not a wait; of one user it is the round trip.
    let execute = reading.seen().map_or(execute, |seen| seen.past_the_pooler_ms(execute));
    let waiting = execute - reading.cpu_ms(machine.cores()).unwrap_or(0.0);
    let share = reading.share_of(waiting);
    if share < LARGE_SHARE || reading.no_cpu_left() || reading.users <= 1.0 {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Clock.says(text.clone())];
    evidence.extend(reading.idle_cpu());
    let against = vec!["what the server waits for was not sampled".to_owned()];
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// Waits that are none of the others, and time in which nothing is reported and nothing runs.
fn sampled(reading: &Reading, seen: &Seen) -> Finding {
    let running = seen.class_ms(WaitClass::Running);
    let (_, _, hidden) = split(seen, running);
    let hidden = if seen.observation.backends.is_some() { hidden } else { 0.0 };
    let other = seen.classes_ms(&CLASSES);
    let ms = other + hidden;
    let share = reading.held_share(ms);
    let text = format!("it waits for what has no other name for {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE || reading.no_cpu_left() {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(seen.events(&CLASSES).map(|names| Signal::Samples.says(names)));
    if hidden > other {
        let text = format!("{} reported by nobody", part(hidden, reading.service_ms));
        evidence.push(Signal::Kernel.says(text));
    }
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_held(ms);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
