use pinchpoint_measure::{Probe, ProbeFinding, Verdict, significant};

use crate::text::clean;

/// What probes say to the verdict, to be read behind its name: `, confirmed by a probe`.
pub(crate) fn proof_words(verdict: &Verdict) -> String {
    let Some(proof) = &verdict.proof else { return String::new() };
    match proof.finding {
        ProbeFinding::Refuted if proof.claim != verdict.bottleneck => {
            format!(", confirmed by a probe, where {} was refuted", clean(&proof.claim))
        }
        ProbeFinding::Confirmed | ProbeFinding::Refuted => {
            format!(", {} by a probe", proof.finding.name())
        }
        ProbeFinding::Undecided => ", undecided by probes".to_owned(),
    }
}

/// The probes of a verdict, one in a line, after why they decided nothing where that has a reason of
/// its own.
pub(crate) fn probe_lines(verdict: &Verdict) -> Vec<String> {
    let undecided = verdict.proof.as_ref().and_then(|proof| {
        let reason = proof.reason.as_deref()?;
        Some(format!("{} undecided: {}", clean(&proof.claim), clean(reason)))
    });
    undecided.into_iter().chain(verdict.probes.iter().map(probe_line)).collect()
}

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
    let found = probe.finding.map_or(String::new(), |found| format!("{}, ", found.name()));
    format!(
        "probe of {title}: {found}{} ms + {} ms, cycle {} → {} ms: slope {}, criticality {} ({} to {}); {}",
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
    use pinchpoint_measure::{Demand, ProbeFigures, Proof};

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
            finding: None,
        };
        assert_snapshot!(probe_line(&made), @"probe of flush of the WAL: 0.13 ms + 0.20 ms, cycle 0.210 → 0.430 ms: slope 1.10, criticality 0.68 (0.00 to 0.72); commit_delay, 0.20 ms more");
        let found = Probe { finding: Some(ProbeFinding::Confirmed), ..made.clone() };
        let line = probe_line(&found);
        assert!(line.starts_with("probe of flush of the WAL: confirmed, 0.13 ms"), "{line}");
        let reason = Some("the server is not ours\u{7}".to_owned());
        let not = Probe { figures: None, reason, ..made };
        assert_snapshot!(probe_line(&not), @"probe of flush of the WAL: not made, the server is not ours");
    }

    #[test]
    fn what_became_of_the_claim_stands_behind_the_verdict() {
        let words = |claim: &str, finding, reason: Option<&str>| {
            let (claim, reason) = (claim.to_owned(), reason.map(str::to_owned));
            let proof = Some(Proof { claim, finding, reason });
            let bottleneck = "wal-flush".to_owned();
            let verdict = Verdict { bottleneck, proof, ..Verdict::default() };
            (proof_words(&verdict), probe_lines(&verdict))
        };
        let (text, lines) = words("wal-flush", ProbeFinding::Confirmed, None);
        assert_eq!((text.as_str(), lines.len()), (", confirmed by a probe", 0));
        let (text, _) = words("wal-flush", ProbeFinding::Refuted, None);
        assert_eq!(text, ", refuted by a probe");
        let (text, _) = words("row-lock", ProbeFinding::Refuted, None);
        assert_eq!(text, ", confirmed by a probe, where row-lock was refuted");
        let (text, lines) = words("wal-flush", ProbeFinding::Undecided, Some("not ours"));
        assert_eq!(text, ", undecided by probes");
        assert_eq!(lines, ["wal-flush undecided: not ours"]);
        assert_eq!(proof_words(&Verdict::default()), "");
    }
}
