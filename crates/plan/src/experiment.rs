use std::time::Duration;

use pinchpoint_measure::Table;

use crate::Rung;

/// A checked experiment: everything in it can be run, as far as its text can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Lower-case letters, digits and dashes; part of the result directory's name.
    pub name: String,
    /// One or two sentences; may be empty.
    pub description: String,
    /// The server.
    pub postgres: PostgresPlan,
    /// What is written.
    pub table: Table,
    /// How long, how often, how fast.
    pub load: LoadPlan,
    /// The rungs in the file's order; never empty.
    pub rungs: Vec<Rung>,
    /// The text that this was read from.
    pub source: String,
}

/// The server that is brought up for the experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PostgresPlan {
    /// CPUs that the server may use; absent for no limit.
    pub cpus: Option<f64>,
    /// Bytes of memory that the server may use; absent for no limit.
    pub memory_bytes: Option<u64>,
    /// TCP port on the loopback interface; absent for a free one.
    pub port: Option<u16>,
    /// How the load reaches the server.
    pub transport: Transport,
    /// Settings and their values, in the file's order; none of those that pinchpoint sets itself.
    pub settings: Vec<(String, String)>,
}

/// How the load reaches the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP over the loopback interface.
    #[default]
    Tcp,
    /// The Unix socket.
    Unix,
}

/// How long, how often and how fast the load runs.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadPlan {
    /// Measured time of each trial; with stages it is their sum.
    pub duration: Duration,
    /// Load before measuring.
    pub warmup: WarmUp,
    /// Trials of each rung; at least 1.
    pub trials: u32,
    /// Reporting interval.
    pub interval: Duration,
    /// How operations are started.
    pub pace: Pace,
    /// Whether arrivals are random (Poisson) or even; not used flat out.
    pub poisson: bool,
    /// Seed of all that is random; absent for a new one.
    pub seed: Option<u64>,
    /// Threads that drive the load; absent for as many as the machine has cores.
    pub threads: Option<u32>,
}

/// Load before measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// Until throughput is steady.
    Auto {
        /// It ends here at the latest.
        at_most: Duration,
    },
    /// For this long; may be zero.
    Fixed(Duration),
}

impl WarmUp {
    /// The bound of an `auto` warm-up when nobody says another.
    pub(crate) const AT_MOST: Duration = Duration::from_secs(10);
}

/// How operations are started.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// Each virtual user starts the next operation when the last one has ended.
    FlatOut,
    /// A schedule starts operations.
    Rate {
        /// Rows per second.
        per_s: f64,
    },
    /// A schedule whose rate changes, from 0 at the start; never empty.
    Stages(Vec<Stage>),
}

/// A part of a schedule: the rate goes in a straight line from where it was to the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// Rows per second at its end.
    pub target_per_s: f64,
}

/// Connections that a server keeps free of ordinary use: PostgreSQL's
/// `superuser_reserved_connections` (3), and our two observers.
pub(crate) const SPARE_CONNECTIONS: u32 = 5;

/// PostgreSQL's own `max_connections`.
const DEFAULT_MAX_CONNECTIONS: u32 = 100;

impl Experiment {
    /// The rung of this name.
    pub fn rung(&self, name: &str) -> Option<&Rung> {
        self.rungs.iter().find(|r| r.name == name)
    }

    /// The `max_connections` that the server needs: the rungs' largest demand, 3 that PostgreSQL
    /// reserves for superusers, and 2 for observers.
    pub fn max_connections_needed(&self) -> u32 {
        self.rungs.iter().map(Rung::connections_opened).max().unwrap_or(0) + SPARE_CONNECTIONS
    }

    /// Whether the server's settings keep an acknowledged row over a crash: false when `fsync` or
    /// `full_page_writes` is off. Rungs have their own `synchronous_commit` besides.
    pub fn durable(&self) -> bool {
        self.postgres.durable()
    }
}

impl PostgresPlan {
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// What the server will have; `None` when the setting is no number.
    pub(crate) fn max_connections(&self) -> Option<u32> {
        self.setting("max_connections")
            .map_or(Some(DEFAULT_MAX_CONNECTIONS), |value| value.trim().parse().ok())
    }

    pub(crate) fn durable(&self) -> bool {
        !["fsync", "full_page_writes"].iter().any(|name| self.setting(name).is_some_and(is_off))
    }
}

/// Whether `PostgreSQL` reads this value as false: `off`, `0`, or the beginning of `false` or `no`,
/// in any case (`parse_bool` in its `src/backend/utils/adt/bool.c`).
fn is_off(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let begins = |word: &str| !value.is_empty() && word.starts_with(&value);
    value == "0" || begins("false") || begins("no") || (value.len() > 1 && begins("off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_off_when_postgres_says_so() {
        for value in ["off", "OFF", "of", "0", "f", "false", "n", "no", " no "] {
            assert!(is_off(value), "{value}");
        }
        for value in ["on", "o", "1", "true", "yes", "", "offf", "00"] {
            assert!(!is_off(value), "{value}");
        }
    }
}
