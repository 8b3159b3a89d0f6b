use pinchpoint_measure::{Blocker, WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal, part};
use crate::Machine;
use crate::budget::label;
use crate::reading::Reading;

/// Share of the time from which it may be what limits: who holds the lock works meanwhile, so
/// waiting never takes all of it.
const WAITING: f64 = 0.2;

/// Share of the waiters whose holder does the same from which that is the root.
const ROOT: f64 = 0.5;

/// A row that many change.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "row-lock",
    cause: "row locks",
    examine,
    shows_as: &["idle-in-transaction"],
    page: Page {
        signature: "Sessions wait in Lock:transactionid or Lock:tuple for at least 20 % of an \
                    operation's time.",
        evidence: "Sampled sessions; who they wait for (`pg_blocking_pids`) and what that session \
                   does. Where it waits for the WAL flush, or is idle in its transaction, that is \
                   the root.",
        counter_evidence: "The server is throttled: a holder that is held back looks the same.",
        advice: &[
            "change the contended row last in the transaction, and commit at once",
            "spread it over several rows (a counter for each worker, summed when read)",
            "no waiting for anything else while the lock is held",
        ],
        plant: "One counter row that all users update; a session that holds a row idle in its \
                transaction.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.class_ms(WaitClass::RowLock);
    let share = reading.held_share(ms);
    let text = format!("waiting for rows takes {}", part(ms, reading.service_ms));
    if share < WAITING {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    let blockers = seen.samples().map_or(&[][..], |s| &s.blockers);
    for blocker in blockers.iter().take(2) {
        evidence.push(Signal::Counters.says(holder(blocker)));
    }
    if reading.users > 1.0 {
        let hold = significant(reading.users * 1000.0 / reading.ops_per_s() / reading.users, 3);
        let cap = format!("one after the other: an operation every {hold} ms");
        evidence.push(Signal::Clock.says(cap));
    }
    evidence.extend(reading.idle_cpu());
    let against = if seen.held_back("postgres") > 0.0 {
        vec!["the server is held back by its CPU limit: so is who holds the lock".to_owned()]
    } else {
        vec![]
    };
    let gain = reading.gain_held(ms);
    let error = seen.class_error_ms(WaitClass::RowLock).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}

/// Who holds it, what it does, and so what the root is.
fn holder(blocker: &Blocker) -> String {
    let whose = if blocker.application.is_empty() { "a session" } else { &blocker.application };
    let mut text =
        format!("{:.0} % of them wait for {whose}, {}", blocker.share * 100.0, blocker.state);
    match blocker.class {
        _ if blocker.share < ROOT => (),
        None => text.push_str(": the root is a transaction that is held open"),
        Some(WaitClass::Running | WaitClass::RowLock) => (),
        Some(class) => text.push_str(&format!(": the root is {}", label(class))),
    }
    if let Some(query) = &blocker.query {
        text.push_str(&format!(" ({query})"));
    }
    text
}
