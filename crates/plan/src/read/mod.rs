//! Text to checked plan: one file for each section of the experiment file, which holds its keys,
//! reads them and checks what they say together.

pub(crate) mod bounds;
mod column;
mod decimal;
mod experiment;
mod generator;
mod like;
mod load;
pub(crate) mod matrix;
mod postgres;
mod rung;
mod rung_checks;
mod settings;
mod table;

pub use experiment::{parse, read_plan};

use crate::key::Section;

/// Every section, in the order of the reference page.
pub(crate) static SECTIONS: [&Section; 14] = [
    &experiment::SECTION,
    &postgres::SECTION,
    &table::SECTION,
    &column::SECTION,
    &generator::UUID,
    &generator::INTEGER,
    &generator::DECIMAL,
    &generator::ONE_OF,
    &generator::TEXT,
    &generator::NOW,
    &load::SECTION,
    &load::STAGE,
    &rung::SECTION,
    &rung::POOL,
];
