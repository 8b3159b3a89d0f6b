//! Times as text.

use serde::ser::Error as _;
use serde::{Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// `2024-01-02T03:04:05.678901Z`: always with microseconds.
pub(crate) fn rfc3339<S: Serializer>(
    time: &OffsetDateTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let text = time.to_offset(UtcOffset::UTC).format(form).map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}

/// The same for values that are also read back, from a cache or another service.
pub(crate) mod moment {
    pub(crate) use super::rfc3339 as serialize;
    use super::{OffsetDateTime, Rfc3339, de};

    pub(crate) fn deserialize<'de, D: de::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let text: String = de::Deserialize::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)
    }
}
