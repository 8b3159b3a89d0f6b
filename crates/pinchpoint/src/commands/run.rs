use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pinchpoint_lab::{Finished, Options, Target};
use pinchpoint_measure::{ExitCode, RunResult, RunStatus, Sink, VariantStatus};
use pinchpoint_plan::{BUILT_IN, Overrides, Plan, WarmUpChoice};
use pinchpoint_stack::{Cancel, Helper, SearchInput, find_postgres};

use crate::cli::{Arrivals, RunArgs, SearchArgs};
use crate::commands::{explain, ledger, list, matrix, report};
use crate::failure::Failure;
use crate::live::{self, ProgressLines, Quiet};
use crate::{signals, terminal};

/// More than the largest experiment file that the reader accepts.
const LARGEST_READ: u64 = 4 << 20;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let experiment = match load(&args.experiment)? {
        Plan::Matrix(matrix) => return matrix::run(*matrix, args),
        Plan::Ladder(ladder) => ladder,
    };
    refuse_matrix_options(args)?;
    let experiment =
        experiment.with(&overrides(args)?).map_err(|error| Failure::input(error.to_string()))?;
    explain::known(&args.explain, experiment.rungs.iter().map(|r| r.name.as_str()))?;
    let ledger = if args.no_ledger { None } else { ledger::own() };
    let options =
        Options { directory: args.out.clone(), target: target(args)?, ledger, prove: args.prove };
    let cancel = Cancel::new();
    listen(&cancel)?;
    let mut sink = sink(args.quiet);
    let finished = pinchpoint_lab::run(&experiment, &options, sink.as_mut(), &cancel)?;
    drop(sink);
    show(&finished, args)?;
    conclude(finished)
}

/// Options that have no meaning for a ladder.
fn refuse_matrix_options(args: &RunArgs) -> Result<(), Failure> {
    let given = [
        ("--only", !args.matrix.only.is_empty()),
        ("--quick", args.matrix.quick),
        ("--resume", args.matrix.resume.is_some()),
        ("--until-limit", args.matrix.until_limit),
        ("--pgbouncer", args.matrix.pgbouncer.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::input(format!("{option} is for a matrix of applications, not a ladder"))
                .hint("choose rungs with --rungs"))
        }
        None => Ok(()),
    }
}

/// Makes Ctrl-C and SIGTERM ask for an orderly end.
pub(crate) fn listen(cancel: &Cancel) -> Result<(), Failure> {
    signals::listen(cancel.clone(), terminal::eprint)
        .map_err(|error| Failure::run(format!("failed to listen for signals: {error}")))
}

/// Where progress is shown.
pub(crate) fn sink(quiet: bool) -> Box<dyn Sink> {
    sink_with(quiet, None)
}

/// The same, with a line for each reporting interval.
pub(crate) fn sink_with(quiet: bool, progress: Option<ProgressLines>) -> Box<dyn Sink> {
    if quiet {
        Box::new(Quiet)
    } else if terminal::live() {
        Box::new(live::bars(progress))
    } else {
        Box::new(live::lines(progress))
    }
}

/// Reads an experiment: one that ships inside, or a file.
fn load(name: &str) -> Result<Plan, Failure> {
    let parsed = match BUILT_IN.iter().find(|b| b.name == name) {
        Some(built_in) => pinchpoint_plan::read_plan(&format!("{name}.toml"), built_in.text),
        None => {
            let path = Path::new(name);
            let is_file = path.extension().is_some() || name.contains('/') || path.exists();
            if !is_file {
                return Err(list::unknown(name));
            }
            let text = read(path)
                .map_err(|error| Failure::input(format!("failed to read {name}: {error}")))?;
            pinchpoint_plan::read_plan(name, &text)
        }
    };
    parsed.map_err(|problems| Failure::input(problems.to_string()))
}

/// Reads a file, and no more of it than shows that it is too large: some files have no end.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST_READ).read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) fn warm_up(args: &RunArgs) -> Result<Option<WarmUpChoice>, Failure> {
    let Some(text) = args.warmup.as_deref() else { return Ok(None) };
    text.parse().map(Some).map_err(|error| {
        Failure::input(format!("--warmup {text}: {error}")).hint("give `auto` or a time such as 5s")
    })
}

