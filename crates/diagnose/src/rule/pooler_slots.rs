use pinchpoint_measure::significant;

use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::Reading;

/// Share of a request's time given to the queue where the pooler's total does not say.
const UNKNOWN: f64 = 0.5;

/// Clients waiting for one of the pooler's server connections.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "pooler-slots",
    cause: "pooler's server connections",
    examine,
    shows_as: &[],
    page: Page {
        signature: "At least one client waits for a server connection on average, all of them are \
                    in use, and nobody is short of CPU.",
        evidence: "`SHOW POOLS` (`cl_waiting`, `maxwait`, `sv_active`), sampled; `total_wait_time` \
                   of `SHOW STATS`: in a matrix, and of any PgBouncer that `--observe-pgbouncer` \
                   names.",
        counter_evidence: "The sessions behind it all wait in the server: then that is the cause.",
        advice: &[
            "a larger default_pool_size, as long as throughput grows",
            "shorter transactions: each holds a server connection from BEGIN to COMMIT",
        ],
        plant: "`default_pool_size = 1`.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(pooler) = &seen.pooler else { return Finding::cleared("") };
    let text = format!(
        "{} clients waited for a server connection on average",
        significant(pooler.clients_waiting_mean, 2)
    );
    let busy = ["app", "pgbouncer"].iter().any(|name| reading.at_limit(name));
    if pooler.clients_waiting_mean < 1.0 || reading.no_cpu_left() || busy {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Samples.says(format!(
        "{text} (longest wait seen {} ms) while {} were in use",
        significant(pooler.longest_wait_ms, 2),
        significant(pooler.servers_active_mean, 2)
    ))];
    let wait = seen.pooler_wait_ms().filter(|ms| *ms > 0.0);
    if let Some(ms) = wait {
        let each = significant(ms, 3);
        let waits = format!("the wait takes {each} ms of each {}", reading.operation());
        evidence.push(Signal::Counters.says(waits));
    }
    evidence.extend(reading.idle_cpu());
    let share = wait.map_or(UNKNOWN, |ms| reading.share_of(ms));
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
