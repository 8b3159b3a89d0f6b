use pinchpoint_measure::{Phase, significant};

use super::Model;
use super::statement::{ROW_SHARE, growing_share};
use super::target::Target;
use crate::Machine;
use crate::reading::Reading;

/// Share of the CPU that does not grow with the rows that goes into waiting for the flush: going
/// to sleep, waking the followers of a group commit. 0.25 to 0.4 was measured.
const OF_FIXED_CPU: f64 = 0.45;
/// What is left may be off by this much.
const MARGIN: f64 = 1.2;

/// Commits no longer wait for the disk: the commit phase goes, as far as there is CPU.
pub(crate) fn apply(
    model: &mut Model,
    reading: &Reading,
    target: &Target,
    machine: &Machine,
) -> Option<()> {
    if reading.is_durable() == target.durable {
        return Some(());
    }
    if target.durable {
        // How long a flush will take has not been seen.
        return None;
    }
    let before = model.service_ms;
    let commit = reading.phase_ms(|p| p == Phase::Commit);
    // Not told apart: one flush, if the disk's is known.
    let commit = if commit > 0.0 { commit } else { machine.fsync_ms()? };
    // At least a tenth stays, however large the commit: something precedes it.
    let rest = (before.hi - commit).max(before.hi / 10.0);
    model.service_ms.hi = before.hi.min(rest * MARGIN);
    if let Some(cpu) = &mut model.cpu_ms {
        let fixed = 1.0 - growing_share(ROW_SHARE.lo, model.rows.lo.max(1.0));
        *cpu = cpu.times(1.0 - OF_FIXED_CPU * fixed, 1.05);
        let least = if model.crowded { cpu.lo } else { rest / MARGIN };
        model.service_ms.lo = least.min(model.service_ms.hi);
    } else {
        model.service_ms.lo = (rest / MARGIN).min(model.service_ms.hi);
    }
    model.basis.push(format!(
        "{} ms of {} ms is the commit's flush, which goes as far as there is CPU",
        significant(commit, 3),
        significant(reading.service_ms, 3)
    ));
    Some(())
}
