//! End-to-end tests through the built command, and tests of the tree itself.

mod allocations;
mod command;
mod driver;
mod external;
mod ladder;
mod layers;
mod processes;
mod server;
mod tidiness;
mod tree;
