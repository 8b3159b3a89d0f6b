use pinchpoint_measure::{Method, Phase, group_thousands, significant};

use super::Model;
use super::model::Range;
use super::target::{Target, method};
use crate::Machine;
use crate::reading::Reading;

/// Share of a single-row INSERT's CPU that belongs to the row: the rest (round trip, wake-ups,
/// transaction, flush) is paid once for a batch. 0.07 to 0.2 was measured.
pub(crate) const ROW_SHARE: Range = Range { lo: 0.1, hi: 0.3 };
/// What larger statements gain or lose besides: caches, buffers, overlap.
const LARGER: (f64, f64) = (0.85, 1.2);
/// A larger commit has more WAL to flush.
const LARGER_COMMIT: f64 = 2.0;

/// CPU of a row by method, against a pipelined INSERT for each.
const fn row_cost(method: Method) -> Range {
    match method {
        Method::Insert | Method::ExecuteMany => Range { lo: 1.0, hi: 1.0 },
        // Measured: 0.35 to 0.5.
        Method::Unnest => Range { lo: 0.3, hi: 0.7 },
        // Measured: 0.25.
        Method::Copy => Range { lo: 0.18, hi: 0.45 },
    }
}

/// More rows in a statement, or another kind of statement.
pub(crate) fn apply(
    model: &mut Model,
    reading: &Reading,
    target: &Target,
    _machine: &Machine,
) -> Option<()> {
    if !target.changes_statement(reading) {
        return Some(());
    }
    let (before, after) = (method(&reading.factors)?, target.method?);
    let cost = relative_cost(before, after);
    let cheapest = scaled(ROW_SHARE.lo, reading.rows, target.rows.hi, cost.lo);
    let dearest = scaled(ROW_SHARE.hi, reading.rows, target.rows.lo, cost.hi);
    let (mut lo, mut hi) = (cheapest.min(dearest), cheapest.max(dearest));
    // Another number of users has brought its own allowance, and a first batch a wide one.
    if reading.rows > 1.5 && !target.changes_users(reading) {
        (lo, hi) = (lo * LARGER.0, hi * LARGER.1);
    }
    // From a row's cost to an operation's.
    let (more, fewer) = (target.rows.hi / reading.rows, target.rows.lo / reading.rows);
    if let Some(cpu) = &mut model.cpu_ms {
        *cpu = cpu.times(lo * more, hi * fewer);
    }
    let commit = reading.phase_ms(|p| p == Phase::Commit).min(model.service_ms.lo);
    let work = Range { lo: model.service_ms.lo - commit, hi: model.service_ms.hi - commit };
    let work = work.times(lo * more, hi * fewer);
    let flush = if model.crowded { 0.0 } else { commit };
    model.service_ms = Range { lo: work.lo + flush, hi: work.hi + commit * LARGER_COMMIT };
    if model.crowded
        && let Some(cpu) = model.cpu_ms
    {
        model.service_ms.lo = cpu.lo;
    }
    model.rows = Range { lo: target.rows.lo, hi: target.rows.hi };
    model.basis.push(format!(
        "{} rows by {} instead of {} by {}: a row takes {} to {} of the CPU that it took",
        rows(target.rows),
        after.name(),
        rows(Range::exactly(reading.rows)),
        before.name(),
        significant(lo, 2),
        significant(hi, 2)
    ));
    Some(())
}

/// Share of a statement's CPU that grows with its rows, when it has `rows` of them and a single
/// row's share is `single`.
pub(crate) fn growing_share(single: f64, rows: f64) -> f64 {
    single * rows / (1.0 - single + single * rows)
}

/// Factor on the CPU of a row when statements of `before` rows become statements of `after` rows
/// and the row itself costs `cost` times as much.
fn scaled(single: f64, before: f64, after: f64, cost: f64) -> f64 {
    let growing = growing_share(single, before);
    growing * cost + (1.0 - growing) * before / after
}

fn relative_cost(before: Method, after: Method) -> Range {
    if before == after {
        return Range::exactly(1.0);
    }
    let (before, after) = (row_cost(before), row_cost(after));
    Range { lo: after.lo / before.hi, hi: after.hi / before.lo }
}

fn rows(range: Range) -> String {
    let text = |rows: f64| group_thousands(rows.round() as u64);
    let (lo, hi) = (text(range.lo), text(range.hi));
    if lo == hi { hi } else { format!("{lo} to {hi}") }
}
