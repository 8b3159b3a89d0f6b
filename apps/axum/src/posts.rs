//! Posts and categories, through the cache.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pinchpoint_cache::cached;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use crate::error::Failure;
use crate::extract::{Asked, Id};
use crate::settings::PostList;
use crate::state::Blog;
use crate::text::moment;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Author {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) full_name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) content: String,
    pub(crate) category: String,
    #[serde(with = "moment")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) author: Author,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Page {
    posts: Vec<Post>,
    /// To be given as `cursor` for the next page; absent on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
pub(crate) struct Category {
    category: String,
    posts: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    category: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, FromRow)]
struct Joined {
    id: i64,
    title: String,
    content: String,
    category: String,
    created_at: OffsetDateTime,
    user_id: i64,
    username: String,
    full_name: String,
}

#[derive(Debug, FromRow)]
struct Bare {
    id: i64,
    title: String,
    content: String,
    category: String,
    created_at: OffsetDateTime,
    user_id: i64,
}

type AuthorRow = (i64, String, String);

const AUTHOR: &str = "SELECT id, username, full_name FROM users WHERE id = $1";
const AUTHORS: &str = "SELECT id, username, full_name FROM users WHERE id = ANY($1)";

/// Where a page begins: after the post of this time and id.
type After = Option<(OffsetDateTime, i64)>;

/// A page of the list lives for a minute.
#[cached(cache = blog.cache, key = "posts:{category.as_deref().unwrap_or_default()}:{cursor}:{limit}",
    ttl = "60s", stale = "30s", tags = ["posts"])]
async fn get_page(
    blog: &Blog,
    category: Option<String>,
    cursor: String,
    limit: i64,
) -> Result<Page, Failure> {
    let after = if cursor.is_empty() { None } else { Some(read_cursor(&cursor)?) };
    let mut connection = blog.database.connection().await?;
    let named = blog.database.named;
    let category = category.as_deref();
    let mut posts = match blog.settings.post_list {
        PostList::Join => joined(&mut connection, category, after, limit, named).await?,
        PostList::NPlusOne => {
            let bare = bare(&mut connection, category, after, limit, named).await?;
            let mut posts = Vec::with_capacity(bare.len());
            for post in bare {
                let author = sqlx::query_as::<_, AuthorRow>(AUTHOR).bind(post.user_id);
                let author = author.persistent(named).fetch_one(&mut *connection).await?;
                posts.push(post.by(author));
            }
            posts
        }
        PostList::DataLoader => {
            let bare = bare(&mut connection, category, after, limit, named).await?;
            let ids: Vec<i64> = bare.iter().map(|post| post.user_id).collect();
            let authors = sqlx::query_as::<_, AuthorRow>(AUTHORS).bind(ids).persistent(named);
            let authors = authors.fetch_all(&mut *connection).await?.into_iter();
            let authors: HashMap<i64, AuthorRow> =
                authors.map(|author| (author.0, author)).collect();
            bare.into_iter()
                .filter_map(|post| Some((authors.get(&post.user_id)?.clone(), post)))
                .map(|(author, post)| post.by(author))
                .collect()
        }
    };
    let more = posts.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        posts.pop();
    }
    let next_cursor = posts.last().filter(|_| more).map(write_cursor);
    Ok(Page { posts, next_cursor })
}

/// One row more than the page has tells whether there is another page.
macro_rules! page_sql {
    ($columns:literal, $from:literal) => {
        concat!(
            "SELECT p.id, p.title, p.content, p.category, p.created_at, p.user_id",
            $columns,
            " FROM posts p",
            $from,
            " WHERE ($1::text IS NULL OR p.category = $1) \
             AND ($2::timestamptz IS NULL OR (p.created_at, p.id) < ($2, $3)) \
             ORDER BY p.created_at DESC, p.id DESC LIMIT $4"
        )
    };
}
const PAGE: &str = page_sql!("", "");
const PAGE_JOINED: &str =
    page_sql!(", u.username, u.full_name", " JOIN users u ON u.id = p.user_id");

