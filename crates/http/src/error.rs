/// Why HTTP load cannot be driven: a whole sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL.
    #[error("the URL {url:?} is not usable: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host has no address.
    #[error("the host {host} was not found: {reason}")]
    Host {
        /// Its name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// A request.
    #[error("the request {name} is not usable: {reason}")]
    Request {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}
