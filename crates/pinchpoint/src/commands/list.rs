use pinchpoint_measure::ExitCode;
use pinchpoint_plan::BUILT_IN;

use crate::cli::ListArgs;
use crate::failure::Failure;
use crate::terminal::print;

pub(crate) fn run(args: &ListArgs) -> Result<ExitCode, Failure> {
    match &args.show {
        Some(name) => match BUILT_IN.iter().find(|b| b.name == name) {
            Some(built_in) => print(built_in.text)?,
            None => return Err(unknown(name)),
        },
        None => {
            let mut text = String::new();
            for built_in in BUILT_IN {
                text.push_str(&format!("{:<12} {}\n", built_in.name, built_in.summary));
            }
            text.push_str("\nprint one with `pinchpoint list --show NAME`, run it with `pinchpoint run NAME`\n");
            print(&text)?;
        }
    }
    Ok(ExitCode::Ok)
}

/// The failure for a name that is not built in, with the nearest one that is.
pub(crate) fn unknown(name: &str) -> Failure {
    let names: Vec<_> = BUILT_IN.iter().map(|b| b.name).collect();
    let failure = Failure::input(format!("no experiment is called {name:?}"));
    let nearest = names
        .iter()
        .map(|n| (strsim::damerau_levenshtein(n, name), n))
        .filter(|(distance, n)| *distance <= n.len() / 2)
        .min();
    match nearest {
        Some((_, nearest)) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint(format!(
            "these ship inside: {}; a file of your own is given by its path",
            names.join(", ")
        )),
    }
}
