use std::time::{Duration, Instant};

use pinchpoint_measure::{PHASES, Phase};

/// What one operation reports besides its outcome: the time of its phases.
///
/// A probe is reset before each operation and reused: it allocates nothing.
#[derive(Debug, Clone)]
pub struct Probe {
    phases: [u64; PHASES.len()],
    commit_seen: bool,
    ordinal: u64,
    label: u16,
    tag: u32,
}

impl Probe {
    /// A probe with nothing recorded.
    pub const fn new() -> Self {
        Self { phases: [0; PHASES.len()], commit_seen: false, ordinal: 0, label: 0, tag: 0 }
    }

    /// Forgets the last operation; `ordinal` counts operations of this user from 0.
    pub fn reset(&mut self, ordinal: u64) {
        self.phases = [0; PHASES.len()];
        self.commit_seen = false;
        self.ordinal = ordinal;
        self.label = 0;
        self.tag = 0;
    }

    /// Says who served the operation: the process of the server, where the driver knows it.
    pub fn set_tag(&mut self, tag: u32) {
        self.tag = tag;
    }

    /// Who served the operation; 0 when that is not known.
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// Says which of several kinds of operation this one was, from 0.
    pub fn set_label(&mut self, label: u16) {
        self.label = label;
    }

    /// Which of several kinds of operation this one was.
    pub const fn label(&self) -> u16 {
        self.label
    }

    /// Adds to a phase's time.
    pub fn add(&mut self, phase: Phase, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.phases[phase.index()] = self.phases[phase.index()].saturating_add(nanos);
    }

    /// Adds the time from `*since` until now to a phase, and moves `*since` to now.
    pub fn lap(&mut self, phase: Phase, since: &mut Instant) {
        let now = Instant::now();
        self.add(phase, now.duration_since(*since));
        *since = now;
    }

    /// Whether this operation should tell commit from execute. Where that costs an extra packet
    /// (a single-row statement in autocommit), the driver does it for one operation in sixteen
    /// and calls [`Probe::split`]; the engine scales the share up.
    pub const fn wants_split(&self) -> bool {
        self.ordinal.is_multiple_of(16)
    }

    /// Says that this operation's `execute` and `commit` were told apart. Operations that do not
    /// call it report both as [`Phase::Execute`].
    pub fn split(&mut self) {
        self.commit_seen = true;
    }

    /// Whether execute and commit were told apart.
    pub const fn is_split(&self) -> bool {
        self.commit_seen
    }

    /// A phase's time in nanoseconds.
    pub const fn nanos(&self, phase: Phase) -> u64 {
        self.phases[phase.index()]
    }

    /// Nanoseconds of all phases, by their index.
    pub(crate) const fn phases(&self) -> [u64; PHASES.len()] {
        self.phases
    }

    /// Nanoseconds of the statement alone: encode, transfer, execute and commit.
    pub fn statement_nanos(&self) -> u64 {
        PHASES.iter().filter(|p| p.is_statement()).map(|p| self.nanos(*p)).sum()
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}
