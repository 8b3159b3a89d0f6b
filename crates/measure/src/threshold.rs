use std::fmt;
use std::str::FromStr;

use crate::{Latency, ThresholdOutcome, Trial};

/// A limit in k6's grammar, on one of its metrics: `http_req_duration: p(95)<200`; or on one of
/// transactions: `transaction_duration: p(95)<20`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    metric: Metric,
    aggregate: Aggregate,
    operator: Operator,
    value: f64,
    expression: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    /// Response time in milliseconds.
    Duration,
    /// Share of requests that failed.
    Failed,
    /// Requests.
    Requests,
    /// Share of checks that passed.
    Checks,
    /// Response time of transactions in milliseconds.
    TransactionDuration,
    /// Share of transactions that failed.
    TransactionsFailed,
    /// Transactions.
    Transactions,
    /// Share of the successful transactions that took longer than the latency limit.
    TransactionsLate,
    /// Share of the transactions due that were not started, as it was too late for them.
    TransactionsSkipped,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Aggregate {
    Average,
    Least,
    Median,
    Most,
    /// 0 to 100.
    Percentile(f64),
    Rate,
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
    NotEqual,
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no threshold: {reason}; such as `{example}`")]
pub struct ThresholdError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
    /// One that is right.
    pub example: &'static str,
}

/// Metrics by their names, with the aggregates that they have.
struct Vocabulary {
    metrics: &'static [(&'static str, Metric, &'static str)],
    example: &'static str,
}

const OF_REQUESTS: Vocabulary = Vocabulary {
    metrics: &[
        ("http_req_duration", Metric::Duration, "avg min med max p(N)"),
        ("http_req_failed", Metric::Failed, "rate"),
        ("http_reqs", Metric::Requests, "count rate"),
        ("checks", Metric::Checks, "rate"),
    ],
    example: "http_req_duration: p(95)<200",
};

const OF_TRANSACTIONS: Vocabulary = Vocabulary {
    metrics: &[
        ("transaction_duration", Metric::TransactionDuration, "avg med max p(N)"),
        ("transactions_failed", Metric::TransactionsFailed, "rate"),
        ("transactions", Metric::Transactions, "count rate"),
        ("transactions_late", Metric::TransactionsLate, "rate"),
        ("transactions_skipped", Metric::TransactionsSkipped, "rate"),
    ],
    example: "transaction_duration: p(95)<20",
};

/// The longer ones first: `<=` begins with `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::MoreOrEqual),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl FromStr for Threshold {
    type Err = ThresholdError;

    /// Reads a limit on requests.
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        Self::read(text, &OF_REQUESTS)
    }
}

impl Threshold {
    /// Reads a limit on transactions: `transaction_duration`, `transactions_failed`, `transactions`,
    /// `transactions_late`, `transactions_skipped`.
    pub fn of_transactions(text: &str) -> Result<Self, ThresholdError> {
        Self::read(text, &OF_TRANSACTIONS)
    }

    /// Whether it is about the limit on the response time, and so needs one; and whether a rate.
    pub const fn needs(&self) -> (bool, bool) {
        match self.metric {
            Metric::TransactionsLate => (true, false),
            Metric::TransactionsSkipped => (true, true),
            _ => (false, false),
        }
    }

    fn read(text: &str, words: &Vocabulary) -> Result<Self, ThresholdError> {
        let example = words.example;
        let bad = |reason: String| ThresholdError { text: text.to_owned(), reason, example };
        let (name, expression) = text
            .split_once(':')
            .ok_or_else(|| bad("it has no colon after the metric".to_owned()))?;
        let (name, expression) = (name.trim(), expression.trim());
        let (_, metric, allowed) =
            words.metrics.iter().find(|(known, ..)| *known == name).ok_or_else(|| {
                let known: Vec<_> = words.metrics.iter().map(|(n, ..)| *n).collect();
                bad(format!("there is no metric {name:?}, but {}", known.join(", ")))
            })?;
        let (at, sign, operator) = OPERATORS
            .iter()
            .filter_map(|(sign, operator)| Some((expression.find(sign)?, *sign, *operator)))
            // The first sign in the text, and of those at the same place the longest.
            .min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()))
            .ok_or_else(|| bad("it compares nothing (< <= > >= == !=)".to_owned()))?;
        let (left, right) = (expression[..at].trim(), expression[at + sign.len()..].trim());
        let value: f64 = right
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
            .ok_or_else(|| bad(format!("{right:?} is no number")))?;
        let aggregate = Aggregate::parse(left)
            .filter(|a| metric.has(*a))
            .ok_or_else(|| bad(format!("{name} has no {left:?}, but {allowed}")))?;
        Ok(Self { metric: *metric, aggregate, operator, value, expression: expression.to_owned() })
    }
}

