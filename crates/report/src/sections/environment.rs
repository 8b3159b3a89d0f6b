use pinchpoint_measure::{RunResult, significant};

use crate::document::{Block, Document};
use crate::text::fixed;

/// Where the run took place.
pub(crate) fn environment(document: &mut Document, result: &RunResult) {
    let environment = &result.environment;
    document.heading("Environment");
    let gib = environment.memory_bytes as f64 / f64::from(1 << 30);
    let mut items = vec![format!(
        "{}, {} CPUs, {} GiB of memory, {}",
        environment.cpu_model,
        environment.cpus,
        significant(gib, 3),
        environment.kernel
    )];
    if let Some(filesystem) = &environment.filesystem {
        items.push(format!("data directory on {filesystem}"));
    }
    if let Some(us) = environment.fsync_us {
        items.push(format!("one fdatasync takes {} µs (median)", significant(us, 3)));
    }
    items.push(match environment.steal_share {
        Some(steal) => {
            format!("CPU time stolen by the hypervisor: {} %", fixed(steal * 100.0, 2))
        }
        None => "CPU time stolen by the hypervisor: not known here".to_owned(),
    });
    for limit in &environment.limits {
        let word = if limit.in_force { "in force" } else { "NOT set" };
        items.push(format!("limit {} = {}: {word} ({})", limit.name, limit.asked, limit.how));
    }
    if environment.limits.is_empty() {
        items.push("no limits were asked for".to_owned());
    }
    document.list(items);
    for software in &environment.software {
        let whose = if software.managed { "private, removed after the run" } else { "external" };
        document.paragraph(format!(
            "{} {} ({whose}), reached by {}:",
            software.name, software.version, software.transport
        ));
        let rows = software.settings.iter().map(|(n, v)| vec![n.clone(), v.clone()]).collect();
        document.table(2, &["setting", "value"], rows);
    }
    document.heading("The experiment as it was run");
    document.blocks.push(Block::Verbatim(result.plan.experiment_file.clone()));
}
