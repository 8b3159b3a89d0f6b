use std::io::Read;
use std::time::Duration;

use pinchpoint_measure::ExitCode;
use pinchpoint_stack::{Cancel, Postgres, PostgresOptions, Transport};

use crate::cli::PostgresArgs;
use crate::commands::run::{helper, installation};
use crate::failure::Failure;
use crate::{signals, terminal};

pub(crate) fn run(args: &PostgresArgs) -> Result<ExitCode, Failure> {
    let options = PostgresOptions {
        installation: installation(&args.search)?,
        settings: settings(&args.settings)?,
        environment: Vec::new(),
        cpus: cpus(args.cpus)?,
        memory_bytes: memory(args.memory.as_deref())?,
        port: args.port,
        base_dir: None,
    };
    let cancel = Cancel::new();
    signals::listen(cancel.clone(), |_| ())
        .map_err(|error| Failure::run(format!("failed to listen for signals: {error}")))?;
    let postgres = Postgres::start(&helper()?, &options, &cancel).map_err(|error| {
        let failure = Failure::run(error.to_string());
        if error.is_cancelled() {
            Failure { exit: ExitCode::Interrupted, ..failure }
        } else {
            failure
        }
    })?;
    terminal::print(&format!("{}\n", postgres.dsn(Transport::Tcp)))?;
    for limit in postgres.limits().iter().filter(|l| !l.in_force) {
        terminal::eprint(&format!(
            "limit not set: {} {} ({})\n",
            limit.name, limit.asked, limit.how
        ));
    }
    if args.until_eof {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            cancel.cancel();
        });
    }
    while !cancel.is_cancelled() {
        if let Err(gone) = postgres.alive() {
            return Err(Failure::run(gone.to_string()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    postgres.stop();
    Ok(ExitCode::Ok)
}

pub(crate) fn settings(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Failure::input(format!("--set {text}: expected NAME=VALUE"))),
        })
        .collect()
}

/// The bounds are those of an experiment file.
pub(crate) fn cpus(given: Option<f64>) -> Result<Option<f64>, Failure> {
    match given {
        Some(cpus) if !(0.01..=4096.0).contains(&cpus) => {
            Err(Failure::input(format!("--cpus {cpus}: expected 0.01 to 4096")))
        }
        other => Ok(other),
    }
}

pub(crate) fn memory(text: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let bytes = pinchpoint_plan::parse_size(text)
        .map_err(|error| Failure::input(format!("--memory {text}: {error}")))?;
    if !(32 << 20..=64 << 40).contains(&bytes) {
        return Err(Failure::input(format!("--memory {text}: expected 32MB to 64TB")));
    }
    Ok(Some(bytes))
}
