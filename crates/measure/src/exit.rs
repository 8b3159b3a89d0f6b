/// What the command's exit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything ran.
    Ok,
    /// The run could not be carried out or did not hold: a server that does not start, a trial
    /// whose rows do not match what was acknowledged.
    RunFailed,
    /// The command line or the experiment file is wrong; nothing was started.
    BadInput,
    /// A fault of pinchpoint's own; please report it.
    Internal,
    /// The run was fine and a threshold was missed (the code is k6's).
    ThresholdMissed,
    /// Stopped by Ctrl-C or SIGTERM; what was measured until then is on disk.
    Interrupted,
}

impl ExitCode {
    /// Every code, for the reference page.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::RunFailed,
        Self::BadInput,
        Self::Internal,
        Self::ThresholdMissed,
        Self::Interrupted,
    ];

    /// The number given to the shell.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::RunFailed => 1,
            Self::BadInput => 2,
            Self::Internal => 70,
            Self::ThresholdMissed => 99,
            Self::Interrupted => 130,
        }
    }

    /// One line for `--help` and the reference page.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Ok => "everything ran",
            Self::RunFailed => "the run failed, or a trial's figures cannot be true",
            Self::BadInput => "bad command line or experiment file; nothing was started",
            Self::Internal => "a fault of pinchpoint's own; please report it",
            Self::ThresholdMissed => "the run was fine and a threshold was missed",
            Self::Interrupted => "stopped by Ctrl-C or SIGTERM; what was measured is on disk",
        }
    }
}
