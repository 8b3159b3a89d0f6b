//! `/graphql`: posts with their authors and comments, each kind fetched at once for all that ask.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Object, Request, ServerError, SimpleObject,
};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::database::Database;
use crate::error::Failure;
use crate::extract::Body;
use crate::state::Blog;

pub(crate) type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

pub(crate) fn schema(database: &Database) -> Schema {
    async_graphql::Schema::build(Query, EmptyMutation, EmptySubscription)
        .data(DataLoader::new(Rows(database.clone()), tokio::spawn))
        .data(database.clone())
        .limit_depth(6)
        .limit_complexity(2000)
        .finish()
}

/// The errors of a query are in its answer, which is a 200; but where there was no room for it, it
/// is to be asked again.
pub(crate) async fn ask(State(blog): State<Blog>, Body(request): Body<Request>) -> Response {
    let answer = blog.parts.schema.execute(request).await;
    let mut failures = answer.errors.iter().filter_map(failure);
    if failures.any(|failure| failure.status() == StatusCode::SERVICE_UNAVAILABLE) {
        return Failure::Busy.into_response();
    }
    Json(answer).into_response()
}

/// Ours behind an error: of a query, or of a loader, which shares it with all who asked.
fn failure(error: &ServerError) -> Option<&Failure> {
    error.source::<Failure>().or_else(|| Some(error.source::<Arc<Failure>>()?.as_ref()))
}

/// The queries.
#[derive(Debug)]
pub(crate) struct Query;

#[derive(Debug, Clone, SimpleObject)]
struct Author {
    id: i64,
    username: String,
    full_name: String,
}

#[derive(Debug, Clone, SimpleObject)]
struct Comment {
    id: i64,
    user_id: i64,
    content: String,
}

struct Post {
    id: i64,
    user_id: i64,
    title: String,
    content: String,
    category: String,
    created_at: OffsetDateTime,
}

type PostRow = (i64, i64, String, String, String, OffsetDateTime);

impl From<PostRow> for Post {
    fn from((id, user_id, title, content, category, created_at): PostRow) -> Self {
        Self { id, user_id, title, content, category, created_at }
    }
}

#[Object]
impl Query {
    /// The newest posts, of one category or of all.
    #[graphql(
        complexity = "usize::try_from(first.unwrap_or(20)).unwrap_or(usize::MAX).saturating_mul(1 + child_complexity)"
    )]
    async fn posts(
        &self,
        context: &Context<'_>,
        category: Option<String>,
        first: Option<i64>,
    ) -> async_graphql::Result<Vec<Post>> {
        let first = first.unwrap_or(20);
        if !(1..=100).contains(&first) {
            return Err("first: 1 to 100".into());
        }
        let sql = "SELECT id, user_id, title, content, category, created_at FROM posts \
            WHERE ($1::text IS NULL OR category = $1) ORDER BY created_at DESC, id DESC LIMIT $2";
        let database = context.data::<Database>()?;
        let mut connection = database.connection().await?;
        let rows = sqlx::query_as::<_, PostRow>(sql).bind(category).bind(first);
        let rows = rows.persistent(database.named).fetch_all(&mut *connection).await;
        Ok(rows.map_err(Failure::from)?.into_iter().map(Post::from).collect())
    }

    /// A post by its id.
    async fn post(&self, context: &Context<'_>, id: i64) -> async_graphql::Result<Option<Post>> {
        let sql =
            "SELECT id, user_id, title, content, category, created_at FROM posts WHERE id = $1";
        let database = context.data::<Database>()?;
        let mut connection = database.connection().await?;
        let row = sqlx::query_as::<_, PostRow>(sql).bind(id).persistent(database.named);
        let row = row.fetch_optional(&mut *connection).await.map_err(Failure::from)?;
        Ok(row.map(Post::from))
    }
}

#[Object]
impl Post {
    async fn id(&self) -> i64 {
        self.id
    }

    async fn title(&self) -> &str {
        &self.title
    }

    async fn content(&self) -> &str {
        &self.content
    }

    async fn category(&self) -> &str {
        &self.category
    }

    #[expect(clippy::unused_async, reason = "a resolver is async")]
    async fn created_at(&self) -> async_graphql::Result<String> {
        Ok(self.created_at.format(&Rfc3339)?)
    }

    async fn author(&self, context: &Context<'_>) -> async_graphql::Result<Option<Author>> {
        let loader = context.data::<DataLoader<Rows>>()?;
        Ok(loader.load_one(AuthorOf(self.user_id)).await?)
    }

    /// Its first five comments.
    async fn comments(&self, context: &Context<'_>) -> async_graphql::Result<Vec<Comment>> {
        let loader = context.data::<DataLoader<Rows>>()?;
        Ok(loader.load_one(CommentsOf(self.id)).await?.unwrap_or_default())
    }
}

struct Rows(Database);

impl Rows {
    /// What a query with these ids gives.
    async fn of<R>(&self, sql: &'static str, ids: Vec<i64>) -> Result<Vec<R>, Arc<Failure>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let read = async {
            let mut connection = self.0.connection().await?;
            let rows = sqlx::query_as(sql).bind(ids).persistent(self.0.named);
            Ok(rows.fetch_all(&mut *connection).await?)
        };
        read.await.map_err(Arc::new)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AuthorOf(i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CommentsOf(i64);

impl Loader<AuthorOf> for Rows {
    type Value = Author;
    type Error = Arc<Failure>;

    async fn load(&self, users: &[AuthorOf]) -> Result<HashMap<AuthorOf, Author>, Self::Error> {
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let sql = "SELECT id, username, full_name FROM users WHERE id = ANY($1)";
        let rows = self.of::<(i64, String, String)>(sql, ids).await?;
        let author = |(id, username, full_name)| (AuthorOf(id), Author { id, username, full_name });
        Ok(rows.into_iter().map(author).collect())
    }
}

impl Loader<CommentsOf> for Rows {
    type Value = Vec<Comment>;
    type Error = Arc<Failure>;

    async fn load(
        &self,
        posts: &[CommentsOf],
    ) -> Result<HashMap<CommentsOf, Vec<Comment>>, Self::Error> {
        let ids: Vec<i64> = posts.iter().map(|post| post.0).collect();
        let sql = "SELECT p.id, c.id, c.user_id, c.content FROM unnest($1::bigint[]) AS p (id) \
            CROSS JOIN LATERAL (SELECT id, user_id, content FROM comments \
            WHERE post_id = p.id ORDER BY id LIMIT 5) AS c";
        let rows = self.of::<(i64, i64, i64, String)>(sql, ids).await?;
        let mut found: HashMap<CommentsOf, Vec<Comment>> = HashMap::new();
        for (post, id, user_id, content) in rows {
            found.entry(CommentsOf(post)).or_default().push(Comment { id, user_id, content });
        }
        Ok(found)
    }
}
