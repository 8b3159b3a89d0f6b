use std::path::Path;

use pinchpoint_measure::Environment;
use pinchpoint_observe::{filesystem, fsync_probe, machine};

use crate::error::LabError;
use crate::server::Server;

/// Where the run takes place, as results hold it.
pub(crate) async fn describe(server: &mut Server) -> Result<Environment, LabError> {
    let mut environment = of_machine(server.data_directory().as_deref());
    environment.software.push(server.software().await?);
    environment.limits = server.limits();
    Ok(environment)
}

/// The machine, and the disk of the server's data when that is ours.
pub(crate) fn of_machine(data: Option<&Path>) -> Environment {
    let machine = machine();
    Environment {
        kernel: machine.kernel,
        cpu_model: machine.cpu_model,
        cpus: machine.cpus,
        memory_bytes: machine.memory_bytes,
        steal_share: None,
        filesystem: data.and_then(filesystem),
        fsync_us: data
            .and_then(|dir| fsync_probe(dir.parent().unwrap_or(dir)).ok())
            .map(|d| d.as_secs_f64() * 1e6),
        software: Vec::new(),
        limits: Vec::new(),
        dataset: None,
    }
}

/// What in the environment makes figures mean less than they seem to.
pub(crate) fn warnings(environment: &Environment) -> Vec<String> {
    let mut warnings = Vec::new();
    if environment.filesystem.as_deref() == Some("tmpfs") {
        warnings.push(
            "the data directory is on a tmpfs, where a flush to disk costs nothing; durable rungs \
             look faster than they are"
                .to_owned(),
        );
    }
    for software in &environment.software {
        for setting in ["fsync", "full_page_writes"] {
            if software.settings.get(setting).is_some_and(|v| v == "off") {
                warnings.push(format!(
                    "{setting} is off: no rung of this run is durable, and a crash of the machine \
                     may destroy the data"
                ));
            }
        }
    }
    for limit in environment.limits.iter().filter(|l| !l.in_force) {
        warnings.push(format!("limit not set: {} {} ({})", limit.name, limit.asked, limit.how));
    }
    warnings
}
