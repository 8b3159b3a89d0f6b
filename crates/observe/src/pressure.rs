use std::fs;

/// Microseconds for which some task waited since the machine started, for CPU, I/O and memory
/// (pressure stall information, kernel 4.20; see the kernel's `psi.rst`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) cpu: Option<u64>,
    pub(crate) io: Option<u64>,
    pub(crate) memory: Option<u64>,
}

impl Pressure {
    /// Of the whole machine; nothing where the kernel does not tell.
    pub(crate) fn read() -> Self {
        let total =
            |what: &str| some_total(&fs::read_to_string(format!("/proc/pressure/{what}")).ok()?);
        Self { cpu: total("cpu"), io: total("io"), memory: total("memory") }
    }
}

/// The `total` of the line `some`; averages are over windows that are not ours.
fn some_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_total_of_some_is_read() {
        let text = "some avg10=1.53 avg60=0.87 avg300=0.20 total=123456\nfull avg10=0 total=9\n";
        assert_eq!(some_total(text), Some(123_456));
        for bad in ["", "full avg10=0.00 total=9\n", "some total=-1\n", "some avg10=0\n"] {
            assert_eq!(some_total(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(some |full |total=|[0-9]{1,22}| |\n|\\PC){0,30}") {
            let _ = some_total(&text);
        }
    }
}
