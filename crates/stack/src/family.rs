use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::guard::{alive, start_time};

/// A process's descendants at one moment, each known by its number and its start.
#[derive(Debug, Default)]
pub(crate) struct Family(Vec<(u32, String)>);

impl Family {
    /// The descendants of a process, itself left out; empty where there is no `/proc`.
    pub(crate) fn of(pid: u32) -> Self {
        let parents = parents();
        let mut found = vec![pid];
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            found.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(child, _)| *child));
            at += 1;
        }
        Self(found.into_iter().skip(1).filter_map(|p| Some((p, start_time(p)?))).collect())
    }

    /// Ends those that still run.
    pub(crate) fn kill(&self) {
        for (pid, started) in &self.0 {
            if alive(*pid, started)
                && let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Each process's parent.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_grandchild_belongs_to_the_family() {
        let mut shell =
            std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let family = loop {
            let family = Family::of(shell.id());
            if !family.0.is_empty() {
                break family;
            }
        };
        let (pid, started) = family.0[0].clone();
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(alive(pid, &started), "it outlives its parent");
        family.kill();
        while alive(pid, &started) {}
    }
}
