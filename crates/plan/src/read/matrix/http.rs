use std::time::Duration;

use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::{HttpPlan, RequestPlan};

pub(crate) static SECTION: Section = Section {
    name: "[http]",
    help: "How the users behave.",
    keys: &[&TIMEOUT, &SPAWN_RATE, &THINK, &KEEP_ALIVE, &STATEMENTS],
};

static TIMEOUT: Key = Key {
    name: "timeout",
    kind: Kind::Span { min: Duration::from_millis(1), max: Duration::from_secs(3600) },
    default: Fallback::Value(r#""60s""#),
    help: "An answer that takes longer is a failure.",
};
static SPAWN_RATE: Key = Key {
    name: "spawn_rate",
    kind: Kind::Number { min: 0.01, max: 1e6 },
    default: Fallback::Note("all at once"),
    help: "Users that start a second.",
};
static THINK: Key = Key {
    name: "think",
    kind: Kind::Span { min: Duration::ZERO, max: Duration::from_secs(3600) },
    default: Fallback::Value(r#""0s""#),
    help: "Pause of a user after each answer; no part of any time that is measured.",
};
static KEEP_ALIVE: Key = Key {
    name: "keep_alive",
    kind: Kind::Flag,
    default: Fallback::Value("true"),
    help: "Whether a user keeps its connection.",
};
static STATEMENTS: Key = Key {
    name: "statements_per_request",
    kind: Kind::Number { min: 0.0, max: 1e6 },
    default: Fallback::Note("they are not counted"),
    help: "Statements on the dataset that a right answer takes. They are counted in a short pass \
           beside the timed trial; another number voids the row.",
};

pub(crate) fn read(fields: &Fields<'_, '_>, requests: Vec<RequestPlan>) -> Option<HttpPlan> {
    let (timeout, think) = (fields.span(&TIMEOUT), fields.span(&THINK));
    let (keep_alive, spawn_per_s) = (fields.flag(&KEEP_ALIVE), fields.number(&SPAWN_RATE));
    let statements_per_request = fields.number(&STATEMENTS);
    Some(HttpPlan {
        requests,
        timeout: timeout?,
        spawn_per_s,
        think: think?,
        keep_alive: keep_alive?,
        insecure: false,
        statements_per_request,
    })
}
