use std::fmt;

/// Why nothing is said of a step before it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpredicted {
    /// A schedule sets the throughput.
    Schedule,
    /// What it would start from has no figures that count.
    NoFigures,
    /// One of the two writes nothing.
    NothingWritten,
    /// No level that it knows differs.
    NothingDiffers,
    /// A figure that the change depends on was not measured.
    NotMeasured,
    /// No process was seen whose CPU could run out.
    NoProcess,
    /// The server's CPU is not to be seen, and no limit can be put on what it could do.
    ServerUnseen,
    /// One client has it, and no fewer could try it.
    OneClient,
    /// No commit waited for its WAL.
    NothingFlushed,
    /// It was tried by as many users as it is to have: that would be no prediction.
    AllTried,
    /// So few operations were seen when it was tried.
    TooFew(u64),
    /// The range would say nothing.
    TooWide,
}

impl fmt::Display for Unpredicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schedule => "the load follows a schedule, which sets the throughput",
            Self::NoFigures => "what it would start from has no figures that count",
            Self::NothingWritten => "nothing is written before it or by it",
            Self::NothingDiffers => "no level differs whose effect is known",
            Self::NotMeasured => "a figure that the change depends on was not measured",
            Self::NoProcess => "no process of the stack was measured",
            Self::ServerUnseen => "the server's CPU cannot be seen from here",
            Self::OneClient => "it has one transaction at a time, and no fewer could try it",
            Self::NothingFlushed => "no commit waited for its WAL to be on disk",
            Self::AllTried => "it was tried by as many users as it is to have",
            Self::TooFew(seen) => {
                return write!(f, "it answered only {seen} times when it was tried");
            }
            Self::TooWide => "all that could be said is a range of more than a factor of ten",
        })
    }
}

impl std::error::Error for Unpredicted {}
