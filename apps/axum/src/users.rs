//! Users: read through the cache, changed by themselves.

use axum::Json;
use axum::extract::State;
use pinchpoint_cache::{cached, key};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::OffsetDateTime;

use crate::error::Failure;
use crate::extract::{Body, Id};
use crate::sessions::Session;
use crate::state::Blog;
use crate::text::moment;

#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    username: String,
    email: String,
    full_name: String,
    bio: String,
    #[serde(with = "moment")]
    created_at: OffsetDateTime,
}

/// A profile lives for five minutes.
#[cached(cache = blog.cache, key = "user:{id}", ttl = "300s", absent_ttl = "30s", stale = "30s",
    tags = ["user:{id}"])]
pub(crate) async fn get_user(blog: &Blog, id: i64) -> Result<Option<User>, Failure> {
    if let Some(service) = &blog.parts.users {
        return service.user(id).await;
    }
    user_row(blog, id).await
}

async fn user_row(blog: &Blog, id: i64) -> Result<Option<User>, Failure> {
    let sql = "SELECT id, username, email, full_name, bio, created_at FROM users WHERE id = $1";
    let mut connection = blog.database.connection().await?;
    let user = sqlx::query_as(sql).bind(id).persistent(blog.database.named);
    Ok(user.fetch_optional(&mut *connection).await?)
}

pub(crate) async fn show(State(blog): State<Blog>, Id(id): Id) -> Result<Json<User>, Failure> {
    get_user(&blog, id).await?.map(Json).ok_or(Failure::Absent("user", id))
}

/// What a user may change of a profile; what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    email: Option<String>,
    full_name: Option<String>,
    bio: Option<String>,
}

impl Change {
    fn check(&self) -> Result<(), Failure> {
        let invalid = |field: &'static str, reason: &str| {
            Err(Failure::Invalid { field: field.into(), reason: reason.into() })
        };
        if let Some(email) = &self.email {
            let parts = email.split_once('@').filter(|(name, host)| {
                !name.is_empty() && host.contains('.') && !host.contains('@')
            });
            if parts.is_none() || email.len() > 254 || email.contains(char::is_whitespace) {
                return invalid("email", "not an e-mail address");
            }
        }
        if let Some(name) = &self.full_name
            && (name.trim().is_empty() || name.chars().count() > 100)
        {
            return invalid("full_name", "1 to 100 characters");
        }
        if let Some(bio) = &self.bio
            && bio.chars().count() > 2000
        {
            return invalid("bio", "at most 2,000 characters");
        }
        // PostgreSQL's text has no NUL.
        let texts = [&self.email, &self.full_name, &self.bio];
        let names = ["email", "full_name", "bio"];
        for (text, field) in texts.into_iter().zip(names) {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return invalid(field, "has a NUL character");
            }
        }
        Ok(())
    }
}

pub(crate) async fn change(
    State(blog): State<Blog>,
    Id(id): Id,
    session: Session,
    Body(change): Body<Change>,
) -> Result<Json<User>, Failure> {
    if session.user_id != id {
        return Err(Failure::NotYours);
    }
    change.check()?;
    let changing = blog.clone();
    let user = blog.to_its_end(async move { changing.change(id, change).await }).await?;
    user.map(Json).ok_or(Failure::Absent("user", id))
}

impl Blog {
    async fn change(&self, id: i64, change: Change) -> Result<Option<User>, Failure> {
        let renamed = change.full_name.is_some();
        let sql = "UPDATE users SET email = coalesce($2, email), full_name = coalesce($3, full_name), \
            bio = coalesce($4, bio) WHERE id = $1 \
            RETURNING id, username, email, full_name, bio, created_at";
        let mut connection = self.database.connection().await?;
        let user = sqlx::query_as(sql)
            .bind(id)
            .bind(change.email)
            .bind(change.full_name)
            .bind(change.bio)
            .persistent(self.database.named)
            .fetch_optional(&mut *connection)
            .await;
        let done = connection.done().await;
        // Forgotten whatever came back: a connection may be lost after the commit. First where we
        // would ask again ourselves.
        let told = match &self.parts.users {
            Some(service) => service.forget(id).await,
            None => Ok(()),
        };
        let _ = get_user_invalidate(self, id).await;
        if renamed {
            // Posts show the name of their author.
            let _ = self.cache.invalidate_tag(key!("posts")).await;
        }
        told?;
        let user = user?;
        done?;
        Ok(user)
    }
}

/// `DELETE /cache/{user_id}`, for another service.
pub(crate) async fn forget(State(blog): State<Blog>, Id(id): Id) -> axum::http::StatusCode {
    let _ = get_user_invalidate(&blog, id).await;
    axum::http::StatusCode::NO_CONTENT
}
