//! Bottlenecks planted on purpose, each on a real stack, and what the verdict says of them.

mod command;
mod delays;
mod server;

pub use command::pinchpoint;
pub use delays::{Delays, Slow};
pub use server::{Server, ServerOptions, Session};
