//! Drives HTTP/1.1: keep-alive virtual users on the load engine, with checks of the answers.
//!
//! A user is one task that owns its socket, its buffers and the state of its parser; a request is
//! bytes made once, with slots for what is drawn. Nothing is shared between threads on the way.

mod check;
mod decode;
mod driver;
mod error;
mod kind;
mod pointer;
mod spec;
mod stream;
mod tally;
mod target;
mod template;
mod tls;
mod user;

pub use check::Check;
pub use driver::HttpDriver;
pub use error::HttpError;
pub use kind::Kinds;
pub use spec::{HttpSpec, Parameter, RequestSpec};
pub use tally::{EndpointTally, Tally};
pub use target::Target;
pub use user::HttpUser;
