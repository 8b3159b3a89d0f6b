use std::io;
use std::time::Instant;

use pinchpoint_measure::Cause;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::connection::SetUp;
use crate::stream::Stream;
use crate::tls::TlsSetup;
use crate::wire::Answer;
use crate::{Connection, Dsn, SqlError, SslMode};

impl Connection {
    /// Opens a session; how long each part took is noted on it.
    pub async fn connect(dsn: &Dsn, tls: &TlsSetup) -> Result<Self, SqlError> {
        match tokio::time::timeout(dsn.connect_timeout, open(dsn, tls)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SqlError::new(
                Cause::TimedOut,
                format!("no connection to {dsn} within {} s", dsn.connect_timeout.as_secs()),
            )),
        }
    }
}

async fn open(dsn: &Dsn, tls: &TlsSetup) -> Result<Connection, SqlError> {
    let mut at = Instant::now();
    let mut lap = || {
        let now = Instant::now();
        std::mem::replace(&mut at, now).elapsed()
    };
    let socket = socket(dsn).await.map_err(|error| {
        let said = SqlError::io(&error);
        SqlError { message: format!("no connection to {dsn}: {}", said.message), ..said }
    })?;
    let mut set_up = SetUp { tcp: lap(), ..SetUp::default() };
    let stream = secure(socket, dsn, tls).await?;
    if matches!(stream, Stream::Tls(_)) {
        set_up.tls = lap();
    }
    let private = matches!(stream, Stream::Tls(_) | Stream::Unix(_));
    let mut connection = Connection::new(stream);
    log_in(&mut connection, dsn, private).await?;
    set_up.auth = lap();
    connection.set_up = Some(set_up);
    Ok(connection)
}

async fn socket(dsn: &Dsn) -> io::Result<Stream> {
    if dsn.is_unix() {
        let path = format!("{}/.s.PGSQL.{}", dsn.host.trim_end_matches('/'), dsn.port);
        return UnixStream::connect(path).await.map(Stream::Unix);
    }
    let tcp = TcpStream::connect((dsn.host.as_str(), dsn.port)).await?;
    tcp.set_nodelay(true)?;
    Ok(Stream::Tcp(tcp))
}

/// Asks for TLS where the mode wants it.
async fn secure(socket: Stream, dsn: &Dsn, tls: &TlsSetup) -> Result<Stream, SqlError> {
    let Stream::Tcp(mut tcp) = socket else { return Ok(socket) };
    if dsn.ssl_mode == SslMode::Disable {
        return Ok(Stream::Tcp(tcp));
    }
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    let mut answer = [0];
    tcp.write_all(&request).await.map_err(|e| SqlError::io(&e))?;
    tcp.read_exact(&mut answer).await.map_err(|e| SqlError::io(&e))?;
    match answer[0] {
        b'S' => tls.handshake(tcp, dsn).await.map(|stream| Stream::Tls(Box::new(stream))),
        b'N' if dsn.ssl_mode == SslMode::Prefer => Ok(Stream::Tcp(tcp)),
        b'N' => {
            Err(SqlError::new(Cause::Tls, "the server does not offer TLS, and sslmode asks for it"))
        }
        _ => Err(SqlError::wrong("the server's answer to the request for TLS is not PostgreSQL's")),
    }
}

async fn log_in(connection: &mut Connection, dsn: &Dsn, private: bool) -> Result<(), SqlError> {
    let mut parameters = vec![
        ("user", dsn.user.as_str()),
        ("database", dsn.database.as_str()),
        ("application_name", dsn.application_name.as_str()),
        ("client_encoding", "UTF8"),
    ];
    if !dsn.options.is_empty() {
        parameters.push(("options", dsn.options.as_str()));
    }
    frontend::startup_message(parameters, &mut connection.out).map_err(|e| encoding(&e))?;
    connection.send().await?;
    loop {
        let (tag, body) = connection.message().await?;
        match tag {
            b'R' => authenticate(connection, &body, dsn, private).await?,
            b'S' => {
                let mut parts = body.split(|b| *b == 0).map(String::from_utf8_lossy);
                if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    connection.set_parameter(name.into_owned(), value.into_owned());
                }
            }
            b'Z' => return Ok(()),
            b'K' => connection.set_backend(&body),
            b'N' => (),
            b'E' => return Err(refusal(&body)),
            _ => return Err(SqlError::wrong("an unexpected message while logging in")),
        }
    }
}

