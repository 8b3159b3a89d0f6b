use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;

use crate::Shape;
use crate::flow::Flow;
use crate::line::Line;
use crate::shape::LiveShape;

/// Where the bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why a proxy could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No port on the loopback address.
    #[error("failed to listen on the loopback address: {0}")]
    Listen(#[source] io::Error),
    /// No thread, or no runtime on it.
    #[error("failed to start the proxy's thread: {0}")]
    Thread(#[source] io::Error),
}

/// A proxy on a loopback port. Dropping it closes its connections and frees the port.
///
/// It has a thread of its own, so that what it costs is not hidden in the load's threads and a busy
/// caller does not make it late.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shape: Arc<LiveShape>,
    round_trips: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Pause after an accept that failed: the files are used up, and some may be closed soon.
const PAUSE: Duration = Duration::from_millis(20);

impl Proxy {
    /// Listens on a free loopback port; connections are carried as `shape` says, which may change.
    pub fn start(upstream: Upstream, shape: Shape) -> Result<Self, ProxyError> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(ProxyError::Listen)?;
        listener.set_nonblocking(true).map_err(ProxyError::Listen)?;
        let address = listener.local_addr().map_err(ProxyError::Listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ProxyError::Thread)?;
        let live = Arc::new(LiveShape::default());
        live.set(shape);
        let (stop, stopped) = oneshot::channel();
        let round_trips = Arc::new(AtomicU64::new(0));
        let way = Arc::new(Way {
            upstream,
            shape: live.clone(),
            lines: Default::default(),
            round_trips: round_trips.clone(),
        });
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => (),
                        _ = accept(listener, way) => (),
                    }
                });
                // Dropping the runtime ends what it carries.
            })
            .map_err(ProxyError::Thread)?;
        Ok(Self { address, shape: live, round_trips, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes how the way is slowed down, for bytes that come in from now on.
    pub fn set(&self, shape: Shape) {
        self.shape.set(shape);
    }

    /// Round trips of all connections so far: how often a client that had sent something was
    /// answered. Opening a connection is one as well.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What all connections of a proxy share.
struct Way {
    upstream: Upstream,
    shape: Arc<LiveShape>,
    /// To the server, and back.
    lines: [Line; 2],
    round_trips: Arc<AtomicU64>,
}

async fn accept(listener: std::net::TcpListener, way: Arc<Way>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let way = way.clone();
                // A connection that fails is closed on both sides: that is all there is to say.
                tokio::spawn(async move { way.connect(client).await });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Way {
    async fn connect(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        // The handshake of TCP crosses the way as well: there and back.
        tokio::time::sleep(self.shape.delay() * 2).await;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let (from, to) = client.split();
        match &self.upstream {
            Upstream::Tcp(host, port) => {
                let mut server = TcpStream::connect((host.as_str(), *port)).await?;
                server.set_nodelay(true)?;
                let (back, on) = server.split();
                self.carry(from, to, back, on).await
            }
            Upstream::Unix(path) => {
                let mut server = UnixStream::connect(path).await?;
                let (back, on) = server.split();
                self.carry(from, to, back, on).await
            }
        }
    }

    async fn carry(
        &self,
        from: impl tokio::io::AsyncRead + Unpin,
        to: impl tokio::io::AsyncWrite + Unpin,
        back: impl tokio::io::AsyncRead + Unpin,
        on: impl tokio::io::AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let asked = AtomicBool::new(false);
        let there = Flow::new(&self.shape, &self.lines[0])
            .carry(from, on, || asked.store(true, Ordering::Relaxed));
        let home = Flow::new(&self.shape, &self.lines[1]).carry(back, to, || {
            if asked.swap(false, Ordering::Relaxed) {
                self.round_trips.fetch_add(1, Ordering::Relaxed);
            }
        });
        tokio::try_join!(there, home).map(|_| ())
    }
}
