//! The summary of load on one server.

use std::fmt::Write as _;

use pinchpoint_measure::{
    Census, Latency, PHASES, Pace, RunResult, Trial, Variant, group_thousands, human_duration,
    significant,
};

use crate::explain::verdict_line;
use crate::matrix::{k6_summary, locust_history, locust_stats};
use crate::pooler::{pooler_text, pooler_unseen};
use crate::sql::threshold_text;
use crate::table::{Flow, Paint, Style};
use crate::text::{clean, shorten};
use crate::{File, csv, file};
use crate::{next, predictions};

/// Whether a result is of load on one server.
pub(crate) fn is_http(result: &RunResult) -> bool {
    !result.is_matrix() && result.variants.iter().flat_map(|v| &v.trials).any(|t| t.http.is_some())
}

/// Every file that derives from such a result.
pub(crate) fn files(result: &RunResult) -> Vec<File> {
    let mut files = csv::files(result);
    files.retain(|f| !f.path.starts_with("metrics/"));
    let summary = summary(result, 100, Style::Plain);
    let markdown =
        format!("# pinchpoint http\n\n    {}\n", summary.trim_end().replace('\n', "\n    "));
    files.push(file("summary_report.md", markdown.into_bytes()));
    if let Some(trial) = result.variants.first().and_then(|v| v.trials.last()) {
        files.push(file("requests_stats.csv", locust_stats(trial).into_bytes()));
        files.push(file("requests_stats_history.csv", locust_history(trial).into_bytes()));
        files.push(file("summary.json", k6_summary(trial).into_bytes()));
    }
    files
}

/// The summary for a terminal of so many columns: trial by trial, and how far they agree.
pub(crate) fn summary(result: &RunResult, columns: usize, style: Style) -> String {
    let mut sheet = Sheet { out: String::new(), columns: columns.clamp(40, 400), style };
    let changed = result.variants.get(1..).unwrap_or_default();
    for variant in result.variants.iter().take(1) {
        for trial in &variant.trials {
            if variant.trials.len() > 1 {
                sheet.head(&format!("trial {}", trial.number));
            }
            sheet.trial(trial, &variant.title, result.plan.target_per_s.is_none());
        }
        if let Some(summary) = variant.summary.as_ref().filter(|_| variant.trials.len() > 1) {
            sheet.head("all trials");
            let rate = &summary.throughput_per_s;
            let interval = rate.ci95.map_or(String::new(), |[lo, hi]| {
                format!(" [{}, {}] ({})", significant(lo, 3), significant(hi, 3), rate.ci_method)
            });
            sheet.line("requests/s", &format!("{}{interval}", significant(rate.median, 3)));
            sheet.line("p95", &format!("{} ms", significant(summary.latency_ms.p95, 3)));
        }
        if let Some(verdict) = &variant.verdict {
            sheet.line("verdict", &verdict_line(verdict));
        }
        if let Some(users) = next::users_suggestion(variant).filter(|_| changed.is_empty()) {
            sheet.line("next", &format!("try --next users={users}"));
        }
    }
    for variant in changed {
        sheet.changed(result, variant);
    }
    for warning in predictions::broken(result) {
        sheet.red("trouble", &warning);
    }
    sheet.out
}

struct Sheet {
    out: String,
    columns: usize,
    style: Style,
}

/// Width of the first column.
const LABEL: usize = 17;
/// Longest text shown of one line: a hostile one must not fill the screen.
const LONGEST: usize = 600;

impl Sheet {
    fn head(&mut self, text: &str) {
        let text = self.style.paint(Paint::Bold, &shorten(text, self.columns));
        let _ = writeln!(self.out, "{text}");
    }

    fn line(&mut self, label: &str, text: &str) {
        self.flow(label, text, Paint::Plain);
    }

    fn red(&mut self, label: &str, text: &str) {
        self.flow(label, text, Paint::Red);
    }

