//! End-to-end tests through the built command, and tests of the tree itself.

mod allocations;
mod blog;
mod cached;
mod cleanup;
mod command;
mod compose;
mod dataset;
mod driver;
mod external;
mod help;
mod http;
mod input;
mod ladder;
mod layers;
mod matrix;
mod pgbouncer;
mod predictions;
mod processes;
mod prometheus;
mod readme;
mod reference;
mod requests;
mod server;
mod service;
mod tidiness;
mod tree;
