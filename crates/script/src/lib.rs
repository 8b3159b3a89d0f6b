//! pgbench scripts: text in, a checked program out, or an error that names the line and the word.
//!
//! What is understood is pgbench's language as of `PostgreSQL` 15 and newer: `\set` with its
//! expressions and random functions, `:variables`, conditions, `\gset`, pipelines, several weighted
//! scripts. The random numbers of a seed are pgbench's too. Not understood, and refused before
//! anything starts: `\shell`, `\setshell`, `debug()` and `COPY`.
//!
//! Values in, values out: nothing here opens a file, reads a clock or keeps state.

mod build;
mod built_in;
mod compile;
mod error;
mod expression;
mod function;
mod names;
mod parser;
mod program;
mod random;
mod scan;
mod statement;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub use built_in::{BUILT_IN, BuiltIn};
pub use compile::{Compiler, built_in_names};
pub use error::{EvalError, ScriptError};
pub use program::{Action, Client, Formula, Pause, Program, Protocol, Script, Step};
pub use random::Random;
pub use scan::split;
pub use statement::{Gather, Role, Statement};
pub use value::Value;
