use pinchpoint_measure::{
    Event, RunStatus, Sink, Trial, TrialStatus, group_thousands, human_duration, significant,
};

use super::ProgressLines;

/// One line for each thing that happens, for logs and pipes.
pub(super) struct Lines<W> {
    write: W,
    trials: u32,
    progress: Option<ProgressLines>,
}

impl<W: FnMut(&str)> Lines<W> {
    pub(super) const fn new(write: W, progress: Option<ProgressLines>) -> Self {
        Self { write, trials: 0, progress }
    }
}

impl<W: FnMut(&str)> Sink for Lines<W> {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { trials, .. } = event {
            self.trials = *trials;
        }
        let interval = self.progress.as_mut().and_then(|progress| progress.line(event));
        if let Some(line) = interval.or_else(|| line(event, self.trials)) {
            (self.write)(&line);
        }
    }
}

fn line(event: &Event, trials: u32) -> Option<String> {
    Some(match event {
        Event::RunStarted { experiment, rungs, trials, expected_s, directory, cases } => format!(
            "{experiment}: {} × {}, about {}; result in {directory}",
            count(rungs.len(), if *cases { "case" } else { "rung" }),
            count(*trials as usize, "trial"),
            human_duration(*expected_s)
        ),
        Event::Preparing { what } => what.clone(),
        Event::StackStarting { what } => format!("starting {what}"),
        Event::StackReady { what, ready_s } => {
            format!("{what} ready in {}", human_duration(*ready_s))
        }
        Event::SweepPoint { variant, point } => format!(
            "{variant}: batch {} gives {} tps",
            group_thousands(point.batch),
            significant(point.throughput_per_s, 3)
        ),
        Event::SweepEnded { variant, batch } => {
            format!("{variant}: batch {} chosen", group_thousands(*batch))
        }
        Event::TrialEnded { variant, trial } => trial_line(variant, trial, trials),
        Event::VariantSkipped { variant, reason } => format!("{variant}: skipped: {reason}"),
        Event::Prediction { variant, prediction } if prediction.held.is_none() => format!(
            "{variant}: expected {}–{}/s ({})",
            significant(prediction.range_per_s[0], 2),
            significant(prediction.range_per_s[1], 2),
            prediction.basis
        ),
        Event::Unpredicted { variant, reason } => format!("{variant}: no prediction: {reason}"),
        Event::Warning { text } => format!("warning: {text}"),
        Event::RunEnded { status: RunStatus::Complete } => "done".to_owned(),
        Event::RunEnded { status } => format!("{status:?}").to_lowercase(),
        Event::Seeding { table, rows_done, rows_total } if rows_done == rows_total => {
            format!("{table}: {} rows loaded", group_thousands(*rows_total))
        }
        Event::Probe { variant, probe } => {
            format!("{variant}: {}", pinchpoint_report::probe_line(probe))
        }
        Event::VariantAdded { rung } => format!("{}: added", rung.name),
        Event::TrialStarted { .. }
        | Event::Seeding { .. }
        | Event::Progress { .. }
        | Event::Interval { .. }
        | Event::Verdict { .. }
        | Event::Prediction { .. } => return None,
    })
}

/// `1 rung`, `2 rungs`.
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn trial_line(variant: &str, trial: &Trial, trials: u32) -> String {
    let head = format!("{variant} trial {}/{trials}:", trial.number);
    if trial.status != TrialStatus::Ok {
        return format!("{head} {}", trial.reason.as_deref().unwrap_or("did not end well"));
    }
    let unit = if trial.http.is_some() { "requests/s" } else { "tps" };
    format!(
        "{head} {} {unit}, p95 {} ms, {} errors",
        significant(trial.throughput_per_s, 3),
        significant(trial.latency_ms.p95, 3),
        group_thousands(trial.failed)
    )
}
