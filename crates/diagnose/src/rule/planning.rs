use pinchpoint_measure::{WaitClass, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Time spent planning, as a share of planning and executing.
const MOSTLY: f64 = 0.3;

/// Statements that are parsed and planned anew each time.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "planning",
    cause: "planning",
    examine,
    shows_as: &["server-cpu", "machine-cpu", "cpu-throttling"],
    page: Page {
        signature: "Planning takes at least 30 % of the time that statements take on the server, and \
                    these at least 30 % of an operation's time, or the server has no CPU left.",
        evidence: "`pg_stat_statements` with `track_planning`: plan time against execution.",
        counter_evidence: "A plan is already kept; the server mostly waits.",
        advice: &[
            "prepared statements: parsed and planned once",
            "PgBouncer 1.21 or newer keeps them in transaction mode (max_prepared_statements)",
            "plan_cache_mode = force_generic_plan, where plans for each value are all the same",
        ],
        plant: "A join of many tables by the simple protocol, for one row.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let statements = &seen.observation.statements;
    // One that is prepared has no time of planning, beside others that have.
    let planned: Vec<f64> = statements.iter().filter_map(|s| s.plan_ms.map(sound)).collect();
    if planned.is_empty() {
        return Finding::cleared("");
    }
    let planning: f64 = planned.iter().sum();
    let executing: f64 = statements.iter().map(|s| sound(s.execute_ms)).sum();
    let part = sound(planning / (planning + executing));
    let text = format!("planning takes {:.0} % of the statements' time", part * 100.0);
    let running = seen.class_ms(WaitClass::Running);
    let share = reading.held_share(running * part);
    let busy = reading.held_share(running) >= LARGE_SHARE || reading.no_cpu_left();
    if part < MOSTLY || !busy {
        return Finding::cleared(text);
    }
    let calls: f64 = statements.iter().map(|s| sound(s.calls)).sum();
    let mut evidence = vec![
        Signal::Counters.says(format!("{text}, {} ms a call", significant(planning / calls, 2))),
        Signal::Samples.says(format!("sessions run without a wait {:.0} % of the time", {
            reading.share_of(running) * 100.0
        })),
    ];
    evidence.extend(reading.idle_cpu());
    // The server's part of the CPU, as far as it is known; of that the part that plans.
    let server = seen.server_cpus().zip(reading.cpu);
    let server = server.map_or(0.5, |(own, all)| (own / (all * reading.cores)).min(1.0));
    let gain = reading.gain(share * reading.service_ms, part * server);
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
