use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pinchpoint_lab::{Finished, Options, Target};
use pinchpoint_measure::{ExitCode, RunStatus, Sink, VariantStatus};
use pinchpoint_plan::{BUILT_IN, Experiment, Overrides, WarmUpChoice};
use pinchpoint_report::{Style, climb_table};
use pinchpoint_stack::{Cancel, Helper, SearchInput, find_postgres};

use crate::cli::{Arrivals, RunArgs, SearchArgs};
use crate::commands::{list, report};
use crate::failure::Failure;
use crate::live::{self, Quiet};
use crate::{signals, terminal};

/// More than the largest experiment file that the reader accepts.
const LARGEST_READ: u64 = 4 << 20;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let experiment = load(&args.experiment)?
        .with(&overrides(args)?)
        .map_err(|error| Failure::input(error.to_string()))?;
    let options = Options { directory: args.out.clone(), target: target(args)? };
    let cancel = Cancel::new();
    signals::listen(cancel.clone(), terminal::eprint)
        .map_err(|error| Failure::run(format!("failed to listen for signals: {error}")))?;
    let mut sink: Box<dyn Sink> = if args.quiet {
        Box::new(Quiet)
    } else if terminal::live() {
        Box::new(live::bars())
    } else {
        Box::new(live::lines())
    };
    let finished = pinchpoint_lab::run(&experiment, &options, sink.as_mut(), &cancel)?;
    drop(sink);
    show(&finished, args.json)?;
    conclude(finished)
}

/// Reads an experiment: one that ships inside, or a file.
fn load(name: &str) -> Result<Experiment, Failure> {
    let parsed = match BUILT_IN.iter().find(|b| b.name == name) {
        Some(built_in) => pinchpoint_plan::parse(&format!("{name}.toml"), built_in.text),
        None => {
            let path = Path::new(name);
            let is_file = path.extension().is_some() || name.contains('/') || path.exists();
            if !is_file {
                return Err(list::unknown(name));
            }
            let text = read(path)
                .map_err(|error| Failure::input(format!("failed to read {name}: {error}")))?;
            pinchpoint_plan::parse(name, &text)
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

fn overrides(args: &RunArgs) -> Result<Overrides, Failure> {
    let warmup = match args.warmup.as_deref() {
        None => None,
        Some(text) => Some(text.parse::<WarmUpChoice>().map_err(|error| {
            Failure::input(format!("--warmup {text}: {error}"))
                .hint("give `auto` or a time such as 5s")
        })?),
    };
    Ok(Overrides {
        duration: args.duration,
        warmup,
        trials: args.trials,
        rungs: args.rungs.clone(),
        target_per_s: args.target_tps,
        poisson: args.arrivals.map(|a| a == Arrivals::Poisson),
        seed: args.seed,
    })
}

fn target(args: &RunArgs) -> Result<Target, Failure> {
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

fn show(finished: &Finished, json: bool) -> Result<(), Failure> {
    report::write(&finished.result, &finished.directory)?;
    if json {
        let text = finished.result.to_json().map_err(|e| Failure::run(e.to_string()))?;
        terminal::print(&text)?;
        return Ok(());
    }
    let style = if terminal::colour() { Style::Ansi } else { Style::Plain };
    terminal::print(&climb_table(&finished.result, terminal::width(), style))?;
    let report = finished.directory.join("report.html");
    terminal::print(&format!(
        "\nresult  {}\nreport  {}\n",
        finished.directory.display(),
        report.display()
    ))?;
    Ok(())
}

/// The exit code that the result calls for.
fn conclude(finished: Finished) -> Result<ExitCode, Failure> {
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
    if !failed.is_empty() {
        return Err(Failure::run(failed.join("\n       ")));
    }
    Ok(match finished.result.status {
        RunStatus::Interrupted => ExitCode::Interrupted,
        RunStatus::Failed | RunStatus::Running => ExitCode::RunFailed,
        RunStatus::Complete => ExitCode::Ok,
    })
}
