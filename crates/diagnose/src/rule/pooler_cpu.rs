use pinchpoint_measure::significant;

use super::{CPU_FULL, Candidate, Finding, Page, Rule, Signal, THROTTLED};
use crate::Machine;
use crate::reading::Reading;

/// The pooler's one thread.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "pooler-cpu",
    cause: "pooler's CPU",
    examine,
    shows_as: &["pooler-slots"],
    page: Page {
        signature: "PgBouncer uses at least 85 % of the one CPU that its thread can use, or of less \
                    where a limit leaves it less.",
        evidence: "CPU time of its process, which is found by its socket where it runs on this \
                   machine; throttling of its control group.",
        counter_evidence: "Its server connections are all in use: then those are short.",
        advice: &[
            "a second process on the same port (so_reuseport)",
            "no TLS between pooler and server on one machine",
        ],
        plant: "PgBouncer under a quota of a tenth of a CPU.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some((pooler, used)) = seen.process("pgbouncer").zip(seen.cpus("pgbouncer")) else {
        return Finding::cleared("");
    };
    // It has one thread: a whole CPU is all that it can use, and a limit may leave it less.
    let allowed = pooler.cpus.unwrap_or(1.0).clamp(0.001, 1.0);
    let held = seen.held_back("pgbouncer");
    let text =
        format!("its one thread used {} of {} CPU", significant(used, 2), significant(allowed, 2));
    if used / allowed < CPU_FULL && held < THROTTLED {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    if held > 0.0 {
        let held = format!("it was held back in {:.0} % of periods", held * 100.0);
        evidence.push(Signal::Counters.says(held));
    }
    evidence.extend(reading.idle_cpu());
    let share = (used / allowed).clamp(0.0, 1.0);
    let gain = [1.0, reading.headroom_without("pgbouncer")];
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
