use pinchpoint_measure::{Phase, significant};

use super::{CPU_FULL, Candidate, Finding, LARGE_SHARE, Rule};
use crate::Machine;
use crate::reading::Reading;

/// The machine's cores, used up by the server more than by the load.
pub(crate) const RULE: Rule = Rule { bottleneck: "server-cpu", cause: "CPU", examine };

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let (Some(cpu), Some(cpu_ms)) = (reading.cpu, reading.cpu_ms(machine.cores())) else {
        return Finding::cleared("not measured".to_owned());
    };
    let cores = machine.cores();
    let text = format!("{:.0} % of {cores} cores busy", cpu * 100.0);
    if cpu < CPU_FULL || reading.client_cpu > cpu / 2.0 {
        return Finding::cleared(text);
    }
    let evidence = vec![
        text.clone(),
        format!(
            "{} µs of CPU a row × {} rows/s = {} cores",
            significant(cpu_ms * 1000.0 / reading.rows, 3),
            significant(reading.rows_per_s, 3),
            significant(cpu * cores, 2)
        ),
        format!("the load threads' part of it is {:.0} %", reading.client_cpu / cpu * 100.0),
    ];
    // Twice the cores give at most twice the throughput.
    let share = reading.share(|p| !p.is_connection());
    let commit = reading.share(|p| p == Phase::Commit);
    let against = (commit >= LARGE_SHARE && reading.is_durable())
        .then(|| format!("{:.0} % of the time is the commit, not all of it CPU", commit * 100.0));
    let against = against.into_iter().collect();
    let candidate = Candidate { share, gain: 2.0, evidence, against };
    Finding { text, candidate: Some(candidate) }
}
