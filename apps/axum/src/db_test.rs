//! `GET /benchmark/db-test`: the endpoint that all applications of the matrix have in common.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::error::Failure;
use crate::extract::Asked;
use crate::state::Blog;
use crate::text::rfc3339;

const POST: &str = "SELECT p.id, p.title, p.content, p.category, p.created_at, \
    u.id, u.username, u.full_name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.id = $1";
const COMMENTS: &str = "SELECT id, user_id, content, created_at FROM comments \
    WHERE post_id = $1 ORDER BY id LIMIT 5";

type PostRow = (i64, String, String, String, OffsetDateTime, i64, String, String);
type CommentRow = (i64, i64, String, OffsetDateTime);

#[derive(Serialize)]
struct Author {
    id: i64,
    username: String,
    full_name: String,
}

#[derive(Serialize)]
struct Post {
    id: i64,
    title: String,
    content: String,
    category: String,
    #[serde(serialize_with = "rfc3339")]
    created_at: OffsetDateTime,
    author: Author,
}

#[derive(Serialize)]
struct Comment {
    id: i64,
    user_id: i64,
    content: String,
    #[serde(serialize_with = "rfc3339")]
    created_at: OffsetDateTime,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    post: Post,
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    id: Option<i64>,
}

pub(crate) async fn db_test(
    State(blog): State<Blog>,
    Asked(choice): Asked<Choice>,
) -> Result<Json<Answer>, Failure> {
    let id = choice.id.unwrap_or_else(|| fastrand::i64(1..=blog.settings.posts));
    // As the pool lends it by itself: what that costs is measured here.
    let mut connection = blog.database.tried_connection().await?;
    let answer = read(&mut connection, id, blog.database.named).await?;
    connection.done().await?;
    Ok(Json(answer))
}

async fn read(connection: &mut PgConnection, id: i64, named: bool) -> Result<Answer, Failure> {
    let post = sqlx::query_as::<_, PostRow>(POST).bind(id).persistent(named);
    let post = post.fetch_optional(&mut *connection).await?.ok_or(Failure::Absent("post", id))?;
    let (id, title, content, category, created_at, author, username, full_name) = post;
    let author = Author { id: author, username, full_name };
    let post = Post { id, title, content, category, created_at, author };
    let comments = sqlx::query_as::<_, CommentRow>(COMMENTS).bind(id).persistent(named);
    let comments = comments.fetch_all(connection).await?.into_iter();
    let comments = comments
        .map(|(id, user_id, content, created_at)| Comment { id, user_id, content, created_at })
        .collect();
    Ok(Answer { post, comments })
}
