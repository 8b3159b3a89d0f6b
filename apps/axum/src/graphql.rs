//! `/graphql`: posts with their authors and comments, each kind fetched at once for all that ask.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Object, Request, Response, SimpleObject,
};
use axum::Json;
use axum::extract::State;
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::extract::Body;
use crate::state::Blog;

pub(crate) type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

pub(crate) fn schema(pool: PgPool) -> Schema {
    async_graphql::Schema::build(Query, EmptyMutation, EmptySubscription)
        .data(DataLoader::new(Rows(pool.clone()), tokio::spawn))
        .data(pool)
        .limit_depth(6)
        .limit_complexity(2000)
        .finish()
}

pub(crate) async fn ask(State(blog): State<Blog>, Body(request): Body<Request>) -> Json<Response> {
    Json(blog.parts.schema.execute(request).await)
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
        let rows = sqlx::query_as::<_, PostRow>(sql).bind(category).bind(first);
        Ok(rows.fetch_all(context.data::<PgPool>()?).await?.into_iter().map(Post::from).collect())
    }

    /// A post by its id.
    async fn post(&self, context: &Context<'_>, id: i64) -> async_graphql::Result<Option<Post>> {
        let sql =
            "SELECT id, user_id, title, content, category, created_at FROM posts WHERE id = $1";
        let row = sqlx::query_as::<_, PostRow>(sql).bind(id);
        Ok(row.fetch_optional(context.data::<PgPool>()?).await?.map(Post::from))
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

struct Rows(PgPool);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AuthorOf(i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CommentsOf(i64);

impl Loader<AuthorOf> for Rows {
    type Value = Author;
    type Error = Arc<sqlx::Error>;

    async fn load(&self, users: &[AuthorOf]) -> Result<HashMap<AuthorOf, Author>, Self::Error> {
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let sql = "SELECT id, username, full_name FROM users WHERE id = ANY($1)";
        let rows = sqlx::query_as::<_, (i64, String, String)>(sql).bind(ids);
        let rows = rows.fetch_all(&self.0).await.map_err(Arc::new)?.into_iter();
        let author = |(id, username, full_name)| (AuthorOf(id), Author { id, username, full_name });
        Ok(rows.map(author).collect())
    }
}

impl Loader<CommentsOf> for Rows {
    type Value = Vec<Comment>;
    type Error = Arc<sqlx::Error>;

    async fn load(
        &self,
        posts: &[CommentsOf],
    ) -> Result<HashMap<CommentsOf, Vec<Comment>>, Self::Error> {
        let ids: Vec<i64> = posts.iter().map(|post| post.0).collect();
        let sql = "SELECT p.id, c.id, c.user_id, c.content FROM unnest($1::bigint[]) AS p (id) \
            CROSS JOIN LATERAL (SELECT id, user_id, content FROM comments \
            WHERE post_id = p.id ORDER BY id LIMIT 5) AS c";
        let rows = sqlx::query_as::<_, (i64, i64, i64, String)>(sql).bind(ids);
        let rows = rows.fetch_all(&self.0).await.map_err(Arc::new)?;
        let mut found: HashMap<CommentsOf, Vec<Comment>> = HashMap::new();
        for (post, id, user_id, content) in rows {
            found.entry(CommentsOf(post)).or_default().push(Comment { id, user_id, content });
        }
        Ok(found)
    }
}
