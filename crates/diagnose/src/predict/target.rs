use pinchpoint_measure::{Factors, Method, factor_text, factor_u64};
use serde_json::Value;

use super::model::Range;
use crate::reading::Reading;

/// The levels to predict; what is not stated stays as it was.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Whether it keeps connections.
    pub pooled: bool,
    /// Operations at a time, as the pool allows, at least 1.
    pub users: f64,
    /// Rows in an operation; a range when a sweep has yet to choose.
    pub rows: Range,
    /// Where the rows go; `None` for a method that is not known.
    pub method: Option<Method>,
    /// Whether commits wait for the disk.
    pub durable: bool,
    /// Whether it writes at all.
    pub writes: bool,
}

impl Target {
    pub(crate) fn of(reading: &Reading, to: &Factors) -> Self {
        let mut factors = reading.factors.clone();
        factors.extend(to.clone());
        let durable = factor_text(&factors, "synchronous_commit");
        Self {
            pooled: pooled(&factors),
            users: active_users(&factors),
            rows: rows(to.get("batch"), reading.rows),
            method: method(&factors),
            durable: !matches!(durable.as_str(), "off" | "false"),
            writes: factor_text(&factors, "write") != "false",
        }
    }

    /// The name of what differs most; `None` when nothing does.
    pub(crate) fn lever(&self, reading: &Reading) -> Option<&'static str> {
        if self.pooled != pooled(&reading.factors) {
            Some("pool")
        } else if self.changes_statement(reading) {
            let method =
                self.method.filter(|m| is_bulk(*m) && Some(*m) != method(&reading.factors));
            Some(method.map_or("batch", Method::name))
        } else if self.changes_users(reading) {
            Some("concurrency")
        } else {
            (self.durable != reading.is_durable()).then_some("synchronous_commit")
        }
    }

    /// Whether more or fewer operations will be under way.
    pub(crate) fn changes_users(&self, reading: &Reading) -> bool {
        (self.users - active_users(&reading.factors)).abs() > 0.5
    }

    /// Whether a statement will carry more or fewer rows, or be of another kind. A single INSERT
    /// and a pipelined batch of one are the same.
    pub(crate) fn changes_statement(&self, reading: &Reading) -> bool {
        let kind = |m: Option<Method>| m.map(|m| if is_bulk(m) { m } else { Method::Insert });
        self.rows != Range::exactly(reading.rows)
            || kind(self.method) != kind(method(&reading.factors))
    }
}

/// Whether a statement carries all of its rows at once.
const fn is_bulk(method: Method) -> bool {
    matches!(method, Method::Unnest | Method::Copy)
}

/// Whether connections are kept.
pub(crate) fn pooled(factors: &Factors) -> bool {
    factor_text(factors, "connection") == "pool"
}

/// Users that can be at the server at once: those beyond the pool's size wait outside it.
pub(crate) fn active_users(factors: &Factors) -> f64 {
    let users = factor_u64(factors, "concurrency").unwrap_or(1).max(1);
    let slots = factor_u64(factors, "pool").filter(|n| *n > 0 && pooled(factors));
    users.min(slots.unwrap_or(users)) as f64
}

/// How rows are written; the plain method when it is not stated.
pub(crate) fn method(factors: &Factors) -> Option<Method> {
    match factors.get("method") {
        None | Some(Value::Null) => Some(Method::Insert),
        Some(value) => Method::from_name(value.as_str()?),
    }
}

/// A batch size, or the sizes of a sweep that has yet to choose among them: the larger half, as
/// small statements rarely win. Sizes that hold the present one change nothing.
fn rows(level: Option<&Value>, now: f64) -> Range {
    let sizes: Vec<f64> = match level {
        Some(Value::Array(sizes)) => sizes.iter().filter_map(size).collect(),
        Some(value) => size(value).into_iter().collect(),
        None => vec![],
    };
    if sizes.is_empty() || sizes.iter().any(|s| (s / now - 1.0).abs() < 0.01) {
        return Range::exactly(now);
    }
    let largest = sizes.iter().copied().fold(1.0, f64::max);
    let typical = pinchpoint_stats::median(&sizes).unwrap_or(largest);
    Range { lo: typical.min(largest), hi: largest }
}

fn size(value: &Value) -> Option<f64> {
    value.as_u64().filter(|n| *n > 0).map(|n| n as f64)
}
