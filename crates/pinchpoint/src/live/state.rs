use std::ops::Range;

use pinchpoint_measure::{
    Event, Stage, Trial, TrialStatus, factor_text, group_thousands, human_duration, significant,
};

/// What the live view knows: fed with events, asked for lines.
#[derive(Debug, Default)]
pub(super) struct State {
    rungs: Vec<Rung>,
    trials: u32,
    experiment: String,
    headline: String,
    left_s: Option<f64>,
    /// Cases of a matrix, or a load of one kind, and not rungs.
    cases: bool,
    /// What is counted a second.
    unit: &'static str,
}

#[derive(Debug)]
struct Rung {
    name: String,
    trial: u32,
    now: Now,
    tps: Option<f64>,
    p95_ms: Option<f64>,
    errors: u64,
    rates: Vec<f64>,
}

#[derive(Debug, PartialEq)]
enum Now {
    Waiting,
    Sweeping(u64),
    Running(Stage, f64),
    Done,
    Failed(String),
    Skipped(String),
}

const BAR: usize = 12;
/// More rungs than this do not fit a small terminal.
const MOST_SHOWN: usize = 16;

impl State {
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::RunStarted { experiment, rungs, trials, expected_s, cases, .. } => {
                self.cases = *cases;
                // What a case counts, its first trial says.
                self.unit = if *cases { "" } else { "tps" };
                self.trials = *trials;
                self.left_s = Some(*expected_s);
                self.experiment.clone_from(experiment);
                self.headline = format!("{experiment}: preparing");
                self.rungs = rungs.iter().map(|r| Rung::new(&r.name)).collect();
            }
            Event::Preparing { what } => self.headline.clone_from(what),
            Event::StackStarting { what } => self.headline = format!("starting {what}"),
            Event::StackReady { what, ready_s } => {
                let took = human_duration(*ready_s);
                self.headline = format!("{} on {what} (ready in {took})", self.experiment);
            }
            Event::Seeding { table, rows_done, rows_total } => {
                let percent = rows_done * 100 / (*rows_total).max(1);
                self.headline = format!("{}: loading {table}, {percent} %", self.experiment);
            }
            Event::VariantAdded { rung } => self.rungs.push(Rung::new(&rung.name)),
            Event::SweepPoint { variant, point } => {
                if let Some(rung) = self.rung(variant) {
                    rung.now = Now::Sweeping(point.batch);
                    rung.tps = Some(point.throughput_per_s);
                    rung.p95_ms = Some(point.p95_ms);
                }
            }
            Event::SweepEnded { variant, .. } => {
                if let Some(rung) = self.rung(variant) {
                    (rung.now, rung.tps, rung.p95_ms) = (Now::Waiting, None, None);
                }
            }
            Event::TrialStarted { variant, trial, factors, .. } => {
                if self.cases {
                    // Scripts do transactions, as pgbench's; applications answer requests.
                    let scripts = factor_text(factors, "method") == "script";
                    self.unit = if scripts { "tps" } else { "rps" };
                }
                if let Some(rung) = self.rung(variant) {
                    rung.trial = *trial;
                    rung.now = Now::Running(Stage::Prepare, 0.0);
                }
            }
            Event::Progress { run_left_s, variant, .. } => {
                self.left_s = Some(*run_left_s);
                if let Some(rung) = self.rung(variant) {
                    rung.progress(event);
                }
            }
            Event::TrialEnded { variant, trial } => {
                if let Some(rung) = self.rung(variant) {
                    rung.ended(trial);
                }
            }
            Event::VariantSkipped { variant, reason } => {
                if let Some(rung) = self.rung(variant) {
                    rung.now = Now::Skipped(reason.clone());
                }
            }
            Event::Interval { .. }
            | Event::Verdict { .. }
            | Event::Probe { .. }
            | Event::Prediction { .. }
            | Event::Unpredicted { .. }
            | Event::Warning { .. }
            | Event::RunEnded { .. } => (),
        }
    }

    fn rung(&mut self, name: &str) -> Option<&mut Rung> {
        self.rungs.iter_mut().find(|r| r.name == name)
    }

    /// The rungs that are shown: with many of them, some that are done, the one under way, and some
    /// to come.
    fn shown(&self) -> Range<usize> {
        let all = self.rungs.len();
        if all <= MOST_SHOWN {
            return 0..all;
        }
        let now = self.rungs.iter().position(|r| matches!(r.now, Now::Running(..)));
        let done = self.rungs.iter().rposition(|r| r.trial > 0).unwrap_or(0);
        let from = now.unwrap_or(done).saturating_sub(MOST_SHOWN - 3).min(all - MOST_SHOWN);
        from..from + MOST_SHOWN
    }

    /// The lines of the view, none wider than `width`.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let name_width = self.rungs.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
        let mut lines = vec![match self.left_s {
            Some(left) => format!("{}, about {} left", self.headline, human_duration(left)),
            None => self.headline.clone(),
        }];
        let shown = self.shown();
        let line = |r: &Rung| r.line(name_width, self.trials, self.cases, self.unit);
        lines.extend(self.rungs[shown.clone()].iter().map(line));
        if shown.len() < self.rungs.len() {
            let done = self.rungs.iter().filter(|r| r.is_over(self.trials)).count();
            lines.push(format!("{done} of {} cases done", self.rungs.len()));
        }
        lines.into_iter().map(|line| line.chars().take(width.saturating_sub(1)).collect()).collect()
    }
}

