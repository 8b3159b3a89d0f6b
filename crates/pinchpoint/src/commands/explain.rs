use pinchpoint_measure::RunResult;

use crate::failure::Failure;
use crate::terminal;

/// Refuses a variant that there is not.
pub(crate) fn known<'a>(
    wanted: &[String],
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let names: Vec<&str> = names.collect();
    match wanted.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(Failure::input(format!("--explain {name}: there is no such variant"))
            .hint(format!("there are {}", names.join(", ")))),
        None => Ok(()),
    }
}

/// Shows the verdicts on these variants in full.
pub(crate) fn print(result: &RunResult, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let columns = terminal::width();
        let text = pinchpoint_report::explain(result, name, columns, terminal::style());
        terminal::print(&format!("\n{}", text.unwrap_or_default()))?;
    }
    Ok(())
}