impl Aggregate {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "avg" => Self::Average,
            "min" => Self::Least,
            "med" => Self::Median,
            "max" => Self::Most,
            "rate" => Self::Rate,
            "count" => Self::Count,
            other => {
                let number = other.strip_prefix("p(")?.strip_suffix(')')?;
                let percent = number.trim().parse().ok().filter(|p| (0.0..=100.0).contains(p))?;
                Self::Percentile(percent)
            }
        })
    }
}

impl Metric {
    const fn name(self) -> &'static str {
        match self {
            Self::Duration => "http_req_duration",
            Self::Failed => "http_req_failed",
            Self::Requests => "http_reqs",
            Self::Checks => "checks",
            Self::TransactionDuration => "transaction_duration",
            Self::TransactionsFailed => "transactions_failed",
            Self::Transactions => "transactions",
            Self::TransactionsLate => "transactions_late",
            Self::TransactionsSkipped => "transactions_skipped",
        }
    }

    const fn has(self, aggregate: Aggregate) -> bool {
        match self {
            Self::Duration => !matches!(aggregate, Aggregate::Rate | Aggregate::Count),
            // The smallest is not kept.
            Self::TransactionDuration => {
                Self::Duration.has(aggregate) && !matches!(aggregate, Aggregate::Least)
            }
            Self::Failed
            | Self::Checks
            | Self::TransactionsFailed
            | Self::TransactionsLate
            | Self::TransactionsSkipped => matches!(aggregate, Aggregate::Rate),
            Self::Requests | Self::Transactions => {
                matches!(aggregate, Aggregate::Rate | Aggregate::Count)
            }
        }
    }
}

impl Threshold {
    /// Holds a trial's figures against the limit. Without a sample nothing has been shown, so the
    /// limit is missed.
    pub fn judge(&self, trial: &Trial) -> ThresholdOutcome {
        let value = self.figure(trial);
        let passed = value.is_some_and(|v| match self.operator {
            Operator::Less => v < self.value,
            Operator::LessOrEqual => v <= self.value,
            Operator::More => v > self.value,
            Operator::MoreOrEqual => v >= self.value,
            Operator::Equal => (v - self.value).abs() < f64::EPSILON,
            Operator::NotEqual => (v - self.value).abs() >= f64::EPSILON,
        });
        let (metric, expression) = (self.metric.name().to_owned(), self.expression.clone());
        ThresholdOutcome { metric, expression, value, passed }
    }

    fn figure(&self, trial: &Trial) -> Option<f64> {
        let all = trial.succeeded + trial.failed;
        let per_s = |count: u64| (trial.duration_s > 0.0).then(|| count as f64 / trial.duration_s);
        let counts = self.aggregate == Aggregate::Count;
        match self.metric {
            Metric::Duration | Metric::TransactionDuration => {
                (trial.succeeded > 0).then(|| self.duration(trial))?
            }
            Metric::Failed | Metric::TransactionsFailed => share(trial.failed, all),
            Metric::Requests if counts => Some(all as f64),
            Metric::Requests => per_s(all),
            // As in pgbench's `tps`, what failed is none.
            Metric::Transactions if counts => Some(trial.succeeded as f64),
            Metric::Transactions => per_s(trial.succeeded),
            Metric::TransactionsLate => share(trial.sql.as_ref()?.late?, trial.succeeded),
            Metric::TransactionsSkipped => {
                let skipped = trial.sql.as_ref()?.skipped?;
                share(skipped, all + skipped)
            }
            Metric::Checks => {
                let checks = &trial.http.as_ref()?.checks;
                let passed: u64 = checks.iter().map(|c| c.passed).sum();
                let all: u64 = passed + checks.iter().map(|c| c.failed).sum::<u64>();
                share(passed, all)
            }
        }
    }

