//! The macros of `pinchpoint-cache`, which re-exports them. They only write calls of its documented
//! functions.

mod cached;
mod duration;
mod options;
mod template;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// A key, written like a format string; values are escaped.
///
/// ```
/// use pinchpoint_cache::{Key, key};
/// struct Filter { category: &'static str }
/// let (id, filter) = (7, Filter { category: "a:b" });
/// let key = key!("post:{id}:{filter.category}");
/// assert_eq!(key, Key::text("post:").value(7).then(":").value("a:b"));
/// assert_eq!(key.as_str(), "post:7:a%3Ab");
/// ```
#[proc_macro]
pub fn key(input: TokenStream) -> TokenStream {
    let text = parse_macro_input!(input as syn::LitStr);
    template::key(&text).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Caches the answers of an async function. Its signature stays as it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use pinchpoint_cache::Interrupted;
/// # use serde::{Deserialize, Serialize};
/// use pinchpoint_cache::{Cache, cached, key};
///
/// #[derive(Clone)]
/// struct AppState { cache: Cache }
/// #[derive(Clone, Serialize, Deserialize)]
/// struct User { id: i64 }
/// # #[derive(Clone, Debug)] struct Error;
/// # impl From<Interrupted> for Error { fn from(_: Interrupted) -> Self { Self } }
/// # impl std::fmt::Display for Error { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
/// # impl std::error::Error for Error {}
///
/// #[cached(cache = state.cache, key = "user:{id}", ttl = "5m", tags = ["users"])]
/// async fn get_user(state: &AppState, id: i64) -> Result<Option<User>, Error> {
///     Ok((id > 0).then_some(User { id })) // a query, in real life
/// }
///
/// let state = AppState { cache: Cache::builder("shop").build().await? };
/// assert_eq!(get_user(&state, 7).await?.map(|user| user.id), Some(7));
/// assert_eq!(get_user_key(&state, 7), key!("user:7"));
/// let done = get_user_invalidate(&state, 7).await; // after a change of user 7
/// let user = get_user_refresh(&state, 7).await?; // calls it whatever is stored
/// # drop((done, user)); Ok(()) }
/// ```
///
/// | option | |
/// |---|---|
/// | `cache = expr` | the `Cache`, from the function's arguments |
/// | `key = "…{arg}…"` | what tells one call from another; values are escaped |
/// | `ttl = "5m"` | how long a value is fresh: `ms`, `s`, `m`, `h`, `d`, a number of seconds, or a const `Duration` |
/// | `absent_ttl = …` | how long "there is none" is believed; else as long as a value |
/// | `stale = …` | how long after that it may still be served, while it is fetched anew or when that fails |
/// | `refresh_at = 0.8` | the share of the TTL after which a hit fetches it anew in the background |
/// | `jitter = 0.1` | the share by which each TTL is shortened at random |
/// | `timeout = …` | how long a call may take (10 s) |
/// | `tags = ["…{arg}…"]` | names by which `Cache::invalidate_tag` forgets it |
/// | `errors = …` | errors are stored too, for so long |
/// | `name = "…"` | the label in metrics and part of the key; else the function's name |
/// | `version = 2` | to raise where the value's meaning changed and its type did not |
///
/// Beside the function `f` stand, with the same arguments: `f_key`, the key of a call;
/// `f_invalidate`, which forgets its value; `f_refresh`, which calls the function and stores its
/// answer; and `f_uncached`, the function itself.
///
/// Arguments are cloned on a miss (`&T` by `ToOwned`), since the call runs in a task of its own and
/// may outlive its caller. A generic function keeps answers of different types apart; a parameter that
/// does not show in the answer's type must stand in the key: `"{N}:{T::TABLE}:{id}"`. In an `impl` block the function needs a receiver; in an `impl Trait for`
/// block there is no room for the companions: let the trait's method call a cached function.
#[proc_macro_attribute]
pub fn cached(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as options::Options);
    let function = parse_macro_input!(item as syn::ItemFn);
    cached::expand(&options, function).unwrap_or_else(|error| error.to_compile_error()).into()
}
