//! Whatever a result holds, a report comes out, and nothing of it breaks out.

use pinchpoint_measure::{Phase, RunResult, RunStatus, VariantStatus};
use proptest::prelude::*;

use crate::{Style, climb_table, fixture, render};

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        0.0..1e7_f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-0.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9 -]{0,12}",
        Just(String::new()),
        Just("<script>|\u{1b}[2J\u{9b}31m\r\n\u{202e}`*_".to_owned()),
        Just("연결 풀을 쓴다 ".repeat(40)),
        Just("x".repeat(5000)),
        Just("../../etc/passwd".to_owned()),
    ]
}

/// A change of one variant.
#[derive(Debug)]
struct Change {
    at: usize,
    texts: (String, String, Option<String>),
    numbers: [f64; 6],
    status: VariantStatus,
    /// Whether trials, summary and factors stay.
    keep: (bool, bool, bool),
}

fn change() -> impl Strategy<Value = Change> {
    let status = prop_oneof![
        Just(VariantStatus::Ok),
        Just(VariantStatus::Pending),
        Just(VariantStatus::Skipped),
        Just(VariantStatus::Failed),
    ];
    let texts = (text(), text(), proptest::option::of(text()));
    let numbers = proptest::array::uniform6(number());
    (0_usize..9, texts, numbers, status, any::<(bool, bool, bool)>())
        .prop_map(|(at, texts, numbers, status, keep)| Change { at, texts, numbers, status, keep })
}

impl Change {
    fn apply(&self, result: &mut RunResult) {
        let Some(variant) = result.variants.get_mut(self.at) else { return };
        let ((name, title, reason), numbers) = (&self.texts, &self.numbers);
        variant.name.clone_from(name);
        variant.title.clone_from(title);
        variant.reason.clone_from(reason);
        variant.status = self.status;
        if !self.keep.0 {
            variant.trials.clear();
        }
        if !self.keep.1 {
            variant.summary = None;
        }
        if !self.keep.2 {
            variant.factors.clear();
        }
        for trial in &mut variant.trials {
            trial.reason.clone_from(reason);
            trial.errors.insert(title.clone(), u64::MAX);
            for interval in &mut trial.intervals {
                interval.timestamp.clone_from(title);
                interval.tps = numbers[0];
            }
        }
        if let Some(summary) = &mut variant.summary {
            summary.throughput_per_s.median = numbers[0];
            summary.throughput_per_s.ci95 = Some([numbers[1], numbers[2]]);
            summary.statement_latency_ms.p50 = numbers[3];
            summary.per_row_latency_ms = numbers[4];
            summary.phases_ms.insert(Phase::Execute, numbers[5]);
            summary.phases_ms.insert(Phase::Commit, numbers[1]);
        }
        if let Some(prediction) = &mut variant.prediction {
            prediction.range_per_s = [numbers[2], numbers[3]];
            prediction.lever.clone_from(name);
        }
        if let Some(verdict) = &mut variant.verdict {
            verdict.share = numbers[4];
            verdict.bottleneck.clone_from(name);
        }
    }
}

/// Every figure that reaches the reader, spoilt.
fn spoil(result: &mut RunResult, x: f64) {
    result.environment.steal_share = Some(x);
    result.environment.fsync_us = Some(x);
    result.plan.target_per_s = Some(x);
    for point in result.sweeps.iter_mut().flat_map(|s| &mut s.points) {
        (point.throughput_per_s, point.p95_ms) = (x, x);
    }
    for variant in &mut result.variants {
        if let Some(verdict) = &mut variant.verdict {
            (verdict.share, verdict.confidence) = (x, x);
        }
        if let Some(prediction) = &mut variant.prediction {
            (prediction.range_per_s, prediction.measured_per_s) = ([x, x], Some(x));
        }
        if let Some(summary) = &mut variant.summary {
            summary.throughput_per_s.median = x;
            summary.latency_ms.avg = x;
            summary.statement_latency_ms.avg = x;
            summary.client_cpu_us_per_row = x;
            summary.phases_ms.values_mut().for_each(|ms| *ms = x);
        }
        for trial in &mut variant.trials {
            (trial.throughput_per_s, trial.duration_s) = (x, x);
            for interval in &mut trial.intervals {
                (interval.tps, interval.latency_ms.avg) = (x, x);
            }
            if let Some(crash) = &mut trial.crash {
                (crash.oldest_lost_ms, crash.recovery_s) = (Some(x), x);
            }
        }
    }
}

#[test]
fn no_number_is_shown_that_is_none() {
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0] {
        let mut result = fixture::ladder();
        spoil(&mut result, x);
        let mut texts = vec![climb_table(&result, 80, Style::Plain)];
        let files = render(&result).unwrap();
        let read = files.into_iter().filter(|f| f.path != "plots/ladder.png");
        texts.extend(read.map(|f| String::from_utf8(f.bytes).unwrap()));
        for line in texts.iter().flat_map(|t| t.lines()).filter(|l| !l.starts_with("<img")) {
            let words = line.split(|c: char| !c.is_alphanumeric());
            let none = words.clone().find(|w| ["NaN", "inf"].contains(w));
            assert!(none.is_none() && !line.contains("-0 %"), "{x}: {line}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_result_gives_a_report_that_stays_in_its_frame(
        changes in proptest::collection::vec(change(), 0..6),
        left in 0_usize..10,
        (experiment, description) in (text(), text()),
        columns in 0_usize..300,
    ) {
        let mut result = fixture::ladder();
        result.experiment = experiment;
        result.description = description;
        result.status = RunStatus::Interrupted;
        for change in &changes {
            change.apply(&mut result);
        }
        result.variants.truncate(left);

        let table = climb_table(&result, columns, Style::Plain);
        for line in table.lines() {
            prop_assert!(crate::text::width(line) <= columns.clamp(40, 400), "{:?}", line);
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
        let files = render(&result).unwrap();
        for file in &files {
            let inside = !file.path.starts_with('/') && !file.path.contains("..");
            prop_assert!(inside, "{}", file.path);
        }
        prop_assert!(files == render(&result).unwrap());
        let text = |path: &str| {
            let file = files.iter().find(|f| f.path == path).unwrap();
            String::from_utf8(file.bytes.clone()).unwrap()
        };
        for page in [text("report.html"), text("summary_report.md")] {
            prop_assert!(!page.replace("\\<script", "").contains("<script"));
            prop_assert!(!page.chars().any(|c| c.is_control() && !"\n\t".contains(c)));
        }
    }
}
