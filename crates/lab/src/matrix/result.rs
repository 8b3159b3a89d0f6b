use pinchpoint_measure::{RunResult, Variant, VariantStatus};
use pinchpoint_plan::{Case, Matrix};

use crate::blank::{self, blank_plan};
use crate::matrix::facts;

/// A result with nothing measured yet.
pub(crate) fn blank(matrix: &Matrix, cases: &[Case]) -> RunResult {
    let plan = blank_plan(&matrix.load, matrix.source.clone());
    let mut result = blank::blank(&matrix.name, &matrix.description, plan);
    result.variants = cases.iter().map(|case| variant(matrix, case)).collect();
    result
}

/// A case that has not run.
pub(crate) fn variant(matrix: &Matrix, case: &Case) -> Variant {
    Variant {
        name: case.name.clone(),
        title: case.title.clone(),
        factors: facts::factors(case, &matrix.apps[case.app], None),
        status: VariantStatus::Pending,
        reason: None,
        trials: Vec::new(),
        summary: None,
        verdict: None,
        prediction: None,
        unpredicted: None,
    }
}
