use pinchpoint_lab::LabError;
use pinchpoint_measure::ExitCode;

/// Why the command ends without success: what failed, with which value, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: ExitCode,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl Failure {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: ExitCode::BadInput, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self { exit: ExitCode::RunFailed, message: message.into(), hints: Vec::new() }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The text for standard error.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.message.trim_end());
        for hint in &self.hints {
            text.push_str(&format!("hint: {hint}\n"));
        }
        if self.exit == ExitCode::Internal {
            text.push_str("hint: this is a fault of pinchpoint's own; please report it\n");
        }
        text
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        let exit = match &error {
            LabError::Interrupted => ExitCode::Interrupted,
            LabError::Stack(e) if e.is_cancelled() => ExitCode::Interrupted,
            _ => ExitCode::RunFailed,
        };
        Self { exit, message: error.to_string(), hints: Vec::new() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::run(format!("failed to write the output: {error}"))
    }
}
