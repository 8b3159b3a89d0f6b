use std::fs;

/// Paging of the machine since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paging {
    /// Pages swapped in and out.
    pub(crate) swapped: u64,
    /// Page faults that read from disk.
    pub(crate) major_faults: u64,
}

impl Paging {
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/vmstat").ok()?)
    }

    /// Lines of a name and a number; see `proc_vmstat(5)`.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok()
            })
        };
        let swapped = value("pswpin")?.checked_add(value("pswpout")?)?;
        Some(Self { swapped, major_faults: value("pgmajfault")? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn swap_and_major_faults_are_read() {
        let text = "pgfault 99\npswpin 3\npswpout 4\npgmajfault 5\n";
        assert_eq!(Paging::parse(text), Some(Paging { swapped: 7, major_faults: 5 }));
        assert_eq!(Paging::parse("pswpin 3\npswpout x\npgmajfault 5\n"), None);
        let most = u64::MAX;
        assert_eq!(Paging::parse(&format!("pswpin {most}\npswpout 1\npgmajfault 5\n")), None);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(pswpin|pswpout|pgmajfault| |[0-9]{1,22}|\n){0,20}") {
            let _ = Paging::parse(&text);
        }
    }
}
