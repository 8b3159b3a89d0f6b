//! The blog service on axum: sqlx and its pool.

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const POST: &str = "SELECT p.id, p.title, p.content, p.category, p.created_at, \
    u.id, u.username, u.full_name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.id = $1";
const COMMENTS: &str = "SELECT id, user_id, content, created_at FROM comments \
    WHERE post_id = $1 ORDER BY id LIMIT 5";

type PostRow = (i64, String, String, String, OffsetDateTime, i64, String, String);
type CommentRow = (i64, i64, String, OffsetDateTime);

#[derive(Clone)]
struct Blog {
    pool: PgPool,
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
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoPost(_) => StatusCode::NOT_FOUND,
            Self::Database(error) if no_connection(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(Problem { error: self.to_string() })).into_response()
    }
}

fn no_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // Connection lost, login refused, too many connections, a server that is going or coming.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            ["08", "28", "53", "57P"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

fn rfc3339<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let text = time.to_offset(UtcOffset::UTC).format(form).map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}

async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn db_test(
    State(blog): State<Blog>,
    Query(choice): Query<Choice>,
) -> Result<Json<Answer>, Failure> {
    let id = choice.id.unwrap_or_else(|| fastrand::i64(1..=blog.posts));
    if blog.named {
        let mut connection = blog.pool.acquire().await?;
        return Ok(Json(read(&mut connection, id, true).await?));
    }
    // sqlx sends an unnamed statement and its arguments in two batches; only a transaction keeps
    // a pooler from handing the second one to another server connection.
    let mut transaction = blog.pool.begin().await?;
    let answer = read(&mut transaction, id, false).await?;
    transaction.commit().await?;
    Ok(Json(answer))
}

async fn read(connection: &mut PgConnection, id: i64, named: bool) -> Result<Answer, Failure> {
    let post = sqlx::query_as::<_, PostRow>(POST).bind(id).persistent(named);
    let post = post.fetch_optional(&mut *connection).await?.ok_or(Failure::NoPost(id))?;
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

fn setting<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} cannot be {text:?}"))
}

fn is_on(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

async fn serve() -> Result<(), Box<dyn Error + Send + Sync>> {
    let url: Option<String> = setting("DATABASE_URL")?;
    let mut server: PgConnectOptions = url.ok_or("DATABASE_URL is not set")?.parse()?;
    if is_on("DB_TRANSACTION_POOLING") {
        server = server.extra_float_digits(None); // else poolers must be told to let it pass
    }
    let mut pool = PgPoolOptions::new();
    if let Some(size) = setting("DB_POOL_SIZE")? {
        pool = pool.max_connections(size);
    }
    if let Some(seconds) = setting("DB_POOL_TIMEOUT")? {
        pool = pool.acquire_timeout(Duration::from_secs(seconds));
    }
    let blog = Blog {
        pool: pool.connect_lazy_with(server),
        posts: setting("POSTS")?.unwrap_or(50_000),
        named: !is_on("DB_TRANSACTION_POOLING") || is_on("DB_PREPARED"),
    };
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/benchmark/db-test", get(db_test))
        .with_state(blog);
    let host = setting("HOST")?.unwrap_or_else(|| "127.0.0.1".to_owned());
    let listener = TcpListener::bind((host, setting("PORT")?.unwrap_or(8000))).await?;
    let (mut asked, mut overdue) =
        (signal(SignalKind::terminate())?, signal(SignalKind::terminate())?);
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        asked.recv().await;
    });
    tokio::select! {
        ended = server => ended?,
        // Requests that wait for a connection may have long to wait.
        () = async {
            overdue.recv().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        } => {}
    }
    Ok(())
}

fn start() -> Result<(), Box<dyn Error + Send + Sync>> {
    let workers = setting("WORKERS")?.unwrap_or(1).max(1);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(serve())
}

#[expect(clippy::print_stderr, reason = "whoever starts it is told why it did not")]
fn main() -> ExitCode {
    let Err(error) = start() else { return ExitCode::SUCCESS };
    eprintln!("pinchpoint-app-axum: {error}");
    ExitCode::FAILURE
}
