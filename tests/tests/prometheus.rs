//! A real Prometheus scrapes the running service, and every expression that the dashboard and the rules
//! use gives data.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::block_on;
use crate::service::{Redis, Service, database};
use crate::tree::root;

struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// With the configuration that ships, and the target put in.
    fn start(directory: &std::path::Path, target: &str) -> Self {
        let shipped = root().join("deploy/prometheus");
        let configuration = fs::read_to_string(shipped.join("prometheus.yml")).expect("it");
        assert!(configuration.contains("axum:8000") && configuration.contains("5s"));
        let configuration = configuration.replace("axum:8000", target).replace("5s", "1s");
        fs::write(directory.join("prometheus.yml"), configuration).expect("written");
        fs::copy(shipped.join("rules.yml"), directory.join("rules.yml")).expect("copied");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let child = Command::new("setpriv") // it goes when the test goes
            .args(["--pdeathsig", "KILL", "prometheus", "--config.file=prometheus.yml"])
            .arg(format!("--web.listen-address={port}"))
            .arg("--storage.tsdb.path=data")
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus; scripts/install-deps.sh test installs it");
        Self { child, url: format!("http://{port}") }
    }

    /// The series of an expression; nothing while it does not answer.
    fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
        let client = client.build().expect("a client");
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.url)).expect("a URL");
        url.query_pairs_mut().append_pair("query", expression);
        let answer: Value = block_on(async {
            serde_json::from_str(&client.get(url).send().await.ok()?.text().await.ok()?).ok()
        })?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every expression that the dashboard shows and the rules use.
fn expressions() -> Vec<String> {
    let text = fs::read_to_string(root().join("deploy/grafana/blog.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|p| p["targets"].as_array().into_iter().flatten());
    let mut all: Vec<String> =
        targets.filter_map(|t| t["expr"].as_str()).map(str::to_owned).collect();
    let rules = fs::read_to_string(root().join("deploy/prometheus/rules.yml")).expect("the rules");
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim().strip_prefix("expr: ") else { continue };
        if expression != "|" {
            all.push(expression.to_owned());
            continue;
        }
        let mut whole = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
            whole.push_str(more.trim());
            whole.push(' ');
        }
        all.push(whole);
    }
    all
}

/// An alert compares: what it compares must be there, whether the alert fires or not.
fn compared(expression: &str) -> &str {
    let end = [" == ", " > ", " < "].iter().filter_map(|sign| expression.rfind(sign)).max();
    end.map_or(expression, |end| &expression[..end])
}

#[test]
fn the_rules_are_well_formed() {
    let directory = root().join("deploy/prometheus");
    for (command, file) in [("rules", "rules.yml"), ("config", "prometheus.yml")] {
        let output = Command::new("promtool")
            .args(["check", command, file])
            .current_dir(&directory)
            .output()
            .expect("promtool; scripts/install-deps.sh test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_expression_of_dashboard_and_rules_gives_data() {
    let (database, redis) = (database(), Redis::start());
    let env = [("REDIS_URL", redis.url.as_str()), ("CACHE_MEMORY", "20000"), ("DB_POOL_MIN", "2")];
    let service = Service::start(&database, &env);
    let directory = tempfile::tempdir().expect("a directory");
    let target = service.url.trim_start_matches("http://");
    let prometheus = Prometheus::start(directory.path(), target);
    let (expressions, began) = (expressions(), Instant::now());
    assert!(expressions.len() > 20, "{expressions:?}");
    let mut missing: Vec<&str> = expressions.iter().map(String::as_str).collect();
    while !missing.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "no data for {missing:#?}");
        // Something for every counter to count: hits in both levels, misses, evictions.
        for id in 1..50 {
            service.get(&format!("/api/users/{id}"));
            service.get("/blog/api/categories");
        }
        std::thread::sleep(Duration::from_millis(500));
        missing.retain(|expression| {
            let series = prometheus.query(compared(expression)).unwrap_or_default();
            let number = |s: &Value| s["value"][1].as_str().is_some_and(|v| v != "NaN");
            !series.iter().any(number)
        });
    }
    // The figures are the service's own.
    let up = prometheus.query("min(cache_redis_up)").expect("an answer");
    assert_eq!(up[0]["value"][1], "1");
    drop(redis);
    crate::processes::until("Prometheus sees that Redis is away", || {
        service.get("/api/users/7");
        let firing = prometheus.query("min(cache_redis_up) == 0")?;
        (!firing.is_empty()).then_some(())
    });
}
