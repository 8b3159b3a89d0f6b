use pinchpoint_measure::{Pace, Phase, ScriptFigures, ScriptStatement, SqlFigures, Trial};

use crate::sql_job::SqlConnection;
use crate::sql_trial::{Seen, SqlTrial};

impl SqlTrial<'_> {
    /// What a trial's figures are beside those that every load has.
    pub(crate) fn sql_figures(&self, trial: &Trial, seen: &Seen) -> SqlFigures {
        let histograms = &seen.measured.histograms;
        let open = matches!(trial.pace, Pace::Open { .. });
        let limit = self.account.latency_limit;
        let titles = self.work.named().unwrap_or_default();
        SqlFigures {
            transaction_type: match titles.as_slice() {
                [only] => only.title.clone(),
                _ => "multiple scripts".to_owned(),
            },
            scale: self.scale,
            query_mode: self.program.protocol.name().to_owned(),
            clients: self.clients,
            threads: u32::try_from(self.threads).unwrap_or(u32::MAX),
            transactions_per_client: self.transactions,
            max_tries: self.work.max_tries,
            retried: seen.tally.retried,
            retries: seen.tally.retries,
            initial_connection_ms: (self.connection != SqlConnection::PerTransaction)
                .then_some(seen.connecting.as_secs_f64() * 1e3),
            latency_stddev_ms: histograms.response_stddev_ms(),
            latency_p999_ms: histograms.response_quantile_ms(0.999),
            schedule_lag_ms: open.then(|| trial.phase_sum_ms(|p| p == Phase::Schedule)),
            latency_limit_ms: limit.map(|limit| limit.as_secs_f64() * 1e3),
            late: limit.map(|_| seen.measured.totals.late),
            skipped: limit.filter(|_| open).map(|_| seen.measured.totals.skipped),
            failures: self.account.failures_detailed.then_some(seen.failures),
            // Once it has been written to its end.
            log: None,
            scripts: self.scripts(trial, seen),
            statements: self.statements(seen),
            shows_statements: self.shows_statements,
            incidents: seen.whole.incidents.clone(),
        }
    }

    fn scripts(&self, trial: &Trial, seen: &Seen) -> Vec<ScriptFigures> {
        let histograms = &seen.measured.histograms;
        let both = self.program.scripts.iter().zip(&seen.tally.scripts).enumerate();
        both.map(|(at, (script, counts))| {
            // As many as its latencies are made of: the tally is read a moment later.
            let own = histograms.kinds(at..at + 1);
            let succeeded = own.operations();
            ScriptFigures {
                name: script.name.clone(),
                weight: script.weight,
                succeeded,
                failed: counts.failed,
                throughput_per_s: succeeded as f64 / trial.duration_s.max(1e-9),
                latency_ms: own.latency_ms(),
                latency_stddev_ms: own.stddev_ms(),
            }
        })
        .collect()
    }

    fn statements(&self, seen: &Seen) -> Vec<ScriptStatement> {
        let all = self.program.all_statements();
        let both = all.into_iter().zip(&seen.tally.statements);
        both.map(|((script, statement), counts)| ScriptStatement {
            script,
            line: statement.line,
            text: statement.shown.clone(),
            succeeded: counts.succeeded,
            failed: counts.failed,
            mean_ms: if counts.succeeded == 0 {
                0.0
            } else {
                counts.time.as_secs_f64() * 1e3 / counts.succeeded as f64
            },
        })
        .collect()
    }
}
