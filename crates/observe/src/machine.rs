use std::{fs, thread};

use crate::kilobyte_line;

/// What a run took place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Kernel name and release: `Linux 6.18.44`.
    pub kernel: String,
    /// CPU model as the kernel names it, or else the architecture.
    pub cpu_model: String,
    /// Cores that this process may use (affinity and CPU quota included); at least 1.
    pub cpus: u32,
    /// Memory of the machine in bytes; 0 where the platform does not tell.
    pub memory_bytes: u64,
}

/// Describes this machine.
pub fn machine() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let name = rustix::system::uname();
    Machine {
        kernel: format!(
            "{} {}",
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy()
        ),
        cpu_model: cpu_model(&read("/proc/cpuinfo"))
            .unwrap_or_else(|| name.machine().to_string_lossy().into_owned()),
        cpus: thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        memory_bytes: kilobyte_line(&read("/proc/meminfo"), "MemTotal").unwrap_or(0),
    }
}

/// The model's name in `/proc/cpuinfo`: `model name` on x86, `Model` on small ARM boards, nothing
/// on most ARM servers.
fn cpu_model(text: &str) -> Option<String> {
    ["model name", "Model", "cpu model"].iter().find_map(|wanted| {
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim_end() == *wanted).then(|| value.trim())
        })?;
        (!value.is_empty()).then(|| value.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named_where_the_kernel_names_it() {
        let x86 = "processor\t: 0\nmodel\t\t: 190\nmodel name\t: Intel(R) N100   @ 0.8GHz\n";
        assert_eq!(cpu_model(x86).as_deref(), Some("Intel(R) N100 @ 0.8GHz"));
        let arm = "processor\t: 0\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B\n";
        assert_eq!(cpu_model(arm).as_deref(), Some("Raspberry Pi 5 Model B"));
        for text in ["", "model name\t:\n", "model name\n", "CPU part : 0xd0c\n"] {
            assert_eq!(cpu_model(text), None, "{text}");
        }
    }

    #[test]
    fn this_machine_can_be_described() {
        let machine = machine();
        assert!(machine.cpus >= 1);
        assert!(machine.kernel.contains(' '), "{machine:?}");
        assert!(!machine.cpu_model.is_empty());
        assert!(cfg!(not(target_os = "linux")) || machine.memory_bytes > 1 << 20);
    }
}
