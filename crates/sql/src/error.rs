use std::io;

use pinchpoint_measure::Cause;

/// Why the server did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What it is counted under.
    pub cause: Cause,
    /// What the server said, or what happened to the connection.
    pub message: String,
}

impl SqlError {
    /// Whether a table that was named is not there.
    pub fn is_undefined_table(&self) -> bool {
        self.cause == Cause::SqlState(*b"42P01")
    }

    /// Whether the server lets nobody in for now: it starts, recovers or shuts down.
    pub fn is_starting_up(&self) -> bool {
        self.cause == Cause::SqlState(*b"57P03")
    }

    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(Cause::WrongAnswer, message)
    }

    /// A fault of the script's.
    pub(crate) fn script(message: impl Into<String>) -> Self {
        Self::new(Cause::Script, message)
    }

    /// An error of the socket.
    pub(crate) fn io(error: &io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Cause::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected => Cause::Closed,
            io::ErrorKind::TimedOut => Cause::TimedOut,
            _ => Cause::Io,
        };
        Self::new(cause, error.to_string())
    }

    pub(crate) fn closed() -> Self {
        Self::new(Cause::Closed, "the server closed the connection")
    }
}
