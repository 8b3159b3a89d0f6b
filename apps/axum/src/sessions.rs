//! Logging in and out. A session is a random token; only its hash is kept, here and in the cache.

use std::fmt::Write as _;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pinchpoint_cache::cached;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use crate::error::Failure;
use crate::extract::Body;
use crate::state::Blog;
use crate::text::moment;

const COOKIE: &str = "session";
const LIVES: Duration = Duration::seconds(1800);
/// What is checked for a name that nobody has, so that it takes as long as for one that exists.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
    zWqEMd6uZ0gq7n3TQYl0u8l0mMMyy7rb0rDvPp3QW1M";

#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user_id: i64,
    #[serde(with = "moment")]
    expires_at: OffsetDateTime,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    username: String,
    password: String,
}

/// A session lives for half an hour, in the cache too.
#[cached(cache = blog.cache, key = "session:{hash}", ttl = "1800s", absent_ttl = "10s")]
async fn get_session(blog: &Blog, hash: String) -> Result<Option<Session>, Failure> {
    let sql = "SELECT user_id, expires_at FROM sessions \
        WHERE token_hash = decode($1, 'hex') AND expires_at > now()";
    let mut connection = blog.database.connection().await?;
    let session = sqlx::query_as(sql).bind(hash).persistent(blog.database.named);
    Ok(session.fetch_optional(&mut *connection).await?)
}

pub(crate) async fn log_in(
    State(blog): State<Blog>,
    Body(login): Body<Login>,
) -> Result<impl IntoResponse, Failure> {
    if login.username.contains('\0') || login.username.len() > 200 || login.password.len() > 200 {
        return Err(Failure::WrongPassword);
    }
    let sql = "SELECT u.id, c.password_hash FROM users u JOIN credentials c ON c.user_id = u.id \
        WHERE u.username = $1 LIMIT 1";
    let found: Option<(i64, String)> = {
        let mut connection = blog.database.connection().await?;
        let row = sqlx::query_as(sql).bind(&login.username).persistent(blog.database.named);
        row.fetch_optional(&mut *connection).await?
    };
    let (user, hash) = found.map_or((None, NOBODY.to_owned()), |(user, hash)| (Some(user), hash));
    let turn = blog.parts.hashing.take().await?;
    // The turn ends with the work, not with a client that goes away.
    let checked = tokio::task::spawn_blocking(move || {
        let right = is_password(&login.password, &hash);
        drop(turn);
        right
    });
    let right = checked.await?;
    let user_id = user.filter(|_| right).ok_or(Failure::WrongPassword)?;
    let token = new_token()?;
    let session = Session { user_id, expires_at: OffsetDateTime::now_utc() + LIVES };
    // Each new one makes room by a few of those that have ended, so that they do not pile up.
    let sql = "WITH ended AS (DELETE FROM sessions WHERE token_hash IN (SELECT token_hash \
        FROM sessions WHERE expires_at < now() LIMIT 10 FOR UPDATE SKIP LOCKED)) \
        INSERT INTO sessions (token_hash, user_id, expires_at) VALUES ($1, $2, $3)";
    let mut connection = blog.database.connection().await?;
    let insert = sqlx::query(sql).bind(Sha256::digest(&token).to_vec()).bind(user_id);
    let insert = insert.bind(session.expires_at).persistent(blog.database.named);
    insert.execute(&mut *connection).await?;
    connection.done().await?;
    let cookie = cookie(&blog, &token, LIVES.whole_seconds());
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), Json(session)))
}

pub(crate) async fn show(session: Session) -> Json<Session> {
    Json(session)
}

pub(crate) async fn log_out(
    State(blog): State<Blog>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    let token = token(&headers).ok_or(Failure::NoSession)?;
    let (hash, ending) = (Sha256::digest(token).to_vec(), blog.clone());
    blog.to_its_end(async move { ending.end_session(hash).await }).await?;
    let cookie = cookie(&blog, "", 0);
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])))
}

impl Blog {
    async fn end_session(&self, hash: Vec<u8>) -> Result<(), Failure> {
        let sql = "DELETE FROM sessions WHERE token_hash = $1";
        let mut connection = self.database.connection().await?;
        let delete = sqlx::query(sql).bind(&hash).persistent(self.database.named);
        let ended = match delete.execute(&mut *connection).await {
            Ok(_) => connection.done().await,
            Err(e) => Err(e),
        };
        // Whatever came back: a connection may be lost after the commit.
        let _ = get_session_invalidate(self, hex(&hash)).await;
        ended?;
        Ok(())
    }
}

impl FromRequestParts<Blog> for Session {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, blog: &Blog) -> Result<Self, Failure> {
        let token = token(&parts.headers).ok_or(Failure::NoSession)?;
        let session = get_session(blog, hex(&Sha256::digest(token))).await?;
        let alive = session.filter(|session| session.expires_at > OffsetDateTime::now_utc());
        alive.ok_or(Failure::NoSession)
    }
}

fn is_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// 256 random bits of the system's.
fn new_token() -> Result<String, Failure> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|_| Failure::Password)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

/// The cookie's value, if it can be one of ours.
fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';'));
    let token = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    // Ours have 43 characters; an experiment may have prepared others.
    (32..=80).contains(&token.len()).then_some(token)
}

fn cookie(blog: &Blog, token: &str, seconds: i64) -> HeaderValue {
    let secure = if blog.settings.secure_cookies { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
    // A token is base64url, and the rest is ours.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_costs_a_whole_check() {
        assert!(PasswordHash::new(NOBODY).is_ok());
        assert!(!is_password("", NOBODY));
    }
}
