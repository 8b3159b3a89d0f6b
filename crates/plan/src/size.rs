use crate::place::quote;

/// `PostgreSQL`'s units of memory, powers of 1024.
const UNITS: [(&str, u64); 5] =
    [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a size: write a whole number and `B`, `kB`, `MB`, `GB` or `TB`", quote(.0))]
pub struct SizeError(
    /// The text.
    pub String,
);

/// Reads a size of memory in bytes as `PostgreSQL` writes it, `512MB` or `1GB`: powers of 1024. The
/// unit's case does not matter.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    size(text.trim()).ok_or_else(|| SizeError(text.to_owned()))
}

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = text[digits..].trim();
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*bytes)
}

/// `512MB`: the largest unit that leaves a whole number.
pub(crate) fn show_size(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_postgres_writes_them() {
        for (text, bytes) in [
            ("512MB", 512 << 20),
            ("1GB", 1 << 30),
            ("64kB", 64 << 10),
            ("64 KB", 64 << 10),
            ("2tb", 2 << 40),
            ("1000B", 1000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "512", "MB", "-1MB", "1.5GB", "512MiB", "99999999999999TB", "1 2MB", "é"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(parse_size("lots").unwrap_err(), @"`lots` is not a size: write a whole number and `B`, `kB`, `MB`, `GB` or `TB`");
        assert_eq!(show_size(512 << 20), "512MB");
        assert_eq!(show_size(1536), "1536B");
        assert_eq!(show_size(0), "0B");
    }
}
