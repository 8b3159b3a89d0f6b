use std::fs;
use std::path::PathBuf;

/// A limit of so many bytes is none.
const NO_LIMIT: u64 = 1 << 60;

/// CPUs and bytes of memory that control groups allow, where they limit them: what was asked of a
/// server that somebody else has started.
pub(crate) fn limits_of(groups: &[PathBuf]) -> (Option<f64>, Option<u64>) {
    let read =
        |file: &str| groups.iter().find_map(|group| fs::read_to_string(group.join(file)).ok());
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let both = read("cpu.max").and_then(|text| {
        let mut words = text.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    // Version 1 says −1 where there is no limit, which is no number here.
    let quota = both.or_else(|| Some((number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)));
    let cpus =
        quota.filter(|(_, period)| *period > 0).map(|(q, p): (u64, u64)| q as f64 / p as f64);
    let memory = number("memory.max").or_else(|| number("memory.limit_in_bytes"));
    (cpus, memory.filter(|bytes| *bytes < NO_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            fs::write(root.path().join(file), text).unwrap();
        }
        let groups = vec![root.path().to_owned()];
        (root, groups)
    }

    #[test]
    fn both_versions_say_what_they_allow() {
        let old = [
            ("cpu.cfs_quota_us", "40000\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("memory.limit_in_bytes", "536870912\n"),
        ];
        let new = [("cpu.max", "40000 100000\n"), ("memory.max", "536870912\n")];
        for files in [&old[..], &new[..]] {
            let (_root, groups) = group(files);
            assert_eq!(limits_of(&groups), (Some(0.4), Some(512 << 20)));
        }
    }

    #[test]
    fn no_limit_is_none() {
        let old = [
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        let new = [("cpu.max", "max 100000\n"), ("memory.max", "max\n")];
        for files in [&old[..], &new[..], &[("cpu.max", "5 0")][..], &[]] {
            let (_root, groups) = group(files);
            assert_eq!(limits_of(&groups), (None, None));
        }
    }
}
