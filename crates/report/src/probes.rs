use pinchpoint_measure::{Probe, significant};

use crate::text::clean;

/// A probe in one line: `probe of flush of the WAL: 0.13 ms + 0.20 ms, cycle … slope 1.10, …`.
pub fn probe_line(probe: &Probe) -> String {
    let title = probe.demand.title();
    let Some(f) = &probe.figures else {
        let reason = probe.reason.as_deref().unwrap_or("no figures");
        return format!("probe of {title}: not made, {}", clean(reason));
    };
    let [lo, hi] = f.ci95;
    // A negative zero reads like a finding.
    let two = |value: f64| format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0);
    format!(
        "probe of {title}: {} ms + {} ms, cycle {} → {} ms: slope {}, criticality {} ({} to {}); {}",
        significant(f.demand_ms, 2),
        significant(f.added_ms, 2),
        significant(f.cycle_ms, 3),
        significant(f.slowed_cycle_ms, 3),
        two(f.slope),
        two(f.criticality),
        two(lo),
        two(hi),
        clean(&probe.means),
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pinchpoint_measure::{Demand, ProbeFigures};

    use super::*;

    #[test]
    fn a_probe_is_one_line_with_its_figures_or_its_reason() {
        let figures = ProbeFigures {
            demand_ms: 0.13,
            added_ms: 0.2,
            cycle_ms: 0.21,
            slowed_cycle_ms: 0.43,
            slope: 1.1,
            criticality: 0.681,
            ci95: [-0.001, 0.72],
            pairs: 6,
        };
        let made = Probe {
            demand: Demand::WalFlush,
            means: "commit_delay, 0.20 ms more".to_owned(),
            figures: Some(figures),
            reason: None,
        };
        assert_snapshot!(probe_line(&made), @"probe of flush of the WAL: 0.13 ms + 0.20 ms, cycle 0.210 → 0.430 ms: slope 1.10, criticality 0.68 (0.00 to 0.72); commit_delay, 0.20 ms more");
        let reason = Some("the server is not ours\u{7}".to_owned());
        let not = Probe { figures: None, reason, ..made };
        assert_snapshot!(probe_line(&not), @"probe of flush of the WAL: not made, the server is not ours");
    }
}
