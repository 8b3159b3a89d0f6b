use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;
use crate::seen::Seen;

/// Share of the machine's CPU from which nothing is left for anybody.
const FULL: f64 = 0.93;

/// The machine that server, application and load share, with nobody at a limit of its own.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "machine-cpu",
    cause: "machine's CPU",
    examine,
    shows_as: &["pool-wait", "pooler-slots"],
    page: Page {
        signature: "The whole machine is at least 93 % busy, and neither server nor application nor \
                    load is at a limit of its own or takes most of it.",
        evidence: "The machine's CPU; that of each process of the stack.",
        counter_evidence: "One process takes most of it: then it is named instead.",
        advice: &[
            "move the load, or the application, to another machine",
            "limits for each process, so that a verdict can tell them apart",
        ],
        plant: "Figures of full cores that neither server nor load fills; no real ones.",
    },
};

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let Some(used) = reading.cpu else { return Finding::cleared("") };
    let text = format!("the whole machine was at {:.0} % of its CPU", used * 100.0);
    let limited = ["postgres", "app", "pgbouncer"].iter().any(|name| reading.at_quota(name));
    let server = reading.seen().and_then(Seen::server_cpus);
    let most = |cpus: f64| cpus >= used * machine.cores() / 2.0;
    let server_takes_most = match server {
        Some(cpus) => {
            most(cpus) || (!reading.requests && cpus > reading.client_cpu * machine.cores())
        }
        None => !reading.requests,
    };
    let client_takes_most = most(reading.client_cpu * machine.cores());
    if used < FULL || limited || server_takes_most || client_takes_most {
        // An application's row has it; elsewhere the line of the server's CPU says the same.
        return Finding::cleared(if reading.requests { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    for name in ["postgres", "app"] {
        evidence.extend(reading.cpu_text(name).map(|own| Signal::Counters.says(own)));
    }
    let found = Candidate { share: used, gain: [1.0, 2.0], evidence, ..Candidate::default() };
    Finding::suspect(text, found)
}
