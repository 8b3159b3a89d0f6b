use pinchpoint_measure::Suspect;

use crate::budget::Budget;
use crate::reading::Reading;
use crate::rule::{LARGE_SHARE, Rule};

/// Causes that a session of the server is seen in, one at a time: parts of an operation's time that
/// can be held against each other.
const PARTS: [&str; 6] =
    ["server-cpu", "wal-flush", "data-io", "lw-lock", "row-lock", "object-lock"];
/// The queue for a pool's connections, of which no session of the server knows.
const QUEUE: &str = "pool-wait";
/// Part of the named cause's time from which another part may be what limits.
const CLOSE: f64 = 0.5;

/// Another part of an operation's time that is about as large as the one that is named, whether or not
/// its own rule suspects it.
///
/// Where two stations of a closed network are needed for equally long, operations wait at both for
/// equally long, and removing the queue at one only moves it to the other (balanced job bounds;
/// Zahorjan, Sevcik, Eager & Galler 1982). A single snapshot shows that by the times alone.
#[derive(Debug)]
pub(crate) struct Rival {
    cause: &'static str,
    /// Shares of an operation's time: at the cause that is named, and at this one.
    pub(crate) shares: [f64; 2],
}

impl Rival {
    /// `None` for a cause that is no such part or whose part is not known, and where no other is close.
    pub(crate) fn of(winner: &Rule, reading: &Reading, budget: &Budget) -> Option<Self> {
        // Too many backends are a processor that too many sessions wait for.
        let own = match winner.bottleneck {
            "too-many-backends" => "server-cpu",
            name => name,
        };
        if !PARTS.contains(&own) {
            return None;
        }
        // Whoever holds such a lock needs the processor for it.
        let starved =
            |cause: &str| own == "server-cpu" && cause == "lw-lock" && reading.no_cpu_left();
        let others = PARTS
            .into_iter()
            .filter(|cause| *cause != own && !winner.shows_as.contains(cause) && !starved(cause));
        let shares = others.map(|cause| (cause, budget.share(cause)));
        let (cause, share) = shares.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let own_share = budget.share(own);
        let close = own_share > 0.0 && share >= CLOSE * own_share;
        if close {
            return Some(Self { cause, shares: [own_share, share] });
        }
        if own == "server-cpu" { Self::queue(own_share, budget) } else { None }
    }

    /// A queue for connections beside full cores, where whoever holds one is mostly not at a CPU: with more
    /// connections the cores would have more to choose from, and less to do for the queue.
    fn queue(own: f64, budget: &Budget) -> Option<Self> {
        let queue = budget.share(QUEUE);
        let held = 1.0 - queue;
        (queue >= LARGE_SHARE && own > 0.0 && own < CLOSE * held)
            .then_some(Self { cause: QUEUE, shares: [own, queue] })
    }

    /// As a runner-up, with what removing it would give by its time.
    pub(crate) fn suspect(&self, reading: &Reading) -> Suspect {
        let share = self.shares[1];
        let gain = reading.gain_without(share)[1];
        Suspect { bottleneck: self.cause.to_owned(), share, gain }
    }

    /// What speaks for it, in words.
    pub(crate) fn text(&self) -> String {
        let [own, other] = self.shares.map(|share| share * 100.0);
        let how = if other > 1.5 * own { "more" } else { "about as much" };
        format!("{} takes {how} of the time: {other:.0} % beside {own:.0} %", self.cause)
    }
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Phase, WaitClass};
    use serde_json::json;

    use crate::plants::Plant;

    /// Fifty users and a pool of thirty on full cores; sessions sleep for some of the time that they are
    /// held, and for the rest of it compute or are ready to.
    fn pooled(asleep: f64) -> Plant {
        let at_it = 3.2 - asleep;
        Plant {
            users: 50,
            phases: vec![(Phase::Checkout, 2.1), (Phase::Execute, 3.2)],
            waits: vec![
                (WaitClass::Running, "running", at_it),
                (WaitClass::Pause, "Timeout:PgSleep", asleep),
            ],
            backends: Some((0.2, at_it - 0.2)),
            cpu: 0.99,
            client_share: 0.16,
            factors: vec![("pool", json!(30))],
            ..Plant::quiet()
        }
    }

    #[test]
    fn a_queue_for_connections_rivals_a_processor_that_who_holds_one_is_seldom_at() {
        let seldom = pooled(2.0).verdict();
        assert_eq!(seldom.bottleneck, "server-cpu", "{seldom:#?}");
        assert!(seldom.confidence < 0.5, "{seldom:#?}");
        assert_eq!(seldom.runner_up.expect("another").bottleneck, "pool-wait");
        let mostly = pooled(0.2).verdict();
        assert_eq!(mostly.bottleneck, "server-cpu", "{mostly:#?}");
        assert!(mostly.confidence > 0.7, "{mostly:#?}");
    }
}
