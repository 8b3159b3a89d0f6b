//! A summary in the shape that k6 gives to `handleSummary`.

use pinchpoint_measure::{CheckFigures, HttpFigures, Phase, Trial};
use serde_json::{Map, Value, json};

/// `summary.json`. Times are in milliseconds; `http_req_duration` is the response time of right
/// answers, from the intended start under a schedule (k6's counts from the actual start, of all
/// answers).
pub fn summary(trial: &Trial) -> String {
    let http = trial.http.clone().unwrap_or_default();
    let mut metrics = Metrics { trial, all: Map::new() };
    metrics.counters(&http);
    metrics.trends(&http);
    metrics.rates(&http);
    let checks: Vec<Value> = http.checks.iter().map(check).collect();
    let whole = json!({
        "root_group": { "name": "", "path": "", "id": "", "groups": [], "checks": checks },
        "options": {
            "summaryTrendStats": ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)"],
            "summaryTimeUnit": "ms",
            "noColor": false,
        },
        "state": {
            "isStdOutTTY": false,
            "isStdErrTTY": false,
            "testRunDurationMs": trial.duration_s * 1000.0,
        },
        "metrics": metrics.all,
    });
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

fn check(check: &CheckFigures) -> Value {
    json!({
        "name": check.name,
        "path": format!("::{}", check.name),
        "id": "",
        "passes": check.passed,
        "fails": check.failed,
    })
}

struct Metrics<'a> {
    trial: &'a Trial,
    all: Map<String, Value>,
}

impl Metrics<'_> {
    fn add(&mut self, name: &str, kind: &str, contains: &str, values: &Value) {
        let of = self.trial.thresholds.iter().filter(|t| t.metric == name);
        let of: Map<String, Value> =
            of.map(|t| (t.expression.clone(), json!({ "ok": t.passed }))).collect();
        let metric = if of.is_empty() {
            json!({ "type": kind, "contains": contains, "values": values })
        } else {
            json!({ "type": kind, "contains": contains, "values": values, "thresholds": of })
        };
        self.all.insert(name.to_owned(), metric);
    }

    fn counters(&mut self, http: &HttpFigures) {
        let requests = self.trial.succeeded + self.trial.failed;
        for (name, contains, count) in [
            ("http_reqs", "default", requests),
            ("iterations", "default", requests),
            ("data_received", "data", http.bytes_received),
            ("data_sent", "data", http.bytes_sent),
        ] {
            let rate = count as f64 / self.trial.duration_s.max(1e-9);
            self.add(name, "counter", contains, &json!({ "count": count, "rate": rate }));
        }
        let users = self.trial.factors.get("users").cloned().unwrap_or(Value::Null);
        for name in ["vus", "vus_max"] {
            let values = json!({ "value": users, "min": users, "max": users });
            self.add(name, "gauge", "default", &values);
        }
    }

    fn trends(&mut self, http: &HttpFigures) {
        let least = http.endpoints.iter().map(|e| e.min_ms).filter(|ms| *ms > 0.0);
        let least = least.fold(f64::INFINITY, f64::min);
        let latency = &self.trial.latency_ms;
        let values = json!({
            "avg": latency.avg,
            "min": if least.is_finite() { least } else { 0.0 },
            "med": latency.p50,
            "max": latency.max,
            "p(90)": latency.p90,
            "p(95)": latency.p95,
            "p(99)": latency.p99,
        });
        self.add("http_req_duration", "trend", "time", &values);
        for (name, phase) in [
            ("http_req_blocked", Phase::Schedule),
            ("http_req_connecting", Phase::Tcp),
            ("http_req_tls_handshaking", Phase::Tls),
            ("http_req_sending", Phase::Transfer),
            ("http_req_waiting", Phase::FirstByte),
            ("http_req_receiving", Phase::Receive),
        ] {
            let mean = self.trial.phase_sum_ms(|p| p == phase);
            self.add(name, "trend", "time", &json!({ "avg": mean }));
        }
    }

    fn rates(&mut self, http: &HttpFigures) {
        let (failed, succeeded) = (self.trial.failed, self.trial.succeeded);
        let values =
            json!({ "rate": self.trial.error_rate(), "passes": failed, "fails": succeeded });
        self.add("http_req_failed", "rate", "default", &values);
        let sum = |pick: fn(&CheckFigures) -> u64| http.checks.iter().map(pick).sum::<u64>();
        let (passes, fails) = (sum(|c| c.passed), sum(|c| c.failed));
        if passes + fails > 0 {
            let rate = passes as f64 / (passes + fails) as f64;
            let values = json!({ "rate": rate, "passes": passes, "fails": fails });
            self.add("checks", "rate", "default", &values);
        }
    }
}
