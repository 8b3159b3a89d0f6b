//! The summary of a load of scripts, in pgbench's shape and with what pgbench leaves out.

use std::fmt::Write as _;

use pinchpoint_measure::{
    PHASES, Pace, RunResult, SqlFigures, ThresholdOutcome, Trial, Variant, group_thousands,
    human_duration, significant,
};

use crate::explain::verdict_line;
use crate::pooler::{pooler_text, pooler_unseen};
use crate::probes::probe_lines;
use crate::table::{Flow, Paint, Style};
use crate::text::{clean, shorten};
use crate::{File, csv, file};
use crate::{next, predictions};

/// Whether a result is of a load of scripts.
pub(crate) fn is_sql(result: &RunResult) -> bool {
    !result.is_matrix() && result.variants.iter().flat_map(|v| &v.trials).any(|t| t.sql.is_some())
}

/// Every file that derives from such a result.
pub(crate) fn files(result: &RunResult) -> Vec<File> {
    let mut files = csv::files(result);
    if result.variants.len() == 1 {
        files.retain(|f| !f.path.starts_with("metrics/"));
    }
    let summary = summary(result, 100, Style::Plain);
    let markdown =
        format!("# pinchpoint sql\n\n    {}\n", summary.trim_end().replace('\n', "\n    "));
    files.push(file("summary_report.md", markdown.into_bytes()));
    files
}

/// The summary for a terminal of so many columns: trial by trial, and how far they agree.
pub(crate) fn summary(result: &RunResult, columns: usize, style: Style) -> String {
    let mut sheet = Sheet { out: String::new(), columns: columns.clamp(40, 400), style };
    let Some((given, changed)) = result.variants.split_first() else { return sheet.out };
    sheet.given(given);
    if changed.is_empty()
        && let Some(lever) = next::suggestion(given)
    {
        sheet.raw(&format!("next     try --next {lever}"));
    }
    for variant in changed {
        sheet.changed(result, variant);
    }
    for warning in predictions::broken(result) {
        sheet.red(&warning);
    }
    sheet.out
}

struct Sheet {
    out: String,
    columns: usize,
    style: Style,
}

/// `transaction_duration: p(95)<20 (31.2)`.
pub(crate) fn threshold_text(threshold: &ThresholdOutcome) -> String {
    let value = threshold.value.map_or("no sample".to_owned(), |v| significant(v, 3));
    format!("{}: {} ({value})", threshold.metric, threshold.expression)
}

/// Longest text shown of one line: a hostile one must not fill the screen.
const LONGEST: usize = 600;

impl Sheet {
    fn head(&mut self, text: &str) {
        let text = self.style.paint(Paint::Bold, &shorten(text, self.columns));
        let _ = writeln!(self.out, "{text}");
    }

    fn line(&mut self, text: &str) {
        self.painted(text, Paint::Plain);
    }

    fn red(&mut self, text: &str) {
        self.painted(text, Paint::Red);
    }

    /// A line whose blanks are kept.
    fn raw(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", shorten(&clean(text), self.columns));
    }

    /// A text, continued below itself where it is longer than a line.
    fn painted(&mut self, text: &str, paint: Paint) {
        let mut flow = Flow::new(&mut self.out, self.style, self.columns, 4);
        flow.words(&shorten(&clean(text), LONGEST), paint);
        flow.end();
    }

    /// The load as given, as pgbench would show it, and what limited it.
    fn given(&mut self, variant: &Variant) {
        let several = variant.trials.len() > 1;
        for trial in &variant.trials {
            if several {
                self.head(&format!("trial {}", trial.number));
            }
            if let Some(sql) = &trial.sql {
                self.trial(trial, sql);
            } else if let Some(reason) = &trial.reason {
                self.red(&format!("trouble: {reason}"));
            }
        }
        if let Some(summary) = variant.summary.as_ref().filter(|_| several) {
            self.head("all trials");
            let rate = &summary.throughput_per_s;
            let interval = rate.ci95.map_or(String::new(), |[lo, hi]| {
                format!(" [{}, {}] ({})", significant(lo, 4), significant(hi, 4), rate.ci_method)
            });
            self.line(&format!("tps = {}{interval}", significant(rate.median, 5)));
            self.line(&format!("latency p95 = {} ms", significant(summary.latency_ms.p95, 3)));
        }
        self.verdict(variant);
    }

