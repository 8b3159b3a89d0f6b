//! End-to-end tests through the built command, and tests of the tree itself.

mod layers;
mod tidiness;
mod tree;
