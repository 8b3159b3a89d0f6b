use std::fmt;

/// How one operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The peer acknowledged it.
    Done {
        /// Rows (or requests) that the peer acknowledged.
        rows: u64,
    },
    /// It failed, for a cause that is counted.
    Failed {
        /// Why.
        cause: Cause,
        /// Rows that the operation carried, for an error rate in rows.
        rows: u64,
        /// Whether the peer may have carried it out all the same: the connection broke after the
        /// request went out and before the answer came.
        in_doubt: bool,
    },
}

/// Why an operation failed: small, copyable and countable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// `PostgreSQL` answered with an error; the five characters of its SQLSTATE.
    SqlState([u8; 5]),
    /// The peer refused the connection.
    Refused,
    /// The connection was reset or closed by the peer.
    Closed,
    /// No answer within the time-out.
    TimedOut,
    /// No pooled connection within the time-out.
    PoolTimedOut,
    /// The peer's answer was not the one that the request asks for (row count, message order).
    WrongAnswer,
    /// An HTTP answer with this status, which counts as a failure.
    Status(u16),
    /// An HTTP answer that a check found wrong.
    CheckFailed,
    /// TLS could not be set up.
    Tls,
    /// The server rejected the credentials, or asked for a method that is not supported.
    Authentication,
    /// Any other input/output error.
    Io,
    /// The script could not go on: an expression without a value, a transaction left open.
    Script,
}

impl Cause {
    /// A stable, short text: `57P01 admin_shutdown`, `connection refused`, ….
    pub fn text(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqlState(code) => {
                let code = std::str::from_utf8(code).unwrap_or("?????");
                match condition_name(code) {
                    Some(name) => write!(f, "{code} {name}"),
                    None => f.write_str(code),
                }
            }
            Self::Refused => f.write_str("connection refused"),
            Self::Closed => f.write_str("connection closed"),
            Self::TimedOut => f.write_str("timed out"),
            Self::PoolTimedOut => f.write_str("pool timed out"),
            Self::WrongAnswer => f.write_str("wrong answer"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::CheckFailed => f.write_str("check failed"),
            Self::Tls => f.write_str("tls failed"),
            Self::Authentication => f.write_str("authentication failed"),
            Self::Io => f.write_str("input/output error"),
            Self::Script => f.write_str("script failed"),
        }
    }
}

/// Condition names of the SQLSTATEs that a load generator meets (`PostgreSQL` manual, appendix A).
fn condition_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "08006" => "connection_failure",
        "22P02" => "invalid_text_representation",
        "23502" => "not_null_violation",
        "23503" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" => "check_violation",
        "25006" => "read_only_sql_transaction",
        "28000" => "invalid_authorization_specification",
        "28P01" => "invalid_password",
        "3D000" => "invalid_catalog_name",
        "40001" => "serialization_failure",
        "40P01" => "deadlock_detected",
        "42501" => "insufficient_privilege",
        "42601" => "syntax_error",
        "42P01" => "undefined_table",
        "53100" => "disk_full",
        "53200" => "out_of_memory",
        "53300" => "too_many_connections",
        "55P03" => "lock_not_available",
        "57014" => "query_canceled",
        "57P01" => "admin_shutdown",
        "57P02" => "crash_shutdown",
        "57P03" => "cannot_connect_now",
        "58030" => "io_error",
        "XX000" => "internal_error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlstate_reads_with_its_name() {
        assert_eq!(Cause::SqlState(*b"53300").text(), "53300 too_many_connections");
        assert_eq!(Cause::SqlState(*b"ZZ999").text(), "ZZ999");
        assert_eq!(Cause::SqlState([0xff; 5]).text(), "?????");
    }
}
