//! Reads the surroundings of a run: the server's sessions and counters, processes, the machine.
//!
//! One file a sampler, and in each the parser is a pure function of the text that the kernel or the
//! server gives. Where a platform lacks a source the answer is `None`, never a guess. The
//! [`Observer`] puts them together: it never fails, and names what it could not read.

mod application;
mod backends;
mod blockers;
mod counters;
mod cpu;
mod disk;
mod exposition;
mod filesystem;
mod fsync;
mod host;
mod lanes;
mod limits;
mod link;
mod looks;
mod machine;
mod memory;
mod missing;
mod observer;
mod pace;
mod paging;
mod pgbouncer;
mod pressure;
mod proc_file;
mod process;
mod redis;
mod scheduling;
mod sessions;
mod sockets;
mod statements;
mod throttling;
mod tree;
mod versions;
mod watched;
mod watcher;

pub use cpu::{CpuSampler, CpuUse};
pub use exposition::exposition;
pub use filesystem::filesystem;
pub use fsync::fsync_probe;
pub use looks::{Looks, Served};
pub use machine::{Machine, machine};
pub use memory::memory_percent;
pub use observer::{Observed, Observer, ObserverSpec};
pub use pgbouncer::{ConsoleError, PoolerConsole, PoolerSpec};
pub use process::resident_bytes;
pub use redis::{redis_flush, redis_info};
pub use sessions::Sessions;
pub use throttling::{Throttling, memory_peak, throttling};
pub use tree::{TreeUse, process_tree};
pub use watched::Watched;

/// The value in bytes of a `Name:   123 kB` line, as in `/proc/meminfo` and `/proc/self/status`.
fn kilobyte_line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut words = line.split_ascii_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    (words.next() == Some("kB")).then(|| number.checked_mul(1024))?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kilobyte_line_is_found_by_its_whole_name() {
        let text = "MemTotalX:  7 kB\nMemTotal:  24684092 kB\nHugePages_Total:   0\n";
        assert_eq!(kilobyte_line(text, "MemTotal"), Some(24_684_092 * 1024));
        for missing in ["Mem", "HugePages_Total", "Nothing", ""] {
            assert_eq!(kilobyte_line(text, missing), None, "{missing}");
        }
        assert_eq!(kilobyte_line("A: 18446744073709551615 kB", "A"), None);
        assert_eq!(kilobyte_line("A: -1 kB", "A"), None);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(A|B|:| |kB|[0-9]{1,22}|\n|\\PC){0,40}") {
            let _ = kilobyte_line(&text, "A");
        }
    }
}
