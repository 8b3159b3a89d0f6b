//! What a change should give, by the operational laws, stated before it is made.

mod change;
mod commit;
mod connection;
mod model;
mod script;
mod service;
mod sounding;
mod statement;
mod target;
mod unpredicted;
mod users;

use pinchpoint_measure::{Factors, Prediction, Variant};

use crate::reading::{Reading, positive};
use crate::{Experience, Machine};
pub use change::{
    ProcessDemand, StackSounding, StackStep, cache_hits, predict_step, predict_users,
};
pub use script::{ScriptSounding, ScriptStep, clients_to_try, predict_script};
pub use sounding::{Sounding, SoundingPlan, soundings};
pub use unpredicted::Unpredicted;

use model::{Model, Range};
use target::Target;

/// One kind of change: does nothing when the levels do not differ in it, and `None` when they do
/// and nothing honest can be said.
type Lever = fn(&mut Model, &Reading, &Target, &Machine) -> Option<()>;

/// The version of the model: raise it when ranges are computed otherwise, so that it learns from its
/// own misses only.
pub const MODEL: u32 = 4;

/// A range whose upper end is more than this many times its lower says nothing.
const TOO_WIDE: f64 = 10.0;

/// A start that is less certain than this tells nothing of the next step.
const LARGEST_ERROR: f64 = 1.25;

/// The levers in the order in which they are applied.
const LEVERS: [Lever; 4] = [connection::apply, users::apply, statement::apply, commit::apply];

/// What is known beside the variant that a prediction starts from.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// The name to give the change; when empty, it is that of what differs: `pool`, `copy`,
    /// `unnest`, `batch`, `concurrency` or `synchronous_commit`, the first of them that does.
    pub lever: &'a str,
    /// Where it runs.
    pub machine: &'a Machine,
    /// What client and wire carry without writing, in rows per second, with statements at least as
    /// large; one below what was already reached is not that, and is not used.
    pub null_ceiling_per_s: Option<f64>,
    /// What was tried before the step.
    pub soundings: &'a [Sounding],
    /// How long the step will write, warm-up included, in seconds.
    pub trial_s: f64,
    /// What past predictions teach.
    pub experience: &'a Experience,
}

/// The throughput to expect of a variant with the levels `to`, from the measurements of `from`.
///
/// Where the step's statement was tried before with fewer users or rows ([`soundings`]), the range
/// is that, carried on to the step's users and rows. Else each level that differs changes the
/// demands of an operation (its waits, its CPU) from a figure to a range; the asymptotic bound
/// gives the upper end and the balanced job bound the lower (Zahorjan et al. 1982; Lazowska et al.,
/// *Quantitative System Performance*, chapter 5). Several changes at once are applied one after
/// the other, so the range widens with each. What is carried on from `from` is widened by its
/// sampling error, and either range by what past predictions of this lever teach.
///
/// # Errors
///
/// Why nothing is said: nothing relevant differs, the load follows a schedule (it sets the throughput),
/// a figure that the change depends on was not measured, or all that can be said is a range of more
/// than a factor of ten.
pub fn predict(
    from: &Variant,
    to: &Factors,
    outlook: &Outlook<'_>,
) -> Result<Prediction, Unpredicted> {
    let machine = outlook.machine;
    let reading = Reading::of(from, machine.cores()).ok_or(Unpredicted::NoFigures)?;
    let target = Target::of(&reading, to);
    if reading.target_per_s.is_some() {
        return Err(Unpredicted::Schedule);
    }
    if !reading.writes() || !target.writes {
        return Err(Unpredicted::NothingWritten);
    }
    let derived = target.lever(&reading).ok_or(Unpredicted::NothingDiffers)?;
    let lever = if outlook.lever.is_empty() { derived } else { outlook.lever };
    let tried = sounding::expect(outlook.soundings, &target, machine, outlook.trial_s);
    let mut expected = match tried {
        Some(expected) => expected,
        None => modelled(&reading, &target, machine, sampling_error(from))
            .ok_or(Unpredicted::NotMeasured)?,
    };
    let widened = outlook.experience.widening(lever);
    let range = expected.range.times(1.0 / widened, widened);
    let range = capped(range, &reading, outlook.null_ceiling_per_s, &mut expected.basis);
    if range.hi > TOO_WIDE * range.lo {
        return Err(Unpredicted::TooWide);
    }
    Ok(Prediction {
        from: reading.name,
        lever: lever.to_owned(),
        range_per_s: [range.lo, range.hi],
        basis: expected.basis.join("; "),
        widened: Some(widened),
        limit: limit(range, &expected, target.users, machine),
        ..Prediction::default()
    })
}

/// What is expected of a step, in rows per second.
struct Expected {
    range: Range,
    basis: Vec<String>,
    /// CPU of a row, client's and server's, in milliseconds of one core; absent where not measured.
    row_cpu_ms: Option<f64>,
}

/// What is expected to limit in the middle of a range, where that can be told: that there is one
/// operation at a time, or the cores.
fn limit(range: Range, expected: &Expected, users: f64, machine: &Machine) -> Option<String> {
    // Client and server take turns: one operation at a time fills one core at most.
    if users <= 1.0 && machine.cores() > 1.0 {
        return Some("serial-round-trips".to_owned());
    }
    let busy = (range.lo * range.hi).sqrt() * expected.row_cpu_ms? / 1000.0 / machine.cores();
    (busy >= service::IDLE).then(|| "server-cpu".to_owned())
}

/// The range from the measured demands alone.
fn modelled(reading: &Reading, target: &Target, machine: &Machine, error: f64) -> Option<Expected> {
    let mut model = Model::of(reading, machine);
    for apply in LEVERS {
        apply(&mut model, reading, target, machine)?;
    }
    let mut range = model.throughput(machine)?;
    if target.lever(reading) == Some("synchronous_commit") && !target.durable {
        // Nothing but a demand goes, and throughput falls with no demand (monotonicity of closed
        // networks: Suri 1985, Operations Research 33).
        range.lo = range.lo.max(reading.rows_per_s).min(range.hi);
    }
    let row_cpu_ms =
        model.cpu_ms.map(|cpu| (cpu.lo * cpu.hi / model.rows.lo / model.rows.hi).sqrt());
    Some(Expected { range: range.times(1.0 / error, error), basis: model.basis, row_cpu_ms })
}

/// Half of the interval of what the prediction starts from, as a factor; 1 where there is none.
fn sampling_error(from: &Variant) -> f64 {
    let ci95 = from.summary.as_ref().and_then(|s| s.throughput_per_s.ci95);
    let factor = ci95.and_then(|[lo, hi]| positive((hi / lo).sqrt()));
    factor.map_or(1.0, |factor| factor.clamp(1.0, LARGEST_ERROR))
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
