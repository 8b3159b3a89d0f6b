use std::collections::BTreeMap;

use pinchpoint_measure::significant;

use super::{CPU_FULL, Candidate, Finding, LARGE_SHARE, Page, Rule, Signal};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Share of misses from which a cache is worth a look.
const MISSES: f64 = 0.2;
/// Look-ups for each operation below which the cache is not part of it.
const LOOKED_UP: f64 = 0.1;

/// A cache in front of the database that has not what is asked of it.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "cache-misses",
    cause: "cache misses",
    examine,
    shows_as: &[
        "server-cpu",
        "machine-cpu",
        "cpu-throttling",
        "data-io",
        "pool-wait",
        "pooler-slots",
        "missing-index",
    ],
    page: Page {
        signature: "At least 20 % of the look-ups in an application's cache miss, while the database \
                    is at its limit or takes at least 30 % of a request's time.",
        evidence: "`cache_hits_total` and `cache_misses_total` of the application, or Redis's \
                   `keyspace_hits` and `keyspace_misses`; the server's CPU.",
        counter_evidence: "Nearly all look-ups hit; the database has room.",
        advice: &[
            "a longer time to live, with invalidation when the data change",
            "warm the cache at the start; more memory for it, where it evicts",
            "keys that are asked for again: without what differs for each user",
        ],
        plant: "A service whose cache may keep 16 MB, 8 MB or 256 kB of 20,000 users, which are asked \
                for evenly.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|_| reading.requests) else {
        return Finding::cleared("");
    };
    let Some((hits, misses)) = lookups(&seen.app_metrics, &seen.redis) else {
        return Finding::cleared("");
    };
    let missed = sound(misses / (hits + misses));
    let text = format!("{:.0} % of look-ups miss", missed * 100.0);
    let server = seen.active_ms().or_else(|| {
        seen.process("postgres").and_then(|p| p.cpu_s).map(|cpu_s| seen.each_ms(cpu_s))
    });
    let share = server.map_or(0.0, |ms| reading.share_of(ms));
    let asked = (hits + misses) / seen.operations;
    // A machine without CPU is no sign that the database is short of it.
    let full = seen.fullness("postgres").is_some_and(|full| full >= CPU_FULL);
    if missed < MISSES || asked < LOOKED_UP || (share < LARGE_SHARE && !full) {
        return Finding::cleared(text);
    }
    let mut evidence = vec![
        Signal::Counters.says(format!("{text}, of {} for each request", significant(asked, 2))),
    ];
    evidence.extend(reading.cpu_text("postgres").map(|cpu| Signal::Kernel.says(cpu)));
    if share > 0.0 {
        let time = format!("the database takes {:.0} % of a request's time", share * 100.0);
        evidence.push(Signal::Samples.says(time));
    }
    // With every look-up a hit, the database would be asked by what does not use the cache only.
    let room = reading.headroom_without("postgres");
    let [lo, hi] = reading.gain(share * reading.service_ms, missed);
    let gain = [lo.min(room), hi.max(1.0 / (1.0 - missed).max(0.1)).min(room)];
    Finding::suspect(text, Candidate { share, gain, evidence, ..Candidate::default() })
}

/// Hits and misses by the application's own metrics, or by Redis's.
pub(crate) fn lookups(
    app: &BTreeMap<String, f64>,
    redis: &BTreeMap<String, f64>,
) -> Option<(f64, f64)> {
    let sum = |name: &str| {
        let series = app.iter().filter(|(series, _)| series.starts_with(name));
        series.fold(0.0, |sum, (_, value)| sum + value)
    };
    let own = (sum("cache_hits_total"), sum("cache_misses_total"));
    let redis = |name: &str| redis.get(name).copied().unwrap_or(0.0);
    let shared = (redis("keyspace_hits"), redis("keyspace_misses"));
    [own, shared].into_iter().find(|(hits, misses)| hits + misses > 0.0)
}
