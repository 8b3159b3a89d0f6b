use std::fmt;
use std::str::FromStr;

/// A change to a load of scripts, made once it has been measured as given: what `pinchpoint sql
/// --next` takes. Its text is the name of the variant that has it: `clients=32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlLever {
    /// So many clients.
    Clients(u32),
    /// Whether a commit waits until its WAL is on disk: a setting of the load's own sessions.
    SynchronousCommit(bool),
    /// How statements are sent.
    Protocol(SqlProtocol),
    /// A pool of so many connections that all clients share.
    Pool(u32),
    /// A connection of its own for each client, instead of a new one for each transaction.
    Connected,
}

/// pgbench's query modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlProtocol {
    /// As text.
    Simple,
    /// Parsed each time, variables bound.
    Extended,
    /// Prepared once on each connection, variables bound.
    Prepared,
}

/// What `--next` takes.
const VALID: &str =
    "clients=N, synchronous_commit=off|on, protocol=prepared|extended|simple, pool=N, connect=off";
/// The most clients and connections: each is a socket.
const MOST: u32 = 20_000;

/// A text that is no lever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlLeverError {
    /// Of a name that is not known.
    #[error("{0:?} is no lever whose effect can be predicted; there are {list}", list = VALID)]
    Unknown(String),
    /// Of a known name, with another value than it takes.
    #[error("{name}: {value:?} is none of its values: it takes {takes}")]
    Value {
        /// The lever's name.
        name: &'static str,
        /// What was given.
        value: String,
        /// What can be given.
        takes: &'static str,
    },
}

impl SqlLever {
    /// What a prediction calls it, the values left out.
    pub const fn name(self) -> &'static str {
        match self {
            // As the ladder and the matrices call it: it is the same quantity.
            Self::Clients(_) => "concurrency",
            Self::SynchronousCommit(_) => "synchronous_commit",
            Self::Protocol(_) => "protocol",
            Self::Pool(_) => "pool",
            Self::Connected => "connect",
        }
    }
}

impl SqlProtocol {
    /// As `-M` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

impl fmt::Display for SqlLever {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(clients) => write!(f, "clients={clients}"),
            Self::SynchronousCommit(on) => {
                write!(f, "synchronous_commit={}", if *on { "on" } else { "off" })
            }
            Self::Protocol(protocol) => write!(f, "protocol={}", protocol.name()),
            Self::Pool(connections) => write!(f, "pool={connections}"),
            Self::Connected => f.write_str("connect=off"),
        }
    }
}

impl FromStr for SqlLever {
    type Err = SqlLeverError;

    fn from_str(text: &str) -> Result<Self, SqlLeverError> {
        let unknown = || SqlLeverError::Unknown(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(unknown)?;
        let (name, value) = (name.trim(), value.trim());
        let wrong =
            |name, takes| Err(SqlLeverError::Value { name, value: value.to_owned(), takes });
        let number = || value.parse::<u32>().ok().filter(|n| (1..=MOST).contains(n));
        match (name, value) {
            ("clients", _) => match number() {
                Some(clients) => Ok(Self::Clients(clients)),
                None => wrong("clients", "1 to 20000"),
            },
            ("pool", _) => match number() {
                Some(connections) => Ok(Self::Pool(connections)),
                None => wrong("pool", "1 to 20000"),
            },
            ("synchronous_commit", "off") => Ok(Self::SynchronousCommit(false)),
            ("synchronous_commit", "on") => Ok(Self::SynchronousCommit(true)),
            ("synchronous_commit", _) => wrong("synchronous_commit", "off or on"),
            ("protocol", "simple") => Ok(Self::Protocol(SqlProtocol::Simple)),
            ("protocol", "extended") => Ok(Self::Protocol(SqlProtocol::Extended)),
            ("protocol", "prepared") => Ok(Self::Protocol(SqlProtocol::Prepared)),
            ("protocol", _) => wrong("protocol", "prepared, extended or simple"),
            ("connect", "off") => Ok(Self::Connected),
            // What a new connection costs has not been seen by a load that keeps its own.
            ("connect", _) => wrong("connect", "off"),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lever_is_read_back_from_its_own_text() {
        for text in [
            "clients=32",
            "synchronous_commit=off",
            "synchronous_commit=on",
            "protocol=simple",
            "protocol=extended",
            "protocol=prepared",
            "pool=8",
            "connect=off",
        ] {
            assert_eq!(text.parse::<SqlLever>().unwrap().to_string(), text);
        }
        assert_eq!(" clients = 4 ".parse(), Ok(SqlLever::Clients(4)));
    }

    #[test]
    fn what_is_refused_names_what_is_valid() {
        let refused = |text: &str| text.parse::<SqlLever>().unwrap_err().to_string();
        for text in ["work_mem=64MB", "clients", "", "=", "CLIENTS=4"] {
            let error = refused(text);
            assert!(error.contains(&format!("{text:?}")) && error.contains(VALID), "{error}");
        }
        for text in ["clients=0", "clients=20001", "pool=-1", "pool=many", "connect=on"] {
            let (name, value) = text.split_once('=').unwrap();
            let error = refused(text);
            assert!(error.starts_with(name) && error.contains(&format!("{value:?}")), "{error}");
        }
        assert_eq!(
            refused("synchronous_commit=local"),
            "synchronous_commit: \"local\" is none of its values: it takes off or on"
        );
        assert!(refused("protocol=binary").ends_with("prepared, extended or simple"));
    }
}
