//! What a run leaves, or does not leave, on the machine.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
    kill_process(pid, signal).expect("the signal is sent");
}

/// The private directories of servers that this process started.
pub(crate) fn directories(pid: u32) -> Vec<PathBuf> {
    named(&PathBuf::from("/var/tmp"), pid)
}

/// The control groups that this process made.
pub(crate) fn groups(pid: u32) -> Vec<PathBuf> {
    let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut found: Vec<_> = controllers.flat_map(|c| named(&c.path(), pid)).collect();
    found.extend(named(&PathBuf::from("/sys/fs/cgroup"), pid));
    found
}

fn named(parent: &std::path::Path, pid: u32) -> Vec<PathBuf> {
    let prefix = format!("pinchpoint-{pid}-");
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_name().to_string_lossy().starts_with(&prefix))
        .map(|e| e.path())
        .collect()
}

/// Processes whose command line or working directory names one of the run's directories.
pub(crate) fn processes(pid: u32) -> Vec<String> {
    let needle = format!("pinchpoint-{pid}-");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let named = command.contains(&needle) || place.to_string_lossy().contains(&needle);
        named.then(|| format!("{} {command}", entry.file_name().to_string_lossy()))
    })
    .collect()
}

/// Asserts that nothing of a run is left, or soon will not be.
pub(crate) fn assert_nothing_left(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let (directories, groups, processes) = (directories(pid), groups(pid), processes(pid));
        if directories.is_empty() && groups.is_empty() && processes.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "left behind: {directories:?} {groups:?} {processes:#?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The processes that this one started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits until something is so.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first process of the server that a run started, once there is one.
pub(crate) fn postmaster(pid: u32) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        for directory in directories(pid) {
            let file =
                fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
            if let Some(pid) = file.lines().next().and_then(|l| l.trim().parse().ok()) {
                return pid;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no server was started");
}
