//! Bottlenecks planted on purpose, each on a real stack, and what the verdict says of them.
//!
//! What is planted is the truth only if removing it pays: at least a fifth more throughput. So each
//! plant is measured with and without, and counts only then. Each verdict also has neighbours that
//! it must not be confused with.

mod bench;
mod certificate;
mod command;
mod companion;
mod delays;
mod page;
mod plant;
mod score;
mod server;
mod standby;
mod swap;
mod table;

pub use bench::{Effort, Pair, Seen, run};
pub use command::pinchpoint;
pub use delays::{Delays, Slow};
pub use page::{into_earlier, json, page};
pub use plant::{Kind, Plant, Planted, Strength};
pub use score::{Outcome, Score, Scored, score};
pub use server::{Server, ServerOptions, Session};
pub use table::{NOT_REPRODUCED, PLANTS};
