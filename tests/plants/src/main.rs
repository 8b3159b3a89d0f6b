//! Plants every bottleneck of the table, and writes what the verdicts are worth.
//!
//! `plants --help` says how.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pinchpoint_plants::{
    Effort, PLANTS, Pair, Plant, Planted, Score, Scored, Strength, into_earlier, json, page,
    pinchpoint, run, score,
};

const USAGE: &str = "\
Usage: plants [--only NAME,…] [--middle] [--seconds N] [--trials N] [--into FILE] [--page FILE] [--json FILE] [--results DIR]

  --only NAME,…   these plants alone
  --middle        at the middle strength alone, and no decoys
  --seconds N     measured seconds of a trial [default: 4]
  --trials N      trials of each measurement [default: 2]
  --into FILE     put the rows into those of an earlier run, which --json wrote
  --page FILE     write the table as Markdown
  --json FILE     write it as JSON
  --results DIR   keep each measurement's result.json";

struct Options {
    only: Vec<String>,
    middle: bool,
    effort: Effort,
    /// The JSON of an earlier run, whose other plants are kept.
    into: Option<String>,
    page: Option<String>,
    json: Option<String>,
    /// Where each `result.json` is kept.
    results: Option<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "a program of its own, which people watch")]
fn main() -> ExitCode {
    match options().and_then(|options| all(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(usage) if usage == USAGE => {
            eprintln!("{usage}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("plants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        only: Vec::new(),
        middle: false,
        effort: Effort { seconds: 4.0, trials: 2 },
        into: None,
        page: None,
        json: None,
        results: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return Err(USAGE.to_owned());
        }
        if name == "--middle" {
            options.middle = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} wants a value"))?;
        let bad = || format!("{name} {value}: not a number");
        match name.as_str() {
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            "--seconds" => options.effort.seconds = value.parse().map_err(|_| bad())?,
            "--trials" => options.effort.trials = value.parse().map_err(|_| bad())?,
            "--into" => options.into = Some(value),
            "--page" => options.page = Some(value),
            "--json" => options.json = Some(value),
            "--results" => options.results = Some(value.into()),
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

#[expect(clippy::print_stderr, reason = "a program of its own, which people watch")]
fn all(options: &Options) -> Result<(), String> {
    let command = pinchpoint()?;
    let mut scored: Vec<Scored> = Vec::new();
    let (mut machine, mut strangers) = (String::new(), Vec::new());
    let mut failed = Vec::new();
    let wanted = |p: &&&Plant| options.only.is_empty() || options.only.iter().any(|o| o == p.name);
    for plant in PLANTS.iter().filter(wanted) {
        let middle = [Planted::At(Strength::Middle)];
        let what = if options.middle { &middle[..] } else { plant.all() };
        // One that cannot be planted must not take the others with it.
        let pairs = match run(plant, what, &command, options.effort) {
            Ok(pairs) => pairs,
            Err(error) => {
                eprintln!("{}: {error}", plant.name);
                failed.push(plant.name);
                continue;
            }
        };
        for pair in &pairs {
            machine = described(pair);
            strangers.extend(foreign_share(pair));
            let one = score(plant, pair);
            if let Some(directory) = &options.results {
                keep(directory, plant.name, pair)?;
            }
            eprintln!(
                "{:<24} {:<7} {:>10.1} → {:>10.1} /s  {} ({:.2}), then {}: {}",
                one.plant,
                one.strength,
                one.planted_per_s,
                one.removed_per_s,
                one.verdict,
                one.confidence,
                one.runner_up.as_deref().unwrap_or("–"),
                one.outcome.text(),
            );
            scored.push(one);
        }
    }
    if !strangers.is_empty() {
        let mean = strangers.iter().sum::<f64>() / strangers.len() as f64 * 100.0;
        machine.push_str(&format!(" Other processes took {mean:.0} % of its CPU meanwhile."));
    }
    if let Some(path) = &options.into {
        let earlier = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        (machine, scored) = into_earlier(&earlier, &scored).map_err(|e| format!("{path}: {e}"))?;
    }
    let sum = Score::of(&scored);
    let [decoys, not_mistaken] = sum.decoys;
    eprintln!(
        "{} of {} right, {not_mistaken} of {decoys} decoys not mistaken, {} forbidden",
        sum.right, sum.middle, sum.forbidden
    );
    let write = |path: &Option<String>, text: String| match path {
        Some(path) => {
            std::fs::write(path, text).map_err(|e| format!("failed to write {path}: {e}"))
        }
        None => Ok(()),
    };
    write(&options.page, page(&scored, &sum, &machine))?;
    write(&options.json, json(&scored, &sum, &machine)?)?;
    if !failed.is_empty() {
        return Err(format!("could not be planted: {}", failed.join(", ")));
    }
    let short = sum.shortfalls();
    if short.is_empty() { Ok(()) } else { Err(short.join("; ")) }
}

/// Keeps the results of a pair.
fn keep(directory: &Path, plant: &str, pair: &Pair) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|e| e.to_string())?;
    for (which, seen) in [("with", &pair.planted), ("without", &pair.removed)] {
        let path = directory.join(format!("{plant}-{}-{which}.json", pair.what.name()));
        let text = seen.result.to_json().map_err(|e| e.to_string())?;
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Share of the machine's CPU that others took beside a plant.
fn foreign_share(pair: &Pair) -> Option<f64> {
    let result = &pair.planted.result;
    let observation = result.variants.first()?.trials.first()?.observation.as_ref()?;
    let seconds = observation.host?.foreign_cpu_s?;
    Some(seconds / (observation.seconds * f64::from(result.environment.cpus.max(1))))
}

/// Where it ran, in a line.
fn described(pair: &Pair) -> String {
    let at = &pair.planted.result.environment;
    let server = at.software.first().map_or("", |s| s.version.as_str());
    let build = if cfg!(debug_assertions) { ", a debug build" } else { "" };
    format!(
        "Run on {} cores ({}), {}, PostgreSQL {server}, pinchpoint {}{build}.",
        at.cpus, at.cpu_model, at.kernel, pair.planted.result.pinchpoint_version
    )
}
