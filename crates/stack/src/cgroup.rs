use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pinchpoint_measure::Limit;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::StackError;

/// Length of a CPU quota's period: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// Controllers that limits need, as both versions name them.
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];

/// Limits on a server's processes, and the control groups that carry them.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// What was asked for, and whether it is in force.
    pub(crate) report: Vec<Limit>,
    /// Groups that we made.
    pub(crate) groups: Vec<PathBuf>,
    /// Why a CPU limit cannot be set later, where that was asked for.
    no_knob: Option<String>,
    /// Properties for a systemd scope, where groups cannot be made but a user's manager can.
    scope: Vec<String>,
}

/// What to limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) cpus: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
}

/// A resource as the two versions of control groups name it.
struct Resource {
    name: String,
    controller: &'static str,
    asked: String,
    /// Files to write in version 1, in order.
    v1: Vec<(&'static str, String)>,
    /// Files to write in version 2, in order.
    v2: Vec<(&'static str, String)>,
    /// The property of a systemd scope.
    scope: String,
}

impl Asked {
    fn resources(self, name: &str) -> Vec<Resource> {
        let mut resources = Vec::new();
        if let Some(cpus) = self.cpus {
            let [period, quota, both] = cpu_files(cpus);
            resources.push(Resource {
                name: format!("{name} cpus"),
                controller: CONTROLLERS[0],
                asked: cpus.to_string(),
                v1: vec![period, quota],
                v2: vec![both],
                scope: format!("CPUQuota={:.0}%", (cpus * 100.0).min(1e9)),
            });
        }
        if let Some(bytes) = self.memory_bytes {
            resources.push(Resource {
                name: format!("{name} memory"),
                controller: CONTROLLERS[1],
                asked: format!("{} MiB", bytes >> 20),
                v1: vec![(MEMORY_FILES[0], bytes.to_string())],
                v2: vec![(MEMORY_FILES[1], bytes.to_string())],
                scope: format!("MemoryMax={bytes}"),
            });
        }
        resources
    }
}

/// The file of a memory limit, of version 1 and of version 2.
const MEMORY_FILES: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];

/// The files of a CPU limit: period and quota of version 1, and both in one of version 2.
fn cpu_files(cpus: f64) -> [(&'static str, String); 3] {
    let quota = (cpus * PERIOD_US as f64).round().max(1000.0) as u64;
    let (v1, v2) = if cpus.is_finite() {
        (quota.to_string(), quota.to_string())
    } else {
        ("-1".into(), "max".into())
    };
    [
        ("cpu.cfs_period_us", PERIOD_US.to_string()),
        ("cpu.cfs_quota_us", v1),
        ("cpu.max", format!("{v2} {PERIOD_US}")),
    ]
}

impl Limits {
    /// Sets what can be set below `root` (`/sys/fs/cgroup`); what cannot is in the report with its
    /// reason, and is no error.
    ///
    /// `name` is that of the run directory, so that whoever sweeps the directory finds the groups.
    pub(crate) fn set(process: &str, asked: Asked, root: &Path, name: &str) -> Self {
        let mut limits = Self::default();
        for resource in asked.resources(process) {
            let outcome = limits.set_one(&resource, root, name);
            if asked.cpus == Some(f64::INFINITY) && resource.controller == CONTROLLERS[0] {
                // No limit yet, so there is nothing to report; it may become one.
                limits.no_knob = outcome.err();
                continue;
            }
            let outcome = outcome.or_else(|reason| {
                if !user_manager_works() {
                    return Err(reason);
                }
                limits.scope.push(resource.scope.clone());
                Ok("systemd user scope".to_owned())
            });
            limits.report.push(Limit {
                name: resource.name,
                asked: resource.asked,
                in_force: outcome.is_ok(),
                how: outcome.unwrap_or_else(|reason| reason),
            });
        }
        limits
    }

    fn set_one(&mut self, resource: &Resource, root: &Path, name: &str) -> Result<String, String> {
        let v1 = root.join(resource.controller);
        let (group, files, how) = if v1.join("cgroup.procs").is_file() {
            (v1.join(name), &resource.v1, "cgroup v1")
        } else {
            (version_2_parent(root, resource.controller)?.join(name), &resource.v2, "cgroup v2")
        };
        if !self.groups.contains(&group) {
            fs::create_dir(&group)
                .map_err(|e| format!("failed to create {}: {e}", group.display()))?;
            self.groups.push(group.clone());
        }
        for (file, value) in files {
            let path = group.join(file);
            fs::write(&path, value)
                .map_err(|e| format!("failed to write {}: {e}", path.display()))?;
        }
        Ok(how.to_owned())
    }

    /// Changes the CPU limit of the groups, while processes run in them; infinity lifts it.
    pub(crate) fn set_cpus(&self, cpus: f64) -> Result<(), StackError> {
        let files = cpu_files(cpus);
        for group in &self.groups {
            let present: Vec<_> = files.iter().filter(|(f, _)| group.join(f).is_file()).collect();
            for (file, value) in &present {
                let path = group.join(file);
                fs::write(&path, value).map_err(StackError::path("write", &path))?;
            }
            if !present.is_empty() {
                return Ok(());
            }
        }
        let reported = self.report.iter().find(|l| l.name.ends_with("cpus")).map(|l| l.how.clone());
        let why = self.no_knob.clone().or(reported);
        Err(StackError::NoCpuLimit { why: why.unwrap_or_else(|| "started without one".to_owned()) })
    }

    /// Changes the memory limit of the groups, while processes run in them. What they hold beyond a
    /// lower one is taken back first, where it can be: the page cache.
    pub(crate) fn set_memory(&self, bytes: u64) -> Result<(), StackError> {
        let files = self.groups.iter().flat_map(|group| MEMORY_FILES.map(|file| group.join(file)));
        let Some(path) = files.into_iter().find(|path| path.is_file()) else {
            let reported = self.report.iter().find(|l| l.name.ends_with("memory"));
            let why = reported.map_or("started without one", |l| l.how.as_str()).to_owned();
            return Err(StackError::NoMemoryLimit { why });
        };
        fs::write(&path, bytes.to_string()).map_err(StackError::path("write", &path))
    }

    /// The files through which a process joins the groups.
    pub(crate) fn joining(&self) -> Vec<PathBuf> {
        self.groups.iter().map(|group| group.join("cgroup.procs")).collect()
    }

    /// What to put before a program so that it runs within a systemd scope; empty for none.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        if self.scope.is_empty() {
            return Vec::new();
        }
        let properties = self.scope.iter().flat_map(|p| ["-p".to_owned(), p.clone()]);
        let head = ["systemd-run", "--user", "--scope", "--quiet", "--collect"].map(str::to_owned);
        head.into_iter().chain(properties).chain(["--".to_owned()]).collect()
    }