    /// The load with a lever applied: what was expected of it, what came, what limits now; and of its
    /// trials what is not as it should be.
    fn changed(&mut self, result: &RunResult, variant: &Variant) {
        let _ = writeln!(self.out);
        self.head(&format!("next lever: {}", clean(&variant.name)));
        for (text, paint) in next::lines(result, variant) {
            self.painted(&text, paint);
        }
        if let Some(verdict) = &variant.verdict {
            self.line(&verdict_line(verdict));
        }
        for trial in &variant.trials {
            if let Some(sql) = &trial.sql {
                self.statements(sql);
                self.troubles(trial, sql);
            } else if let Some(reason) = &trial.reason {
                self.red(&format!("trouble: {reason}"));
            }
        }
    }

    fn trial(&mut self, trial: &Trial, sql: &SqlFigures) {
        self.line(&format!("transaction type: {}", sql.transaction_type));
        self.line(&format!("scaling factor: {}", sql.scale));
        self.line(&format!("query mode: {}", sql.query_mode));
        self.line(&format!("number of clients: {}", sql.clients));
        self.line(&format!("number of threads: {}", sql.threads));
        self.line(&format!("maximum number of tries: {}", sql.max_tries));
        let all = trial.succeeded + trial.failed;
        if let Some(each) = sql.transactions_per_client {
            self.line(&format!("number of transactions per client: {each}"));
            let due = each.saturating_mul(sql.clients.into());
            self.line(&format!(
                "number of transactions actually processed: {}/{due}",
                trial.succeeded
            ));
        } else {
            let warm_up = if trial.warm_up.duration_s > 0.0 {
                format!(" after {} of warm-up", human_duration(trial.warm_up.duration_s))
            } else {
                String::new()
            };
            self.line(&format!("duration: {}{warm_up}", human_duration(trial.duration_s)));
            self.line(&format!("number of transactions actually processed: {}", trial.succeeded));
        }
        let due = all + sql.skipped.unwrap_or(0);
        let part = |count: u64, of: u64| count as f64 / of.max(1) as f64 * 100.0;
        let share = part(trial.failed, due);
        let failed = format!("number of failed transactions: {} ({share:.3}%)", trial.failed);
        if trial.failed > 0 {
            self.red(&failed);
        } else {
            self.line(&failed);
        }
        if let Some(failures) = sql.failures {
            for (name, count) in
                [("serialization", failures.serialization), ("deadlock", failures.deadlock)]
            {
                let share = part(count, due);
                self.line(&format!("number of {name} failures: {count} ({share:.3}%)"));
            }
        }
        if sql.max_tries > 1 {
            let share = part(sql.retried, due);
            self.line(&format!("number of transactions retried: {} ({share:.3}%)", sql.retried));
            self.line(&format!("total number of retries: {}", sql.retries));
        }
        if let Some(skipped) = sql.skipped {
            let share = part(skipped, due);
            self.line(&format!("number of transactions skipped: {skipped} ({share:.3}%)"));
        }
        if let (Some(ms), Some(late)) = (sql.latency_limit_ms, sql.late) {
            let (all, share) = (trial.succeeded, part(late, trial.succeeded));
            self.line(&format!(
                "number of transactions above the {ms:.1} ms latency limit: {late}/{all} ({share:.3}%)"
            ));
        }
        self.latency(trial, sql);
        if let Some(ms) = sql.initial_connection_ms {
            self.line(&format!("initial connection time = {ms:.3} ms"));
        }
        let without = if sql.initial_connection_ms.is_some() {
            "without initial connection time"
        } else {
            "including reconnection times"
        };
        self.line(&format!("tps = {:.6} ({without})", trial.throughput_per_s));
        self.scripts(trial, sql);
        self.statements(sql);
        self.beyond_pgbench(trial, sql);
    }

    fn latency(&mut self, trial: &Trial, sql: &SqlFigures) {
        if trial.succeeded == 0 {
            return;
        }
        let latency = &trial.latency_ms;
        self.line(&format!("latency average = {:.3} ms", latency.avg));
        self.line(&format!("latency stddev = {:.3} ms", sql.latency_stddev_ms));
        self.line(&format!(
            "latency p50 = {:.3}, p90 = {:.3}, p95 = {:.3}, p99 = {:.3}, p99.9 = {:.3}, \
             max = {:.3} ms",
            latency.p50, latency.p90, latency.p95, latency.p99, sql.latency_p999_ms, latency.max
        ));
        if let (Pace::Open { target_per_s, .. }, Some(lag)) = (trial.pace, sql.schedule_lag_ms) {
            self.line(&format!(
                "rate limit schedule lag: avg {lag:.3} ms; latency counts from the intended start, \
                 at {} transactions/s asked for",
                significant(target_per_s, 4)
            ));
        }
    }

