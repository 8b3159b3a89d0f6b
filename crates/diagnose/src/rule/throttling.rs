use super::{CPU_FULL, Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;

/// Share of periods from which a limit that is used up counts as the brake.
const HELD_BACK: f64 = 0.05;

/// The server's CPU limit, on a machine that has more.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "cpu-throttling",
    cause: "CPU limit of the server",
    examine,
    // A process that is held back while it has a lock looks like a lock that is fought for.
    shows_as: &[
        "server-cpu",
        "machine-cpu",
        "lw-lock",
        "row-lock",
        "object-lock",
        "server-wait",
        "pool-wait",
        "pooler-slots",
        "too-many-backends",
        "serial-round-trips",
    ],
    page: Page {
        signature: "The server uses what its CPU limit allows and the scheduler holds it back in at \
                    least 5 % of its periods, while the machine has CPU left.",
        evidence: "`nr_throttled` ÷ `nr_periods` and usage of its control group; the machine's CPU.",
        counter_evidence: "The machine itself is full; sessions are opened for each operation.",
        advice: &[
            "raise the CPU limit: waits for locks that appear under it vanish with it",
            "make statements cheaper: prepared statements, an index, fewer round trips",
            "fewer sessions at a time, so that less of the limit goes into switching",
        ],
        plant: "A CPU quota of 0.15 to 1 core on the server's control group.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(text) = reading.cpu_text("postgres") else { return Finding::cleared("") };
    let (held, full) = (seen.held_back("postgres"), seen.fullness("postgres").unwrap_or(0.0));
    if held < HELD_BACK || !reading.server_at_limit() {
        let limited = seen.process("postgres").is_some_and(|p| p.cpus.is_some());
        return Finding::cleared(if limited { text } else { String::new() });
    }
    let throttled = seen.process("postgres").and_then(|p| p.throttled_s);
    let share = throttled.map_or(held, |s| reading.share_of(seen.each_ms(s)));
    let mut evidence = vec![Signal::Counters.says(text.clone())];
    let mut against = Vec::new();
    match reading.cpu {
        Some(cpu) if cpu < CPU_FULL => {
            let idle = format!("the machine is {:.0} % busy: it has CPU left", cpu * 100.0);
            evidence.push(Signal::Kernel.says(idle));
        }
        Some(cpu) => against.push(format!("the machine itself is {:.0} % busy", cpu * 100.0)),
        None => (),
    }
    if full >= CPU_FULL {
        let used = format!("{:.0} % of the limit is used", full * 100.0);
        evidence.push(Signal::Kernel.says(used));
    } else {
        against.push(format!("on average only {:.0} % of the limit is used", full * 100.0));
    }
    let gain = [1.0, reading.headroom_without("postgres")];
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}
