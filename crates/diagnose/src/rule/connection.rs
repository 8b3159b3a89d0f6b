use pinchpoint_measure::{Phase, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;
use crate::seen::Seen;

/// Sessions opened for each operation from which setting them up is what the server does.
const SESSION_EACH: f64 = 0.5;
/// What sharing connections may give where an application opens them: how much of the server's CPU
/// set-up takes is not known from outside. A factor of nine has been measured.
const SHARED: f64 = 10.0;

/// A connection opened and closed for every operation.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "connection-setup",
    cause: "connection set-up",
    examine,
    shows_as: &["server-cpu", "cpu-throttling", "machine-cpu", "lw-lock", "too-many-backends"],
    page: Page {
        signature: "Opening and closing connections takes at least 30 % of an operation's time; or \
                    an application opens a session for every second request or more, and the server \
                    has no CPU left.",
        evidence: "The phases `tcp`, `tls`, `auth` and `disconnect`; sessions that the server \
                   counted (`pg_stat_database.sessions`).",
        counter_evidence: "Far fewer sessions than operations; it is the wait for a pooled \
                           connection that is long.",
        advice: &[
            "keep connections: a pool in the application, or its driver's keep-alive",
            "a pooler such as PgBouncer, where many processes each need connections",
        ],
        plant: "A new connection for each look-up by key.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    if reading.requests {
        return of_application(reading);
    }
    let ms = reading.phase_ms(Phase::is_connection);
    let share = reading.share(Phase::is_connection);
    let text = format!("opening and closing takes {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE {
        return Finding::cleared(text);
    }
    let statement = reading.phase_ms(Phase::is_statement);
    let auth = reading.phase_ms(|p| p == Phase::Auth);
    let mut evidence = vec![
        Signal::Clock.says(text.clone()),
        Signal::Clock.says(format!("the statement itself takes {} ms", significant(statement, 3))),
    ];
    if auth > ms / 2.0 {
        let auth = significant(auth, 3);
        let most = format!("most of it, {auth} ms, is authentication and the backend's start");
        evidence.push(Signal::Clock.says(most));
    }
    let mut against = Vec::new();
    if let Some(each) = reading.seen().and_then(Seen::sessions_each) {
        let text = format!("the server counted {} new sessions an operation", significant(each, 2));
        if each >= SESSION_EACH {
            evidence.push(Signal::Counters.says(text));
        } else {
            against.push(text);
        }
    }
    evidence.extend(reading.idle_cpu());
    // Not bounded by CPU: what set-up burns of it is freed as well.
    let gain = [reading.gain(ms, 0.0)[0], 1.0 / (1.0 - share).max(0.01)];
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// The application opens them, out of our clock's sight.
fn of_application(reading: &Reading) -> Finding {
    let Some(each) = reading.seen().and_then(Seen::sessions_each) else {
        return Finding::cleared("");
    };
    let text = format!("{} sessions opened for a request", significant(each, 2));
    if each < SESSION_EACH || !reading.no_cpu_left() {
        return Finding::cleared(text);
    }
    let mut evidence = vec![Signal::Counters.says(text.clone())];
    evidence.extend(reading.cpu_text("postgres").map(|cpu| Signal::Kernel.says(cpu)));
    let full = reading.seen().and_then(|s| s.fullness("postgres"));
    let share = full.or(reading.cpu).unwrap_or(1.0).min(1.0);
    let gain = [1.0, SHARED];
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}
