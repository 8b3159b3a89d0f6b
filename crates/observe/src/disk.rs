use std::fs;
use std::path::Path;

/// A disk, by its device numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    major: u32,
    minor: u32,
}

/// What a disk has done since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskUse {
    /// Milliseconds in which it had something to do.
    pub(crate) busy_ms: u64,
    /// Flushes, and the milliseconds that they took; since kernel 5.5.
    pub(crate) flushes: Option<(u64, u64)>,
}

impl Disk {
    /// The disk under a path, or why there is none: an overlay or a file system in memory has no
    /// disk of its own. Flushes are counted for whole disks, so a partition stands for its disk.
    pub(crate) fn under(path: &Path) -> Result<Self, String> {
        let stat =
            rustix::fs::stat(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let place = format!("/sys/dev/block/{major}:{minor}");
        if !Path::new(&place).exists() {
            return Err(format!("{} lies on no disk that the kernel names", path.display()));
        }
        let whole = Path::new(&place).join("partition").exists();
        let parent = whole.then(|| fs::canonicalize(&place).ok()).flatten();
        let of_parent = parent
            .and_then(|at| fs::read_to_string(at.parent()?.join("dev")).ok())
            .and_then(|text| Self::parse(&text));
        Ok(of_parent.unwrap_or(Self { major, minor }))
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    pub(crate) fn read(self) -> Option<DiskUse> {
        self.find(&fs::read_to_string("/proc/diskstats").ok()?)
    }

    /// The disk's line: two numbers, a name, and fields 1 to 17 of the kernel's `iostats.rst`.
    fn find(self, text: &str) -> Option<DiskUse> {
        let fields = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let is =
                |at: usize, number: u32| fields.get(at).is_some_and(|f| f.parse() == Ok(number));
            (is(0, self.major) && is(1, self.minor)).then_some(fields)
        })?;
        let field = |number: usize| fields.get(number + 2)?.parse::<u64>().ok();
        let flushes = field(16).zip(field(17));
        Some(DiskUse { busy_ms: field(10)?, flushes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = " 253       1 vda1 1 0 1 1 1 0 1 1 0 7 1 0 0 0 0 0 0\n \
                        253       0 vda 24466 6 1683854 8134 5127 6157 141 5096 0 9876 14 0 0 0 0 \
                        883 1260\n   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11\n";

    #[test]
    fn a_disk_is_found_by_its_numbers() {
        let disk = Disk { major: 253, minor: 0 };
        let expected = DiskUse { busy_ms: 9876, flushes: Some((883, 1260)) };
        assert_eq!(disk.find(TEXT), Some(expected));
        let old = Disk { major: 7, minor: 0 };
        assert_eq!(old.find(TEXT), Some(DiskUse { busy_ms: 10, flushes: None }));
        assert_eq!(Disk { major: 1, minor: 1 }.find(TEXT), None);
        assert_eq!(Disk::parse("253:0\n"), Some(disk));
        assert_eq!(Disk::parse("253\n"), None);
    }

    #[test]
    fn what_has_no_disk_says_so() {
        assert!(Disk::under(Path::new("/proc")).is_err());
        assert!(Disk::under(Path::new("/does/not/exist")).unwrap_err().contains("not/exist"));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "([0-9]{1,22}| |vda|\n|\\PC){0,60}") {
            let _ = Disk { major: 1, minor: 1 }.find(&text);
        }
    }
}
