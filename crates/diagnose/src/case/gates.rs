use pinchpoint_measure::{Gate, Pace, StackFigures, Trial, significant};

use crate::gate::{generator_headroom, phase_sum, settled};

/// How an application was loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CaseLoad {
    /// Virtual users.
    pub users: u32,
    /// Pause of a user after each answer, in seconds.
    pub think_s: f64,
    /// Load threads.
    pub threads: u32,
}

/// Largest deviation from Little's law.
const LITTLE: f64 = 0.05;
/// The same where a user had only a few answers, each of which may have begun before the measured
/// part.
const LITTLE_SHORT: f64 = 0.10;
/// A warm-up shorter than this, in seconds, is none.
const NO_WARM_UP: f64 = 0.01;
/// Largest deviation of the statements counted for each request.
const STATEMENTS: f64 = 0.02;
/// Failures above this share make the mean response time, which is that of successes, say nothing of
/// all requests.
const FEW_FAILURES: f64 = 0.01;

/// The checks that a case's figures must pass to be believed.
pub fn case_gates(trial: &Trial, load: &CaseLoad, stack: &StackFigures) -> Vec<Gate> {
    let mut gates = Vec::new();
    if trial.pace == Pace::Closed {
        gates.push(littles_law(trial, load));
    }
    gates.push(phase_sum(trial));
    gates.push(generator_headroom(trial, load.users, load.threads));
    gates.push(if trial.warm_up.duration_s < NO_WARM_UP { unwarmed() } else { settled(trial) });
    gates.extend(answers(trial));
    gates.extend(statements(stack));
    gates.extend(connections(stack));
    gates.extend(restarts(stack));
    gates
}

/// Nobody asked for a warm-up, so that the start is part of what is measured.
fn unwarmed() -> Gate {
    let detail = "no warm-up was asked for".to_owned();
    Gate { name: "settled".to_owned(), passed: true, detail }
}

/// N = X·(R + Z) (Little 1961): every user is waiting for an answer or thinking.
fn littles_law(trial: &Trial, load: &CaseLoad) -> Gate {
    let name = "littles-law".to_owned();
    let users = f64::from(load.users);
    if trial.error_rate() > FEW_FAILURES {
        let detail = format!(
            "not judged: {} failed, and the mean response time is that of successes",
            percent(trial.error_rate())
        );
        return Gate { name, passed: true, detail };
    }
    let operations = (trial.succeeded + trial.failed) as f64;
    let cycle_s = trial.latency_ms.avg / 1000.0 + load.think_s;
    let found = operations / trial.duration_s * cycle_s;
    let tolerance = (LITTLE + 0.5 * users / operations.max(1.0)).min(LITTLE_SHORT);
    Gate {
        name,
        passed: (found - users).abs() <= tolerance * users,
        detail: format!(
            "requests/s × (mean response time + think time) = {} users, {} were there \
             (tolerance {:.0} %)",
            significant(found, 3),
            load.users,
            tolerance * 100.0
        ),
    }
}

fn answers(trial: &Trial) -> Option<Gate> {
    let http = trial.http.as_ref()?;
    let wrong = http.census.wrong_answer;
    let checked: u64 = http.checks.iter().map(|c| c.passed + c.failed).sum();
    Some(Gate {
        name: "answers".to_owned(),
        passed: wrong == 0,
        detail: format!("{wrong} wrong answers; {checked} checks of {} kinds", http.checks.len()),
    })
}

fn statements(stack: &StackFigures) -> Option<Gate> {
    let evidence = stack.evidence.as_ref()?;
    let seen = evidence.statements as f64 / evidence.requests.max(1) as f64;
    let expected = evidence.expected_per_request;
    Some(Gate {
        name: "statements".to_owned(),
        passed: evidence.requests > 0 && (seen - expected).abs() <= STATEMENTS * expected,
        detail: format!(
            "{} statements for a request, {} expected; beside them {} others ({} requests counted)",
            significant(seen, 3),
            significant(expected, 3),
            significant(evidence.other_per_request, 3),
            evidence.requests
        ),
    })
}

fn connections(stack: &StackFigures) -> Option<Gate> {
    let sessions = stack.sessions.as_ref()?;
    let allowed = sessions.allowed?;
    let counted = sessions.samples > 0;
    Some(Gate {
        name: "connections".to_owned(),
        passed: counted && sessions.most <= allowed,
        detail: if counted {
            format!("{} sessions at most, {allowed} configured", sessions.most)
        } else {
            format!("the server did not say how many sessions there were; {allowed} configured")
        },
    })
}

fn restarts(stack: &StackFigures) -> Option<Gate> {
    let app = stack.process("app")?;
    Some(Gate {
        name: "restarts".to_owned(),
        passed: app.restarts == 0,
        detail: format!("{} processes of the application were started anew", app.restarts),
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
