use pinchpoint_measure::{WaitClass, significant};

use super::{Candidate, Finding, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Memory in use from which the machine may be swapping, in per cent.
const FULL: f64 = 95.0;
/// Share of time in which some task waited for memory from which it may be what limits.
const PRESSURE: f64 = 0.1;
/// Pages swapped a second from which the same holds.
const SWAPPED_PER_S: f64 = 50.0;

/// Memory: pages that are taken away and fetched again.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "memory",
    cause: "memory",
    examine,
    shows_as: &["data-io", "temp-files", "server-wait", "server-cpu", "machine-cpu"],
    page: Page {
        signature: "Tasks wait for memory for 10 % of the time or more (pressure stall information), \
                    50 pages a second are swapped, or a memory limit stands in the way of \
                    allocations while there is pressure.",
        evidence: "Pressure, swapped pages, page faults that read from disk, the control group's \
                   count of allocations that met its limit; memory in use; sampled sessions that \
                   read data.",
        counter_evidence: "No pressure and no swapping, however much is in use: a full page cache is \
                           as it should be.",
        advice: &[
            "fewer sessions, or a smaller work_mem: each may take it several times over",
            "a memory limit that leaves room for the page cache beside shared_buffers",
            "more memory",
        ],
        plant: "A memory limit of less than half of the table, which is read through the page cache; \
                sorts in memory beyond a limit, with a swap device in compressed memory.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let percent = reading.memory_percent;
    let in_use = percent.map(|percent| format!("{percent:.0} % in use"));
    if let Some(found) = pressed(reading, in_use.as_deref()) {
        return found;
    }
    let Some((percent, text)) = percent.zip(in_use) else {
        return Finding::cleared("not measured");
    };
    // Where pressure was measured and there is none, memory in use proves nothing.
    let measured = reading.seen().and_then(|s| s.observation.host?.memory_pressure).is_some();
    if percent < FULL || measured {
        return Finding::cleared(text);
    }
    let candidate = Candidate {
        gain: [1.0, 1.2],
        evidence: vec![Signal::Kernel.says(text.clone())],
        against: vec!["swapping was not observed, only the memory in use".to_owned()],
        ..Candidate::default()
    };
    Finding::suspect(text, candidate)
}

/// Pressure, swapping, or a limit that allocations met.
fn pressed(reading: &Reading, in_use: Option<&str>) -> Option<Finding> {
    let seen = reading.seen()?;
    let host = seen.observation.host?;
    let pressure = host.memory_pressure.unwrap_or(0.0).min(1.0);
    let swapped = sound(host.swapped_pages.unwrap_or(0.0) / seen.observation.seconds);
    let pushes = seen.process("postgres").and_then(|p| p.memory_pushes).unwrap_or(0);
    let limited = pushes > 0 && pressure >= PRESSURE / 5.0;
    if pressure < PRESSURE && swapped < SWAPPED_PER_S && !limited {
        return None;
    }
    let text = format!("tasks waited for memory {:.0} % of the time", pressure * 100.0);
    let mut evidence = vec![Signal::Kernel.says(text.clone())];
    if swapped > 0.0 {
        evidence
            .push(Signal::Disk.says(format!("{} pages swapped a second", significant(swapped, 2))));
    }
    if pushes > 0 {
        let met = format!("allocations of the server met its memory limit {pushes} times");
        evidence.push(Signal::Counters.says(met));
    }
    if let Some(faults) = host.major_faults.filter(|faults| *faults > 0.0) {
        let each = significant(faults / seen.operations, 2);
        evidence
            .push(Signal::Disk.says(format!("{each} page faults from disk for each operation")));
    }
    evidence.extend(in_use.map(|text| Signal::Kernel.says(text)));
    let pressed = pressure.max(if swapped >= SWAPPED_PER_S { 0.2 } else { 0.0 });
    // Within a limit of its own the page cache gives way to what is read, which is then read again. The
    // kernel counts that as pressure only where it had been in use for long.
    let read = reading.share_of(seen.class_ms(WaitClass::DataRead));
    let mut against = Vec::new();
    let (share, gain) = if limited && read > pressed {
        let part = format!("{:.0} % of the time is reading data, beside that limit", read * 100.0);
        evidence.push(Signal::Samples.says(part));
        against.push("whether more memory would hold what is read is not known".to_owned());
        // Taking pages away and reading them again is CPU as well.
        (read, reading.gain(read * reading.service_ms, read))
    } else {
        // So is swapping.
        let cpu_saved = if swapped >= SWAPPED_PER_S { pressed } else { 0.0 };
        (pressed, reading.gain(pressed * reading.service_ms, cpu_saved))
    };
    let found = Candidate { share, gain, evidence, against, ..Candidate::default() };
    Some(Finding::suspect(text, found))
}
