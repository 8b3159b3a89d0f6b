use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use pinchpoint_lab::{Ledger, LedgerContent, records, track};
use pinchpoint_measure::{ExitCode, RunResult};

use crate::cli::LedgerArgs;
use crate::failure::Failure;
use crate::terminal::{eprint, print, style, width};

pub(crate) fn run(args: &LedgerArgs) -> Result<ExitCode, Failure> {
    let content = if args.places.is_empty() {
        let Some(ledger) = own() else {
            return Err(Failure::input(
                "there is no ledger: PINCHPOINT_LEDGER is off, or neither it nor HOME is set",
            )
            .hint("name a ledger's file or result directories"));
        };
        ledger.read().map_err(|error| Failure::run(error.to_string()))?
    } else {
        let mut all = LedgerContent::default();
        for place in &args.places {
            let content = read(place)?;
            all.records.extend(content.records);
            all.unreadable += content.unreadable;
        }
        all
    };
    if content.unreadable > 0 {
        eprint(&format!("warning: lines that are no records, left out: {}\n", content.unreadable));
    }
    let track = track(&content.records);
    if args.json {
        let text = serde_json::to_string_pretty(&track).map_err(|e| Failure::run(e.to_string()))?;
        print(&format!("{text}\n"))?;
    } else {
        print(&pinchpoint_report::track_table(&track, width(), style()))?;
    }
    Ok(ExitCode::Ok)
}

/// The predictions in a result directory, or those in a ledger's file.
fn read(place: &Path) -> Result<LedgerContent, Failure> {
    if place.is_file() {
        return Ledger::at(place).read().map_err(|error| Failure::input(error.to_string()));
    }
    let path = place.join("result.json");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::input(format!("failed to read {}: {error}", path.display()))
            .hint("give result directories, as `pinchpoint run` makes and names them")
    })?;
    let result = RunResult::from_json(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Ok(LedgerContent { records: records(&result), unreadable: 0 })
}

/// The user's ledger; `None` when they want none, or when there is no place for it.
pub(crate) fn own() -> Option<Ledger> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    place(set("PINCHPOINT_LEDGER"), set("XDG_DATA_HOME"), set("HOME")).map(Ledger::at)
}

/// `chosen` decides; else the XDG base directories do, in which a relative path counts as none.
fn place(
    chosen: Option<OsString>,
    data: Option<OsString>,
    home: Option<OsString>,
) -> Option<PathBuf> {
    if let Some(chosen) = chosen {
        return (chosen != "off").then(|| chosen.into());
    }
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|p| p.is_absolute());
    let data =
        data.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".local/share")))?;
    Some(data.join("pinchpoint/ledger.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_decides_then_the_base_directories() {
        let place = |chosen: &str, data: &str, home: &str| {
            let set = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
            place(set(chosen), set(data), set(home)).map(|p| p.display().to_string())
        };
        let some = |path: &str| Some(path.to_owned());
        assert_eq!(place("mine.jsonl", "/data", "/home/me"), some("mine.jsonl"));
        assert_eq!(place("off", "/data", "/home/me"), None);
        assert_eq!(place("", "/data", "/home/me"), some("/data/pinchpoint/ledger.jsonl"));
        let below_home = some("/home/me/.local/share/pinchpoint/ledger.jsonl");
        assert_eq!(place("", "data", "/home/me"), below_home, "XDG ignores relative paths");
        assert_eq!(place("", "", "/home/me"), below_home);
        assert_eq!(place("", "", ""), None);
    }
}
