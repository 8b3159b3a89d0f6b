use pinchpoint_measure::WaitClass;

use super::{Candidate, Finding, LARGE_SHARE, Page, Rule, Signal, part};
use crate::Machine;
use crate::reading::Reading;

/// A client that takes answers more slowly than the server makes them.
pub(crate) const RULE: Rule = Rule {
    bottleneck: "slow-reader",
    cause: "slow reader",
    examine,
    shows_as: &[],
    page: Page {
        signature: "An application stands between load and server, and server sessions wait in \
                    Client:ClientWrite for at least 30 % of a request's time.",
        evidence: "Sampled sessions; the application's CPU.",
        counter_evidence: "Little bandwidth looks the same; our own load reads as fast as it can, so \
                           there the verdict is `network`.",
        advice: &[
            "read results as they come, and fewer of them: LIMIT, fewer columns",
            "do the work on rows after the connection is given back",
        ],
        plant: "An application that pauses after every so many rows of a large answer.",
    },
};

fn examine(reading: &Reading, _machine: &Machine) -> Finding {
    let Some(seen) = reading.seen().filter(|s| reading.requests && s.samples().is_some()) else {
        return Finding::cleared("");
    };
    let ms = seen.class_ms(WaitClass::ClientWrite);
    let share = reading.share_of(ms);
    let text =
        format!("the server waits for its answers to be read for {}", part(ms, reading.service_ms));
    if share < LARGE_SHARE {
        return Finding::cleared(if ms > 0.0 { text } else { String::new() });
    }
    let mut evidence = vec![Signal::Samples.says(text.clone())];
    evidence.extend(reading.cpu_text("app").map(|cpu| Signal::Kernel.says(cpu)));
    let against = vec!["little bandwidth looks the same".to_owned()];
    let gain = reading.gain_without(share);
    let error = seen.class_error_ms(WaitClass::ClientWrite).map_or(0.0, |e| reading.share_of(e));
    Finding::suspect(
        text,
        Candidate { share, error, gain, evidence, against, ..Candidate::default() },
    )
}
