//! What is told through the `metrics` facade is what `metrics.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use pinchpoint_cache::{Cache, Function, Loaded, Outcome, Policy, cached, key, trace};
use tokio::sync::Notify;

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
        let own = |label: &(String, String)| label.0 != "quantile" && label.0 != "le";
        (name.to_owned(), labels.filter(own).collect(), value.parse().unwrap())
    };
    lines.map(one).collect()
}

/// The sum of the series of a name that have these labels.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let fits = |own: &BTreeMap<String, String>| {
        labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
    };
    let all = series(text).into_iter();
    all.filter(|(n, own, _)| n == name && fits(own)).map(|(_, _, v)| v).sum::<f64>() as u64
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
    let (failed, how) = trace(counted(&a, -2)).await;
    assert!(failed.is_err());
    assert_eq!(how, [("counted", Outcome::Miss)]);
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

    let text = handle.render();
    let series = series(&text);
    let mut told = Labels::new();
    for (name, labels, _) in &series {
        // A histogram's parts are one metric.
        let name = name.trim_end_matches("_sum").trim_end_matches("_count");
        let labels: BTreeSet<String> = labels.keys().cloned().collect();
        let before = told.insert(name.to_owned(), labels.clone());
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

    let value = |name: &str, labels: &[(&str, &str)]| value(&text, name, labels);
    assert!(value("cache_hits_total", &[("level", "memory")]) >= 1);
    assert_eq!(value("cache_hits_total", &[("level", "redis")]), 1);
    assert_eq!(value("cache_misses_total", &[]), 4, "two of them failed");
    assert_eq!(value("cache_latency_seconds_count", &[("outcome", "miss")]), 4);
    assert_eq!(value("cache_loads_total", &[("outcome", "ok")]), 2);
    assert_eq!(value("cache_loads_total", &[("outcome", "panic")]), 1);
    assert_eq!(value("cache_loads_total", &[("outcome", "timeout")]), 1);
    assert_eq!(value("cache_decode_errors_total", &[]), 1, "the bytes that were not ours");
    assert_eq!(value("cache_redis_up", &[]), 1);
    assert!(value("cache_memory_bytes", &[]) > 0);
}

#[cached(cache = process.cache, key = "aged:{id}", ttl = "200ms", stale = "1h", jitter = 0.0)]
async fn aged(process: &Process, id: i64) -> Result<Option<i64>, Failure> {
    Ok(process.database.read(id).await)
}

#[tokio::test]
async fn a_stale_value_is_counted_where_it_was_found() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = Redis::start().await;
    let ([a, b], database) = processes(&redis, |cache| cache).await;
    aged(&a, 1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    // It stays stale: whoever fetches it anew does not come to an end.
    *database.hold.lock().unwrap() = Some(Arc::new(Notify::new()));
    let counts = || {
        let text = handle.render();
        ["memory", "redis"].map(|level| {
            let took = [("cache", "aged"), ("level", level), ("outcome", "stale")];
            let hits = value(&text, "cache_hits_total", &took[..2]);
            (hits, value(&text, "cache_latency_seconds_count", &took))
        })
    };
    let stale = [("aged", Outcome::Stale)];
    assert_eq!(trace(aged(&b, 1)).await, (Ok(Some(0)), stale.to_vec()));
    assert_eq!(counts(), [(0, 0), (1, 1)], "the memory of this process was empty");
    assert_eq!(trace(aged(&b, 1)).await.1, stale);
    assert_eq!(trace(aged(&a, 1)).await.1, stale);
    assert_eq!(counts(), [(2, 2), (1, 1)], "memory has it now");
    assert_eq!(value(&handle.render(), "cache_stale_served_total", &[("cache", "aged")]), 3);
}

const HOUR: Duration = Duration::from_secs(3600);
static FAILING: Function =
    Function::new("failing", Policy::new(HOUR).timeout(Duration::from_millis(50)));
static HOLDING: Function = Function::new("holding", Policy::new(HOUR).timeout(HOUR));

#[tokio::test]
async fn a_lookup_whose_function_fails_is_a_miss_of_each_who_waited() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let cache = Cache::builder("test").concurrent_calls(1).build().await.unwrap();
    let failing = || {
        let load = || async { Err::<Loaded<i64>, _>("no such table") };
        cache.get_or_load(&FAILING, key!("1"), load)
    };
    let (first, second) = tokio::join!(failing(), failing());
    assert!(first.is_err() && second.is_err());
    // Without a turn the function is not called at all.
    let called = Arc::new(Notify::new());
    tokio::spawn({
        let (cache, called) = (cache.clone(), Arc::clone(&called));
        let load = move || async move {
            called.notify_one();
            std::future::pending::<Result<Loaded<i64>, ()>>().await
        };
        async move { cache.get_or_load(&HOLDING, key!("1"), load).await }
    });
    called.notified().await;
    assert!(failing().await.is_err());
    let text = handle.render();
    let value = |name: &str| value(&text, name, &[("cache", "failing")]);
    assert_eq!(value("cache_misses_total"), 3);
    assert_eq!(value("cache_latency_seconds_count"), 3);
    assert_eq!((value("cache_coalesced_total"), value("cache_loads_total")), (1, 2));
}