    /// Removes the groups, once their processes have gone.
    pub(crate) fn remove(&mut self) {
        for group in self.groups.drain(..) {
            kill_members(&group);
            let _ = remove_group(&group);
        }
    }
}

/// Ends what is still in a group of ours.
pub(crate) fn kill_members(group: &Path) {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in members.lines().filter_map(|line| line.trim().parse().ok().and_then(Pid::from_raw)) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Removes a group; the kernel keeps it busy for a moment after its last process has ended.
pub(crate) fn remove_group(group: &Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
    fs::remove_dir(group)
}

/// Removes what is left of a dead owner's groups, wherever [`Limits::set`] could have made them.
pub(crate) fn sweep_groups(name: &str, root: &Path) {
    let mut parents: Vec<_> = CONTROLLERS.iter().map(|c| root.join(c)).collect();
    parents.extend(version_2_parents(root));
    for parent in parents {
        let group = parent.join(name);
        if group.is_dir() {
            kill_members(&group);
            let _ = remove_group(&group);
        }
    }
}

/// A group of version 2 below which we may make our own with this controller.
fn version_2_parent(root: &Path, controller: &str) -> Result<PathBuf, String> {
    let controllers = fs::read_to_string(root.join("cgroup.controllers"))
        .map_err(|_| format!("no {controller} control group (neither version 1 nor 2)"))?;
    if !controllers.split_whitespace().any(|c| c == controller) {
        return Err(format!("the {controller} controller is not available in cgroup v2"));
    }
    for parent in version_2_parents(root) {
        let switch = parent.join("cgroup.subtree_control");
        let on = |text: String| text.split_whitespace().any(|c| c == controller);
        let enabled = fs::read_to_string(&switch).is_ok_and(on)
            || fs::write(&switch, format!("+{controller}")).is_ok();
        let writable = rustix::fs::access(&parent, rustix::fs::Access::WRITE_OK).is_ok();
        if enabled && writable {
            return Ok(parent);
        }
    }
    Err(format!("no right to use the {controller} controller of cgroup v2 (not delegated to us)"))
}

fn version_2_parents(root: &Path) -> Vec<PathBuf> {
    let mut parents = vec![root.to_owned()];
    if let Some(own) = own_group() {
        // A group with processes cannot hand controllers down, so its parent is the place.
        parents.extend(own.parent().map(|p| root.join(p)));
    }
    parents
}

/// Whether the user's systemd manager makes scopes for us.
fn user_manager_works() -> bool {
    Command::new("systemd-run")
        .args(["--user", "--scope", "--quiet", "--collect", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Our own group in version 2, relative to the root.
fn own_group() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// By what means limits can be set here, for people.
pub fn limit_means() -> String {
    let probe = Asked { cpus: Some(1.0), memory_bytes: Some(1 << 30) };
    let name = format!("pinchpoint-{}-probe", std::process::id());
    let mut limits = Limits::set("probe", probe, Path::new(ROOT), &name);
    limits.remove();
    let lines: Vec<_> = limits
        .report
        .iter()
        .map(|l| format!("{} by {}", l.name.trim_start_matches("postgres "), l.how))
        .collect();
    lines.join(", ")
}

/// Where Linux keeps its control groups.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { cpus: Some(0.5), memory_bytes: Some(512 << 20) };

    #[test]
    fn version_2_gets_one_group_with_both_limits() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
        fs::write(root.path().join("cgroup.subtree_control"), "cpu memory").unwrap();
        let limits = Limits::set("postgres", ASKED, root.path(), "pinchpoint-1-a");
        assert!(limits.report.iter().all(|l| l.in_force), "{:?}", limits.report);
        let [group] = limits.groups.as_slice() else { panic!("{:?}", limits.groups) };
        assert_eq!(fs::read_to_string(group.join("cpu.max")).unwrap(), "50000 100000");
        assert_eq!(fs::read_to_string(group.join("memory.max")).unwrap(), "536870912");
        assert_eq!(limits.joining(), [group.join("cgroup.procs")]);
    }

    #[test]
    fn version_1_gets_a_group_for_each_controller() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory"] {
            fs::create_dir(root.path().join(controller)).unwrap();
            fs::write(root.path().join(controller).join("cgroup.procs"), "").unwrap();
        }
        let limits = Limits::set("postgres", ASKED, root.path(), "pinchpoint-1-a");
        assert!(limits.report.iter().all(|l| l.in_force && l.how == "cgroup v1"));
        let quota = limits.groups[0].join("cpu.cfs_quota_us");
        assert_eq!(fs::read_to_string(quota).unwrap(), "50000");
    }

    #[test]
    fn a_limit_changes_while_it_is_in_force_and_may_begin_as_none() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("cpu")).unwrap();
        fs::write(root.path().join("cpu/cgroup.procs"), "").unwrap();
        let room = Asked { cpus: Some(f64::INFINITY), memory_bytes: None };
        let limits = Limits::set("postgres", room, root.path(), "pinchpoint-1-a");
        assert!(limits.report.is_empty(), "{:?}", limits.report);
        let quota = || fs::read_to_string(limits.groups[0].join("cpu.cfs_quota_us")).unwrap();
        assert_eq!(quota(), "-1");
        limits.set_cpus(0.4).unwrap();
        assert_eq!(quota(), "40000");
        limits.set_cpus(f64::INFINITY).unwrap();
        assert_eq!(quota(), "-1");
    }

    #[test]
    fn a_memory_limit_changes_while_it_is_in_force_or_says_why_not() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory"] {
            fs::create_dir(root.path().join(controller)).unwrap();
            fs::write(root.path().join(controller).join("cgroup.procs"), "").unwrap();
        }
        let limits = Limits::set("postgres", ASKED, root.path(), "pinchpoint-1-a");
        limits.set_memory(64 << 20).unwrap();
        let read = |group: &PathBuf| fs::read_to_string(group.join("memory.limit_in_bytes"));
        let now: Vec<String> = limits.groups.iter().filter_map(|group| read(group).ok()).collect();
        assert_eq!(now, ["67108864"]);
        let without = Asked { memory_bytes: None, ..ASKED };
        let limits = Limits::set("postgres", without, root.path(), "pinchpoint-1-b");
        let refused = limits.set_memory(64 << 20).unwrap_err().to_string();
        assert!(refused.contains("started without one"), "{refused}");
    }

    #[test]
    fn a_limit_that_cannot_change_says_why() {
        let root = tempfile::tempdir().unwrap();
        let room = Asked { cpus: Some(f64::INFINITY), memory_bytes: None };
        let limits = Limits::set("postgres", room, root.path(), "pinchpoint-1-a");
        let text = limits.set_cpus(1.0).unwrap_err().to_string();
        assert!(text.contains("no cpu control group"), "{text}");
        let text = Limits::default().set_cpus(1.0).unwrap_err().to_string();
        assert!(text.contains("started without one"), "{text}");
    }

    #[test]
    fn a_dead_owners_groups_are_found_by_their_name() {
        let root = tempfile::tempdir().unwrap();
        for group in ["cpu/pinchpoint-1-a", "memory/pinchpoint-1-a", "pinchpoint-1-a"] {
            fs::create_dir_all(root.path().join(group)).unwrap();
        }
        fs::create_dir(root.path().join("cpu/pinchpoint-1-b")).unwrap();
        sweep_groups("pinchpoint-1-a", root.path());
        assert!(!root.path().join("cpu/pinchpoint-1-a").exists());
        assert!(!root.path().join("memory/pinchpoint-1-a").exists());
        assert!(!root.path().join("pinchpoint-1-a").exists());
        assert!(root.path().join("cpu/pinchpoint-1-b").exists(), "another's");
    }

    #[test]
    fn what_cannot_be_limited_is_reported_with_its_reason() {
        let root = tempfile::tempdir().unwrap();
        let limits = Limits::set("postgres", ASKED, root.path(), "pinchpoint-1-a");
        assert_eq!(limits.report.len(), 2);
        for limit in &limits.report {
            assert!(!limit.in_force);
            assert!(limit.how.contains("no "), "{limit:?}");
        }
        assert!(limits.groups.is_empty());
        assert!(limits.wrapper().is_empty());
    }

    #[test]
    fn a_scope_carries_the_limits_as_properties() {
        let scope = ASKED.resources("postgres").into_iter().map(|r| r.scope).collect();
        let limits = Limits { scope, ..Limits::default() };
        let wrapper = limits.wrapper().join(" ");
        assert!(wrapper.ends_with("-p CPUQuota=50% -p MemoryMax=536870912 --"), "{wrapper}");
    }
}
