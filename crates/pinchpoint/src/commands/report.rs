use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use pinchpoint_measure::{ExitCode, RunResult};
use pinchpoint_report::table;

use crate::cli::ReportArgs;
use crate::commands::explain;
use crate::failure::Failure;
use crate::terminal::{print, style, width};

pub(crate) fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let path = args.directory.join("result.json");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::input(format!("failed to read {}: {error}", path.display()))
            .hint("give a result directory, as `pinchpoint run` makes and names it")
    })?;
    let result = RunResult::from_json(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    if !args.explain.is_empty() {
        explain::known(&args.explain, result.variants.iter().map(|v| v.name.as_str()))?;
        explain::print(&result, &args.explain)?;
        return Ok(ExitCode::Ok);
    }
    let written = write(&result, &args.directory)?;
    let mut text = table(&result, width(), style());
    text.push_str("\nwritten\n");
    for file in written {
        text.push_str(&format!("  {}\n", args.directory.join(file).display()));
    }
    print(&text)?;
    Ok(ExitCode::Ok)
}

/// Writes everything that derives from a result into its directory; returns the files' names.
pub(crate) fn write(result: &RunResult, directory: &Path) -> Result<Vec<String>, Failure> {
    let files = pinchpoint_report::render(result)
        .map_err(|error| Failure::run(format!("failed to make the report: {error}")))?;
    let mut written = Vec::with_capacity(files.len());
    for file in files {
        let path = directory.join(&file.path);
        put(&path, &file.bytes).map_err(|error| {
            Failure::run(format!("failed to write {}: {error}", path.display()))
        })?;
        written.push(file.path);
    }
    Ok(written)
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