    /// A labelled text, continued below itself where it is longer than a line.
    fn flow(&mut self, label: &str, text: &str, paint: Paint) {
        let mut flow = Flow::new(&mut self.out, self.style, self.columns, LABEL);
        flow.start(&format!("{label:<LABEL$}"), paint);
        flow.words(&shorten(&clean(text), LONGEST), paint);
        flow.end();
    }

    /// Other users: what was expected, what came, what limits now, and what was not as it should be.
    fn changed(&mut self, result: &RunResult, variant: &Variant) {
        let _ = writeln!(self.out);
        self.head(&format!("next lever: {}", clean(&variant.name)));
        for (text, paint) in next::lines(result, variant) {
            self.flow("", &text, paint);
        }
        if let Some(verdict) = &variant.verdict {
            self.line("verdict", &verdict_line(verdict));
        }
        for trial in &variant.trials {
            self.outcome(trial);
            if let Some(reason) = &trial.reason {
                self.red("trouble", reason);
            }
            self.thresholds(trial);
            self.checks(trial);
        }
    }

    fn trial(&mut self, trial: &Trial, url: &str, ramps: bool) {
        let http = trial.http.clone().unwrap_or_default();
        self.head(url);
        let users = pinchpoint_measure::factor_text(&trial.factors, "users");
        let pace = match trial.pace {
            Pace::Closed => format!("{users} users, closed load"),
            Pace::Open { target_per_s, poisson } => format!(
                "{}{} requests/s asked for, {} gaps, at most {users} at once",
                // A schedule without one rate has stages, of which this is the highest.
                if ramps { "stages up to " } else { "" },
                significant(target_per_s, 3),
                if poisson { "random" } else { "even" }
            ),
        };
        let length = human_duration(trial.duration_s);
        let before = human_duration(trial.warm_up.duration_s);
        self.line("load", &format!("{pace}, {length} after {before} of warm-up"));
        if let Some(reason) = &trial.reason {
            self.red("trouble", reason);
        }
        let all = trial.succeeded + trial.failed;
        self.line(
            "requests",
            &format!(
                "{}, {} a second answered rightly",
                group_thousands(all),
                significant(trial.throughput_per_s, 3)
            ),
        );
        self.outcome(trial);
        self.latencies(trial, &http.service_latency_ms, http.percentiles_ms.get("p99.9"));
        self.phases(trial);
        for endpoint in http.endpoints.iter().filter(|_| http.endpoints.len() > 1) {
            let text = format!(
                "{} {}: {}, {} failed, p95 {} ms",
                endpoint.method,
                endpoint.name,
                group_thousands(endpoint.requests),
                group_thousands(endpoint.failures),
                significant(endpoint.latency_ms.p95, 3)
            );
            self.line("", &text);
        }
        let statuses: Vec<_> =
            http.statuses.iter().map(|(s, n)| format!("{s} × {}", group_thousands(*n))).collect();
        if !statuses.is_empty() {
            self.line("statuses", &statuses.join(", "));
        }
        for check in &http.checks {
            let text = format!(
                "{}: {} of {}",
                check.name,
                group_thousands(check.passed),
                group_thousands(check.passed + check.failed)
            );
            if check.failed > 0 { self.red("check", &text) } else { self.line("check", &text) }
        }
        self.line(
            "data",
            &format!(
                "{} received, {} sent, {} connections opened",
                bytes(http.bytes_received),
                bytes(http.bytes_sent),
                group_thousands(http.connections_opened)
            ),
        );
        self.census(&http.census);
        self.generator(trial);
        self.pooler(trial);
        self.thresholds(trial);
    }

    fn outcome(&mut self, trial: &Trial) {
        if trial.failed == 0 {
            return;
        }
        let causes: Vec<_> = trial
            .errors
            .iter()
            .map(|(cause, n)| format!("{} × {cause}", group_thousands(*n)))
            .collect();
        let rate = trial.error_rate() * 100.0;
        self.red("failed", &format!("{} % ({})", significant(rate, 3), causes.join(", ")));
    }

