use std::fs;

use crate::kilobyte_line;

/// Memory of this process that is in RAM, in bytes.
pub fn resident_bytes() -> Option<u64> {
    kilobyte_line(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS")
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_test_takes_some_memory() {
        let bytes = super::resident_bytes().unwrap();
        assert!((100_000..10_000_000_000).contains(&bytes), "{bytes}");
    }
}
