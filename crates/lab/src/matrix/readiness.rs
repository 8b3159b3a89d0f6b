use std::collections::BTreeMap;
use std::path::PathBuf;

use pinchpoint_plan::{AppPlan, Case, Via};
use pinchpoint_stack::{
    Cancel, StackError, ensure_venv, package_versions, pooler_is_at_least, unpack,
};

use crate::error::LabError;
use crate::matrix::MatrixOptions;

/// An application whose files and packages are in place, or why they are not.
#[derive(Debug, Clone)]
pub(crate) enum Readiness {
    Ready(Prepared),
    Missing(String),
}

/// Where an application's files and packages are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) venv: Option<PathBuf>,
    /// Its packages and their versions.
    pub(crate) versions: BTreeMap<String, String>,
}

/// Unpacks an application and makes its virtual environment. What concerns this application only is
/// in the answer; an error ends the run.
pub(crate) fn prepare(
    app: &AppPlan,
    options: &MatrixOptions,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&str),
) -> Result<Readiness, LabError> {
    match try_prepare(app, options, cancel, tell) {
        Ok(prepared) => Ok(Readiness::Ready(prepared)),
        Err(error) if error.is_cancelled() => Err(error.into()),
        Err(error) => Ok(Readiness::Missing(error.to_string())),
    }
}

fn try_prepare(
    app: &AppPlan,
    options: &MatrixOptions,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&str),
) -> Result<Prepared, StackError> {
    let directory = match &app.directory {
        None => None,
        Some(name) => match options.built_in.iter().find(|b| b.name == name) {
            Some(built_in) => Some(unpack(built_in.name, built_in.files)?),
            None => Some(options.base.join(name)),
        },
    };
    let venv = match (&app.requirements, &directory) {
        (Some(file), Some(directory)) => {
            Some(ensure_venv(&app.name, &directory.join(file), cancel, tell)?)
        }
        _ => None,
    };
    let versions = match &venv {
        Some(venv) => package_versions(venv).into_iter().collect(),
        None => BTreeMap::new(),
    };
    Ok(Prepared { directory, venv, versions })
}

/// Why a case cannot run here, if it cannot.
pub(crate) fn obstacle(
    case: &Case,
    readiness: &Readiness,
    options: &MatrixOptions,
) -> Option<String> {
    if let Readiness::Missing(reason) = readiness {
        return Some(reason.clone());
    }
    if case.via == Via::Direct {
        return None;
    }
    match &options.pooler {
        Err(reason) => Some(reason.clone()),
        Ok(pooler) if case.needs_prepared && !pooler_is_at_least(&pooler.version, 1, 21) => {
            Some(format!(
                "PgBouncer {} does not keep track of prepared statements; 1.21 and newer do",
                pooler.version
            ))
        }
        Ok(_) => None,
    }
}
