use std::fs::File;
use std::io::Read;

/// Longer than any file of one process that is read here.
const LONGEST: usize = 8192;

/// The text of a file of `/proc/<pid>`, which the kernel makes when it is read: by one call, where
/// the library would ask for its size and read until there is no more. Hundreds are read a second.
pub(crate) fn proc_text(path: &str) -> Option<String> {
    let mut bytes = [0; LONGEST];
    let length = File::open(path).ok()?.read(&mut bytes).ok()?;
    std::str::from_utf8(bytes.get(..length)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_read_is_the_whole_file() {
        for file in ["status", "schedstat", "stat"] {
            let path = format!("/proc/self/task/{}/{file}", std::process::id());
            let (short, whole) =
                (proc_text(&path).unwrap(), std::fs::read_to_string(&path).unwrap());
            assert_eq!(short.lines().count(), whole.lines().count(), "{file}");
            assert!(short.ends_with('\n'), "{file}");
        }
        assert_eq!(proc_text("/proc/self/none"), None);
    }
}
