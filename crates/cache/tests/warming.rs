//! Filling a cache at start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pinchpoint_cache::{Progress, Warming};
use tokio::time::{Instant, sleep};

#[derive(Clone, Default)]
struct Counted {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Counted {
    async fn call(self, takes: Duration) -> Result<(), &'static str> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        sleep(takes).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_made_a_few_at_a_time() {
    let counted = Counted::default();
    let mut warming = Warming::new().concurrency(4);
    for _ in 0..22 {
        let counted = counted.clone();
        warming.call(move || counted.call(Duration::from_millis(100)));
    }
    let start = Instant::now();
    let gate = warming.start();
    assert!(!gate.is_ready());
    gate.ready().await;
    assert_eq!(gate.progress(), Progress { done: 22, failed: 0, total: 22 });
    assert_eq!(counted.most.load(Ordering::SeqCst), 4, "four at once, and never more");
    let took = start.elapsed();
    assert!((600..=650).contains(&took.as_millis()), "six times 100 ms: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn past_its_deadline_the_service_is_ready_and_the_calls_go_on() {
    let counted = Counted::default();
    let mut warming = Warming::new().concurrency(1).deadline(Duration::from_millis(250));
    for _ in 0..10 {
        let counted = counted.clone();
        warming.call(move || counted.call(Duration::from_millis(100)));
    }
    let start = Instant::now();
    let gate = warming.start();
    gate.ready().await;
    assert!((250..=260).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(gate.progress(), Progress { done: 2, failed: 0, total: 10 });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gate.progress().done, 10, "the rest is fetched as well");
    assert!(gate.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_or_panics_is_counted_and_keeps_nobody_waiting() {
    let mut warming = Warming::new().concurrency(2);
    warming.call(|| async { Err::<(), _>("no such table") });
    warming.call(|| async { if true { panic!("a bad day") } else { Ok::<(), ()>(()) } });
    warming.call(|| async { Ok::<_, ()>(1) });
    let gate = warming.start();
    gate.ready().await;
    assert_eq!(gate.progress(), Progress { done: 3, failed: 2, total: 3 });
}

#[tokio::test]
async fn nothing_to_fetch_is_ready_at_once() {
    let gate = Warming::new().start();
    gate.ready().await;
    assert_eq!(gate.progress(), Progress { done: 0, failed: 0, total: 0 });
}
