use pinchpoint_measure::{Phase, WaitClass, factor_u64, significant};

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::{Reading, sound};

/// Share of the time that a connection is held from which a queue behind it is that of what it
/// waits for: a larger pool would only move the queue.
const CONTENDED: f64 = 0.5;
/// Waits that grow with the sessions that wait.
const CONTENTION: [WaitClass; 4] =
    [WaitClass::RowLock, WaitClass::ObjectLock, WaitClass::LwLock, WaitClass::WalInsert];

/// Users waiting for a pooled connection.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "pool-wait",
    cause: "pool",
    examine,
    // What a connection is held for is no limit of its own unless it is fought for.
    shows_as: &["server-wait"],
    page: Page {
        signature: "Waiting for a pooled connection takes at least 30 % of an operation's time, or \
                    all connections that an application's pools allow are open; and nobody is short \
                    of CPU.",
        evidence: "The phase `checkout`; connections against users; sessions that the server saw, or \
                   behind a pooler the clients that it saw, of which none waits there.",
        counter_evidence: "CPU or locks are used up: a larger pool would move the queue into the \
                           server. Connections are held by idle transactions: hold them shorter. They \
                           queue in the pooler: then its server connections are what limits.",
        advice: &[
            "give connections back sooner: no work on them that is not the database's",
            "a larger pool, step by step, as long as throughput grows",
            "fewer users at a time in front of it",
        ],
        plant: "A pool of 2 for 50 users and short statements.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    if reading.requests {
        return of_application(reading);
    }
    let ms = reading.phase_ms(|p| p == Phase::Checkout);
    let share = reading.share(|p| p == Phase::Checkout);
    let text = format!("waiting for a connection takes {}", part(ms, reading.service_ms));
    // With the CPU used up, or locks, a larger pool would only move the queue into the server.
    if share < LARGE_SHARE || reading.no_cpu_left() {
        return Finding::cleared(text);
    }
    let held = reading.service_ms - ms;
    let contended = reading.seen().map_or(0.0, |s| s.classes_ms(&CONTENTION) / held);
    if contended >= CONTENDED {
        let why =
            format!("{:.0} % of the time that it is held is waiting for locks", contended * 100.0);
        return Finding::cleared(format!("{text}, but {why}"));
    }
    let mut evidence = vec![Signal::Clock.says(text.clone())];
    let mut against = Vec::new();
    if let Some(pool) = factor_u64(&reading.factors, "pool") {
        let sizes = format!("{pool} connections for {} users", reading.users);
        if (pool as f64) < reading.users {
            evidence.push(Signal::Levels.says(sizes));
        } else {
            against.push(sizes);
        }
    }
    if let Some(active) = reading.seen().and_then(|s| Some(s.samples()?.active)) {
        let active = format!("{} sessions executed at a time", significant(active, 2));
        evidence.push(Signal::Samples.says(active));
    }
    evidence.extend(reading.idle_cpu());
    let gain = reading.gain_without(share);
    Finding::suspect(text, Candidate { share, gain, evidence, against, ..Candidate::default() })
}

/// An application's pools: seen from the server, or from the pooler in front of it, which count
/// their connections.
fn of_application(reading: &Reading) -> Finding {
    let Some(pools) = Pools::of(reading) else { return Finding::cleared("") };
    let (most, allowed) = (pools.most, pools.allowed);
    let text = format!("{most} of the {allowed} connections of its pools were open");
    let busy = ["app", "pgbouncer"].iter().any(|name| reading.at_limit(name));
    if most < allowed || reading.no_cpu_left() || busy {
        return Finding::cleared(text);
    }
    let queued =
        pools.queued_behind.map(|n| format!("{} of them waited in the pooler", significant(n, 2)));
    if pools.queued_behind.is_some_and(|n| n >= 1.0) {
        return Finding::cleared(format!("{text}, and {}", queued.unwrap_or_default()));
    }
    let open =
        format!("all {allowed} connections of its pools were open, and nobody was short of CPU");
    let mut evidence = vec![Signal::Counters.says(open)];
    let mut against = Vec::new();
    if (allowed as f64) < reading.users {
        let sizes = format!("{allowed} connections for {} users", reading.users);
        evidence.push(Signal::Levels.says(sizes));
    }
    evidence.extend(queued.map(|queued| {
        Signal::Samples.says(format!("{queued}: who waits does so in the application"))
    }));
    if let Some(active) = pools.active.filter(|active| *active < allowed as f64 / 2.0) {
        let active = significant(active, 2);
        against.push(format!("only {active} of them executed at a time, on average"));
    }
    let most = reading.users / (allowed as f64).max(1.0);
    let gain = [1.0, reading.headroom().min(most.max(1.0))];
    let found = Candidate { share: 0.5, gain, evidence, against, ..Candidate::default() };
    Finding::suspect(text, found)
}

/// An application's connections to what is behind it.
struct Pools {
    /// Most open at once.
    most: u64,
    /// Most that its pools allow.
    allowed: u64,
    /// Of these, at work at a time.
    active: Option<f64>,
    /// Of these, waiting for a server connection of a pooler on average; absent without one.
    queued_behind: Option<f64>,
}

impl Pools {
    fn of(reading: &Reading) -> Option<Self> {
        let seen = reading.seen()?;
        if let Some(pooler) = &seen.pooler {
            // The server sees the pooler's connections only; the pooler sees the application's.
            return Some(Self {
                most: pooler.clients_most,
                allowed: factor_u64(&reading.factors, "connections").filter(|n| *n > 0)?,
                active: Some(sound(pooler.servers_active_mean)),
                queued_behind: Some(sound(pooler.clients_waiting_mean)),
            });
        }
        let sessions = seen.sessions.as_ref()?;
        let active = seen.samples().map(|s| s.active);
        let (most, allowed) = (sessions.most, sessions.allowed?);
        Some(Self { most, allowed, active, queued_behind: None })
    }
}
