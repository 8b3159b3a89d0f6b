use std::time::Duration;

use pinchpoint_measure::{Demand, significant};
use pinchpoint_proxy::{Proxy, Shape};
use pinchpoint_sql::Hold;

use super::server_side::ServerSide;
use super::slices::Slice;
use super::{Often, Subject, WRITES};

/// Share of the CPUs that is left: an operation's CPU then takes 1 ÷ 0.8 of its time.
const QUOTA_LEFT: f64 = 0.8;
/// Share of the machine's CPU from which nobody has more of it than they use.
const MACHINE_FULL: f64 = 0.85;
/// Part of what the machine does that must be ours, for its fullness to be ours.
const OUR_PART: f64 = 0.8;
/// What is added, as a share of the cycle: enough to be seen, little enough to be the slope here.
const ADDED_SHARE: f64 = 0.25;
/// Bounds of what is added each time.
const ADDED_MS: (f64, f64) = (0.2, 50.0);
/// What an operation demands less often than this is not slowed the more for it.
const SELDOM: f64 = 0.25;
/// The kernel ends a sleep of the server by so much later than asked (timer slack, `prctl(2)`).
const SLACK_MS: f64 = 0.055;

/// What is known before a demand is made larger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pilot {
    pub(super) slice: Slice,
    pub(super) users: f64,
    /// The CPU limit of whose CPU it is; infinite without one, absent where it cannot be set.
    pub(super) cpus: Option<f64>,
    /// CPUs that these processes can make use of.
    pub(super) most_cpus: f64,
    /// Whether nobody but the load runs beside them.
    pub(super) alone: bool,
    pub(super) round_trip_ms: Option<f64>,
    pub(super) hold_ms: Option<f64>,
    pub(super) often: Often,
}

impl Pilot {
    /// What is added each time to something that an operation demands so often.
    fn added_ms(&self, times: f64) -> f64 {
        let cycle = 1000.0 * self.users / self.slice.per_s.max(1e-3);
        (cycle * ADDED_SHARE / times.max(SELDOM)).clamp(ADDED_MS.0, ADDED_MS.1)
    }
}

/// What makes one demand larger, and back.
#[derive(Debug)]
pub(super) enum Knob {
    Quota { of: Demand, before: f64, capacity: f64 },
    Way { proxy: Proxy, delay: Duration },
    CommitDelay { added_ms: f64 },
    Hold { hold: Hold, pause: Duration },
}

impl Knob {
    /// The knob of a demand, and how far it is turned; the error says why there is none.
    pub(super) fn choose(
        demand: Demand,
        pilot: &Pilot,
        proxy: Option<Proxy>,
        hold: Hold,
    ) -> Result<Self, String> {
        if pilot.slice.per_s <= 0.0 {
            return Err("no operation ended before anything was slowed".to_owned());
        }
        let Often { trips, writes } = pilot.often;
        match (demand, proxy) {
            (Demand::ServerCpu | Demand::AppCpu, _) => {
                let before = pilot.cpus.ok_or("no control group limits CPU here")?;
                let capacity = capacity(before.min(pilot.most_cpus), &pilot.slice, pilot.alone)?;
                Ok(Self::Quota { of: demand, before, capacity })
            }
            (Demand::RoundTrip, Some(proxy)) => match trips {
                Some(trips) if trips > 0.0 => {
                    let delay = Duration::from_secs_f64(pilot.added_ms(trips) / 2000.0);
                    Ok(Self::Way { proxy, delay })
                }
                _ => Err("an operation makes no round trip".to_owned()),
            },
            (Demand::RoundTrip, None) => Err("no proxy".to_owned()),
            (Demand::WalFlush, _) => match writes {
                Some(writes) if writes >= WRITES => {
                    Ok(Self::CommitDelay { added_ms: pilot.added_ms(writes) })
                }
                Some(_) => Err("nothing is written".to_owned()),
                None => Err("the server does not say what is written".to_owned()),
            },
            (Demand::Hold, _) => {
                let pause = Duration::from_secs_f64(pilot.added_ms(1.0) / 1000.0);
                Ok(Self::Hold { hold, pause })
            }
        }
    }

    /// Makes the demand larger, or lets it be as it was.
    pub(super) async fn turn<S: Subject>(
        &self,
        slowed: bool,
        subject: &S,
        side: &mut ServerSide,
    ) -> Result<(), String> {
        match self {
            Self::Quota { of, before, capacity } => subject
                .set_cpus(*of, if slowed { capacity * QUOTA_LEFT } else { *before })
                .map_err(|error| error.to_string()),
            Self::Way { proxy, delay } => {
                let delay = if slowed { *delay } else { Duration::ZERO };
                proxy.set(Shape { delay, bytes_per_s: None });
                Ok(())
            }
            Self::CommitDelay { added_ms } if slowed => {
                // The leader of a group sleeps while it holds the lock of the log, whoever else
                // is active: the flush itself takes longer.
                side.set("commit_siblings", Some("0")).await?;
                let microseconds = ((added_ms - SLACK_MS) * 1000.0).round().to_string();
                side.set("commit_delay", Some(&microseconds)).await
            }
            Self::CommitDelay { .. } => {
                side.set("commit_delay", None).await?;
                side.set("commit_siblings", None).await
            }
            Self::Hold { hold, pause } => {
                hold.set(if slowed { *pause } else { Duration::ZERO });
                Ok(())
            }
        }
    }

