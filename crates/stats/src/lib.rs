//! Statistics on slices: values in, numbers out.
//!
//! No clock, no input or output, no allocation beyond a sorted copy. Every function returns `None`
//! where there is no honest answer: no values, values that are not finite, too few for an interval.

mod batch;
mod interval;
mod median;
#[cfg(test)]
mod noise;
mod regression;
mod scaling;
mod steady;
mod student;
mod summary;

pub use batch::BatchMeans;
pub use interval::Interval;
pub use median::{MedianCi, median_ci};
pub use scaling::{FEWEST_LEVELS, ScalingFit, ScalingModel, ScalingPoint, fit_scaling};
pub use steady::Steadiness;
pub use student::student_t_975;
pub use summary::{mean, median, std_dev};
