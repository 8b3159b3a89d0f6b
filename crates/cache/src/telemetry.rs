//! What the cache tells through the [`metrics`] facade; `metrics.md` lists it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// A hit in memory takes less time than reading the clock twice would.
pub(crate) const TIMED_ONE_IN: u32 = 16;

/// How a call was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// From the in-process level.
    Memory,
    /// From Redis.
    Redis,
    /// From either level, past its time and within its limit.
    Stale,
    /// By calling the function, also where that failed.
    Miss,
    /// By calling the function without a cache.
    Bypass,
}

impl Outcome {
    /// `memory`, `redis`, `stale`, `miss`, `bypass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// How a lookup ended, with the level that a stale value was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Memory,
    Redis,
    StaleInMemory,
    StaleInRedis,
    Miss,
}

impl Answer {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Memory => Outcome::Memory,
            Self::Redis => Outcome::Redis,
            Self::StaleInMemory | Self::StaleInRedis => Outcome::Stale,
            Self::Miss => Outcome::Miss,
        }
    }
}

/// The handles of one function's metrics.
#[derive(Debug)]
pub(crate) struct Meters {
    hits: [Counter; 2],
    misses: Counter,
    /// In the order of [`Answer`].
    latency: [Histogram; 5],
    stale: Counter,
    pub(crate) coalesced: Counter,
    loads: [Counter; 5],
    pub(crate) voided: Counter,
    pub(crate) undecodable: Counter,
    turn: AtomicU32,
}

/// How a call of the function ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoadEnd {
    Ok,
    Error,
    Panic,
    Timeout,
    Overload,
}

impl Meters {
    pub(crate) fn new(cache: &'static str) -> Self {
        let hits = |level| counter!("cache_hits_total", "cache" => cache, "level" => level);
        let latency = |level, outcome| {
            histogram!("cache_latency_seconds",
                "cache" => cache, "level" => level, "outcome" => outcome)
        };
        let loads = |outcome| counter!("cache_loads_total", "cache" => cache, "outcome" => outcome);
        Self {
            hits: [hits("memory"), hits("redis")],
            misses: counter!("cache_misses_total", "cache" => cache),
            latency: [
                latency("memory", "hit"),
                latency("redis", "hit"),
                latency("memory", "stale"),
                latency("redis", "stale"),
                latency("origin", "miss"),
            ],
            stale: counter!("cache_stale_served_total", "cache" => cache),
            coalesced: counter!("cache_coalesced_total", "cache" => cache),
            loads: ["ok", "error", "panic", "timeout", "overload"].map(loads),
            voided: counter!("cache_voided_total", "cache" => cache),
            undecodable: counter!("cache_decode_errors_total", "cache" => cache),
            turn: AtomicU32::new(0),
        }
    }

    /// Whether this hit in memory is one of those that are timed.
    ///
    /// Threads may read the same turn: they are then timed or not timed together, so that it is still
    /// one in [`TIMED_ONE_IN`].
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        turn.is_multiple_of(TIMED_ONE_IN)
    }

    #[inline]
    pub(crate) fn memory_hit(&self) {
        self.hits[0].increment(1);
    }

    /// For the hits that were timed, which stand for the others too.
    pub(crate) fn memory_hit_took(&self, took: Duration) {
        self.latency[0].record_many(took.as_secs_f64(), TIMED_ONE_IN as usize);
    }

    pub(crate) fn answered(&self, answer: Answer, took: Duration) {
        match answer {
            Answer::Memory | Answer::StaleInMemory => self.hits[0].increment(1),
            Answer::Redis | Answer::StaleInRedis => self.hits[1].increment(1),
            Answer::Miss => self.misses.increment(1),
        }
        if answer.outcome() == Outcome::Stale {
            self.stale.increment(1);
        }
        self.latency[answer as usize].record(took.as_secs_f64());
    }

    pub(crate) fn loaded(&self, end: LoadEnd) {
        self.loads[end as usize].increment(1);
    }
}
