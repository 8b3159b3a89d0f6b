use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

use http::Uri;

use crate::HttpError;

/// A server by scheme, name and port, with its address resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it is reached by TLS.
    pub tls: bool,
    /// Name or address, for the certificate.
    pub host: String,
    /// As the `Host` header has it: with the port, unless it is the scheme's own.
    pub authority: String,
    /// Where to connect to.
    pub address: SocketAddr,
}

impl Target {
    /// Splits a URL into the server and the path with its query, and looks the host up.
    pub fn parse(url: &str) -> Result<(Self, String), HttpError> {
        let bad = |reason: &str| HttpError::Url { url: url.to_owned(), reason: reason.to_owned() };
        let with_scheme =
            if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri =
            with_scheme.parse().map_err(|e: http::uri::InvalidUri| bad(&e.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("its scheme is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user in it is not supported; send an Authorization header"));
        }
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if bare.is_empty() {
            return Err(bad("it has no host"));
        }
        let usual = if tls { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        let address = (bare.as_str(), port)
            .to_socket_addrs()
            .map_err(|e| HttpError::Host { host: bare.clone(), reason: e.to_string() })?
            // A name with addresses of both kinds: the older kind is more often listened on.
            .min_by_key(SocketAddr::is_ipv6)
            .ok_or_else(|| HttpError::Host { host: bare.clone(), reason: "no address".into() })?;
        let shown = if port == usual {
            authority.host().to_owned()
        } else {
            format!("{}:{port}", authority.host())
        };
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok((Self { tls, host: bare, authority: shown, address }, path))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_a_path() {
        let (target, path) = Target::parse("http://127.0.0.1:8000/a/b?c=1").unwrap();
        assert_eq!(target.to_string(), "http://127.0.0.1:8000");
        assert_eq!((target.address.port(), path.as_str()), (8000, "/a/b?c=1"));
        let (target, path) = Target::parse("127.0.0.1").unwrap();
        assert_eq!((target.authority.as_str(), path.as_str()), ("127.0.0.1", "/"));
        let (target, _) = Target::parse("https://[::1]/").unwrap();
        assert_eq!((target.host.as_str(), target.address.port(), target.tls), ("::1", 443, true));
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_reason() {
        for url in ["", "ftp://x/", "http://", "http://u:p@127.0.0.1/", "http://a b/"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
