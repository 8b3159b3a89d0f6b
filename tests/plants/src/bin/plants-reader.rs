//! The application of the plant `slow-reader`: each request reads a large answer row by row, and
//! pauses every so many rows, as one does that works on rows while it holds its connection.

use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::StreamExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, Config, NoTls};

/// 10 MB. Of these the server's end of a loopback connection may keep 2.6 MB.
const ROWS: &str = "SELECT repeat('x', 2000) FROM generate_series(1, 5000)";
/// Far less than an answer: what is not read soon the server cannot be rid of.
const RECEIVE_BUFFER: u32 = 64 << 10;
const PAUSE: Duration = Duration::from_millis(1);

/// Whatever goes wrong; it may be carried to another thread.
type Failure = Box<dyn Error + Send + Sync>;

struct Reader {
    give_back: mpsc::Sender<Client>,
    idle: Mutex<mpsc::Receiver<Client>>,
    /// Rows read between two pauses; no pause when absent.
    pause_every: Option<usize>,
}

async fn read(State(reader): State<Arc<Reader>>) -> Result<String, (StatusCode, String)> {
    let bytes = reader.bytes().await;
    bytes.map(|n| n.to_string()).map_err(|e| (StatusCode::SERVICE_UNAVAILABLE, e.to_string()))
}

impl Reader {
    async fn bytes(&self) -> Result<usize, Failure> {
        let client = self.idle.lock().await.recv().await.ok_or("no connection is left")?;
        let bytes = self.read_all(&client).await;
        // One that is broken too: whoever gets it next is told, and does not wait for ever.
        self.give_back.send(client).await?;
        bytes
    }

    async fn read_all(&self, client: &Client) -> Result<usize, Failure> {
        let mut rows = Box::pin(client.query_raw(ROWS, Vec::<String>::new()).await?);
        let (mut read, mut bytes) = (0_usize, 0_usize);
        while let Some(row) = rows.next().await {
            bytes += row?.try_get::<_, &str>(0)?.len();
            read += 1;
            if self.pause_every.is_some_and(|every| read.is_multiple_of(every)) {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(bytes)
    }
}

async fn connect(server: &Config, address: &str) -> Result<Client, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let stream = socket.connect(address.parse()?).await?;
    let (client, connection) = server.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn setting<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} cannot be {text:?}"))
}

async fn serve() -> Result<Infallible, Failure> {
    let server: Config = setting("DATABASE_URL")?.ok_or("DATABASE_URL is not set")?;
    let port = server.get_ports().first().ok_or("DATABASE_URL has no port")?;
    let address = format!("127.0.0.1:{port}");
    let size = setting("DB_POOL_SIZE")?.unwrap_or(8);
    let (give_back, idle) = mpsc::channel(size);
    for _ in 0..size {
        give_back.send(connect(&server, &address).await?).await?;
    }
    let reader = Reader { give_back, idle: Mutex::new(idle), pause_every: setting("PAUSE_EVERY")? };
    let app = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/read", get(read))
        .with_state(Arc::new(reader));
    let listener = TcpListener::bind(("127.0.0.1", setting("PORT")?.unwrap_or(8000))).await?;
    axum::serve(listener, app).await?;
    Err("it stopped serving".into())
}

#[expect(clippy::print_stderr, reason = "whoever starts it is told why it did not")]
fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let Err(error) = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(serve()));
    eprintln!("plants-reader: {error}");
    ExitCode::FAILURE
}
