//! What a change should give, by the operational laws, stated before it is made.

mod commit;
mod connection;
mod model;
mod statement;
mod target;
mod users;

use pinchpoint_measure::{Factors, Prediction, Variant};

use crate::Machine;
use crate::reading::{Reading, positive};
use model::{Model, Range};
use target::Target;

/// One kind of change: does nothing when the levels do not differ in it, and `None` when they do
/// and nothing honest can be said.
type Lever = fn(&mut Model, &Reading, &Target, &Machine) -> Option<()>;

/// The version of the model: raise it when ranges are computed otherwise, so that it learns from its
/// own misses only.
pub const MODEL: u32 = 1;

/// A range whose upper end is more than this many times its lower says nothing.
const TOO_WIDE: f64 = 10.0;

/// The levers in the order in which they are applied.
const LEVERS: [Lever; 4] = [connection::apply, users::apply, statement::apply, commit::apply];

/// The throughput to expect of a variant with the levels `to`, from the measurements of `from`.
///
/// Each level that differs changes the demands of an operation (its waits, its CPU) from a figure
/// to a range; the asymptotic bound gives the range's upper end and the balanced job bound its
/// lower (Zahorjan et al. 1982; Lazowska et al., *Quantitative System Performance*, chapter 5).
/// Several changes at once are applied one after the other, so the range widens with each.
///
/// `lever` is the name to give the change; when empty, it is that of what differs: `pool`, `copy`,
/// `unnest`, `batch`, `concurrency` or `synchronous_commit`, the first of them that does.
/// `null_ceiling_per_s` is what client and wire carry without writing, with statements at least as
/// large as those of `to`; one below what `from` already reached is not that, and is not used.
///
/// `None` when nothing relevant differs, when the load follows a schedule (it sets the
/// throughput), when a figure that the change depends on was not measured, or when all that can be
/// said is a range of more than a factor of ten.
pub fn predict(
    from: &Variant,
    to: &Factors,
    lever: &str,
    machine: &Machine,
    null_ceiling_per_s: Option<f64>,
) -> Option<Prediction> {
    let reading = Reading::of(from, machine.cores())?;
    let target = Target::of(&reading, to);
    if reading.target_per_s.is_some() || !reading.writes() || !target.writes {
        return None;
    }
    let mut model = Model::of(&reading, machine);
    for apply in LEVERS {
        apply(&mut model, &reading, &target, machine)?;
    }
    let derived = target.lever(&reading)?;
    let name = if lever.is_empty() { derived } else { lever };
    let range = capped(model.throughput(machine)?, &reading, null_ceiling_per_s, &mut model.basis);
    if range.hi > TOO_WIDE * range.lo {
        return None;
    }
    Some(Prediction {
        from: reading.name,
        lever: name.to_owned(),
        range_per_s: [range.lo, range.hi],
        basis: model.basis.join("; "),
        ..Prediction::default()
    })
}

/// No write is faster than the same path without the write.
fn capped(
    range: Range,
    reading: &Reading,
    null_ceiling_per_s: Option<f64>,
    basis: &mut Vec<String>,
) -> Range {
    let ceiling = null_ceiling_per_s.and_then(positive).filter(|c| *c > reading.rows_per_s);
    match ceiling {
        Some(ceiling) if ceiling < range.hi => {
            basis.push("no more than the rung that writes nothing".to_owned());
            Range { lo: range.lo.min(ceiling * model::CEILING_REACHED), hi: ceiling }
        }
        _ => range,
    }
}

#[cfg(test)]
mod tests;
