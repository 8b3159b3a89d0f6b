use std::fmt;
use std::str::FromStr;

use crate::{Latency, ThresholdOutcome, Trial};

/// A limit in k6's grammar, on one of its metrics: `http_req_duration: p(95)<200`.
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
#[error("{text:?} is no threshold: {reason}; such as `http_req_duration: p(95)<200`")]
pub struct ThresholdError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Metrics by their names, with the aggregates that they have.
const METRICS: [(&str, Metric, &str); 4] = [
    ("http_req_duration", Metric::Duration, "avg min med max p(N)"),
    ("http_req_failed", Metric::Failed, "rate"),
    ("http_reqs", Metric::Requests, "count rate"),
    ("checks", Metric::Checks, "rate"),
];

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

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let bad = |reason: String| ThresholdError { text: text.to_owned(), reason };
        let (name, expression) = text
            .split_once(':')
            .ok_or_else(|| bad("it has no colon after the metric".to_owned()))?;
        let (name, expression) = (name.trim(), expression.trim());
        let (_, metric, allowed) =
            METRICS.iter().find(|(known, ..)| *known == name).ok_or_else(|| {
                let known: Vec<_> = METRICS.iter().map(|(n, ..)| *n).collect();
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
        }
    }

    const fn has(self, aggregate: Aggregate) -> bool {
        match self {
            Self::Duration => !matches!(aggregate, Aggregate::Rate | Aggregate::Count),
            Self::Failed | Self::Checks => matches!(aggregate, Aggregate::Rate),
            Self::Requests => matches!(aggregate, Aggregate::Rate | Aggregate::Count),
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
        match self.metric {
            Metric::Duration => (trial.succeeded > 0).then(|| self.duration(trial))?,
            Metric::Failed => (all > 0).then(|| trial.failed as f64 / all as f64),
            Metric::Requests if self.aggregate == Aggregate::Count => Some(all as f64),
            Metric::Requests => (trial.duration_s > 0.0).then(|| all as f64 / trial.duration_s),
            Metric::Checks => {
                let checks = &trial.http.as_ref()?.checks;
                let passed: u64 = checks.iter().map(|c| c.passed).sum();
                let all: u64 = passed + checks.iter().map(|c| c.failed).sum::<u64>();
                (all > 0).then(|| passed as f64 / all as f64)
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
                let more = &trial.http.as_ref()?.percentiles_ms;
                let named = |name: &str| more.get(name).copied();
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
                    (99.9, named("p99.9")),
                    (99.99, named("p99.99")),
                    (100.0, Some(max)),
                ];
                kept.into_iter().find(|(at, v)| *at + 1e-9 >= p && v.is_some())?.1?
            }
            Aggregate::Rate | Aggregate::Count => return None,
        })
    }
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

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(checks|http_req_duration|:|p\\(|\\)|<|=|>|!|rate|[0-9.]{1,5}| |\\PC){0,12}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
