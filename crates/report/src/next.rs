//! The next lever of a load of scripts, or of requests: what could be tried, and what became of what
//! was.

use pinchpoint_measure::{
    Pace, RunResult, SqlLever, SqlProtocol, Trial, Variant, factor_text, factor_u64, significant,
};

use crate::predictions;
use crate::table::Paint;
use crate::text::clean;

/// More clients than anybody's machine has sockets for.
const MOST: u64 = 20_000;

/// What could be tried next, by the verdict on the load as it is; `None` where no lever fits.
pub(crate) fn suggestion(variant: &Variant) -> Option<SqlLever> {
    let verdict = variant.verdict.as_ref()?;
    // A schedule sets the throughput: no lever's effect on it could be told.
    if variant.trials.iter().any(|trial| trial.pace != Pace::Closed) {
        return None;
    }
    let factors = &variant.factors;
    let twice = |name: &str| {
        let doubled = factor_u64(factors, name)?.checked_mul(2).filter(|n| *n <= MOST)?;
        u32::try_from(doubled).ok()
    };
    let clients = factor_u64(factors, "concurrency")?;
    let held_back = factor_u64(factors, "pool").is_some_and(|size| size < clients);
    match verdict.bottleneck.as_str() {
        "wal-flush" if factor_text(factors, "synchronous_commit") != "off" => {
            Some(SqlLever::SynchronousCommit(false))
        }
        // Parsing and planning are of the CPU that is used up.
        "planning" | "server-cpu" | "machine-cpu" | "cpu-throttling"
            if factor_text(factors, "mode") != "prepared" =>
        {
            Some(SqlLever::Protocol(SqlProtocol::Prepared))
        }
        "connection-setup" if factor_text(factors, "connection") == "per-operation" => {
            Some(SqlLever::Connected)
        }
        "pool-wait" => twice("pool").map(SqlLever::Pool),
        "users" | "serial-round-trips" if held_back => twice("pool").map(SqlLever::Pool),
        "users" | "serial-round-trips" => twice("concurrency").map(SqlLever::Clients),
        _ => None,
    }
}

/// The same of requests: where nothing but their number holds throughput down, twice the users, if the CPU
/// of all that answers them is seen.
pub(crate) fn users_suggestion(variant: &Variant) -> Option<u64> {
    let seen = |trial: &Trial| {
        let observed = trial.observation.as_ref();
        observed.is_some_and(|o| ["app", "postgres"].iter().all(|name| o.process(name).is_some()))
    };
    let closed = variant.trials.iter().all(|trial| trial.pace == Pace::Closed && seen(trial));
    let users = variant.verdict.as_ref().is_some_and(|verdict| verdict.bottleneck == "users");
    let doubled = factor_u64(&variant.factors, "users")?.checked_mul(2)?;
    (closed && users && doubled <= MOST).then_some(doubled)
}

