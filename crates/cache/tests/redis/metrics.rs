//! What is told through the `metrics` facade is what `metrics.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use pinchpoint_cache::{cached, key};

use crate::server::Redis;
use crate::{Failure, Process, eventually, processes};

#[cached(cache = process.cache, key = "counted:{id}", ttl = "1h", timeout = "50ms", tags = ["counted"])]
async fn counted(process: &Process, id: i64) -> Result<Option<i64>, Failure> {
    match id {
        -1 => panic!("a bad day"),
        -2 => std::future::pending().await,
        id => Ok(process.database.read(id).await),
    }
}

/// The names of metrics, and of their labels.
type Labels = BTreeMap<String, BTreeSet<String>>;

fn written() -> Labels {
    let page = include_str!("../../src/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (cells[1].trim().trim_matches('`').to_owned(), quoted(cells[2]))
    })
    .collect()
}

/// Each series of the exposition: its name, its labels, its value.
fn series(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let one = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
            let (name, value) = label.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        // A histogram's parts are one metric.
        let name = name.trim_end_matches("_sum").trim_end_matches("_count");
        let own = |label: &(String, String)| label.0 != "quantile" && label.0 != "le";
        (name.to_owned(), labels.filter(own).collect(), value.parse().unwrap())
    };
    lines.map(one).collect()
}

#[tokio::test]
async fn names_and_labels_are_those_that_are_written_down() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // The runtime of this test has one thread.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    counted(&a, 1).await.unwrap();
    counted(&a, 1).await.unwrap();
    counted(&b, 1).await.unwrap();
    assert!(counted(&a, -1).await.is_err());
    assert!(counted(&a, -2).await.is_err());
    let keys: Vec<String> = redis.ask(&["KEYS", "test:counted@*:counted:1"]).await;
    let _: String = redis.ask(&["SET", &keys[0], "not ours"]).await;
    let reads = database.reads();
    eventually("the push is there", async || {
        counted(&a, 1).await.unwrap();
        database.reads() > reads
    })
    .await;
    let _ = a.cache.invalidate_tag(key!("counted")).await;
    tokio::time::sleep(Duration::from_millis(10)).await;

    let series = series(&handle.render());
    let mut told = Labels::new();
    for (name, labels, _) in &series {
        let labels: BTreeSet<String> = labels.keys().cloned().collect();
        let before = told.insert(name.clone(), labels.clone());
        assert!(before.is_none_or(|before| before == labels), "{name} has one set of labels");
    }
    assert_eq!(told, written());

    let values = |label: &str| -> BTreeSet<&str> {
        series.iter().filter_map(|(_, labels, _)| labels.get(label)).map(String::as_str).collect()
    };
    assert_eq!(values("cache"), ["counted"].into(), "the function, and never a key");
    assert_eq!(values("level"), ["memory", "redis", "origin"].into());
    assert_eq!(values("kind"), ["timeout", "connection", "server"].into());
    let outcomes = ["hit", "stale", "miss", "ok", "error", "panic", "timeout", "overload"];
    assert_eq!(values("outcome"), outcomes.into());

    let value = |name: &str, labels: &[(&str, &str)]| {
        let fits = |own: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
        };
        series.iter().filter(|(n, l, _)| n == name && fits(l)).map(|(_, _, v)| *v).sum::<f64>()
            as u64
    };
    assert!(value("cache_hits_total", &[("level", "memory")]) >= 1);
    assert_eq!(value("cache_hits_total", &[("level", "redis")]), 1);
    assert_eq!(value("cache_misses_total", &[]), 2);
    assert_eq!(value("cache_loads_total", &[("outcome", "ok")]), 2);
    assert_eq!(value("cache_loads_total", &[("outcome", "panic")]), 1);
    assert_eq!(value("cache_loads_total", &[("outcome", "timeout")]), 1);
    assert_eq!(value("cache_decode_errors_total", &[]), 1, "the bytes that were not ours");
    assert_eq!(value("cache_redis_up", &[]), 1);
    assert!(value("cache_memory_bytes", &[]) > 0);
}