    /// Round trips so far, where they are counted.
    pub(super) fn round_trips(&self) -> Option<u64> {
        match self {
            Self::Way { proxy, .. } => Some(proxy.round_trips()),
            _ => None,
        }
    }

    /// What an operation demanded before, and what was added to it, in milliseconds: all its round
    /// trips, all its flushes.
    pub(super) fn demand(
        &self,
        cpu_ms: f64,
        flush_ms: Option<f64>,
        pilot: &Pilot,
        often: Often,
    ) -> Option<(f64, f64)> {
        match self {
            Self::Quota { .. } => Some((cpu_ms, cpu_ms * (1.0 / QUOTA_LEFT - 1.0))),
            Self::Way { delay, .. } => {
                let trips = often.trips?;
                Some((pilot.round_trip_ms? * trips, delay.as_secs_f64() * 2000.0 * trips))
            }
            Self::CommitDelay { added_ms } => {
                let writes = often.writes?;
                Some((flush_ms? * writes, added_ms * writes))
            }
            Self::Hold { pause, .. } => Some((pilot.hold_ms?, pause.as_secs_f64() * 1000.0)),
        }
    }

    /// Why [`Knob::demand`] does not know.
    pub(super) const fn unknown(&self) -> &'static str {
        match self {
            Self::CommitDelay { .. } => "the server counted no flush of the WAL",
            _ => "what an operation demands could not be measured",
        }
    }

    /// In a few words, for people.
    pub(super) fn means(&self, often: Often) -> String {
        let ms = |delay: Duration| significant(delay.as_secs_f64() * 1000.0, 2);
        match self {
            Self::Quota { capacity, .. } => format!(
                "quota {} instead of {} CPUs",
                significant(capacity * QUOTA_LEFT, 2),
                significant(*capacity, 2)
            ),
            Self::Way { delay, .. } => {
                format!("{} ms more each way, by a proxy{}", ms(*delay), times(often.trips))
            }
            Self::CommitDelay { added_ms } => {
                let added = significant(*added_ms, 2);
                format!("commit_delay, {added} ms more{}", times(often.writes))
            }
            Self::Hold { pause, .. } => format!("given back {} ms later", ms(*pause)),
        }
    }
}

/// How often in an operation, where it is not once.
fn times(times: Option<f64>) -> String {
    match times {
        Some(times) if (times - 1.0).abs() > 0.1 => {
            format!(", {} times an operation", significant(times, 2))
        }
        _ => String::new(),
    }
}

/// The CPUs that the processes can have: their limit; what they use, where the machine has no more
/// to give; else all there are. On a machine that others keep busy there is no telling, and neither
/// is there where several of ours fill it: each would feel a quota, as little as it takes of it.
fn capacity(limit: f64, slice: &Slice, alone: bool) -> Result<f64, String> {
    if limit.is_finite() {
        return Ok(limit);
    }
    let used = slice.used_cpus.ok_or("its CPU cannot be read")?;
    let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    let busy = slice.machine_busy.unwrap_or(0.0);
    if busy < MACHINE_FULL {
        return Ok(cores);
    }
    let ours = slice.our_cpus.unwrap_or(0.0) / cores;
    if ours < OUR_PART * busy {
        return Err("other processes keep the machine busy".to_owned());
    }
    if !alone {
        return Err("it has no limit of its own on a full machine that it shares".to_owned());
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(used: f64, busy: f64) -> Slice {
        let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let our_cpus = Some(busy * cores);
        Slice { per_s: 100.0, used_cpus: Some(used), our_cpus, machine_busy: Some(busy) }
    }

    #[test]
    fn a_quota_is_cut_from_what_the_server_can_have() {
        assert_eq!(capacity(0.5, &slice(0.2, 0.9), true), Ok(0.5), "its limit");
        assert_eq!(capacity(f64::INFINITY, &slice(1.3, 0.99), true), Ok(1.3), "what others leave");
        let idle = capacity(f64::INFINITY, &slice(0.2, 0.3), false).unwrap();
        assert!(idle >= 1.0, "all cores");
        let shared = capacity(f64::INFINITY, &slice(0.2, 0.99), false);
        assert!(shared.unwrap_err().contains("shares"));
        let foreign = Slice { our_cpus: Some(0.1), ..slice(0.1, 0.99) };
        assert!(capacity(f64::INFINITY, &foreign, true).unwrap_err().contains("other processes"));
        let unknown = Slice { used_cpus: None, ..slice(0.0, 0.5) };
        assert!(capacity(f64::INFINITY, &unknown, true).is_err());
    }

    #[test]
    fn what_is_added_follows_the_cycle_within_bounds() {
        let pilot = |users: f64, per_s: f64| Pilot {
            slice: Slice { per_s, ..slice(1.0, 0.5) },
            users,
            cpus: None,
            most_cpus: f64::INFINITY,
            alone: true,
            round_trip_ms: None,
            hold_ms: None,
            often: Often { trips: None, writes: None },
        };
        let added = |users, per_s, times| pilot(users, per_s).added_ms(times);
        assert!((added(10.0, 1000.0, 1.0) - 2.5).abs() < 1e-9);
        assert!((added(10.0, 1000.0, 5.0) - 0.5).abs() < 1e-9, "five times a fifth");
        assert!((added(10.0, 1000.0, 0.01) - 10.0).abs() < 1e-9, "seldom, and not without bound");
        assert!((added(1.0, 10_000.0, 1.0) - ADDED_MS.0).abs() < 1e-9);
        assert!((added(10.0, 0.0, 1.0) - ADDED_MS.1).abs() < 1e-9);
    }
}
