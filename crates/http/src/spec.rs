use std::time::Duration;

use crate::{Check, Target};

/// What HTTP users do.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSpec {
    /// The server.
    pub target: Target,
    /// The requests that users draw from; at least one.
    pub requests: Vec<RequestSpec>,
    /// An answer that takes longer than this, connecting included, is a failure.
    pub timeout: Duration,
    /// Whether users keep their connections.
    pub keep_alive: bool,
    /// Whether the server's certificate goes unchecked.
    pub insecure: bool,
}

/// One kind of request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestSpec {
    /// The name that its figures stand under.
    pub name: String,
    /// How often it is drawn, against the others; 0 counts as 1.
    pub weight: u32,
    /// `GET`, ….
    pub method: String,
    /// Path and query; `{name}` is a slot for a parameter.
    pub path: String,
    /// What is drawn for each request.
    pub parameters: Vec<Parameter>,
    /// Header fields beside `Host`, `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What an answer must be. Without a check of its status, it must be below 400.
    pub checks: Vec<Check>,
}

/// A whole number that is drawn for each request, into `{name}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The least.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// Exponent of a Zipf choice, in which the least is the most frequent; uniform when absent.
    pub zipf: Option<f64>,
}
