//! Whether the figures of an application under load can be true, and what limited it.

mod gates;
mod limit;
#[cfg(test)]
mod tests;

pub use gates::{CaseLoad, case_gates};
pub use limit::case_verdict;
