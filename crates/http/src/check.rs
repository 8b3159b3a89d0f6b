use std::fmt;

use crate::pointer::Pointer;

/// What an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// One of these statuses.
    Status(Vec<u16>),
    /// A JSON body with something at this pointer (RFC 6901).
    JsonExists(Pointer),
    /// A JSON body with this value at this pointer.
    JsonEquals(Pointer, serde_json::Value),
    /// A body of this many bytes, from and to.
    BodySize(u64, u64),
}

impl Check {
    /// Something must be at this pointer of a JSON body.
    pub fn json_exists(pointer: &str) -> Result<Self, String> {
        Pointer::parse(pointer).map(Self::JsonExists)
    }

    /// This JSON value must be at this pointer; a text that is no JSON stands for itself.
    pub fn json_equals(pointer: &str, value: &str) -> Result<Self, String> {
        let value = serde_json::from_str(value)
            .unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
        Ok(Self::JsonEquals(Pointer::parse(pointer)?, value))
    }

    /// Whether the body must be at hand as a whole.
    pub(crate) const fn reads_body(&self) -> bool {
        matches!(self, Self::JsonExists(_) | Self::JsonEquals(..))
    }

    /// Whether an answer passes. `body` is empty unless a check reads it; `length` counts it all.
    pub(crate) fn passes(&self, status: u16, body: &[u8], length: u64) -> bool {
        match self {
            Self::Status(allowed) => allowed.contains(&status),
            Self::JsonExists(pointer) => pointer.find(body, None),
            Self::JsonEquals(pointer, value) => pointer.find(body, Some(value)),
            Self::BodySize(least, most) => (*least..=*most).contains(&length),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(allowed) => {
                let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
                write!(f, "status is {}", allowed.join(" or "))
            }
            Self::JsonExists(pointer) => write!(f, "{pointer} exists"),
            Self::JsonEquals(pointer, value) => write!(f, "{pointer} is {value}"),
            Self::BodySize(least, u64::MAX) => write!(f, "body has at least {least} bytes"),
            Self::BodySize(least, most) => write!(f, "body has {least} to {most} bytes"),
        }
    }
}