async fn joined(
    connection: &mut PgConnection,
    category: Option<&str>,
    after: After,
    limit: i64,
    named: bool,
) -> Result<Vec<Post>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Joined>(PAGE_JOINED);
    let rows = rows.bind(category).bind(after.map(|a| a.0)).bind(after.map(|a| a.1));
    let rows = rows.bind(limit + 1).persistent(named).fetch_all(connection).await?;
    Ok(rows.into_iter().map(Post::from).collect())
}

async fn bare(
    connection: &mut PgConnection,
    category: Option<&str>,
    after: After,
    limit: i64,
    named: bool,
) -> Result<Vec<Bare>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Bare>(PAGE);
    let rows = rows.bind(category).bind(after.map(|a| a.0)).bind(after.map(|a| a.1));
    rows.bind(limit + 1).persistent(named).fetch_all(connection).await
}

impl Bare {
    fn by(self, (id, username, full_name): AuthorRow) -> Post {
        let Self { id: post, title, content, category, created_at, .. } = self;
        Post {
            id: post,
            title,
            content,
            category,
            created_at,
            author: Author { id, username, full_name },
        }
    }
}

impl From<Joined> for Post {
    fn from(row: Joined) -> Self {
        let Joined { id, title, content, category, created_at, user_id, username, full_name } = row;
        let author = Author { id: user_id, username, full_name };
        Self { id, title, content, category, created_at, author }
    }
}

fn write_cursor(post: &Post) -> String {
    let time = post.created_at.unix_timestamp_nanos() / 1000;
    URL_SAFE_NO_PAD.encode(format!("{time}.{}", post.id))
}

fn read_cursor(cursor: &str) -> Result<(OffsetDateTime, i64), Failure> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (time, id) = text.split_once('.')?;
        let nanos = time.parse::<i64>().ok()?.checked_mul(1000)?;
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).ok()?;
        Some((time, id.parse().ok()?))
    };
    read().ok_or_else(|| Failure::BadRequest("cursor: not one of ours".to_owned()))
}

pub(crate) async fn list(
    State(blog): State<Blog>,
    Asked(choice): Asked<Choice>,
) -> Result<Json<Page>, Failure> {
    let limit = choice.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Failure::BadRequest("limit: 1 to 100".to_owned()));
    }
    let cursor = choice.cursor.unwrap_or_default();
    if !cursor.is_empty() {
        read_cursor(&cursor)?;
    }
    // What cannot be a category is not looked for, so that nobody fills the cache with it.
    let category = choice.category.filter(|category| !category.is_empty());
    if category.as_ref().is_some_and(|c| c.len() > 100 || c.contains('\0')) {
        return Err(Failure::BadRequest("category: there is none of that name".to_owned()));
    }
    get_page(&blog, category, cursor, limit).await.map(Json)
}

/// A post lives for a minute.
#[cached(cache = blog.cache, key = "post:{id}", ttl = "60s", stale = "30s", tags = ["posts"])]
pub(crate) async fn get_post(blog: &Blog, id: i64) -> Result<Option<Post>, Failure> {
    let sql = "SELECT p.id, p.title, p.content, p.category, p.created_at, p.user_id, u.username, \
        u.full_name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.id = $1";
    let mut connection = blog.database.connection().await?;
    let row = sqlx::query_as::<_, Joined>(sql).bind(id).persistent(blog.database.named);
    Ok(row.fetch_optional(&mut *connection).await?.map(Post::from))
}

pub(crate) async fn show(State(blog): State<Blog>, Id(id): Id) -> Result<Json<Post>, Failure> {
    get_post(&blog, id).await?.map(Json).ok_or(Failure::Absent("post", id))
}

/// Categories live for an hour.
#[cached(cache = blog.cache, key = "categories", ttl = "3600s", stale = "5m", tags = ["posts"])]
pub(crate) async fn get_categories(blog: &Blog) -> Result<Vec<Category>, Failure> {
    let sql = "SELECT category, count(*) AS posts FROM posts GROUP BY category ORDER BY category";
    let mut connection = blog.database.connection().await?;
    let rows = sqlx::query_as(sql).persistent(blog.database.named);
    Ok(rows.fetch_all(&mut *connection).await?)
}

pub(crate) async fn categories(State(blog): State<Blog>) -> Result<Json<Vec<Category>>, Failure> {
    get_categories(&blog).await.map(Json)
}