impl Rung {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            trial: 0,
            now: Now::Waiting,
            tps: None,
            p95_ms: None,
            errors: 0,
            rates: Vec::new(),
        }
    }

    fn progress(&mut self, event: &Event) {
        let Event::Progress { stage, elapsed_s, total_s, tps, p95_ms, errors, .. } = event else {
            return;
        };
        let part = if *total_s > 0.0 { (elapsed_s / total_s).min(1.0) } else { 1.0 };
        self.now = Now::Running(*stage, part);
        self.errors = *errors;
        if *stage == Stage::Measure {
            self.p95_ms = p95_ms.or(self.p95_ms);
        }
        if *stage != Stage::Settle {
            self.tps = Some(*tps);
        }
    }

    fn ended(&mut self, trial: &Trial) {
        self.errors = trial.failed;
        if trial.status == TrialStatus::Ok {
            self.rates.push(trial.throughput_per_s);
            self.rates.sort_by(f64::total_cmp);
            self.tps = self.rates.get((self.rates.len() - 1) / 2).copied();
            self.p95_ms = Some(trial.latency_ms.p95);
            self.now = Now::Done;
        } else {
            self.now = Now::Failed(trial.reason.clone().unwrap_or_default());
        }
    }

    /// Whether nothing more is to come.
    fn is_over(&self, trials: u32) -> bool {
        match self.now {
            Now::Done | Now::Failed(_) => self.trial >= trials,
            Now::Skipped(_) => true,
            Now::Waiting | Now::Sweeping(_) | Now::Running(..) => false,
        }
    }

    fn line(&self, name_width: usize, trials: u32, cases: bool, unit: &str) -> String {
        let (part, what) = match &self.now {
            Now::Waiting => (0.0, "waiting".to_owned()),
            Now::Sweeping(batch) => (0.0, format!("batch {}", group_thousands(*batch))),
            Now::Running(Stage::Prepare, _) => (0.0, "preparing".to_owned()),
            Now::Running(Stage::WarmUp, _) => (0.0, "warming up".to_owned()),
            Now::Running(Stage::Measure, part) => (*part, "measuring".to_owned()),
            Now::Running(Stage::Settle, _) => (1.0, "counting rows".to_owned()),
            Now::Done => (1.0, "done".to_owned()),
            Now::Failed(reason) => return self.note(name_width, "failed", reason),
            Now::Skipped(reason) => return self.note(name_width, "skipped", reason),
        };
        let filled = (part * BAR as f64).round() as usize;
        let bar = "█".repeat(filled) + &"░".repeat(BAR - filled);
        // A case's name is long, and there are many: the bar makes room for the figures.
        let bar = if cases { String::new() } else { bar + " " };
        let settling = if cases { "ending" } else { "counting rows" };
        let what = if what == "counting rows" { settling } else { &what };
        let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| significant(x, 3));
        format!(
            "  {:<name_width$}  {bar}{}/{trials}  {what:<13} {:>9} {unit:<3}  p95 {:>7} ms  {} errors",
            self.name,
            self.trial,
            number(self.tps),
            number(self.p95_ms),
            group_thousands(self.errors),
        )
    }

    fn note(&self, name_width: usize, what: &str, reason: &str) -> String {
        let reason = reason.lines().next().unwrap_or_default();
        format!("  {:<name_width$}  {what}: {reason}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Event, RungPlan, SweepPoint};

    use super::*;

    fn started() -> State {
        let mut state = State::default();
        let rung = |name: &str| RungPlan { name: name.to_owned(), title: String::new() };
        state.apply(&Event::RunStarted {
            experiment: "ladder".to_owned(),
            rungs: vec![rung("1"), rung("2-B"), rung("3-B")],
            trials: 3,
            expected_s: 95.0,
            directory: "results/x".to_owned(),
            cases: false,
        });
        state
    }

    #[test]
    fn many_cases_are_shown_around_the_one_under_way() {
        let mut state = State::default();
        let rung = |n: u32| RungPlan { name: format!("case-{n}"), title: String::new() };
        state.apply(&Event::RunStarted {
            experiment: "frameworks".to_owned(),
            rungs: (0..50).map(rung).collect(),
            trials: 1,
            expected_s: 95.0,
            directory: "results/x".to_owned(),
            cases: true,
        });
        let factors = pinchpoint_measure::Factors::new();
        let variant = "case-30".to_owned();
        state.apply(&Event::TrialStarted { variant, trial: 1, trials: 1, factors });
        let lines = state.lines(80);
        assert_eq!(lines.len(), MOST_SHOWN + 2, "{lines:#?}");
        assert!(lines.iter().any(|l| l.contains("case-30 ") && l.contains("rps")), "{lines:#?}");
        assert!(lines.iter().any(|l| l.contains("case-29 ")), "{lines:#?}");
        assert_eq!(lines.last().unwrap(), "0 of 50 cases done");
    }

    #[test]
    fn scripts_are_counted_in_transactions_and_requests_in_requests() {
        for (experiment, method, unit, other) in
            [("sql", Some("script"), "tps", "rps"), ("http", None, "rps", "tps")]
        {
            let mut state = State::default();
            state.apply(&Event::RunStarted {
                experiment: experiment.to_owned(),
                rungs: vec![RungPlan { name: experiment.to_owned(), title: String::new() }],
                trials: 1,
                expected_s: 10.0,
                directory: "memory".to_owned(),
                cases: true,
            });
            let text = |state: &State| state.lines(80).join("\n");
            assert!(!text(&state).contains("rps") && !text(&state).contains("tps"), "nothing yet");
            let factors = method.map(|m| ("method".to_owned(), m.into())).into_iter().collect();
            let variant = experiment.to_owned();
            state.apply(&Event::TrialStarted { variant, trial: 1, trials: 1, factors });
            assert!(text(&state).contains(unit), "{}", text(&state));
            assert!(!text(&state).contains(other), "{}", text(&state));
        }
    }

    #[test]
    fn the_view_reads_at_80_columns() {
        let mut state = started();
        state.apply(&Event::StackReady { what: "PostgreSQL 15.18".to_owned(), ready_s: 1.43 });
        state.apply(&Event::Progress {
            variant: "2-B".to_owned(),
            trial: 1,
            stage: Stage::Measure,
            elapsed_s: 2.5,
            total_s: 10.0,
            tps: 8412.7,
            p95_ms: Some(6.914),
            errors: 1234,
            run_left_s: 61.0,
        });
        state.apply(&Event::SweepPoint {
            variant: "3-B".to_owned(),
            point: SweepPoint { batch: 10_000, throughput_per_s: 641_000.0, p95_ms: 14.2 },
        });
        state.apply(&Event::VariantSkipped {
            variant: "1".to_owned(),
            reason:
                "a reason that is long enough to reach over the edge of the narrow terminal here"
                    .to_owned(),
        });
        let lines = state.lines(80);
        assert!(lines.iter().all(|l| l.chars().count() < 80), "{lines:#?}");
        insta::assert_snapshot!(lines.join("\n"), @r"
        ladder on PostgreSQL 15.18 (ready in 1.4 s), about 1 min 01 s left
          1    skipped: a reason that is long enough to reach over the edge of the narr
          2-B  ███░░░░░░░░░ 0/3  measuring         8,413 tps  p95    6.91 ms  1,234 err
          3-B  ░░░░░░░░░░░░ 0/3  batch 10,000    641,000 tps  p95    14.2 ms  0 errors
        ");
    }
}
