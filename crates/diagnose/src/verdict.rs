use pinchpoint_measure::{Elimination, Suspect, Variant, Verdict, significant};

use crate::Machine;
use crate::budget::Budget;
use crate::check::{Check, checks, gates};
use crate::confidence::{WORTH_IT, confidence, missing};
use crate::reading::{Reading, sound};
use crate::rival::Rival;
use crate::rule::{Candidate, Clue, Finding, RULES, Rule};
use crate::slow::slow;

/// Share of an open load's target from which it counts as met.
const TARGET_MET: f64 = 0.95;
/// CPU in use below which it is the users that are few, not anything that is full.
const IDLE: f64 = 0.7;

/// What limited a variant, by elimination: each cause is looked at, and of those that could limit
/// the one wins whose removal could raise throughput most. A cause that is only how another one
/// shows is not named beside it. `None` without figures that count.
///
/// A measurement that cannot be true, or was disturbed, gets the verdict `inconclusive`; an open
/// load that reached its target, `none`; one in which nothing is full, `users`; one in which no
/// cause stands out, `balanced`.
pub fn verdict(variant: &Variant, machine: &Machine) -> Option<Verdict> {
    let reading = Reading::of(variant, machine.cores())?;
    let found: Vec<Found> = RULES
        .iter()
        .map(|rule| Found { rule, finding: (rule.examine)(&reading, machine) })
        .collect();
    let candidates = candidates(&found);
    let budget = Budget::of(&reading);
    let mut checks = checks(&reading);
    checks.extend(budget.check());
    let void = checks.iter().find_map(|check| match check {
        Check::Void(why) => Some(why.clone()),
        _ => None,
    });
    let sound = !matches!(gates(&reading), Some(Check::Void(_)));
    let mut verdict = match (void, candidates.as_slice()) {
        // A target that was met was met, whoever else was busy.
        _ if target_met(&reading) && sound => nothing_limits(&reading),
        // And what failed failed.
        (Some(why), [winner, others @ ..]) if sound && winner.rule.bottleneck == "failures" => {
            let mut verdict = named(winner, others, &reading, &budget, &checks);
            verdict.against.push(why);
            verdict
        }
        (Some(why), _) => inconclusive(why),
        (None, [winner, others @ ..]) => named(winner, others, &reading, &budget, &checks),
        (None, []) => nothing_stands_out(&reading),
    };
    verdict.against.extend(checks.into_iter().filter_map(|check| match check {
        Check::Doubt(text) | Check::Note(text) => Some(text),
        Check::Void(_) => None,
    }));
    verdict.elimination = elimination(&found, &verdict.bottleneck);
    verdict.arithmetic = Some(arithmetic(&reading));
    verdict.slow = slow(&reading);
    verdict.where_time_goes = budget.largest(&reading);
    verdict.closure = Some(budget.closure()).filter(|closure| closure.is_finite());
    verdict.budget = budget.into_lines();
    Some(verdict)
}

/// A rule, and what it found.
struct Found {
    rule: &'static Rule,
    finding: Finding,
}

/// A rule whose cause may be what limits.
struct Named<'a> {
    rule: &'static Rule,
    candidate: &'a Candidate,
}

/// The candidates worth their name, the largest possible gain first. A cause that makes every other
/// figure void comes before them all; one that another candidate only shows as is left out.
fn candidates(found: &[Found]) -> Vec<Named<'_>> {
    let worth = found.iter().filter_map(|f| {
        let candidate = f.finding.candidate.as_ref()?;
        let worth = candidate.first || candidate.gain[1] >= WORTH_IT;
        let worth = worth && candidate.gain.iter().all(|gain| gain.is_finite());
        worth.then_some(Named { rule: f.rule, candidate })
    });
    let worth: Vec<Named<'_>> = worth.collect();
    let shown: Vec<&str> = worth.iter().flat_map(|n| n.rule.shows_as).copied().collect();
    let mut named: Vec<Named<'_>> =
        worth.into_iter().filter(|n| !shown.contains(&n.rule.bottleneck)).collect();
    named.sort_by(|a, b| {
        let (x, y) = (a.candidate, b.candidate);
        y.first
            .cmp(&x.first)
            .then_with(|| y.gain[1].total_cmp(&x.gain[1]))
            .then_with(|| y.share.total_cmp(&x.share))
    });
    named
}

