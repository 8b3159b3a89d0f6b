use proptest::prelude::*;

use super::*;

/// Pairs of a system whose cycle grows by `slope` for each millisecond added, with a little
/// noise that favours neither side.
fn pairs(users: f64, cycle: f64, slope: f64, added: f64) -> Vec<[f64; 2]> {
    let rate = |cycle: f64| 1000.0 * users / cycle;
    [0.99, 1.01, 1.0, 1.01, 0.99, 1.0]
        .map(|noise| [rate(cycle) * noise, rate(cycle + slope * added)])
        .to_vec()
}

fn probe(demand: Demand, slope: f64, demand_ms: f64) -> Probe {
    let pairs = pairs(16.0, 10.0, slope, 1.0);
    let reading = ProbeReading { users: 16.0, pairs: &pairs, demand_ms, added_ms: 1.0 };
    let figures = probe_figures(&reading);
    Probe { demand, means: String::new(), figures, reason: None, finding: None }
}

fn verdict(bottleneck: &str) -> Verdict {
    Verdict {
        bottleneck: bottleneck.to_owned(),
        share: 0.6,
        confidence: 0.6,
        evidence: vec!["seen".to_owned()],
        ..Verdict::default()
    }
}

fn weighed(bottleneck: &str, probes: Vec<Probe>) -> Verdict {
    let mut verdict = verdict(bottleneck);
    weigh_probes(&mut verdict, probes);
    verdict
}

#[test]
fn the_slope_and_what_it_means_are_read_back() {
    let figures = probe(Demand::WalFlush, 2.0, 4.0).figures.unwrap();
    assert!((figures.cycle_ms - 10.0).abs() < 0.1, "{figures:?}");
    assert!((figures.slope - 2.0).abs() < 0.05, "{figures:?}");
    assert!((figures.criticality - 0.8).abs() < 0.02, "{figures:?}");
    assert!(figures.ci95[0] < figures.criticality && figures.criticality < figures.ci95[1]);
    assert!(probe(Demand::WalFlush, 0.0, 4.0).figures.unwrap().ci95[1] < HIDDEN);
}

