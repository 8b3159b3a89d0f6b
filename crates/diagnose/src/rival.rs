use pinchpoint_measure::Suspect;

use crate::budget::Budget;
use crate::reading::Reading;
use crate::rule::Rule;

/// Causes that a session of the server is seen in, one at a time: parts of an operation's time that
/// can be held against each other.
const PARTS: [&str; 6] =
    ["server-cpu", "wal-flush", "data-io", "lw-lock", "row-lock", "object-lock"];
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
        let own = budget.share(own);
        (own > 0.0 && share >= CLOSE * own).then_some(Self { cause, shares: [own, share] })
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
        format!("{} takes about as much of the time: {other:.0} % beside {own:.0} %", self.cause)
    }
}