    fn scripts(&mut self, trial: &Trial, sql: &SqlFigures) {
        if sql.scripts.len() < 2 {
            return;
        }
        let weights: u64 = sql.scripts.iter().map(|s| u64::from(s.weight)).sum();
        for (at, script) in sql.scripts.iter().enumerate() {
            self.raw(&format!("SQL script {}: {}", at + 1, script.name));
            let targeted = f64::from(script.weight) / weights.max(1) as f64 * 100.0;
            self.raw(&format!(" - weight: {} (targets {targeted:.1}% of total)", script.weight));
            let share = script.succeeded as f64 / trial.succeeded.max(1) as f64 * 100.0;
            self.raw(&format!(
                " - {} transactions ({share:.1}% of total, tps = {:.6}), {} failed",
                script.succeeded, script.throughput_per_s, script.failed
            ));
            self.raw(&format!(
                " - latency average = {:.3} ms, stddev = {:.3} ms, p95 = {:.3} ms",
                script.latency_ms.avg, script.latency_stddev_ms, script.latency_ms.p95
            ));
        }
    }

    fn statements(&mut self, sql: &SqlFigures) {
        if !sql.shows_statements {
            return;
        }
        self.raw("statement latencies in milliseconds and failures:");
        for (at, script) in sql.scripts.iter().enumerate() {
            if sql.scripts.len() > 1 {
                self.raw(&format!(" {}", script.name));
            }
            for statement in sql.statements.iter().filter(|s| s.script == at) {
                self.raw(&format!(
                    "{:>12.3} {:>8}  {}",
                    statement.mean_ms, statement.failed, statement.text
                ));
            }
        }
    }

    /// Where the time went, what the generator itself cost, and what failed.
    fn beyond_pgbench(&mut self, trial: &Trial, sql: &SqlFigures) {
        let parts: Vec<_> = PHASES
            .iter()
            .filter_map(|p| Some((p, trial.phases_ms.get(p)?)))
            .filter(|(_, ms)| **ms >= 0.0005)
            .map(|(p, ms)| format!("{} {}", p.name().replace('_', " "), significant(*ms, 2)))
            .collect();
        if !parts.is_empty() {
            self.line(&format!("mean by phase: {} ms", parts.join(", ")));
        }
        self.pooler(trial);
        self.line(&format!(
            "generator: {} µs of CPU a transaction, {:.0} % of its threads' CPU",
            significant(trial.client_cpu_us_per_op, 3),
            trial.client_cpu_share * 100.0
        ));
        self.troubles(trial, sql);
    }

    /// What failed, what was lost, and which limits were kept.
    fn troubles(&mut self, trial: &Trial, sql: &SqlFigures) {
        for (cause, count) in &trial.errors {
            self.red(&format!("failed: {} × {cause}", group_thousands(*count)));
        }
        for (text, count) in sql.incidents.iter().take(5) {
            self.red(&format!("{} × {text}", group_thousands(*count)));
        }
        if let Some(log) = &sql.log {
            let more = match log.files.len() {
                0 | 1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            let file = log.files.first().map_or("", String::as_str);
            let lines = group_thousands(log.lines);
            self.line(&format!("transaction log: {lines} lines in {file}{more}"));
            if log.lost > 0 {
                let lost = group_thousands(log.lost);
                self.red(&format!("transaction log: {lost} lines lost; the disk did not keep up"));
            }
        }
        for threshold in &trial.thresholds {
            let (paint, kept) =
                if threshold.passed { (Paint::Plain, "kept") } else { (Paint::Red, "MISSED") };
            self.painted(&format!("threshold {kept}: {}", threshold_text(threshold)), paint);
        }
        for gate in trial.gates.iter().filter(|g| !g.passed) {
            self.red(&format!("check failed: {}: {}", gate.name, gate.detail));
        }
        if let Some(reason) = &trial.reason {
            self.red(&format!("trouble: {reason}"));
        }
    }

    /// The queues of a pooler that was to be observed.
    fn pooler(&mut self, trial: &Trial) {
        let Some(seen) = &trial.observation else { return };
        if let Some(pooler) = &seen.pooler {
            self.line(&pooler_text(pooler));
        }
        pooler_unseen(seen).for_each(|text| self.line(&format!("not seen: {text}")));
    }

    /// What limited the load, in one line.
    fn verdict(&mut self, variant: &Variant) {
        let Some(verdict) = &variant.verdict else { return };
        self.painted(&verdict_line(verdict), Paint::Bold);
        for evidence in verdict.evidence.iter().take(2) {
            self.line(&format!("- {evidence}"));
        }
        for line in probe_lines(verdict) {
            self.line(&format!("- {line}"));
        }
    }
}
