use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// Where a server is and how to get in. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    /// A host name or address, or the directory of a Unix socket when it begins with `/`.
    pub host: String,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// Whether and how to use TLS.
    pub ssl_mode: SslMode,
    /// Certificates of the authorities to trust, in PEM.
    pub ssl_root_cert: Option<PathBuf>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// The name that the server shows for our sessions.
    pub application_name: String,
    /// Settings for the session, in the manner of `-c name=value`.
    pub options: String,
}

/// What libpq's `sslmode` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS when the server offers it; its certificate is not checked.
    Prefer,
    /// TLS or nothing; the certificate is checked only when `sslrootcert` is given.
    Require,
    /// TLS; the certificate must come from a trusted authority.
    VerifyCa,
    /// TLS; the certificate must also be for this host.
    VerifyFull,
}

/// Why a DSN is not usable. The text never holds the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DsnError(String);

const KEYS: [&str; 12] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslmode",
    "sslrootcert",
    "user",
];

impl Dsn {
    /// Reads a URL (`postgresql://user@host:port/database?sslmode=require`) or `key=value` pairs as
    /// libpq does. What is left out takes libpq's defaults; the password may also come from the
    /// environment, through [`Dsn::with_password`].
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        Self::from_keys(&pairs(text)?)
    }

    /// The same, with this database where none is named.
    pub fn parse_for(text: &str, database: &str) -> Result<Self, DsnError> {
        let mut pairs = pairs(text)?;
        pairs.entry("dbname".to_owned()).or_insert_with(|| database.to_owned());
        Self::from_keys(&pairs)
    }

    fn from_keys(pairs: &BTreeMap<String, String>) -> Result<Self, DsnError> {
        for key in pairs.keys() {
            if !KEYS.contains(&key.as_str()) {
                return Err(unknown_key(key));
            }
        }
        let get = |key: &str| pairs.get(key).filter(|v| !v.is_empty()).cloned();
        let host =
            get("hostaddr").or_else(|| get("host")).unwrap_or_else(|| "localhost".to_owned());
        if host.contains(',') {
            return Err(DsnError(
                "several hosts in one DSN are not supported; name one".to_owned(),
            ));
        }
        let port = match get("port") {
            None => 5432,
            Some(text) => text.parse().ok().filter(|p| *p != 0).ok_or_else(|| {
                DsnError(format!("port {text:?} is not a number from 1 to 65535"))
            })?,
        };
        let user = get("user").unwrap_or_else(|| "postgres".to_owned());
        let timeout = match get("connect_timeout") {
            None => 10,
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| {
                    DsnError(format!("connect_timeout {text:?} is not a number of seconds"))
                })?
                .max(1),
        };
        Ok(Self {
            database: get("dbname").unwrap_or_else(|| user.clone()),
            host,
            port,
            user,
            password: get("password"),
            ssl_mode: ssl_mode(get("sslmode").as_deref())?,
            ssl_root_cert: get("sslrootcert").map(PathBuf::from),
            connect_timeout: Duration::from_secs(timeout),
            application_name: get("application_name").unwrap_or_else(|| "pinchpoint".to_owned()),
            options: get("options").unwrap_or_default(),
        })
    }

    /// Whether it leads to a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The same with this password, unless it has one.
    #[must_use]
    pub fn with_password(mut self, password: Option<String>) -> Self {
        self.password = self.password.or(password);
        self
    }

    /// The same under another application name.
    #[must_use]
    pub fn named(mut self, application_name: &str) -> Self {
        application_name.clone_into(&mut self.application_name);
        self
    }

    /// The same with one more setting for the session.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        if !self.options.is_empty() {
            self.options.push(' ');
        }
        let _ = write!(self.options, "-c {name}={value}");
        self
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

fn ssl_mode(text: Option<&str>) -> Result<SslMode, DsnError> {
    Ok(match text {
        None | Some("prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some("allow") => {
            return Err(DsnError(
                "sslmode=allow is not supported; use prefer or disable".to_owned(),
            ));
        }
        Some(other) => {
            return Err(DsnError(format!(
                "sslmode {other:?} is not one of disable, prefer, require, verify-ca, verify-full"
            )));
        }
    })
}

fn unknown_key(key: &str) -> DsnError {
    let shared = |known: &&&str| known.chars().zip(key.chars()).take_while(|(a, b)| a == b).count();
    let nearest = KEYS.iter().max_by_key(shared).filter(|k| shared(k) >= 2);
    DsnError(match nearest {
        Some(nearest) => format!("unknown parameter {key:?}; did you mean {nearest}?"),
        None => format!("unknown parameter {key:?}; known are {}", KEYS.join(", ")),
    })
}

