//! What pgbench takes and `pinchpoint sql` does not: each is refused by its name, with the reason.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// pgbench's options, in its letters and words, and why they are not taken.
const REFUSED: &[(&[&str], &str)] = &[
    (&["--debug"], "the events of a run are in logs/events.jsonl of its --out directory"),
    (
        &["--verbose-errors"],
        "the summary has every different failure with its script, its line and its number",
    ),
    (&["--continue-on-error"], "leave it out: that is what is done"),
    (
        &["--exit-on-abort"],
        "a failed transaction is counted and its client goes on; `--threshold \
         'transactions_failed: rate==0'` ends a run in which one failed with exit code 99",
    ),
];

/// Why an argument of `pinchpoint sql` that nobody knows is not taken, if it is one of pgbench's.
pub(crate) fn refused(arguments: &[OsString], error: &clap::Error) -> Option<Failure> {
    if error.kind() != ErrorKind::UnknownArgument || arguments.get(1)?.to_str()? != "sql" {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    let (_, why) = REFUSED.iter().find(|(names, _)| names.contains(&given.as_str()))?;
    Some(Failure::input(format!("pinchpoint sql does not take pgbench's {given}: {why}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    fn refusal(arguments: &[&str]) -> Option<String> {
        let all: Vec<OsString> =
            ["pinchpoint", "sql"].iter().chain(arguments).map(Into::into).collect();
        let error = Cli::try_parse_from(&all).err()?;
        refused(&all, &error).map(|failure| failure.message)
    }

    /// Options of ours that are meant to be pgbench's.
    fn taken() -> BTreeSet<String> {
        let command = Cli::command();
        let sql = command.find_subcommand("sql").expect("sql");
        let mut names = BTreeSet::from(["-V", "--version"].map(str::to_owned));
        for argument in sql.get_arguments() {
            names.extend(argument.get_short().map(|letter| format!("-{letter}")));
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            names.extend(longs.iter().map(|long| format!("--{long}")));
        }
        names
    }

    #[test]
    fn no_option_is_both_taken_and_refused() {
        let taken = taken();
        for name in REFUSED.iter().flat_map(|(names, _)| *names) {
            assert!(!taken.contains(*name), "{name}");
            assert!(refusal(&[name]).expect("a refusal").contains(name), "{name}");
        }
        assert!(refusal(&["--debug=3"]).expect("a refusal").contains("events.jsonl"));
        assert_eq!(refusal(&["-h", "db", "-p5432", "-U", "me", "-d", "shop"]), None);
        assert_eq!(refusal(&["--no-such-thing"]), None);
    }

    /// Every option that the installed pgbench tells of is taken or refused by name.
    #[test]
    fn every_option_of_pgbench_has_an_answer() {
        let Ok(help) = Command::new("pgbench").arg("--help").output() else { return };
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let mut known = taken();
        known.extend(REFUSED.iter().flat_map(|(names, _)| *names).map(ToString::to_string));
        let lines: Vec<&str> = help.lines().filter(|l| l.trim_start().starts_with('-')).collect();
        assert!(lines.len() > 30, "{help}");
        for line in lines {
            for word in line.split_whitespace().take_while(|word| word.starts_with('-')) {
                let name = word.trim_end_matches(',').split(['=', '[']).next().expect("a name");
                assert!(known.contains(name), "{name}: {line}");
            }
        }
    }
}
