use std::path::{Path, PathBuf};

use pinchpoint_lab::{MatrixOptions, run_matrix};
use pinchpoint_measure::ExitCode;
use pinchpoint_plan::{Matrix, MatrixOverrides};
use pinchpoint_stack::{Cancel, find_pgbouncer};

use crate::apps::APPS;
use crate::cli::{Arrivals, RunArgs};
use crate::commands::run::{conclude, helper, listen, show, sink, target, warm_up};
use crate::commands::{explain, ledger};
use crate::failure::Failure;

/// Runs a matrix of applications.
pub(crate) fn run(matrix: Matrix, args: &RunArgs) -> Result<ExitCode, Failure> {
    if args.rungs.is_some() {
        return Err(Failure::input("--rungs is for ladders; choose cases with --only"));
    }
    let matrix =
        matrix.with(&overrides(args)?).map_err(|error| Failure::input(error.to_string()))?;
    let cases = matrix.cases();
    explain::known(&args.explain, cases.iter().map(|case| case.name.as_str()))?;
    let pooler =
        find_pgbouncer(args.matrix.pgbouncer.as_deref()).map_err(|error| error.to_string());
    let options = MatrixOptions {
        directory: args.matrix.resume.clone().or_else(|| args.out.clone()),
        resume: args.matrix.resume.is_some(),
        server: target(args)?,
        helper: helper()?,
        pooler,
        built_in: APPS.to_vec(),
        base: base(&args.experiment),
        ledger: if args.no_ledger { None } else { ledger::own() },
        until_limit: args.matrix.until_limit,
        prove: args.prove,
    };
    let cancel = Cancel::new();
    listen(&cancel)?;
    pinchpoint_stack::raise_file_limit();
    let mut sink = sink(args.quiet);
    let finished = run_matrix(&matrix, &options, sink.as_mut(), &cancel)?;
    drop(sink);
    show(&finished, args)?;
    conclude(finished)
}

/// Where the experiment file is.
fn base(experiment: &str) -> PathBuf {
    Path::new(experiment).parent().map(Path::to_owned).unwrap_or_default()
}

fn overrides(args: &RunArgs) -> Result<MatrixOverrides, Failure> {
    Ok(MatrixOverrides {
        duration: args.duration,
        warmup: warm_up(args)?,
        trials: args.trials,
        target_per_s: args.target_tps,
        poisson: args.arrivals.map(|a| a == Arrivals::Poisson),
        seed: args.seed,
        only: args.matrix.only.clone(),
        urls: args.matrix.urls.clone(),
        profile: args.matrix.profile.clone(),
        quick: args.matrix.quick,
    })
}
