use std::time::{SystemTime, UNIX_EPOCH};

use pinchpoint_measure::Event;

use crate::cli::SqlArgs;

/// pgbench's line for each reporting interval, for people and scripts that know it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgressLines {
    /// Unix time instead of the seconds since the trial began.
    timestamp: bool,
    /// Operations are on a schedule, so that they can lag behind it.
    scheduled: bool,
    /// Those that would begin too late are left out.
    limited: bool,
    trial: u32,
    elapsed_s: f64,
}

impl ProgressLines {
    /// Those that `-P` asks for.
    pub(crate) fn asked_for(args: &SqlArgs) -> Option<Self> {
        args.progress.map(|_| Self {
            timestamp: args.progress_timestamp,
            scheduled: args.rate.is_some(),
            limited: args.latency_limit.is_some(),
            ..Self::default()
        })
    }

    /// The line of an interval that ended.
    pub(super) fn line(&mut self, event: &Event) -> Option<String> {
        let Event::Interval { trial, interval, stddev_ms, lag_ms, skipped, .. } = event else {
            return None;
        };
        if self.trial != *trial {
            (self.trial, self.elapsed_s) = (*trial, 0.0);
        }
        self.elapsed_s += interval.duration_s;
        let time = if self.timestamp {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{:.3}", since.as_secs_f64())
        } else {
            format!("{:.1}", self.elapsed_s)
        };
        let mut line = format!(
            "progress: {time} s, {:.1} tps, lat {:.3} ms stddev {stddev_ms:.3}, {} failed",
            interval.tps, interval.latency_ms.avg, interval.error_count
        );
        if self.scheduled {
            line.push_str(&format!(", lag {lag_ms:.3} ms"));
        }
        if self.scheduled && self.limited {
            line.push_str(&format!(", {skipped} skipped"));
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Interval, Latency};

    use super::*;

    fn interval(trial: u32) -> Event {
        let interval = Interval {
            timestamp: "2026-01-02T03:04:05.000000Z".to_owned(),
            duration_s: 2.0,
            tps: 1234.56,
            success_count: 2469,
            error_count: 3,
            latency_ms: Latency { avg: 1.25, ..Latency::default() },
            cpu_percent: None,
            memory_percent: None,
            queue_length: 0,
        };
        let variant = "sql".to_owned();
        Event::Interval { variant, trial, interval, stddev_ms: 0.5, lag_ms: 0.25, skipped: 7 }
    }

    #[test]
    fn the_lines_are_those_of_pgbench() {
        let mut lines = ProgressLines::default();
        let first = "progress: 2.0 s, 1234.6 tps, lat 1.250 ms stddev 0.500, 3 failed";
        assert_eq!(lines.line(&interval(1)).as_deref(), Some(first));
        assert!(lines.line(&interval(1)).expect("a line").starts_with("progress: 4.0 s, "));
        assert_eq!(lines.line(&interval(2)).as_deref(), Some(first));
        let mut lines = ProgressLines { timestamp: true, scheduled: true, limited: true, ..lines };
        let line = lines.line(&interval(1)).expect("a line");
        let time = line.strip_prefix("progress: ").and_then(|l| l.split(" s, ").next());
        assert!(time.expect("a time").parse::<f64>().expect("a number") > 1e9, "{line}");
        assert!(line.ends_with(", 3 failed, lag 0.250 ms, 7 skipped"), "{line}");
    }
}
