use std::collections::BTreeMap;

use pinchpoint_measure::Phase;

use crate::text::percent;

/// Where an operation's time goes, as people compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Schedule,
    Connect,
    Checkout,
    Encode,
    Transfer,
    Execute,
    Commit,
}

pub(crate) const PARTS: [Part; 7] = [
    Part::Schedule,
    Part::Connect,
    Part::Checkout,
    Part::Encode,
    Part::Transfer,
    Part::Execute,
    Part::Commit,
];

impl Part {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Connect => "connect",
            Self::Checkout => "checkout",
            Self::Encode => "encode",
            Self::Transfer => "transfer",
            Self::Execute => "execute",
            Self::Commit => "commit",
        }
    }

    const fn of(phase: Phase) -> Self {
        match phase {
            // No rung sleeps; what waits before its work is of one kind.
            Phase::Schedule | Phase::Sleep => Self::Schedule,
            Phase::Checkout => Self::Checkout,
            Phase::Tcp | Phase::Tls | Phase::Auth | Phase::Disconnect => Self::Connect,
            Phase::Encode => Self::Encode,
            Phase::Transfer | Phase::Receive => Self::Transfer,
            Phase::Execute | Phase::FirstByte => Self::Execute,
            Phase::Commit => Self::Commit,
        }
    }
}

/// Each part's milliseconds and share (0 to 1) of an operation; nothing when the phases hold no
/// time.
pub(crate) fn parts(phases_ms: &BTreeMap<Phase, f64>) -> Vec<(Part, f64, f64)> {
    let ms = |part: Part| {
        let of = phases_ms.iter().filter(|(phase, ms)| Part::of(**phase) == part && ms.is_finite());
        of.fold(0.0, |sum, (_, ms)| sum + ms.max(0.0))
    };
    let total = PARTS.iter().fold(0.0, |sum, part| sum + ms(*part));
    if total <= 0.0 {
        return Vec::new();
    }
    PARTS.iter().map(|part| (*part, ms(*part), ms(*part) / total)).collect()
}

/// `connect 84 %, execute 10 %`: parts of at least five per cent, the largest first.
pub(crate) fn summary(phases_ms: &BTreeMap<Phase, f64>) -> String {
    let mut large: Vec<_> =
        parts(phases_ms).into_iter().filter(|(_, _, share)| *share >= 0.05).collect();
    large.sort_by(|a, b| b.2.total_cmp(&a.2));
    let texts: Vec<_> = large
        .iter()
        .map(|(part, _, share)| format!("{} {}", part.name(), percent(*share)))
        .collect();
    texts.join(", ")
}
