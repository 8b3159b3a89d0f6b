//! Numbers that the processes of a case tell of themselves, read before and after the measured part.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use pinchpoint_observe::{exposition, redis_info};
use pinchpoint_plan::AppPlan;

use crate::matrix::bench::Bench;
use crate::matrix::processes::Stack;

type Numbers = BTreeMap<String, f64>;

/// One reading; empty where nobody told.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) app: Numbers,
    pub(crate) beside: Numbers,
    pub(crate) redis: Numbers,
}

impl Readings {
    pub(crate) fn take(app: &AppPlan, stack: &Stack, bench: &Bench) -> Self {
        let read = |port: u16| {
            let path = app.metrics.as_deref()?;
            exposition(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), path)
        };
        let redis = bench.redis.as_ref();
        let redis = redis.and_then(|redis| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, redis.port()));
            redis_info(address, redis.password())
        });
        Self {
            app: stack.app.as_ref().and_then(|app| read(app.port())).unwrap_or_default(),
            beside: stack.beside.as_ref().and_then(|app| read(app.port())).unwrap_or_default(),
            redis: redis.unwrap_or_default(),
        }
    }
}

/// Gauges, which are kept as they stand at the end; everything else is kept by what it grew.
const GAUGES: [&str; 6] = [
    "db_pool_connections",
    "cache_memory_bytes",
    "cache_redis_up",
    "used_memory",
    "connected_clients",
    "maxmemory",
];

/// What each number grew by; what did not change is left out.
pub(crate) fn growth(before: &Numbers, after: Numbers) -> Numbers {
    let grown = after.into_iter().filter_map(|(name, now)| {
        let gauge = GAUGES.iter().any(|gauge| name.split('{').next() == Some(*gauge));
        let by = if gauge { now } else { now - before.get(&name).copied().unwrap_or(0.0) };
        (by.is_finite() && (gauge || by != 0.0)).then_some((name, by))
    });
    grown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_kept_by_their_growth_and_gauges_as_they_stand() {
        let numbers = |list: &[(&str, f64)]| -> Numbers {
            list.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let before =
            numbers(&[("hits{a=\"1\"}", 5.0), ("cache_memory_bytes", 10.0), ("same", 1.0)]);
        let after = numbers(&[
            ("hits{a=\"1\"}", 8.0),
            ("cache_memory_bytes", 10.0),
            ("same", 1.0),
            ("new", 2.0),
            ("none", f64::NAN),
        ]);
        let grown = numbers(&[("hits{a=\"1\"}", 3.0), ("cache_memory_bytes", 10.0), ("new", 2.0)]);
        assert_eq!(growth(&before, after), grown);
    }
}
