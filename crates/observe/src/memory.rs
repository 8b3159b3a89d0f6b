use std::fs;

use crate::kilobyte_line;

/// Memory of the machine that programs could not have without swapping, in per cent; psutil's
/// `virtual_memory().percent`.
pub fn memory_percent() -> Option<f64> {
    parse(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// 100 · (1 − `MemAvailable` ÷ `MemTotal`).
fn parse(text: &str) -> Option<f64> {
    let total = kilobyte_line(text, "MemTotal").filter(|bytes| *bytes > 0)?;
    // In a container the host's figure may exceed the container's total.
    let available = kilobyte_line(text, "MemAvailable")?.min(total);
    Some(100.0 * (1.0 - available as f64 / total as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_what_counts() {
        let text = "MemTotal:  1000 kB\nMemFree:   100 kB\nMemAvailable:   880 kB\n";
        assert!((parse(text).unwrap() - 12.0).abs() < 1e-9);
    }

    #[test]
    fn malformed_text_gives_nothing() {
        for text in [
            "",
            "MemTotal: 1000 kB\n",
            "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
            "MemTotal: many kB\nMemAvailable: 1 kB\n",
            "MemTotal: 1000\nMemAvailable: 1\n",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("MemTotal: 10 kB\nMemAvailable: 11 kB\n"), Some(0.0));
    }
}
