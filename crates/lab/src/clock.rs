use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const FOR_NAMES: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// A point in time as results hold it: RFC 3339, UTC, microseconds.
pub(crate) fn timestamp(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(TIMESTAMP).unwrap_or_default()
}

/// Whole seconds since 1970.
pub(crate) fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A point in time as part of a directory's name.
pub(crate) fn name_of(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(FOR_NAMES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_utc_and_sort_as_text() {
        let at = UNIX_EPOCH + Duration::from_micros(1_770_194_459_661_721);
        assert_eq!(timestamp(at), "2026-02-04T08:40:59.661721Z");
        assert_eq!(name_of(at), "20260204T084059Z");
    }
}
