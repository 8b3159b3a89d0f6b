use pinchpoint_measure::significant;

use super::Model;
use super::model::MOSTLY_IDLE;
use super::target::Target;
use crate::Machine;
use crate::reading::Reading;

/// CPU of an operation when more are under way, against one at a time on a mostly idle machine:
/// fewer wake-ups, shared flushes (0.48 to 0.68 was measured), or more contention.
const FROM_IDLE: (f64, f64) = (0.5, 1.1);
/// The same from a machine that was busy already.
const FROM_BUSY: (f64, f64) = (0.9, 1.2);
/// The same for fewer users than before: less contention and better caches, or idle moments.
const FEWER: (f64, f64) = (0.7, 1.1);

/// Response time of an operation that meets no other but finds everything awake.
const AWAKE: f64 = 0.8;

/// More or fewer operations at a time.
pub(crate) fn apply(
    model: &mut Model,
    reading: &Reading,
    target: &Target,
    machine: &Machine,
) -> Option<()> {
    let before = model.users;
    if !target.changes_users(reading) {
        return Some(());
    }
    // What N operations do to each other shows in the CPU of one, or not at all.
    let cpu = model.cpu_ms.as_mut()?;
    let (lo, hi) = if target.users < before {
        FEWER
    } else if reading.cpu.is_some_and(|cpu| cpu < MOSTLY_IDLE) {
        FROM_IDLE
    } else {
        FROM_BUSY
    };
    *cpu = cpu.times(lo, hi);
    model.users = target.users;
    if !model.crowded {
        // Group commit: a commit may have to wait for the flush before its own.
        model.service_ms.hi += machine.fsync_ms().unwrap_or(0.0);
    }
    model.service_ms.lo =
        if model.crowded { cpu.lo } else { (model.service_ms.lo * AWAKE).max(cpu.lo) };
    model.basis.push(format!(
        "{} operations at a time instead of {before}, each in {} ms at best, on {} cores that \
         give each {} to {} µs",
        target.users,
        significant(model.service_ms.lo, 3),
        machine.cores(),
        significant(cpu.lo * 1000.0, 3),
        significant(cpu.hi * 1000.0, 3)
    ));
    Some(())
}