/// What a DSN says, of either form.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, DsnError> {
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    match rest {
        Some(rest) => from_url(rest),
        None if text.contains("://") => Err(DsnError("a DSN begins with postgresql://".to_owned())),
        None => from_pairs(text),
    }
}

/// What follows `postgresql://`.
fn from_url(rest: &str) -> Result<BTreeMap<String, String>, DsnError> {
    let mut pairs = BTreeMap::new();
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before.split_once('/').unwrap_or((before, ""));
    let (login, address) = match authority.rsplit_once('@') {
        Some((login, address)) => (login, address),
        None => ("", authority),
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(v6) => {
            let (host, after) =
                v6.split_once(']').ok_or_else(|| DsnError("a [ without its ]".to_owned()))?;
            (host, after.strip_prefix(':').unwrap_or(""))
        }
        None => address.rsplit_once(':').unwrap_or((address, "")),
    };
    let mut put = |key: &str, value: &str| -> Result<(), DsnError> {
        if !value.is_empty() {
            pairs.insert(key.to_owned(), percent_decode(value)?);
        }
        Ok(())
    };
    put("user", user)?;
    put("password", password.unwrap_or(""))?;
    put("host", host)?;
    put("port", port)?;
    put("dbname", database)?;
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| DsnError(format!("parameter {pair:?} has no value")))?;
        put(&percent_decode(key)?, value)?;
    }
    Ok(pairs)
}

fn percent_decode(text: &str) -> Result<String, DsnError> {
    let bad = || DsnError("a % that two hexadecimal digits do not follow".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| (b as char).to_digit(16)).ok_or_else(bad);
            bytes.push((digit()? * 16 + digit()?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| DsnError("the decoded text is not UTF-8".to_owned()))?;
    if text.contains('\0') {
        return Err(DsnError("a zero byte in the DSN".to_owned()));
    }
    Ok(text)
}

/// `host=localhost password='it''s'`: values in single quotes may hold spaces; `\` escapes.
fn from_pairs(text: &str) -> Result<BTreeMap<String, String>, DsnError> {
    let mut pairs = BTreeMap::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(DsnError(
                "expected a URL (postgresql://…) or key=value pairs, and found a word without ="
                    .to_owned(),
            ));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\'') if quoted => break,
                Some('\\') => value.extend(chars.next()),
                Some('\0') => return Err(DsnError("a zero byte in the DSN".to_owned())),
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(DsnError(format!("the quote of {key} does not end"))),
                None => break,
            }
        }
        pairs.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_and_pairs_say_the_same() {
        let url = Dsn::parse(
            "postgresql://me:p%40ss@db.example:6432/shop?sslmode=verify-full&connect_timeout=3",
        );
        let pairs = Dsn::parse(
            "host=db.example port = 6432 user=me password='p@ss' dbname=shop sslmode=verify-full connect_timeout=3",
        );
        assert_eq!(url, pairs);
        let dsn = url.unwrap();
        assert_eq!(dsn.password.as_deref(), Some("p@ss"));
        assert_eq!(dsn.ssl_mode, SslMode::VerifyFull);
        assert_eq!(dsn.to_string(), "postgresql://me@db.example:6432/shop");
        assert!(!format!("{dsn:?}").contains("p@ss"));
    }

    #[test]
    fn sockets_addresses_and_defaults() {
        let dsn = Dsn::parse("postgresql://me@%2Fvar%2Frun:5433/x").unwrap();
        assert!(dsn.is_unix());
        assert_eq!((dsn.host.as_str(), dsn.port), ("/var/run", 5433));
        let dsn = Dsn::parse("postgresql://[::1]/").unwrap();
        assert_eq!((dsn.host.as_str(), dsn.port, dsn.database.as_str()), ("::1", 5432, "postgres"));
        assert_eq!(Dsn::parse("postgresql:///x?host=/tmp").unwrap().host, "/tmp");
        let console = |text| Dsn::parse_for(text, "pgbouncer").unwrap().database;
        assert_eq!(console("postgresql://me@h:6432"), "pgbouncer");
        assert_eq!(console("postgresql://me@h:6432/other"), "other");
        assert_eq!(console("host=h user=me"), "pgbouncer");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (dsn, part) in [
            ("mysql://x", "begins with postgresql://"),
            ("postgresql://h:99999/", "99999"),
            ("postgresql://h/?sslmod=require", "did you mean sslmode"),
            ("postgresql://h/?sslmode=maybe", "verify-full"),
            ("postgresql://a,b/", "several hosts"),
            ("postgresql://%zz/", "hexadecimal"),
            ("just words", "key=value"),
        ] {
            let error = Dsn::parse(dsn).unwrap_err().to_string();
            assert!(error.contains(part), "{dsn}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", url: bool) {
            let _ = Dsn::parse(&if url { format!("postgresql://{text}") } else { text });
        }
    }
}
