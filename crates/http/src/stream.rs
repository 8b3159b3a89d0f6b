use std::io;
use std::sync::Arc;
use std::time::Instant;

use pinchpoint_load::Probe;
use pinchpoint_measure::{Cause, Phase};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Target;

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects; the probe gets the time of each part.
    pub(crate) async fn open(
        target: &Target,
        tls: Option<&Arc<ClientConfig>>,
        probe: &mut Probe,
        since: &mut Instant,
    ) -> Result<Self, Cause> {
        let tcp = TcpStream::connect(target.address).await.map_err(|e| cause(&e))?;
        let _ = tcp.set_nodelay(true);
        probe.lap(Phase::Tcp, since);
        let Some(config) = tls else { return Ok(Self::Tcp(tcp)) };
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Cause::Tls)?;
        let connector = TlsConnector::from(config.clone());
        let stream = connector.connect(name, tcp).await.map_err(|_| Cause::Tls)?;
        probe.lap(Phase::Tls, since);
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.write_all(bytes).await,
            Self::Tls(s) => {
                s.write_all(bytes).await?;
                s.flush().await
            }
        }
    }

    /// Reads into the room behind what the buffer holds.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.read_buf(buffer).await,
            Self::Tls(s) => s.read_buf(buffer).await,
        }
    }
}

/// What an error of the socket counts as.
pub(crate) fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Cause::Closed,
        io::ErrorKind::TimedOut => Cause::TimedOut,
        _ => Cause::Io,
    }
}
