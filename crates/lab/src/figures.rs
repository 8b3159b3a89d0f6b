use pinchpoint_measure::{PHASES, Pace, PerRow, Trial};
use pinchpoint_plan as plan;

use crate::blank::blank_trial;
use crate::clock;
use crate::measuring::Measured;
use crate::trial::TrialRun;

impl TrialRun<'_> {
    /// A trial's figures, from what was measured.
    pub(crate) fn figures(&self, measured: &Measured, threads: usize) -> Trial {
        let seconds = measured.elapsed.as_secs_f64().max(1e-9);
        let (operations, rows) = (measured.totals.operations, measured.totals.rows);
        let per = |total: f64, n: u64| if n == 0 { 0.0 } else { total / n as f64 };
        let cpu_us = measured.cpu.as_secs_f64() * 1e6;
        let statement = measured.histograms.statement_ms();
        Trial {
            started_at: clock::timestamp(measured.started),
            duration_s: measured.elapsed.as_secs_f64(),
            succeeded: operations,
            failed: measured.totals.failed,
            rows,
            rows_failed: measured.totals.failed_rows,
            throughput_per_s: rows as f64 / seconds,
            throughput_ci95: measured.rates.ci95().map(|i| [i.lo, i.hi]),
            operations_per_s: operations as f64 / seconds,
            latency_ms: measured.histograms.response_ms(),
            statement_latency_ms: statement,
            per_row_latency_ms: PerRow { avg: statement.avg / f64::from(self.rung.batch) },
            phases_ms: PHASES
                .into_iter()
                .map(|p| (p, measured.histograms.phase_mean_ms(p)))
                .filter(|(_, ms)| *ms > 0.0)
                .collect(),
            client_cpu_us_per_op: per(cpu_us, operations),
            client_cpu_us_per_row: per(cpu_us, rows),
            client_cpu_share: measured.cpu.as_secs_f64() / (seconds * threads as f64),
            cpu_percent: measured.cpu_percent(),
            memory_percent: measured.memory_percent(),
            backlog_max: measured.intervals.iter().map(|i| i.queue_length).max().unwrap_or(0),
            backlog_end: measured.intervals.last().map_or(0, |i| i.queue_length),
            acknowledged_rows: rows,
            intervals: measured.intervals.clone(),
            ..self.blank()
        }
    }

    /// A trial with nothing in it.
    pub(crate) fn blank(&self) -> Trial {
        let poisson = self.experiment.load.poisson;
        let pace = match &self.experiment.load.pace {
            plan::Pace::FlatOut => Pace::Closed,
            plan::Pace::Rate { per_s } => Pace::Open { target_per_s: *per_s, poisson },
            plan::Pace::Stages(stages) => Pace::Open {
                target_per_s: stages.iter().map(|s| s.target_per_s).fold(0.0, f64::max),
                poisson,
            },
        };
        blank_trial(self.number, self.rung.factors(), pace)
    }
}
