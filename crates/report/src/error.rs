/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The plot could not be drawn.
    #[error("the plot could not be drawn: {0}")]
    Draw(String),
    /// The plot could not be encoded.
    #[error("the plot could not be encoded as PNG: {0}")]
    Encode(#[from] png::EncodingError),
}
