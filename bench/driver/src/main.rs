//! The benchmarks' own driver.
fn main() {}
