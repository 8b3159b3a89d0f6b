//! The environment: what is not set is left to its default.

use std::str::FromStr;
use std::time::Duration;

/// Everything that an experiment varies is a switch here; `apps/README.md` describes them.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the environment")]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) workers: usize,
    /// Rows of `posts`, for `/benchmark/db-test`.
    pub(crate) posts: i64,
    /// Statements are named and kept: wrong behind a pooler that does not track them.
    pub(crate) named: bool,
    pub(crate) post_list: PostList,
    /// Callers that may wait for a connection of the pool.
    pub(crate) waiting: usize,
    /// From a SIGTERM to the end: most of it for requests under way.
    pub(crate) grace: Duration,
    pub(crate) role: Role,
    pub(crate) cache: bool,
    pub(crate) redis: Option<String>,
    pub(crate) cache_memory: u64,
    /// Users and posts to be read before `/readyz` says yes.
    pub(crate) warm: i64,
    pub(crate) cache_service: Option<String>,
    pub(crate) shared_client: bool,
    pub(crate) secure_cookies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostList {
    /// A query for the posts, and one for each post's author.
    NPlusOne,
    /// One query.
    Join,
    /// A query for the posts and one for all their authors.
    DataLoader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The blog.
    Service,
    /// `GET /cache/{user_id}` for another service.
    Cache,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let post_list = match text("POST_LIST").as_deref() {
            None | Some("join") => PostList::Join,
            Some("n+1") => PostList::NPlusOne,
            Some("dataloader") => PostList::DataLoader,
            Some(other) => {
                return Err(format!("POST_LIST cannot be {other:?}: n+1, join, dataloader"));
            }
        };
        let role = match text("ROLE").as_deref() {
            None | Some("service") => Role::Service,
            Some("cache") => Role::Cache,
            Some(other) => return Err(format!("ROLE cannot be {other:?}: service, cache")),
        };
        let shared_client = match text("SESSION_CLIENT").as_deref() {
            None | Some("shared") => true,
            Some("per-request") => false,
            Some(other) => {
                return Err(format!("SESSION_CLIENT cannot be {other:?}: shared, per-request"));
            }
        };
        let cache = match text("CACHE").as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(other) => return Err(format!("CACHE cannot be {other:?}: on, off")),
        };
        Ok(Self {
            host: text("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: number("PORT", 8000)?,
            workers: number("WORKERS", 1_usize)?.max(1),
            posts: number("POSTS", 50_000)?,
            named: !is_on("DB_TRANSACTION_POOLING") || is_on("DB_PREPARED"),
            post_list,
            waiting: number("DB_POOL_WAITING", 1000)?,
            grace: Duration::from_secs(number("GRACE", 1)?),
            role,
            cache,
            redis: text("REDIS_URL"),
            cache_memory: number("CACHE_MEMORY", 64_u64 << 20)?,
            warm: number("WARM", 0)?,
            cache_service: text("CACHE_SERVICE_URL"),
            shared_client,
            secure_cookies: is_on("SECURE_COOKIES"),
        })
    }
}

/// Nothing when it is not set, or empty.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

pub(crate) fn setting<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Some(text) = text(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} cannot be {text:?}"))
}

fn number<T: FromStr>(name: &str, otherwise: T) -> Result<T, String> {
    Ok(setting(name)?.unwrap_or(otherwise))
}

pub(crate) fn is_on(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}