#[test]
fn a_probe_that_finds_the_verdicts_cause_confirms_it() {
    let found = weighed("wal-flush", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
    assert_eq!((found.bottleneck.as_str(), found.confidence), ("wal-flush", 0.9));
    assert!(found.evidence[1].contains("flush of the WAL"), "{found:?}");
    assert_eq!(found.probes.len(), 1);
}

#[test]
fn a_probe_that_clears_the_verdicts_cause_wins() {
    let cleared = probe(Demand::WalFlush, 0.0, 4.0);
    let found = weighed("wal-flush", vec![cleared.clone()]);
    assert!(found.confidence <= 0.2 && found.against.len() == 1, "{found:?}");
    let found = weighed("wal-flush", vec![cleared, probe(Demand::ServerCpu, 1.0, 9.0)]);
    assert_eq!(found.bottleneck, "server-cpu");
    assert!((found.share - 0.9).abs() < 0.05 && found.confidence >= 0.7, "{found:?}");
    assert!(found.against.iter().any(|a| a.contains("pointed to wal-flush")), "{found:?}");
}

#[test]
fn a_probe_beneath_another_cause_is_no_contradiction() {
    let found = weighed("row-lock", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
    assert_eq!(found.bottleneck, "row-lock");
    assert_eq!(found.evidence.len(), 2);
    let found = weighed("balanced", vec![probe(Demand::WalFlush, 2.0, 4.5)]);
    assert_eq!(found.bottleneck, "wal-flush", "where nothing was named, the probe names");
}

#[test]
fn round_trips_one_by_one_count_by_their_slope() {
    // A short way, but each operation waits for it in full.
    let found = weighed("serial-round-trips", vec![probe(Demand::RoundTrip, 1.0, 0.05)]);
    assert!(found.confidence >= 0.9, "{found:?}");
    let found = weighed("serial-round-trips", vec![probe(Demand::RoundTrip, 0.05, 0.05)]);
    assert!(found.confidence <= 0.2, "{found:?}");
}

#[test]
fn a_probe_that_could_not_be_made_changes_nothing() {
    let none = Probe {
        demand: Demand::WalFlush,
        means: String::new(),
        figures: None,
        reason: Some("the server is not ours".to_owned()),
        finding: None,
    };
    let found = weighed("wal-flush", vec![none.clone()]);
    let reason = "flush of the WAL could not be made larger: the server is not ours";
    let proof = Proof {
        claim: "wal-flush".to_owned(),
        finding: ProbeFinding::Undecided,
        reason: Some(reason.to_owned()),
    };
    let as_it_was = verdict("wal-flush");
    assert_eq!(found, Verdict { probes: vec![none], proof: Some(proof), ..as_it_was });
}

fn proof_of(bottleneck: &str, probes: Vec<Probe>) -> (String, ProbeFinding, bool) {
    let proof = weighed(bottleneck, probes).proof.unwrap();
    (proof.claim, proof.finding, proof.reason.is_some())
}

#[test]
fn the_claim_and_what_became_of_it_are_told_in_one_word() {
    let flush = |slope| probe(Demand::WalFlush, slope, 4.5);
    let claim = |name: &str, finding, why| (name.to_owned(), finding, why);
    let (yes, no) = (ProbeFinding::Confirmed, ProbeFinding::Refuted);
    assert_eq!(proof_of("wal-flush", vec![flush(2.0)]), claim("wal-flush", yes, false));
    assert_eq!(proof_of("wal-flush", vec![flush(0.0)]), claim("wal-flush", no, false));
    let both = vec![flush(0.0), probe(Demand::ServerCpu, 1.0, 9.0)];
    let found = weighed("wal-flush", both);
    assert_eq!(found.bottleneck, "server-cpu");
    assert_eq!(found.proof.unwrap().finding, no);
    assert_eq!(found.probes.iter().map(|p| p.finding).collect::<Vec<_>>(), [Some(no), Some(yes)]);
    assert_eq!(proof_of("balanced", vec![flush(2.0)]), claim("wal-flush", yes, false));
    let open = ProbeFinding::Undecided;
    assert_eq!(proof_of("wal-flush", vec![flush(0.8)]), claim("wal-flush", open, false));
    assert_eq!(proof_of("row-lock", vec![flush(2.0)]), claim("row-lock", open, true));
}

#[test]
fn slices_without_an_answer_give_none() {
    let good = pairs(16.0, 10.0, 1.0, 1.0);
    let read = |users, pairs: &[[f64; 2]], demand_ms, added_ms| {
        probe_figures(&ProbeReading { users, pairs, demand_ms, added_ms })
    };
    assert!(read(16.0, &good, 1.0, 1.0).is_some());
    assert!(read(16.0, &good[..2], 1.0, 1.0).is_none());
    assert!(read(16.0, &good, 0.0, 1.0).is_none() && read(16.0, &good, 1.0, 0.0).is_none());
    let mut stalled = good;
    stalled[3][1] = 0.0;
    assert!(read(16.0, &stalled, 1.0, 1.0).is_none());
}

proptest! {
    #[test]
    fn whatever_the_slices_figures_are_sane(
        pairs in proptest::collection::vec(any::<[f64; 2]>(), 0..8),
        users: f64, demand_ms: f64, added_ms: f64,
    ) {
        if let Some(f) = probe_figures(&ProbeReading { users, pairs: &pairs, demand_ms, added_ms }) {
            prop_assert!(!f.ci95[0].is_nan() && f.ci95[0] <= f.ci95[1]);
        }
    }

    /// The unit of time does not matter.
    #[test]
    fn criticality_has_no_unit(slope in 0.0..2.0_f64, demand in 0.1..9.0_f64, scale in 0.1..10.0_f64) {
        let one = pairs(8.0, 10.0, slope, 1.0);
        let other = pairs(8.0, 10.0 * scale, slope, scale);
        let a = probe_figures(&ProbeReading { users: 8.0, pairs: &one, demand_ms: demand, added_ms: 1.0 }).unwrap();
        let b = probe_figures(&ProbeReading { users: 8.0, pairs: &other, demand_ms: demand * scale, added_ms: scale }).unwrap();
        prop_assert!((a.criticality - b.criticality).abs() < 1e-9);
    }
}
