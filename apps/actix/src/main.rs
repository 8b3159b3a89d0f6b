//! The blog service on actix-web: tokio-postgres and deadpool.

use std::error::Error;
use std::iter::successors;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Query};
use actix_web::{App, HttpResponse, HttpServer, ResponseError, get, rt};
use deadpool_postgres::{Client, Manager, Pool, PoolError, Runtime};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use tokio_postgres::types::Type;
use tokio_postgres::{Config, NoTls, Row};

const POST: &str = "SELECT p.id, p.title, p.content, p.category, p.created_at, \
    u.id, u.username, u.full_name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.id = $1";
const COMMENTS: &str = "SELECT id, user_id, content, created_at FROM comments \
    WHERE post_id = $1 ORDER BY id LIMIT 5";

struct Blog {
    pool: Pool,
    posts: i64,
    /// Statements are named and kept: wrong behind a pooler that does not track them.
    named: bool,
}

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
struct Answer {
    post: Post,
    comments: Vec<Comment>,
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Deserialize)]
struct Choice {
    id: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("there is no post {0}")]
    NoPost(i64),
    #[error("no connection to the database")]
    NoConnection(#[from] PoolError),
    #[error("the query failed")]
    Database(#[from] tokio_postgres::Error),
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoPost(_) => StatusCode::NOT_FOUND,
            Self::NoConnection(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(error) if lost(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        // These errors leave the reason to their sources.
        let causes = successors(Some(self as &dyn Error), |&error| error.source());
        let error = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        HttpResponse::build(self.status_code()).json(Problem { error })
    }
}

/// Connection lost, too many connections, a server that is going or coming.
fn lost(error: &tokio_postgres::Error) -> bool {
    let classes = ["08", "53", "57P"];
    error.is_closed()
        || error.code().is_some_and(|c| classes.iter().any(|class| c.code().starts_with(class)))
}

fn rfc3339<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let text = time.to_offset(UtcOffset::UTC).format(form).map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}

#[get("/healthz")]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[get("/benchmark/db-test")]
async fn db_test(blog: Data<Blog>, choice: Query<Choice>) -> Result<Json<Answer>, Failure> {
    let id = choice.id.unwrap_or_else(|| fastrand::i64(1..=blog.posts));
    let client = blog.pool.get().await?;
    let posts = blog.query(&client, POST, id).await?;
    let post = posts.first().ok_or(Failure::NoPost(id))?;
    let comments = blog.query(&client, COMMENTS, id).await?;
    let author =
        Author { id: post.try_get(5)?, username: post.try_get(6)?, full_name: post.try_get(7)? };
    let post = Post {
        id: post.try_get(0)?,
        title: post.try_get(1)?,
        content: post.try_get(2)?,
        category: post.try_get(3)?,
        created_at: post.try_get(4)?,
        author,
    };
    let comments = comments.iter().map(comment).collect::<Result<_, _>>()?;
    Ok(Json(Answer { post, comments }))
}

fn comment(row: &Row) -> Result<Comment, tokio_postgres::Error> {
    Ok(Comment {
        id: row.try_get(0)?,
        user_id: row.try_get(1)?,
        content: row.try_get(2)?,
        created_at: row.try_get(3)?,
    })
}

impl Blog {
    async fn query(
        &self,
        client: &Client,
        text: &str,
        id: i64,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.named {
            let statement = client.prepare_cached(text).await?;
            return client.query(&statement, &[&id]).await;
        }
        // Unnamed, and in one batch with its argument: a pooler cannot come between.
        client.query_typed(text, &[(&id, Type::INT8)]).await
    }
}

fn setting<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} cannot be {text:?}"))
}

fn is_on(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let url: Option<String> = setting("DATABASE_URL")?;
    let server: Config = url.ok_or("DATABASE_URL is not set")?.parse()?;
    let mut pool = Pool::builder(Manager::new(server, NoTls)).runtime(Runtime::Tokio1);
    if let Some(size) = setting("DB_POOL_SIZE")? {
        pool = pool.max_size(size);
    }
    pool = pool.wait_timeout(setting("DB_POOL_TIMEOUT")?.map(Duration::from_secs));
    let blog = Data::new(Blog {
        pool: pool.build()?,
        posts: setting("POSTS")?.unwrap_or(50_000),
        named: !is_on("DB_TRANSACTION_POOLING") || is_on("DB_PREPARED"),
    });
    let host = setting("HOST")?.unwrap_or_else(|| "127.0.0.1".to_owned());
    HttpServer::new(move || App::new().app_data(blog.clone()).service(healthz).service(db_test))
        .workers(setting("WORKERS")?.unwrap_or(1).max(1))
        .keep_alive(Duration::from_secs(75))
        .shutdown_timeout(1)
        .bind((host, setting("PORT")?.unwrap_or(8000)))?
        .run()
        .await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "whoever starts it is told why it did not")]
fn main() -> ExitCode {
    let Err(error) = rt::System::new().block_on(serve()) else { return ExitCode::SUCCESS };
    eprintln!("pinchpoint-app-actix: {error}");
    ExitCode::FAILURE
}
