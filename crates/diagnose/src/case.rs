//! Whether the figures of an application under load can be true.

mod gates;
#[cfg(test)]
mod tests;

pub use gates::{CaseLoad, case_gates};
