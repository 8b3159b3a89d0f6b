//! A cache for async functions.
//!
//! ```
//! # use pinchpoint_cache::{Cache, Interrupted, cached};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Clone, Serialize, Deserialize)]
//! struct User { id: i64, name: String }
//!
//! #[derive(Clone)]
//! struct AppState { cache: Cache }
//!
//! # #[derive(Clone, Debug)] struct Error; impl From<Interrupted> for Error { fn from(_: Interrupted) -> Self { Self } }
//! #[cached(cache = state.cache, key = "user:{id}", ttl = "5m", tags = ["user:{id}"])]
//! async fn get_user(state: &AppState, id: i64) -> Result<Option<User>, Error> {
//!     Ok((id < 10).then(|| User { id, name: format!("user {id}") })) // a query, in real life
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder("shop").build().await?; // .redis("redis://…")? to share it
//! let state = AppState { cache };
//! let user = get_user(&state, 7).await?; // calls the function
//! let user = get_user(&state, 7).await?; // does not
//! let done = get_user_invalidate(&state, 7).await;
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! # impl std::fmt::Display for Error { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
//! # impl std::error::Error for Error {}
//! ```
//!
//! # What it promises
//!
//! - **One call at a time for a key.** However many callers miss at once, one call of the function
//!   runs in a process, and in all processes one for each lease. It runs in a task of its own: a
//!   caller that goes away does not stop it. A panic reaches all who waited, as an error.
//! - **Nothing stale is stored.** A value read before an invalidation is not stored after it, in
//!   Redis or in memory, also when the invalidation was another client's plain `DEL`.
//! - **Invalidations reach every process** at once, by Redis's own tracking. When the connection is
//!   lost, memory is no longer trusted. A connection that dies without a word is found out within
//!   a heartbeat and a time-out; until then memory may be old.
//! - **Redis is never in the way.** Its errors are not the function's; its silence is waited for
//!   briefly. While it is away, stale values are served where the policy lets them, calls go to the
//!   functions, a bounded number at a time, and invalidations wait to be sent first of all when it
//!   is back.
//! - **Two shapes never read each other's bytes.** The fingerprint of a value's type stands in its
//!   key. What does not decode is a miss, and counted.
//!
//! What it does not: an invalidation sent by a process that ends before Redis is back is lost, so
//! TTLs bound it. Replicas that lag, Redis Cluster (tags and values may live on different nodes),
//! and changes of the database that nobody told the cache of are outside its view. Freshness is
//! judged by the clocks of the machines. The codec is postcard: types that need a self-describing
//! format (`serde_json::Value`, untagged enums) do not decode, and so never hit in Redis.
//!
//! # Where
//!
//! [`cached`] for functions, [`Cache::get_or_load`] for the same without a macro, [`Policy`] for
//! times, [`Builder`] for sizes and limits, [`Warming`] for the start, [`trace`](fn@trace) to tell how a call
//! was answered, and [`metrics`](self#metrics) below.
//!
//! # Metrics
//!
#![doc = include_str!("metrics.md")]

mod builder;
mod cache;
mod clock;
mod course;
mod envelope;
mod error;
mod fingerprint;
mod flight;
mod function;
#[doc(hidden)]
pub mod glue;
mod inner;
mod key;
mod memory;
mod origin;
mod policy;
mod refused;
mod shared;
mod telemetry;
mod trace;
mod warming;
mod weigh;

pub use builder::Builder;
pub use cache::{Cache, Invalidated, Loaded, Value};
pub use error::{BuildError, Interrupted, LoadError};
pub use function::Function;
pub use key::{Key, Tag};
pub use pinchpoint_cache_macros::{cached, key};
pub use policy::Policy;
pub use telemetry::Outcome;
pub use trace::trace;
pub use warming::{Gate, Progress, Warming};
