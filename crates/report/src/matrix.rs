//! The report of a matrix: applications under load, with and without a pooler.

mod before_after;
mod document;
mod files;
#[cfg(test)]
mod fixture;
mod k6;
mod locust;
mod rows;
mod surroundings;
mod table;
#[cfg(test)]
mod tests;
mod thresholds;

pub(crate) use before_after::applies as has_before_and_after;
pub(crate) use files::files;
pub use k6::summary as k6_summary;
pub use locust::{history as locust_history, stats as locust_stats};
pub(crate) use rows::{Row, cases, good, rows};
pub(crate) use table::matrix_table;