fn overrides(args: &RunArgs) -> Result<Overrides, Failure> {
    Ok(Overrides {
        duration: args.duration,
        warmup: warm_up(args)?,
        trials: args.trials,
        rungs: args.rungs.clone(),
        target_per_s: args.target_tps,
        poisson: args.arrivals.map(|a| a == Arrivals::Poisson),
        seed: args.seed,
    })
}

pub(crate) fn target(args: &RunArgs) -> Result<Target, Failure> {
    if let Some(dsn) = &args.dsn {
        // To libpq this is the local default server; here it is a script's unset variable.
        if dsn.trim().is_empty() {
            return Err(Failure::input("--dsn is empty").hint(
                "give postgresql://user@host:port/database, or leave it out for a private server",
            ));
        }
        pinchpoint_lab::check_dsn(dsn).map_err(Failure::input)?;
        return Ok(Target::External { dsn: dsn.clone() });
    }
    Ok(Target::Managed { installation: installation(&args.search)?, helper: helper()? })
}

/// The newest PostgreSQL on this machine, or the one that was named.
pub(crate) fn installation(search: &SearchArgs) -> Result<pinchpoint_stack::Installation, Failure> {
    let input = SearchInput { explicit: search.pg_bin.clone(), ..SearchInput::from_env() };
    find_postgres(&input).and_then(pinchpoint_stack::Search::newest).map_err(|error| {
        Failure::run(error.to_string()).hint("`pinchpoint doctor` shows all that was looked at")
    })
}

/// Our own executable, which prepares and guards child processes.
pub(crate) fn helper() -> Result<Helper, Failure> {
    let exe = std::env::current_exe()
        .map_err(|error| Failure::run(format!("failed to find our own executable: {error}")))?;
    Ok(Helper { exe })
}

pub(crate) fn show(finished: &Finished, args: &RunArgs) -> Result<(), Failure> {
    report::write(&finished.result, &finished.directory)?;
    if args.json {
        let text = finished.result.to_json().map_err(|e| Failure::run(e.to_string()))?;
        terminal::print(&text)?;
        return Ok(());
    }
    let table = pinchpoint_report::table(&finished.result, terminal::width(), terminal::style());
    terminal::print(&table)?;
    explain::print(&finished.result, &args.explain)?;
    let report = finished.directory.join("report.html");
    terminal::print(&format!(
        "\nresult  {}\nreport  {}\n",
        finished.directory.display(),
        report.display()
    ))?;
    Ok(())
}

/// The exit code that the result calls for.
pub(crate) fn conclude(finished: Finished) -> Result<ExitCode, Failure> {
    if let Some(error) = finished.error {
        return Err(error.into());
    }
    let failed: Vec<_> = finished
        .result
        .variants
        .iter()
        .filter(|v| v.status == VariantStatus::Failed)
        .map(|v| format!("rung {}: {}", v.name, v.reason.as_deref().unwrap_or("failed")))
        .collect();
    // A case that fails is a finding of its matrix; one in which nothing worked found nothing.
    let worked = finished.result.variants.iter().any(|v| v.status == VariantStatus::Ok);
    let found = finished.result.is_matrix() && worked;
    if !failed.is_empty() && !found {
        return Err(Failure::run(failed.join("\n       ")));
    }
    Ok(match finished.result.status {
        RunStatus::Interrupted => ExitCode::Interrupted,
        RunStatus::Failed | RunStatus::Running => ExitCode::RunFailed,
        RunStatus::Complete if missed(&finished.result) => ExitCode::ThresholdMissed,
        RunStatus::Complete => ExitCode::Ok,
    })
}

/// Whether a threshold was missed somewhere.
pub(crate) fn missed(result: &RunResult) -> bool {
    let mut thresholds = result.variants.iter().flat_map(|v| &v.trials).flat_map(|t| &t.thresholds);
    thresholds.any(|t| !t.passed)
}
