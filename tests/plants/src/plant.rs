use std::time::Duration;

use crate::delays::Slow;

/// A bottleneck that is planted on purpose.
pub struct Plant {
    /// `fsync-delay`.
    pub name: &'static str,
    /// How it is planted, for people.
    pub how: &'static str,
    /// What the verdict must name first: one of these.
    pub wanted: &'static [&'static str],
    /// What it must name second, where two things were planted.
    pub second: Option<&'static str>,
    /// What it must not name with confidence.
    pub forbidden: &'static [&'static str],
    /// Whether it is a bottleneck, whose removal must pay.
    pub kind: Kind,
    /// The server that it is planted in.
    pub scene: fn() -> Scene,
    /// With it.
    pub planted: fn(Strength) -> State,
    /// The same load without it.
    pub removed: fn(Strength) -> State,
    /// What looks like it and is none.
    pub decoy: Option<Decoy>,
}

/// What a bottleneck shows itself by, where it is none: without it there is less than a fifth more.
pub struct Decoy {
    /// How it is planted, for people.
    pub how: &'static str,
    /// What it must not be taken for with confidence, beside the bottleneck that it looks like.
    pub forbidden: &'static [&'static str],
    /// With it.
    pub planted: fn() -> State,
    /// The same load without it.
    pub removed: fn() -> State,
}

/// What a plant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bottleneck: without it there is at least a fifth more throughput. At three strengths.
    Bottleneck,
    /// Nothing that pinchpoint could name as a cause: it must say just that. At one strength.
    NoCause,
}

/// What is planted of a plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// It itself.
    At(Strength),
    /// What only looks like it.
    Decoy,
}

impl Planted {
    /// `weak`, `middle`, `strong`, `decoy`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::At(strength) => strength.name(),
            Self::Decoy => "decoy",
        }
    }
}

impl Plant {
    /// All that can be planted of it; the middle strength is scored.
    pub const fn all(&self) -> &'static [Planted] {
        const MIDDLE: Planted = Planted::At(Strength::Middle);
        match self.kind {
            Kind::Bottleneck => &[
                Planted::At(Strength::Weak),
                MIDDLE,
                Planted::At(Strength::Strong),
                Planted::Decoy,
            ],
            Kind::NoCause => &[MIDDLE],
        }
    }
}

/// How strongly something is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// About a fifth of the cycle.
    Weak,
    /// About half of it.
    Middle,
    /// Nine tenths.
    Strong,
}

impl Strength {
    /// `weak`, `middle`, `strong`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Middle => "middle",
            Self::Strong => "strong",
        }
    }

    /// One of three values.
    pub const fn of<T: Copy>(self, [weak, middle, strong]: [T; 3]) -> T {
        match self {
            Self::Weak => weak,
            Self::Middle => middle,
            Self::Strong => strong,
        }
    }
}

/// A server.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Settings beyond the defaults.
    pub settings: Vec<(&'static str, &'static str)>,
    /// Whether system calls will be slowed down.
    pub delays: bool,
    /// Bytes that the machine may swap out meanwhile, into compressed memory.
    pub swap_bytes: Option<u64>,
    /// Whether it offers TLS; whoever connects then takes it.
    pub tls: bool,
    /// What is run on it first.
    pub init: Vec<&'static str>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// What is done on the server, and how the load runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// An experiment of one case, with a stack of its own, instead of a script on the scene's server.
    pub experiment: Option<String>,
    /// The load's script.
    pub script: String,
    /// Its clients.
    pub clients: u32,
    /// Other arguments of `pinchpoint sql`.
    pub arguments: Vec<&'static str>,
    /// System calls that take longer.
    pub slow: Vec<(Slow, Duration)>,
    /// CPUs of the server; all when absent.
    pub cpus: Option<f64>,
    /// Memory of the server in bytes, page cache included; what the scene gives it when absent.
    pub memory_bytes: Option<u64>,
    /// A slower way to the server.
    pub way: Option<Way>,
    /// Statements run on the server before the load.
    pub before: Vec<&'static str>,
    /// What happens beside the load.
    pub beside: Beside,
}

/// A way to the server through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Delay in each direction.
    pub delay: Duration,
    /// Bytes a second.
    pub bytes_per_s: Option<u64>,
}

/// What happens beside a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    #[default]
    Nothing,
    /// A session that runs these statements over and over, with a pause after each.
    Session(Vec<(&'static str, Duration)>),
    /// A receiver of the WAL, so far away in each direction.
    Standby(Duration),
    /// Threads that do nothing but use a CPU.
    Spin(usize),
}
