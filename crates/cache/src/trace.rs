//! How the cached calls of one piece of work were answered, for a response header or a log line.

use std::cell::RefCell;

use crate::telemetry::Outcome;

tokio::task_local! {
    static CALLS: RefCell<Vec<(&'static str, Outcome)>>;
}

/// Runs a future and returns, beside its result, each cached call that it made itself (not those
/// that a cached function made in turn): the function's name and how it was answered.
///
/// ```
/// # tokio_test(async {
/// use pinchpoint_cache::{Cache, Function, Outcome, Policy, key, trace};
/// # use std::time::Duration;
/// static ONE: Function = Function::new("one", Policy::new(Duration::from_secs(60)));
/// let cache = Cache::builder("demo").build().await?;
/// let one = async || cache.get_or_load(&ONE, key!("1"), || async { Ok::<_, ()>(Some(1).into()) }).await;
/// let (_, calls) = trace(one()).await;
/// assert_eq!(calls, [("one", Outcome::Miss)]);
/// let (_, calls) = trace(one()).await;
/// assert_eq!(calls, [("one", Outcome::Memory)]);
/// # Ok::<_, pinchpoint_cache::BuildError>(()) });
/// # fn tokio_test(f: impl Future<Output = Result<(), pinchpoint_cache::BuildError>>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(f).unwrap();
/// # }
/// ```
pub async fn trace<F: Future>(work: F) -> (F::Output, Vec<(&'static str, Outcome)>) {
    CALLS
        .scope(RefCell::default(), async {
            let output = work.await;
            (output, CALLS.with(RefCell::take))
        })
        .await
}

#[inline]
pub(crate) fn note(function: &'static str, outcome: Outcome) {
    // Nobody asked, outside of `trace`.
    let _ = CALLS.try_with(|calls| calls.borrow_mut().push((function, outcome)));
}
