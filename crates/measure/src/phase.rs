use serde::{Deserialize, Serialize};

/// A slice of one operation's time. The phases of an operation add up to its response time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// From the intended start to the actual one: waiting for a free virtual user (open load only).
    Schedule,
    /// Waiting for a pooled connection.
    Checkout,
    /// Opening a connection: name, TCP or Unix socket.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// Start-up packet to `ReadyForQuery`: authentication and the server's fork of a backend.
    Auth,
    /// Generating rows and encoding them, on the client.
    Encode,
    /// Writing the bytes to the socket.
    Transfer,
    /// From the last byte written to `CommandComplete`.
    Execute,
    /// From `CommandComplete` to `ReadyForQuery`: the commit, and with it the flush of the WAL.
    Commit,
    /// Last byte of a request written to the first byte of its answer.
    FirstByte,
    /// First byte of an answer to its last.
    Receive,
    /// Closing the connection.
    Disconnect,
    /// A pause that the script itself asks for.
    Sleep,
}

/// Every phase, in the order in which an operation goes through them.
pub const PHASES: [Phase; 13] = [
    Phase::Schedule,
    Phase::Checkout,
    Phase::Tcp,
    Phase::Tls,
    Phase::Auth,
    Phase::Encode,
    Phase::Transfer,
    Phase::Execute,
    Phase::Commit,
    Phase::FirstByte,
    Phase::Receive,
    Phase::Disconnect,
    Phase::Sleep,
];

impl Phase {
    /// The name used in `result.json`, CSV headers and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Checkout => "checkout",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Encode => "encode",
            Self::Transfer => "transfer",
            Self::Execute => "execute",
            Self::Commit => "commit",
            Self::FirstByte => "first_byte",
            Self::Receive => "receive",
            Self::Disconnect => "disconnect",
            Self::Sleep => "sleep",
        }
    }

    /// One line for reference pages.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Schedule => {
                "waiting for a free virtual user after the intended start (open load)"
            }
            Self::Checkout => "waiting for a pooled connection",
            Self::Tcp => "opening the socket",
            Self::Tls => "TLS handshake",
            Self::Auth => "start-up packet to ReadyForQuery: authentication, backend fork",
            Self::Encode => "generating and encoding rows on the client",
            Self::Transfer => "writing to the socket",
            Self::Execute => "last byte written to CommandComplete",
            Self::Commit => "CommandComplete to ReadyForQuery: commit and WAL flush",
            Self::FirstByte => "last byte of a request written to the first byte of its answer",
            Self::Receive => "first byte of an answer to its last",
            Self::Disconnect => "closing the connection",
            Self::Sleep => "a pause that the script asks for",
        }
    }

    /// Position in [`PHASES`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the phase belongs to setting up or tearing down a connection.
    pub const fn is_connection(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Auth | Self::Disconnect)
    }

    /// Whether the phase belongs to the statement itself, whatever it cost to get a connection.
    pub const fn is_statement(self) -> bool {
        matches!(
            self,
            Self::Encode
                | Self::Transfer
                | Self::Execute
                | Self::Commit
                | Self::FirstByte
                | Self::Receive
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_position_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for (i, phase) in PHASES.iter().enumerate() {
            assert_eq!(phase.index(), i);
            assert!(names.insert(phase.name()));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
    }
}
