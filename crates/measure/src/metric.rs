use crate::{Interval, Latency, Phase, Trial};

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A point in time, RFC 3339.
    Timestamp,
    /// A name.
    Text,
    /// A plain count.
    Count,
    /// Rows per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Seconds.
    Seconds,
    /// 0 to 1.
    Ratio,
    /// 0 to 100.
    Percent,
}

/// Whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
    /// Neither.
    Neutral,
}

/// A metric's value as it goes into CSV.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// A name or timestamp.
    Text(String),
    /// A whole number.
    Count(u64),
    /// A number, and the decimals to show.
    Number(f64, usize),
    /// Not known here.
    Absent,
}

impl MetricValue {
    /// The CSV cell; empty when absent or not finite.
    pub fn cell(&self) -> String {
        match self {
            Self::Text(s) => s.clone(),
            Self::Count(n) => n.to_string(),
            Self::Number(x, decimals) if x.is_finite() => format!("{x:.decimals$}"),
            Self::Number(..) | Self::Absent => String::new(),
        }
    }
}

/// A metric, defined once; CSV, JSON, tables and reference pages iterate over these.
#[derive(Debug, Clone, Copy)]
pub struct Metric<T: 'static> {
    /// CSV column.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Whether more is better.
    pub direction: Direction,
    /// Prometheus name, for the metrics that are exported live.
    pub prometheus: Option<&'static str>,
    /// One line.
    pub help: &'static str,
    /// Its value.
    pub value: fn(&T) -> MetricValue,
}

macro_rules! metrics {
    ($t:ty; $($name:literal, $unit:ident, $direction:ident, $prometheus:expr, $help:literal, $value:expr;)+) => {
        &[$(Metric::<$t> {
            name: $name,
            unit: Unit::$unit,
            direction: Direction::$direction,
            prometheus: $prometheus,
            help: $help,
            value: $value,
        }),+]
    };
}

fn percent(x: Option<f64>) -> MetricValue {
    x.map_or(MetricValue::Absent, |x| MetricValue::Number(x, 1))
}

fn ms(x: f64) -> MetricValue {
    MetricValue::Number(x, 3)
}

/// The columns of `metrics.csv`, exactly and in this order.
pub const INTERVAL_METRICS: &[Metric<Interval>] = metrics![Interval;
    "timestamp", Timestamp, Neutral, None, "end of the interval (UTC)", |i| MetricValue::Text(i.timestamp.clone());
    "tps", PerSecond, Up, Some("pinchpoint_rows_per_second"), "rows acknowledged per second", |i| MetricValue::Number(i.tps, 2);
    "success_count", Count, Up, Some("pinchpoint_rows_total"), "rows acknowledged in the interval", |i| MetricValue::Count(i.success_count);
    "error_count", Count, Down, Some("pinchpoint_failed_rows_total"), "rows of failed operations in the interval", |i| MetricValue::Count(i.error_count);
    "error_rate", Ratio, Down, None, "failed rows ÷ all rows, 0 to 1", |i| MetricValue::Number(i.error_rate(), 6);
    "latency_avg_ms", Milliseconds, Down, None, "mean response time of an operation", |i| ms(i.latency_ms.avg);
    "latency_p50_ms", Milliseconds, Down, None, "median response time of an operation", |i| ms(i.latency_ms.p50);
    "latency_p95_ms", Milliseconds, Down, None, "95th percentile of the response time", |i| ms(i.latency_ms.p95);
    "latency_p99_ms", Milliseconds, Down, None, "99th percentile of the response time", |i| ms(i.latency_ms.p99);
    "cpu_percent", Percent, Neutral, None, "CPU of the machine in use, of all cores", |i| percent(i.cpu_percent);
    "memory_percent", Percent, Neutral, None, "memory of the machine in use", |i| percent(i.memory_percent);
    "queue_length", Count, Down, Some("pinchpoint_backlog"), "operations due and not begun, at the interval's end", |i| MetricValue::Count(i.queue_length);
];

