use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Before a step is taken, a run states what it should give, and afterwards whether that came. Runs keep
this in a file of yours: $XDG_DATA_HOME/pinchpoint/ledger.jsonl, or below ~/.local/share, or where
PINCHPOINT_LEDGER says; PINCHPOINT_LEDGER=off keeps none. Later ranges are widened by what it teaches.

Examples:
  pinchpoint ledger                                    of all runs
  pinchpoint ledger results/ladder-20260204T084059Z    of these only
  pinchpoint ledger --json")]
pub(crate) struct LedgerArgs {
    /// Result directories, or files as the ledger is one [default: your ledger]
    #[arg(value_name = "DIR")]
    pub(crate) places: Vec<PathBuf>,

    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