fn named(
    winner: &Named<'_>,
    others: &[Named<'_>],
    reading: &Reading,
    budget: &Budget,
    checks: &[Check],
) -> Verdict {
    let second = others.first();
    let rival = Rival::of(winner.rule, reading, budget);
    let mut against = winner.candidate.against.clone();
    let doubts = checks.iter().filter(|check| matches!(check, Check::Doubt(_))).count();
    let sure = confidence(
        winner.candidate,
        second.map(|other| other.candidate),
        rival.as_ref(),
        reading,
        against.len() + doubts,
    );
    if let Some(other) = second {
        let gain = significant(other.candidate.gain[1], 2);
        against
            .push(format!("{} could limit as well: without it up to {gain} ×", other.rule.cause));
    }
    against.extend(rival.as_ref().map(Rival::text));
    Verdict {
        bottleneck: winner.rule.bottleneck.to_owned(),
        share: sound(winner.candidate.share).min(1.0),
        confidence: sure,
        evidence: texts(&winner.candidate.evidence),
        against,
        gain: Some(winner.candidate.gain),
        shows_as: winner.rule.shows_as.iter().map(|name| (*name).to_owned()).collect(),
        runner_up: second
            .map(|other| Suspect {
                bottleneck: other.rule.bottleneck.to_owned(),
                share: sound(other.candidate.share).min(1.0),
                gain: other.candidate.gain[1],
            })
            .or(rival.map(|rival| rival.suspect(reading)))
            .or_else(|| next_part(winner.rule, reading, budget)),
        advice: winner.rule.page.advice.iter().map(|text| (*text).to_owned()).collect(),
        next: next(winner, second, reading),
        ..Verdict::default()
    }
}

fn texts(clues: &[Clue]) -> Vec<String> {
    clues.iter().map(|clue| clue.text.clone()).collect()
}

/// Where no other cause may be what limits: the largest part of the time that is not the named one's.
fn next_part(winner: &Rule, reading: &Reading, budget: &Budget) -> Option<Suspect> {
    let other = |cause: &str| cause != winner.bottleneck && !winner.shows_as.contains(&cause);
    let is_cause = |cause: &str| RULES.iter().any(|rule| rule.bottleneck == cause);
    budget.largest_of(reading, |cause| other(cause) && is_cause(cause))
}

/// What would limit once the winner is gone: CPU, when it is what bounds the gain, else the
/// runner-up.
fn next(winner: &Named<'_>, second: Option<&Named<'_>>, reading: &Reading) -> Option<String> {
    let bounded = winner.candidate.gain[1] >= 0.98 * reading.headroom();
    let is_cpu = winner.rule.bottleneck.ends_with("-cpu");
    if bounded && !is_cpu && reading.cpu.is_some() {
        let full = if reading.requests { "machine-cpu" } else { "server-cpu" };
        return Some(full.to_owned());
    }
    second.map(|other| other.rule.bottleneck.to_owned())
}

/// The measurement does not carry a verdict.
fn inconclusive(why: String) -> Verdict {
    Verdict {
        bottleneck: "inconclusive".to_owned(),
        evidence: vec![why.clone()],
        inconclusive: Some(why),
        advice: vec![
            "measure again, longer and with nothing else on the machine (`--duration`, `--trials`)"
                .to_owned(),
        ],
        ..Verdict::default()
    }
}

/// An open load that reached its target: there is room left, and no telling what would limit.
fn nothing_limits(reading: &Reading) -> Verdict {
    let target = significant(reading.target_per_s.unwrap_or(0.0), 3);
    let unit = if reading.requests { "requests" } else { "rows" };
    let mut evidence = vec![format!("the target of {target} {unit}/s was met")];
    evidence.extend(reading.idle_cpu().map(|clue| clue.text));
    let confidence = missing(0.95, reading);
    Verdict { bottleneck: "none".to_owned(), confidence, evidence, ..Verdict::default() }
}

/// No cause could give a tenth more. Where nothing is near its limit either, throughput is what so
/// many users ask for; else the parts are in balance.
fn nothing_stands_out(reading: &Reading) -> Verdict {
    let idle = reading.cpu.is_some_and(|cpu| cpu < IDLE) && reading.headroom() > 1.0 / IDLE;
    if idle && reading.target_per_s.is_none() {
        let wait = significant(reading.service_ms, 3);
        let text = format!("nothing was at its limit: each user waited {wait} ms for an answer");
        let mut evidence = vec![text];
        evidence.extend(reading.idle_cpu().map(|clue| clue.text));
        let confidence = missing(0.5, reading);
        return Verdict {
            bottleneck: "users".to_owned(),
            share: 1.0,
            confidence,
            evidence,
            advice: vec!["more users at a time, until something is at its limit".to_owned()],
            ..Verdict::default()
        };
    }
    let largest = Budget::of(reading).largest(reading);
    let share = largest.as_ref().map_or(0.0, |l| l.share);
    let text =
        |l: Suspect| format!("the largest part, {}, takes {:.0} %", l.bottleneck, share * 100.0);
    Verdict {
        bottleneck: "balanced".to_owned(),
        share,
        confidence: missing(0.5, reading),
        evidence: largest.into_iter().map(text).collect(),
        against: vec!["no single cause stands out".to_owned()],
        ..Verdict::default()
    }
}

/// Every cause about which there is something to say.
fn elimination(found: &[Found], bottleneck: &str) -> Vec<Elimination> {
    found
        .iter()
        .filter(|f| !f.finding.text.is_empty())
        .map(|f| Elimination {
            cause: f.rule.cause.to_owned(),
            finding: f.finding.text.clone(),
            limits: f.rule.bottleneck == bottleneck,
        })
        .collect()
}

fn target_met(reading: &Reading) -> bool {
    reading.target_per_s.is_some_and(|target| reading.rows_per_s >= TARGET_MET * target)
}

/// The estimate held against the measurement: X = N ÷ R (Little 1961).
fn arithmetic(reading: &Reading) -> String {
    let one_row = (reading.rows - 1.0).abs() < 1e-9;
    let rows = if one_row { String::new() } else { format!(" × {} rows", figure(reading.rows)) };
    let expected = 1000.0 / reading.service_ms * reading.users * reading.rows;
    format!(
        "1000 ms ÷ {} ms × {}{rows} = {}/s {}, {}/s measured",
        significant(reading.service_ms, 3),
        figure(reading.users),
        significant(expected, 3),
        if reading.target_per_s.is_some() { "possible" } else { "expected" },
        significant(reading.rows_per_s, 3)
    )
}

/// A number that is usually whole.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { significant(value, 3) }
}

#[cfg(test)]
mod tests;