/// What was expected of a variant that has a lever applied, and what came: a line each.
pub(crate) fn lines(result: &RunResult, variant: &Variant) -> Vec<(String, Paint)> {
    let mut lines = Vec::new();
    let from = variant.prediction.as_ref().and_then(|p| result.variant(&p.from));
    let before = from.or(result.variants.first()).and_then(|v| v.summary.as_ref());
    let before = before.map(|s| s.throughput_per_s.median).filter(|x| x.is_finite() && *x > 0.0);
    if let Some(reason) = &variant.unpredicted {
        lines.push((format!("predicted: nothing, as {}", clean(reason)), Paint::Plain));
    }
    if let Some(prediction) = &variant.prediction {
        let [lo, hi] = prediction.range_per_s;
        let mut text = format!("predicted: {} to {}/s", significant(lo, 3), significant(hi, 3));
        if let Some(before) = before {
            let times = [lo, hi].map(|end| significant(end / before, 2));
            text.push_str(&format!(", {} to {} times", times[0], times[1]));
        }
        if let Some(limit) = &prediction.limit {
            let limit = if limit == "users" { "the number of users" } else { limit };
            text.push_str(&format!(", then {} limits", clean(limit)));
        }
        lines.push((text, Paint::Plain));
    }
    if let Some(summary) = &variant.summary {
        let rate = &summary.throughput_per_s;
        let mut text = format!("measured: {}/s", significant(rate.median, 3));
        if let Some([lo, hi]) = rate.ci95 {
            text.push_str(&format!(" [{}, {}]", significant(lo, 3), significant(hi, 3)));
        }
        if let Some(before) = before {
            text.push_str(&format!(", {} times", significant(rate.median / before, 2)));
        }
        text.push_str(&format!("; p95 {} ms", significant(summary.latency_ms.p95, 3)));
        lines.push((text, Paint::Plain));
    }
    if variant.trials.is_empty() {
        lines.push(("not run".to_owned(), Paint::Dim));
    }
    if let Some(prediction) = variant.prediction.as_ref().filter(|p| p.measured_per_s.is_some()) {
        let paint = match prediction.held {
            Some(true) => Paint::Green,
            Some(false) => Paint::Red,
            None => Paint::Dim,
        };
        let text = match predictions::outcome(prediction) {
            "undecided" => "undecided: the measurement is less certain than the prediction",
            outcome => outcome,
        };
        lines.push((format!("the prediction: {text}"), paint));
    }
    lines
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Prediction, SqlFigures, Verdict};
    use serde_json::json;

    use super::*;
    use crate::fixture;
    use crate::sql::summary;
    use crate::table::Style;
    use crate::text::width;

    /// Two rungs of the fixture as a load of scripts and the same with a lever.
    fn load() -> RunResult {
        let mut result = fixture::ladder();
        result.variants = result.variants[1..3].to_vec();
        for (variant, name) in result.variants.iter_mut().zip(["sql", "clients=16"]) {
            name.clone_into(&mut variant.name);
            variant.trials.truncate(1);
            variant.trials[0].sql = Some(SqlFigures::default());
            variant.prediction = None;
            variant.verdict = Some(Verdict {
                bottleneck: "wal-flush".to_owned(),
                share: 0.62,
                confidence: 0.8,
                ..Verdict::default()
            });
        }
        let mut prediction = Prediction {
            from: "sql".to_owned(),
            lever: "concurrency".to_owned(),
            range_per_s: [500.0, 8_000.0],
            basis: "why".to_owned(),
            limit: Some("users".to_owned()),
            measured_per_s: Some(6_707.0),
            held: Some(true),
            ..Prediction::default()
        };
        prediction.seal("2026-02-04T08:40:59Z".to_owned());
        result.variants[1].prediction = Some(prediction);
        result
    }

    /// What would be tried where this limits 8 clients with these factors.
    fn tried(bottleneck: &str, factors: &[(&str, serde_json::Value)]) -> Option<String> {
        let mut variant = load().variants[0].clone();
        let levels = [
            ("concurrency", json!(8)),
            ("connection", json!("own")),
            ("mode", json!("simple")),
            ("synchronous_commit", json!("on")),
        ];
        variant.factors = levels
            .iter()
            .chain(factors)
            .map(|(name, level)| ((*name).to_owned(), level.clone()))
            .collect();
        variant.verdict = Some(Verdict { bottleneck: bottleneck.to_owned(), ..Verdict::default() });
        let lever = suggestion(&variant)?.to_string();
        assert!(lever.parse::<SqlLever>().is_ok(), "{lever}");
        Some(lever)
    }

    #[test]
    fn what_limits_says_what_to_try() {
        let some = |text: &str| Some(text.to_owned());
        let pool = [("connection", json!("pool")), ("pool", json!(4))];
        assert_eq!(tried("wal-flush", &[]), some("synchronous_commit=off"));
        assert_eq!(tried("wal-flush", &[("synchronous_commit", json!("off"))]), None);
        assert_eq!(tried("planning", &[]), some("protocol=prepared"));
        assert_eq!(tried("server-cpu", &[]), some("protocol=prepared"));
        assert_eq!(tried("server-cpu", &[("mode", json!("prepared"))]), None);
        assert_eq!(tried("users", &[]), some("clients=16"));
        assert_eq!(tried("serial-round-trips", &[("concurrency", json!(1))]), some("clients=2"));
        assert_eq!(tried("users", &pool), some("pool=8"), "more clients would wait for it");
        assert_eq!(tried("users", &[("concurrency", json!(20_000))]), None);
        assert_eq!(tried("pool-wait", &pool), some("pool=8"));
        let fresh = [("connection", json!("per-operation"))];
        assert_eq!(tried("connection-setup", &fresh), some("connect=off"));
        for other in ["connection-setup", "row-lock", "inconclusive", "balanced", "none"] {
            assert_eq!(tried(other, &[]), None, "{other}");
        }
    }

    #[test]
    fn a_load_without_a_lever_says_in_one_line_what_to_try() {
        let mut result = load();
        result.variants.truncate(1);
        let factors = &mut result.variants[0].factors;
        factors.insert("synchronous_commit".to_owned(), json!("on"));
        let text = summary(&result, 80, Style::Plain);
        let last = text.lines().last().unwrap();
        assert_eq!(last, "next     try --next synchronous_commit=off", "{text}");
        result.variants[0].trials[0].pace = Pace::Open { target_per_s: 10.0, poisson: true };
        let text = summary(&result, 80, Style::Plain);
        assert!(!text.contains("--next"), "a schedule sets the throughput: {text}");
    }

    /// The summary from the lever on.
    fn of_lever(result: &RunResult) -> String {
        let text = summary(result, 80, Style::Plain);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        text.split_once("next lever: ").unwrap().1.to_owned()
    }

    #[test]
    fn a_lever_is_told_in_a_line_each() {
        let mut result = load();
        let mut all = of_lever(&result);
        let prediction = result.variants[1].prediction.as_mut().unwrap();
        (prediction.range_per_s[1], prediction.held) = (9_000.0, None);
        all.push_str(&format!("--- undecided, and not what was stated\n{}", of_lever(&result)));
        let variant = &mut result.variants[1];
        variant.prediction = None;
        variant.unpredicted = Some("the server's CPU cannot be seen from here".to_owned());
        all.push_str(&format!("--- unpredicted\n{}", of_lever(&result)));
        let variant = &mut result.variants[1];
        (variant.unpredicted, variant.summary, variant.verdict) = (None, None, None);
        variant.trials.clear();
        all.push_str(&format!("--- interrupted before it\n{}", of_lever(&result)));
        insta::assert_snapshot!(all);
    }
}
