//! Rows, made and encoded: a value becomes its length and its binary form, and the same bytes
//! serve as a Bind parameter, a COPY field and an array's element.

mod maker;
mod numeric;

pub(crate) use maker::RowMaker;
