//! Connections to a host: kept for the next request, and counted as long as their sockets are open.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::http::uri::Uri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::names::Names;
use super::{Trouble, set_up};

const IN_ALL: u32 = 100;
pub(super) const PER_HOST: u32 = 30;

/// Where to connect to, and how many sockets may be open.
#[derive(Clone)]
pub(super) struct Host {
    name: String,
    port: u16,
    /// There is one host.
    in_all: Arc<Semaphore>,
    room: Arc<Semaphore>,
    names: Names,
}

impl Host {
    pub(super) fn of(url: &Uri) -> Self {
        let room = |sockets: u32| Arc::new(Semaphore::new(sockets as usize));
        Self {
            name: url.host().unwrap_or_default().to_owned(),
            port: url.port_u16().unwrap_or(80),
            in_all: room(IN_ALL),
            room: room(PER_HOST),
            names: Names::default(),
        }
    }

    /// Connects when there is room: a socket that was given up may have to be closed first.
    async fn connect(&self) -> Result<Connection, Trouble> {
        let closed = |_| io::Error::other("no more connections are made");
        let places = (
            Arc::clone(&self.room).acquire_owned().await.map_err(closed)?,
            Arc::clone(&self.in_all).acquire_owned().await.map_err(closed)?,
        );
        let began = Instant::now();
        let addresses = self.names.look_up(&self.name, self.port).await?;
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        let socket = Socket { stream: TokioIo::new(stream), _places: places };
        let (connection, driver) = handshake(socket).await?;
        tokio::spawn(async move {
            let _ = driver.await; // whoever sends on it is told
        });
        set_up("connection", began);
        Ok(connection)
    }
}

type Connection = SendRequest<Empty<Bytes>>;

/// An HTTP client for one host. Each of its users holds one connection at a time: so there are never
/// more of them than users at once.
pub(super) struct Connections {
    host: Host,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(super) fn to(host: &Host) -> Self {
        Self { host: host.clone(), idle: Mutex::default() }
    }

    /// A request without a body, which may be sent twice, and its answer.
    pub(super) async fn exchange(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<(StatusCode, Bytes), Trouble> {
        // An idle one may be closed by the other side at any time.
        if let Some(idle) = self.idle()
            && let Ok(answer) = self.ask(idle, method, path).await
        {
            return Ok(answer);
        }
        self.ask(self.host.connect().await?, method, path).await
    }

    async fn ask(
        &self,
        mut connection: Connection,
        method: &Method,
        path: &str,
    ) -> Result<(StatusCode, Bytes), Trouble> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        let host = HeaderValue::from_str(&format!("{}:{}", self.host.name, self.host.port));
        request.headers_mut().insert(header::HOST, host.map_err(io::Error::other)?);
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        // To its end, whatever the status: only then can the connection be used again.
        let body = answer.into_body().collect().await?.to_bytes();
        if connection.ready().await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        Ok((status, body))
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(Connection::is_ready)
    }
}

/// A TCP connection and its places, which are free again when it is closed.
struct Socket {
    stream: TokioIo<TcpStream>,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Socket {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
