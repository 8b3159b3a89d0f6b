use pinchpoint_measure::{Phase, WaitClass, significant};

use super::{CPU_FULL, Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::budget::split;
use crate::reading::Reading;
use crate::seen::Seen;

/// Share of an operation's time on a CPU from which the statement itself is what takes long, even
/// with cores to spare.
const COMPUTES: f64 = 0.7;
/// Share of an operation's time on a CPU or ready for one below which more cores have nothing to give:
/// hardly a session waits for them, however busy they are.
const AT_IT: f64 = 0.1;
/// Twice the cores give at most twice the throughput.
const TWICE: f64 = 2.0;

/// The cores, used up by the server more than by the load.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "server-cpu",
    cause: "CPU",
    examine,
    shows_as: &["pool-wait", "pooler-slots"],
    page: Page {
        signature: "The machine, or what the server may use of it, is at least 85 % busy, and the \
                    server takes more of it than the load; or a statement is on a CPU for 70 % of \
                    its time.",
        evidence: "CPU of the machine and of the server's processes; sessions without a wait, split \
                   by the kernel's accounts into on a CPU and waiting for one.",
        counter_evidence: "Throttling, steal, other processes; most of the time is a wait that \
                           has a name.",
        advice: &[
            "find the statement that takes most CPU, and its plan: an index, fewer rows",
            "prepared statements, larger batches: less CPU for each row",
            "no more sessions at a time than two to four for each core",
            "more cores",
        ],
        plant: "Statements that compute for milliseconds, without a limit.",
    },
};

fn examine(reading: &Reading, machine: &Machine) -> Finding {
    let (Some(cpu), Some(cpu_ms)) = (reading.cpu, reading.cpu_ms(machine.cores())) else {
        return match reading.cpu_text("postgres") {
            Some(text) if reading.server_at_limit() => limited(reading, text),
            Some(text) => Finding::cleared(text),
            None => Finding::cleared("not measured"),
        };
    };
    let cores = machine.cores();
    let mut text = format!("{:.0} % of {cores} cores busy", cpu * 100.0);
    if let Some(own) = reading.cpu_text("postgres") {
        text = format!("{text}; {own}");
    }
    if reading.server_at_limit() {
        return limited(reading, text);
    }
    if let Some(found) = computes(reading, &text) {
        return found;
    }
    let server = reading.seen().and_then(Seen::server_cpus);
    let client = reading.client_cpu * cores;
    let dominates = match server {
        Some(server) => server >= cpu * cores / 2.0 || (server > client && !reading.requests),
        None => reading.client_cpu <= cpu / 2.0 && !reading.requests,
    };
    if cpu < CPU_FULL || !dominates {
        return Finding::cleared(text);
    }
    if let Some(share) = at_it(reading).filter(|share| *share < AT_IT) {
        let little =
            format!("{text}; an operation is there for {:.0} % of its time", share * 100.0);
        return Finding::cleared(little);
    }
    let mut evidence = vec![
        Signal::Kernel.says(text.clone()),
        Signal::Clock.says(format!(
            "{} µs of CPU a row × {} rows/s = {} cores",
            significant(cpu_ms * 1000.0 / reading.rows, 3),
            significant(reading.rows_per_s, 3),
            significant(cpu * cores, 2)
        )),
        Signal::Kernel.says(format!(
            "the load threads' part of it is {:.0} %",
            reading.client_cpu / cpu * 100.0
        )),
    ];
    evidence.extend(waiting_for_cpu(reading));
    let commit = reading.share(|p| p == Phase::Commit);
    let flush = reading.seen().map_or(0.0, |s| reading.share_of(s.class_ms(WaitClass::WalFlush)));
    let wait = if flush > 0.0 { flush } else { commit };
    let against = (wait >= LARGE_SHARE && reading.is_durable())
        .then(|| format!("{:.0} % of the time is the commit, not all of it CPU", wait * 100.0));
    let share = reading.share(|p| !p.is_connection());
    let share = share.min(1.0 - flush);
    let against = against.into_iter().collect();
    let gain = [1.0, TWICE];
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// Share of an operation's time that sessions are on a CPU or ready for one: by the samples or by the
/// kernel's accounts, which also know of sessions that are still said to wait for what has woken them.
fn at_it(reading: &Reading) -> Option<f64> {
    let seen = reading.seen().filter(|s| s.samples().is_some() && !reading.requests)?;
    let backends = seen.observation.backends?;
    let kernel = seen.each_ms(backends.cpu_s) + seen.starved_ms()?;
    Some(reading.share_of(kernel.max(seen.class_ms(WaitClass::Running))))
}

/// At a limit of its own.
fn limited(reading: &Reading, text: String) -> Finding {
    let share = reading.seen().and_then(|s| s.fullness("postgres")).unwrap_or(1.0).min(1.0);
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    evidence.extend(waiting_for_cpu(reading));
    let gain = [1.0, reading.headroom_without("postgres").min(TWICE)];
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}

/// Few sessions that compute most of their time: cores stand idle, and the statement is slow.
fn computes(reading: &Reading, text: &str) -> Option<Finding> {
    let seen = reading.seen()?;
    seen.observation.backends?;
    let (cpu, _, _) = split(seen, seen.class_ms(WaitClass::Running));
    let share = reading.share_of(cpu);
    if share < COMPUTES || reading.cpu_is_full() {
        return None;
    }
    let evidence = vec![
        Signal::Samples
            .says(format!("{:.0} % of the time is the statement on a CPU", share * 100.0)),
        Signal::Kernel.says(text),
    ];
    let saved = reading.cpu_ms(reading.cores).map_or(0.0, |all| (cpu / all).min(1.0));
    let gain = reading.gain(cpu, saved);
    let found = Candidate { share, gain, evidence, ..Candidate::default() };
    Some(Finding::suspect(text.to_owned(), found))
}

/// Sessions that were ready and had no CPU.
fn waiting_for_cpu(reading: &Reading) -> Option<super::Clue> {
    let seen = reading.seen()?;
    let cpu = significant(seen.each_ms(seen.observation.backends?.cpu_s), 3);
    let delay = significant(seen.starved_ms()?, 3);
    Some(Signal::Counters.says(format!(
        "an operation is {cpu} ms on a CPU at the server, and ready without one for {delay} ms"
    )))
}
