use std::ffi::OsString;
use std::process::ExitCode;

use pinchpoint_measure::ExitCode as Exit;

use crate::terminal;

/// Hidden subcommands, in which a copy of ourselves sets up or guards a child process. They come
/// before the command line is parsed: nothing of it concerns them.
pub(crate) fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    let error = match arguments.get(1)?.to_str()? {
        "__exec" => pinchpoint_stack::run_exec(arguments[2..].to_vec()).to_string(),
        "__guard" => match pinchpoint_stack::run_guard(&arguments[2..]) {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(error) => error.to_string(),
        },
        _ => return None,
    };
    terminal::eprint(&format!("pinchpoint: {error}\n"));
    Some(ExitCode::from(Exit::Internal.code()))
}
