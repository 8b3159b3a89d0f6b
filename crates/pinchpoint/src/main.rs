//! The command: arguments, live view, tables, exit codes. The only crate that prints.

mod apps;
mod cli;
mod commands;
mod failure;
mod live;
mod signals;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use pinchpoint_measure::ExitCode as Exit;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Set-up of child processes, before anything else happens in them.
    if let Some(code) = commands::child::dispatch(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(failure) = cli::refused(&arguments, &error) {
                return fail(&failure);
            }
            let _ = error.print();
            let code = if error.use_stderr() { Exit::BadInput } else { Exit::Ok };
            return ExitCode::from(code.code());
        }
    };
    let outcome = match cli.command {
        Command::Run(args) => commands::run::run(&args),
        Command::Http(args) => commands::http::run(&args),
        Command::Sql(args) => commands::sql::run(&args),
        Command::Watch(args) => commands::watch::run(&args),
        Command::Pool(args) => commands::pool::run(&args),
        Command::List(args) => commands::list::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Ledger(args) => commands::ledger::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Postgres(args) => commands::postgres::run(&args),
        Command::Redis(args) => commands::redis::run(&args),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    terminal::eprint(&failure.text());
    ExitCode::from(failure.exit.code())
}