fn factor(trial: &Trial, name: &str) -> MetricValue {
    match trial.factors.get(name) {
        None | Some(serde_json::Value::Null) => MetricValue::Absent,
        Some(serde_json::Value::String(s)) => MetricValue::Text(s.clone()),
        Some(other) => MetricValue::Text(other.to_string()),
    }
}

fn latency(trial: &Trial, pick: fn(&Latency) -> f64) -> MetricValue {
    ms(pick(&trial.latency_ms))
}

fn statement(trial: &Trial, pick: fn(&Latency) -> f64) -> MetricValue {
    ms(pick(&trial.statement_latency_ms))
}

fn phase(trial: &Trial, phase: Phase) -> MetricValue {
    trial.phases_ms.get(&phase).map_or(MetricValue::Absent, |x| MetricValue::Number(*x, 4))
}

fn opt(n: Option<u64>) -> MetricValue {
    n.map_or(MetricValue::Absent, MetricValue::Count)
}

/// The columns of `summary.csv` after the first, `variant`: one row a trial.
pub const TRIAL_METRICS: &[Metric<Trial>] = metrics![Trial;
    "trial", Count, Neutral, None, "the trial's number, from 1", |r| MetricValue::Count(r.number.into());
    "status", Text, Neutral, None, "ok, failed or interrupted", |r| MetricValue::Text(format!("{:?}", r.status).to_lowercase());
    "started_at", Timestamp, Neutral, None, "start of the measured part (UTC)", |r| MetricValue::Text(r.started_at.clone());
    "connection", Text, Neutral, None, "pool, or one connection per operation", |r| factor(r, "connection");
    "pool", Count, Neutral, None, "largest number of pooled connections", |r| factor(r, "pool");
    "concurrency", Count, Neutral, None, "virtual users", |r| factor(r, "concurrency");
    "method", Text, Neutral, None, "how rows are written", |r| factor(r, "method");
    "batch", Count, Neutral, None, "rows in a statement", |r| factor(r, "batch");
    "synchronous_commit", Text, Neutral, None, "whether a commit waits for the WAL's flush", |r| factor(r, "synchronous_commit");
    "warmup_s", Seconds, Neutral, None, "length of the warm-up", |r| MetricValue::Number(r.warm_up.duration_s, 3);
    "duration_s", Seconds, Neutral, None, "length of the measured part", |r| MetricValue::Number(r.duration_s, 3);
    "tps", PerSecond, Up, None, "rows acknowledged per second", |r| MetricValue::Number(r.throughput_per_s, 2);
    "operations_per_s", PerSecond, Up, None, "statements per second", |r| MetricValue::Number(r.operations_per_s, 2);
    "succeeded", Count, Up, None, "operations acknowledged", |r| MetricValue::Count(r.succeeded);
    "failed", Count, Down, None, "operations failed", |r| MetricValue::Count(r.failed);
    "error_rate", Ratio, Down, None, "failed rows ÷ all rows, 0 to 1", |r| MetricValue::Number(r.error_rate(), 6);
    "latency_avg_ms", Milliseconds, Down, None, "mean response time of an operation", |r| latency(r, |l| l.avg);
    "latency_p50_ms", Milliseconds, Down, None, "median response time", |r| latency(r, |l| l.p50);
    "latency_p90_ms", Milliseconds, Down, None, "90th percentile of the response time", |r| latency(r, |l| l.p90);
    "latency_p95_ms", Milliseconds, Down, None, "95th percentile of the response time", |r| latency(r, |l| l.p95);
    "latency_p99_ms", Milliseconds, Down, None, "99th percentile of the response time", |r| latency(r, |l| l.p99);
    "latency_max_ms", Milliseconds, Down, None, "longest response time", |r| latency(r, |l| l.max);
    "statement_avg_ms", Milliseconds, Down, None, "mean time of the statement alone", |r| statement(r, |l| l.avg);
    "statement_p50_ms", Milliseconds, Down, None, "median time of the statement alone", |r| statement(r, |l| l.p50);
    "statement_p95_ms", Milliseconds, Down, None, "95th percentile of the statement alone", |r| statement(r, |l| l.p95);
    "statement_p99_ms", Milliseconds, Down, None, "99th percentile of the statement alone", |r| statement(r, |l| l.p99);
    "per_row_avg_ms", Milliseconds, Down, None, "statement time ÷ rows", |r| MetricValue::Number(r.per_row_latency_ms.avg, 5);
    "schedule_ms", Milliseconds, Down, None, "mean wait for a free virtual user", |r| phase(r, Phase::Schedule);
    "checkout_ms", Milliseconds, Down, None, "mean wait for a pooled connection", |r| phase(r, Phase::Checkout);
    "tcp_ms", Milliseconds, Down, None, "mean time to open the socket", |r| phase(r, Phase::Tcp);
    "tls_ms", Milliseconds, Down, None, "mean time of the TLS handshake", |r| phase(r, Phase::Tls);
    "auth_ms", Milliseconds, Down, None, "mean time of authentication and backend start", |r| phase(r, Phase::Auth);
    "encode_ms", Milliseconds, Down, None, "mean time to generate and encode rows", |r| phase(r, Phase::Encode);
    "transfer_ms", Milliseconds, Down, None, "mean time to write to the socket", |r| phase(r, Phase::Transfer);
    "execute_ms", Milliseconds, Down, None, "mean time to CommandComplete", |r| phase(r, Phase::Execute);
    "commit_ms", Milliseconds, Down, None, "mean time from CommandComplete to ReadyForQuery", |r| phase(r, Phase::Commit);
    "disconnect_ms", Milliseconds, Down, None, "mean time to close the connection", |r| phase(r, Phase::Disconnect);
    "client_cpu_us_per_op", Microseconds, Down, None, "client CPU for each operation", |r| MetricValue::Number(r.client_cpu_us_per_op, 3);
    "client_cpu_us_per_row", Microseconds, Down, None, "client CPU for each row", |r| MetricValue::Number(r.client_cpu_us_per_row, 4);
    "cpu_percent", Percent, Neutral, None, "CPU of the machine in use, of all cores", |r| percent(r.cpu_percent);
    "memory_percent", Percent, Neutral, None, "memory of the machine in use", |r| percent(r.memory_percent);
    "backlog_end", Count, Down, None, "operations due and not begun at the end", |r| MetricValue::Count(r.backlog_end);
    "acknowledged_rows", Count, Neutral, None, "rows acknowledged over the whole trial", |r| MetricValue::Count(r.acknowledged_rows);
    "rows_in_table", Count, Neutral, None, "rows counted in the table afterwards", |r| opt(r.rows_in_table);
    "lost_rows", Count, Down, None, "acknowledged rows gone after the crash", |r| opt(r.crash.as_ref().map(|c| c.lost_rows));
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_csv_has_exactly_the_promised_columns() {
        let columns: Vec<_> = INTERVAL_METRICS.iter().map(|m| m.name).collect();
        assert_eq!(
            columns.join(","),
            "timestamp,tps,success_count,error_count,error_rate,latency_avg_ms,latency_p50_ms,\
             latency_p95_ms,latency_p99_ms,cpu_percent,memory_percent,queue_length"
        );
    }

    #[test]
    fn names_are_unique_and_help_is_present() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in TRIAL_METRICS {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert!(!metric.help.is_empty());
        }
    }

    #[test]
    fn a_number_that_is_none_leaves_its_cell_empty() {
        assert_eq!(MetricValue::Number(f64::NAN, 2).cell(), "");
        assert_eq!(MetricValue::Number(1.005, 1).cell(), "1.0");
    }
}