    fn latencies(&mut self, trial: &Trial, service: &Latency, p999: Option<&f64>) {
        if trial.succeeded == 0 {
            return;
        }
        let row = |l: &Latency, p999: Option<&f64>| {
            let mut text = format!(
                "avg {}  p50 {}  p90 {}  p95 {}  p99 {}",
                significant(l.avg, 3),
                significant(l.p50, 3),
                significant(l.p90, 3),
                significant(l.p95, 3),
                significant(l.p99, 3)
            );
            if let Some(p999) = p999 {
                let _ = write!(text, "  p99.9 {}", significant(*p999, 3));
            }
            let _ = write!(text, "  max {} ms", significant(l.max, 3));
            text
        };
        self.line("response time", &row(&trial.latency_ms, p999));
        if matches!(trial.pace, Pace::Open { .. }) {
            self.line("", "from the intended start; service time, from the first byte sent:");
            self.line("service time", &row(service, None));
        }
    }

    fn phases(&mut self, trial: &Trial) {
        let parts: Vec<_> = PHASES
            .iter()
            .filter_map(|p| Some((p, trial.phases_ms.get(p)?)))
            .filter(|(_, ms)| **ms >= 0.0005)
            .map(|(p, ms)| format!("{} {}", p.name().replace('_', " "), significant(*ms, 2)))
            .collect();
        if !parts.is_empty() {
            self.line("mean by phase", &format!("{} ms", parts.join(", ")));
        }
    }

    /// Every operation is in one class, and together they are what was due.
    fn census(&mut self, census: &Census) {
        let classes = [
            ("ok", census.ok),
            ("wrong answer", census.wrong_answer),
            ("status", census.status),
            ("timed out", census.timed_out),
            ("refused", census.refused),
            ("reset", census.reset),
            ("other", census.other),
            ("not started", census.not_started),
            ("in flight at the end", census.in_flight),
        ];
        let parts: Vec<_> = classes
            .into_iter()
            .filter(|(name, n)| *n > 0 || *name == "ok")
            .map(|(name, n)| format!("{} {name}", group_thousands(n)))
            .collect();
        let due = census
            .scheduled
            .map_or(String::new(), |n| format!(" = {} due by the schedule", group_thousands(n)));
        self.line("whole trial", &format!("{}{due}", parts.join(" + ")));
    }

    fn generator(&mut self, trial: &Trial) {
        let text = format!(
            "{} µs of CPU a request, {:.0} % of its threads' CPU",
            significant(trial.client_cpu_us_per_op, 3),
            trial.client_cpu_share * 100.0
        );
        self.line("generator", &text);
        self.checks(trial);
    }

    fn pooler(&mut self, trial: &Trial) {
        let Some(seen) = &trial.observation else { return };
        if let Some(pooler) = &seen.pooler {
            self.line("pooler", &pooler_text(pooler));
        }
        pooler_unseen(seen).for_each(|text| self.line("not seen", &text));
        let gaps = seen.missing.iter().filter(|gap| gap.signal == "application's CPU");
        gaps.for_each(|gap| self.line("not seen", &format!("{}: {}", gap.signal, gap.reason)));
    }

    fn checks(&mut self, trial: &Trial) {
        for gate in trial.gates.iter().filter(|g| !g.passed) {
            self.red("check failed", &format!("{}: {}", gate.name, gate.detail));
        }
    }

    fn thresholds(&mut self, trial: &Trial) {
        for threshold in &trial.thresholds {
            let text = threshold_text(threshold);
            if threshold.passed {
                self.line("threshold kept", &text);
            } else {
                self.red("threshold MISSED", &text);
            }
        }
    }
}

/// Bytes as people read them, in powers of 1024.
fn bytes(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", significant(value / 1024.0, 3)),
        1_048_576..1_073_741_824 => format!("{} MiB", significant(value / 1_048_576.0, 3)),
        _ => format!("{} GiB", significant(value / 1_073_741_824.0, 3)),
    }
}
