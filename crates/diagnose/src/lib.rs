//! Measurements in, verdicts and predictions out.
//!
//! The analysis that people do by hand, made mechanical: the causes are looked at one by one, each
//! with the figure that clears it or does not; the estimate is held against the measurement; and
//! the next step gets its expected gain before it is taken. Nothing here opens a file, reads a
//! clock or keeps state: values in, values out, whatever the values.

mod bounds;
mod budget;
mod case;
mod check;
mod confidence;
mod gain;
mod gate;
mod judge;
mod machine;
#[cfg(test)]
mod metamorphic;
#[cfg(test)]
mod plants;
mod pool_advice;
mod predict;
mod probe;
mod reading;
mod reference;
mod rival;
mod rule;
#[cfg(test)]
mod sample;
mod seen;
mod slow;
#[cfg(test)]
mod synthetic;
mod track;
mod verdict;

pub use case::{CaseLoad, case_gates};
pub use gate::gates;
pub use judge::{hold_against, judge};
pub use machine::Machine;
pub use pool_advice::{PoolLevel, PoolRound, pool_advice};
pub use predict::{
    MODEL, Outlook, ProcessDemand, ScriptSounding, ScriptStep, Sounding, SoundingPlan,
    StackSounding, StackStep, Unpredicted, cache_hits, clients_to_try, predict, predict_script,
    predict_step, predict_users, soundings,
};
pub use probe::{ProbeReading, probe_figures, weigh_probes};
pub use reference::verdicts_reference;
pub use track::{Experience, records, track};
pub use verdict::verdict;
