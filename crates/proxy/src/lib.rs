//! Stands between a client and its server, and slows the way down on purpose: a delay in each
//! direction, a cap on bytes a second. Bytes arrive unchanged and in order.
//!
//! A probe makes one demand larger and reads what throughput does; a test plants a slow network.
//! Both need a way that is slow by a known amount, on machines where the kernel's own means (netem)
//! are missing or need root.

mod flow;
mod line;
mod proxy;
mod shape;

pub use proxy::{Proxy, ProxyError, Upstream};
pub use shape::Shape;
