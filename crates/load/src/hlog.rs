use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};

use crate::Histograms;

/// Writes intervals as a HdrHistogram log (format 1.3), one line a distribution, tagged by its
/// name; values are nanoseconds. `HistogramLogAnalyzer` and HdrHistogram's own tools read it.
pub struct HistogramLog<'a, W: Write> {
    log: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
}

/// Why a histogram log could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the histogram log: {0}")]
pub struct HistogramLogError(String);

impl HistogramLogError {
    fn new(error: impl std::fmt::Debug) -> Self {
        Self(format!("{error:?}"))
    }
}

impl<'a, W: Write> HistogramLog<'a, W> {
    /// Begins a log whose times count from `start`.
    pub fn begin(
        writer: &'a mut W,
        serializer: &'a mut V2DeflateSerializer,
        start: SystemTime,
    ) -> Result<Self, HistogramLogError> {
        let log = IntervalLogWriterBuilder::new()
            .add_comment("pinchpoint; values in nanoseconds")
            .with_start_time(start)
            .with_max_value_divisor(1_000_000.0)
            .begin_log_with(writer, serializer)
            .map_err(HistogramLogError::new)?;
        Ok(Self { log })
    }

    /// Adds an interval: `since` the log's start, `length` long. Empty distributions are left out.
    pub fn interval(
        &mut self,
        since: Duration,
        length: Duration,
        histograms: &Histograms,
    ) -> Result<(), HistogramLogError> {
        for (name, histogram) in histograms.named() {
            if histogram.is_empty() {
                continue;
            }
            self.log
                .write_histogram(histogram, since, length, Tag::new(name))
                .map_err(HistogramLogError::new)?;
        }
        Ok(())
    }
}

/// The serializer that a log needs; one can serve many logs.
pub fn serializer() -> V2DeflateSerializer {
    V2DeflateSerializer::new()
}