/// An error before the session stands.
fn refusal(body: &[u8]) -> SqlError {
    let mut answer = Answer::default();
    let _ = answer.take(b'E', body);
    answer.error.unwrap_or_else(|| SqlError::wrong("an error without a text"))
}

async fn authenticate(
    connection: &mut Connection,
    body: &[u8],
    dsn: &Dsn,
    private: bool,
) -> Result<(), SqlError> {
    let (kind, rest) = body
        .split_first_chunk::<4>()
        .ok_or_else(|| SqlError::wrong("a bad authentication request"))?;
    let password = || {
        dsn.password.as_deref().ok_or_else(|| {
            denied(format!(
                "the server wants a password for {dsn}; put it into the DSN or PGPASSWORD"
            ))
        })
    };
    match u32::from_be_bytes(*kind) {
        0 => Ok(()),
        3 if !private => Err(denied(
            "the server wants the password in clear text, and the connection is not encrypted",
        )),
        3 => send_password(connection, password()?).await,
        5 => {
            let salt = rest.try_into().map_err(|_| SqlError::wrong("a bad salt"))?;
            let hash = md5_hash(dsn.user.as_bytes(), password()?.as_bytes(), salt);
            send_password(connection, &hash).await
        }
        10 => scram(connection, rest, password()?).await,
        other => Err(denied(format!("authentication method {other} is not supported"))),
    }
}

async fn send_password(connection: &mut Connection, text: &str) -> Result<(), SqlError> {
    frontend::password_message(text.as_bytes(), &mut connection.out).map_err(|e| encoding(&e))?;
    connection.send().await
}

/// SCRAM-SHA-256 (RFC 7677), without channel binding.
async fn scram(
    connection: &mut Connection,
    mechanisms: &[u8],
    password: &str,
) -> Result<(), SqlError> {
    if !mechanisms.split(|b| *b == 0).any(|m| m == sasl::SCRAM_SHA_256.as_bytes()) {
        return Err(denied("the server offers no SASL mechanism that is supported"));
    }
    let mut exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let first = exchange.message();
    frontend::sasl_initial_response(sasl::SCRAM_SHA_256, first, &mut connection.out)
        .map_err(|e| encoding(&e))?;
    connection.send().await?;
    let challenge = sasl_message(connection, 11).await?;
    exchange.update(&challenge).map_err(|e| denied(e.to_string()))?;
    frontend::sasl_response(exchange.message(), &mut connection.out).map_err(|e| encoding(&e))?;
    connection.send().await?;
    let last = sasl_message(connection, 12).await?;
    exchange.finish(&last).map_err(|e| denied(e.to_string()))
}

async fn sasl_message(connection: &mut Connection, expected: u32) -> Result<Vec<u8>, SqlError> {
    let (tag, body) = connection.message().await?;
    match (tag, body.split_first_chunk::<4>()) {
        (b'R', Some((kind, rest))) if u32::from_be_bytes(*kind) == expected => Ok(rest.to_vec()),
        (b'E', _) => Err(refusal(&body)),
        _ => Err(SqlError::wrong("an unexpected message during SCRAM")),
    }
}

fn denied(text: impl Into<String>) -> SqlError {
    SqlError::new(Cause::Authentication, text)
}

fn encoding(error: &io::Error) -> SqlError {
    SqlError::wrong(format!("cannot be encoded: {error}"))
}
