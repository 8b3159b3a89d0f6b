use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Clue, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Sessions executing at a time for each core from which switching between them costs more than a
/// queue in front of the server would.
const FOR_A_CORE: f64 = 32.0;

/// Share of an operation's time ready and without a CPU below which it is something else that the
/// sessions wait for, however many they are.
const WAITING: f64 = 0.1;

/// More sessions at work than the cores can serve.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "too-many-backends",
    cause: "number of sessions",
    examine,
    shows_as: &["server-cpu", "machine-cpu", "lw-lock"],
    page: Page {
        signature: "At least 32 sessions for each core execute at a time, they wait for a CPU longer \
                    than they are on one and for a tenth of their time, and no CPU is left.",
        evidence: "The kernel's accounts of the server's processes: time on a CPU, time ready and \
                   waiting, times put off; sampled sessions, where there are more of them; statements \
                   that are sent and not answered, by our clock.",
        counter_evidence: "CPU for each operation is the same with fewer sessions: then it is plain \
                           lack of CPU. `pinchpoint pool` measures it.",
        advice: &[
            "a pooler, or a pool, of two to four sessions for each core",
            "let users wait in front of the server, not inside",
        ],
        plant: "Four hundred direct connections to two cores, and short statements.",
    },
};

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let Some(seen) = reading.seen() else { return Finding::cleared("") };
    let Some(backends) = seen.observation.backends else { return Finding::cleared("") };
    let cores = seen.process("postgres").and_then(|p| p.cpus).unwrap_or(machine.cores());
    // A session that has been woken and has no CPU yet still says that it is idle, and a watcher that
    // gets no CPU either looks too seldom to tell. The kernel's accounts miss neither.
    let ready = sound((backends.cpu_s + backends.run_delay_s) / seen.observation.seconds);
    let active = seen.samples().map_or(0.0, |samples| samples.active);
    let each = sound(active.max(ready) / cores);
    let text = format!("{} sessions for each core execute at a time", significant(each, 2));
    let (cpu, delay) = (seen.each_ms(backends.cpu_s), seen.each_ms(backends.run_delay_s));
    let hardly = reading.share_of(delay) < WAITING;
    if each < FOR_A_CORE || delay < cpu || hardly || !reading.no_cpu_left() {
        return Finding::cleared(if each >= 1.0 { text } else { String::new() });
    }
    let put_off = significant(sound(backends.preemptions / seen.operations), 2);
    let source = if active > ready { Signal::Samples } else { Signal::Kernel };
    let mut evidence = vec![
        source.says(text.clone()),
        Signal::Kernel.says(format!(
            "{} ms of an operation on a CPU, {} ms waiting for one, put off {put_off} times",
            significant(cpu, 3),
            significant(delay, 3)
        )),
    ];
    evidence.extend(sent(reading));
    let against = vec!["CPU for each operation with fewer sessions was not measured".to_owned()];
    // As many again as the cores do now is what shorter run queues have given at most.
    let found = Candidate {
        share: reading.share_of(delay),
        gain: [1.0, 2.0],
        evidence,
        against,
        ..Candidate::default()
    };
    Finding::suspect(text, found)
}

/// Statements that are sent and not answered, by the load's own clock (Little 1961).
fn sent(reading: &Reading) -> Option<Clue> {
    if reading.requests {
        return None;
    }
    let there = reading.phase_ms(|phase| matches!(phase, Phase::Transfer | Phase::Execute));
    let statements = significant(reading.ops_per_s() * there / 1000.0, 2);
    Some(Signal::Clock.says(format!("{statements} statements are at the server at a time")))
}
