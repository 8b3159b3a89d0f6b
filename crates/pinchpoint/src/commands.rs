pub(crate) mod child;
pub(crate) mod doctor;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod matrix;
pub(crate) mod postgres;
pub(crate) mod report;
pub(crate) mod run;