    fn duration(&self, trial: &Trial) -> Option<f64> {
        let Latency { avg, p50, p90, p95, p99, max } = trial.latency_ms;
        Some(match self.aggregate {
            Aggregate::Average => avg,
            Aggregate::Median => p50,
            Aggregate::Most => max,
            Aggregate::Least => {
                let endpoints = &trial.http.as_ref()?.endpoints;
                let least = endpoints.iter().map(|e| e.min_ms).filter(|ms| *ms > 0.0);
                least.reduce(f64::min)?
            }
            Aggregate::Percentile(p) => {
                let more = trial.http.as_ref().map(|http| &http.percentiles_ms);
                let named = |name: &str| more?.get(name).copied();
                // Percentiles that are kept; between them the next higher one holds the promise.
                let kept = [
                    (50.0, Some(p50)),
                    (66.0, named("p66")),
                    (75.0, named("p75")),
                    (80.0, named("p80")),
                    (90.0, Some(p90)),
                    (95.0, Some(p95)),
                    (98.0, named("p98")),
                    (99.0, Some(p99)),
                    (99.9, named("p99.9").or(trial.sql.as_ref().map(|s| s.latency_p999_ms))),
                    (99.99, named("p99.99")),
                    (100.0, Some(max)),
                ];
                kept.into_iter().find(|(at, v)| *at + 1e-9 >= p && v.is_some())?.1?
            }
            Aggregate::Rate | Aggregate::Count => return None,
        })
    }
}

/// A part of a whole; nothing of nothing is no figure.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.metric.name(), self.expression)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ks_grammar_is_read() {
        for text in [
            "http_req_duration: p(95)<200",
            "http_req_duration:p(99.9) <= 1500.5",
            "http_req_duration: avg<100",
            "http_req_failed: rate<0.01",
            "http_reqs: count>=1000",
            "checks: rate>0.99",
            "checks: rate===1",
        ] {
            let read: Threshold = text.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(read.to_string().replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_its_reason() {
        for (text, word) in [
            ("p(95)<200", "no colon"),
            ("http_req_time: p(95)<200", "no metric"),
            ("http_req_duration: p(95)", "compares nothing"),
            ("http_req_duration: p(95)<fast", "no number"),
            ("http_req_duration: p(101)<1", "p(N)"),
            ("http_req_duration: rate<1", "avg min med max"),
            ("http_req_failed: p(95)<1", "rate"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn transactions_have_metrics_of_their_own() {
        for text in [
            "transaction_duration: p(99.9)<200",
            "transactions_failed: rate<0.01",
            "transactions: rate>=1000",
            "transactions_late: rate<0.05",
            "transactions_skipped: rate==0",
        ] {
            let read = Threshold::of_transactions(text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(read.to_string(), text);
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains("such as `http_req_duration"), "{error}");
        }
        for (text, word) in [
            ("http_reqs: count>1", "no metric"),
            ("transaction_duration: min<1", "avg med max"),
            ("transactions_late: p(95)<1", "such as `transaction_duration"),
        ] {
            let error = Threshold::of_transactions(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let needs = |text| Threshold::of_transactions(text).expect("a limit").needs();
        assert_eq!(needs("transactions_late: rate<1"), (true, false));
        assert_eq!(needs("transactions_skipped: rate<1"), (true, true));
        assert_eq!(needs("transactions: rate>1"), (false, false));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(checks|http_req_duration|:|p\\(|\\)|<|=|>|!|rate|[0-9.]{1,5}| |\\PC){0,12}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
