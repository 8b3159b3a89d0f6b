//! Bytes of the protocol, in and out; no input or output of its own.

mod answer;
mod frame;
mod inbox;

pub(crate) use answer::Answer;
pub(crate) use frame::{execute, flush, patch_length, sync};
pub(crate) use inbox::Inbox;
