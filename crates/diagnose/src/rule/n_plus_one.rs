use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Executions of one statement in an operation from which they should be one.
const MANY: f64 = 5.0;

/// An execution's own expense is at most that of so many empty requests.
const AROUND: f64 = 4.0;

/// The same small statement again and again within an operation.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "n-plus-one",
    cause: "repeated statements (N+1)",
    examine,
    shows_as: &[
        "serial-round-trips",
        "idle-in-transaction",
        "server-cpu",
        "cpu-throttling",
        "planning",
    ],
    page: Page {
        signature: "One statement is executed at least five times for each operation, and what these \
                    executions take whatever they do (of each no more than four empty requests), \
                    with their round trips, is at least 30 % of its time.",
        evidence: "`pg_stat_statements`: calls for each operation; the time between statements.",
        counter_evidence: "Each call takes long or returns many rows: the work is in them, not in \
                           the calls.",
        advice: &[
            "one statement for all of them: a JOIN, or = ANY($1) with the keys of the whole list",
            "a loader that collects keys (DataLoader) where the code asks one by one",
            "a pipeline, where they cannot be one",
        ],
        plant: "Thirty SELECTs by key in place of one JOIN.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let calls = |s: &pinchpoint_measure::StatementFigures| sound(s.calls_per_op.unwrap_or(0.0));
    let most = seen.observation.statements.iter().max_by(|a, b| calls(a).total_cmp(&calls(b)));
    let Some(most) = most else { return Finding::cleared("") };
    let each = calls(most);
    let text = format!("{} executions of one statement an operation", significant(each, 3));
    if each < MANY {
        return Finding::cleared(text);
    }
    let window = reading.phase_ms(|p| p.is_statement() && p != Phase::Encode);
    // What a call takes whatever it does; the rest is its work, which a joined plan has to do as well.
    let planned = most.plan_ms.map_or(0.0, sound);
    let call = sound((most.execute_ms + planned) / most.calls);
    let trip = seen.observation.round_trip_ms.map(|trip| AROUND * trip);
    let executing = trip.map_or(call, |trip| call.min(trip)) * each;
    let between = seen.active_ms().map_or(0.0, |active| seen.past_the_pooler_ms(window - active));
    // On full cores the server is often ready for a statement long before it gets a CPU.
    let crowded = trip.filter(|_| reading.no_cpu_left());
    let between = crowded.map_or(between, |trip| between.min(trip * each));
    let repeated = (executing + between).min(window) * (1.0 - 1.0 / each);
    let share = reading.share_of(repeated);
    if share < LARGE_SHARE {
        return Finding::cleared(text);
    }
    let rows = sound(most.rows / most.calls);
    let mut evidence = vec![
        Signal::Counters.says(format!(
            "{text}, each of {} rows: {}",
            significant(rows, 2),
            most.query
        )),
        Signal::Clock.says(format!(
            "calling them and waiting between them takes {:.0} % of the time",
            share * 100.0
        )),
    ];
    evidence.extend(reading.idle_cpu());
    let against = if rows > 10.0 {
        vec![format!("each call returns {} rows", significant(rows, 3))]
    } else {
        vec![]
    };
    // A joined plan still has to read the rows: half of the CPU is what it may save at most.
    let gain = reading.gain(repeated, 0.5);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}
