use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;

/// Share of a load thread's time on a CPU from which it can do no more.
const THREAD_FULL: f64 = 0.9;

/// The load generator itself. While it limits, nothing can be said of the server.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "client-cpu",
    cause: "load generator",
    examine,
    shows_as: &[],
    page: Page {
        signature: "A load thread is on a CPU for at least 90 % of its time, or the load takes more \
                    of a full machine than the server does.",
        evidence: "The threads' CPU time by the kernel; the gate `generator-headroom`; the server \
                   waits for the client.",
        counter_evidence: "The server is at its own limit as well.",
        advice: &[
            "do not read this as a verdict on the server: the instrument is the limit",
            "give the load more threads, or run it on another machine",
            "use larger batches, so that each operation costs the load less",
        ],
        plant: "A script with three thousand expressions before its statement.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let thread = reading.client_share;
    let text = format!(
        "load threads {:.0} % busy, {:.0} % of the machine's CPU",
        thread * 100.0,
        reading.client_cpu * 100.0
    );
    let takes_most = reading.cpu.is_some_and(|cpu| reading.client_cpu >= cpu / 2.0);
    let full = thread >= THREAD_FULL || reading.generator_full || reading.at_limit("client");
    if !(full || reading.cpu_is_full() && takes_most) {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    if takes_most {
        let more = "the load threads use more of the machine than the server does";
        evidence.push(Signal::Clock.says(more));
    }
    if reading.generator_full {
        evidence.push(Signal::Clock.says("the check of the generator's headroom failed"));
    }
    if reading.at_limit("client") {
        evidence.push(Signal::Counters.says("the load's own CPU limit held it back"));
    }
    let share = thread.max(reading.client_cpu);
    let against = if reading.server_at_limit() {
        vec!["the server is at its CPU limit as well".to_owned()]
    } else {
        vec![]
    };
    let gain = [1.0, reading.headroom().max(1.0 / (1.0 - share).max(0.1))];
    Finding::suspect(
        text,
        Candidate { share, gain, evidence, against, first: true, ..Candidate::default() },
    )
}
