//! What can go wrong: in building a cache, and in a call that the cache made for its caller.

use std::sync::Arc;
use std::time::Duration;

/// Why a cache could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The namespace stands in every key and must be made of letters, digits, `-`, `_` and `.`.
    #[error("the namespace {0:?} must be 1 to 64 letters, digits, '-', '_' or '.'")]
    Namespace(String),
    /// The URL is not one that the Redis client understands.
    #[error("the address of Redis cannot be read: {0}")]
    RedisUrl(String),
    /// Neither level was configured.
    #[error("a cache of 0 bytes and without Redis could hold nothing")]
    Nothing,
    /// Background tasks need a tokio runtime.
    #[error("a cache must be built inside a tokio runtime")]
    NoRuntime,
    /// A cache in Redis has a thread, which watches that reads are answered in time.
    #[error("no thread could be started: {0}")]
    NoThread(std::io::Error),
}

/// Why a call of the function gave no answer of its own.
///
/// An error type that has `From<Interrupted>` lets a cached function answer with it; without, the
/// call behaves as it would without a cache: no time-out, and a panic goes on in every caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The function panicked; every caller that waited for this call is told.
    #[error("the cached function panicked: {0}")]
    Panicked(String),
    /// The function took longer than its policy allows.
    #[error("the cached function took longer than {0:?}")]
    TimedOut(Duration),
    /// No turn came: too many calls of functions are under way.
    #[error("too many calls are under way; none ended within {0:?}")]
    Overloaded(Duration),
    /// The call that this one waited for failed, with an error that cannot be cloned.
    #[error("the call for the same key that this one waited for failed: {0}")]
    Shared(String),
    /// The cache was shut down, or its runtime is ending.
    #[error("the cache is shut down")]
    ShutDown,
}

/// Why [`Cache::get_or_load`](crate::Cache::get_or_load) has no value.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The function's own error, shared by all who waited for the same call.
    #[error("the function failed")]
    Failed(Arc<E>),
    /// The function gave no answer.
    #[error(transparent)]
    Interrupted(Interrupted),
}
