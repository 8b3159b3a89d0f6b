//! What the slowest operations waited for.

use pinchpoint_measure::{Phase, SlowFigures, significant};

use crate::budget::label;
use crate::reading::Reading;

/// Looks that have to fall into slow operations before their waits are told.
const LOOKS: u64 = 5;

/// One line: how slow they are, the phase that took most of their time, and what the server's
/// session was waiting for meanwhile.
pub(crate) fn slow(reading: &Reading) -> Option<String> {
    let slow = reading.seen()?.observation.slow.as_ref()?;
    if slow.operations == 0 || !slow.mean_ms.is_finite() || slow.mean_ms <= 0.0 {
        return None;
    }
    let mut text = format!(
        "the slowest {}s (from {} ms on, {} ms on average)",
        reading.operation(),
        significant(slow.from_ms, 3),
        significant(slow.mean_ms, 3)
    );
    if let Some((phase, ms)) = longest(slow) {
        let share = (ms / slow.mean_ms).clamp(0.0, 1.0) * 100.0;
        let usual = reading.phase_ms(|p| p == phase);
        text.push_str(&format!(
            " spent {} ms ({share:.0} %) in {}, where the mean is {} ms",
            significant(ms, 3),
            phase.name(),
            significant(usual, 3)
        ));
    }
    if let Some(waits) = waits(slow) {
        text.push_str(&format!("; their sessions: {waits}"));
    }
    Some(text)
}

fn longest(slow: &SlowFigures) -> Option<(Phase, f64)> {
    let sound = slow.phases_ms.iter().filter(|(_, ms)| ms.is_finite());
    sound.max_by(|a, b| a.1.total_cmp(b.1)).map(|(phase, ms)| (*phase, *ms))
}

/// The two largest waits.
fn waits(slow: &SlowFigures) -> Option<String> {
    if slow.looks < LOOKS {
        return None;
    }
    let mut waits: Vec<_> = slow.waits.iter().filter(|w| w.sessions > 0.0).collect();
    waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
    let texts: Vec<String> = waits
        .iter()
        .take(2)
        .map(|w| format!("{} {:.0} %", label(w.class), w.sessions.min(1.0) * 100.0))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
