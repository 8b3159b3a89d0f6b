//! Runs a matrix: applications, ways to the database, numbers of users.

mod bench;
mod case;
mod evidence;
mod facts;
mod forecast;
mod lever;
mod limit;
mod look_ahead;
mod options;
mod pool;
mod processes;
mod prove;
mod readiness;
mod readings;
mod result;
mod run;
mod sounding;
mod timing;
mod watch;

pub(crate) use evidence::Evidence;
pub use options::{BuiltInApp, MatrixOptions};
pub use run::run_matrix;

#[cfg(test)]
mod tests {
    use pinchpoint_plan::{BuiltIn, Matrix, Plan, read_plan};

    /// A matrix that ships inside the binary.
    pub(super) fn built_in(name: &str) -> Matrix {
        match read_plan(name, BuiltIn::find(name).unwrap().text) {
            Ok(Plan::Matrix(matrix)) => *matrix,
            other => panic!("{name} is no matrix: {other:?}"),
        }
    }
}
