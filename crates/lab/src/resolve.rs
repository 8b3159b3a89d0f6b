use std::collections::BTreeMap;

use pinchpoint_measure::{Factors, Method, RunResult, VariantStatus};
use pinchpoint_plan::{Batch, Connection, Experiment, Like, Rung};
use serde_json::json;

/// A rung with every dynamic level settled: what a trial really runs with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) connection: Connection,
    pub(crate) concurrency: u32,
    pub(crate) method: Method,
    pub(crate) batch: u32,
    pub(crate) synchronous_commit: bool,
    pub(crate) write: bool,
    pub(crate) crash: bool,
}

/// Settles a rung: a swept batch size takes what its sweep chose, `like = "best"` the levels of the
/// best durable rung so far. The error is the reason for which the rung cannot run.
pub(crate) fn settle(
    rung: &Rung,
    experiment: &Experiment,
    swept: &BTreeMap<String, u32>,
    result: &RunResult,
) -> Result<Settled, String> {
    let (levels, batch_from) = match &rung.like {
        Some(Like::Best) => {
            let name = best_durable(experiment, result)
                .ok_or("no durable rung before it has a result to take after")?;
            let model = experiment
                .rung(&name)
                .ok_or_else(|| format!("rung {name} is not in the experiment"))?;
            let batch_from = if rung.stated.batch.is_some() { rung } else { model };
            (rung.taking(model), batch_from.clone())
        }
        Some(Like::Rung(_)) | None => (rung.clone(), rung.clone()),
    };
    Ok(Settled {
        connection: levels.connection,
        concurrency: levels.concurrency,
        method: levels.method,
        batch: batch(&batch_from, swept)?,
        synchronous_commit: rung.synchronous_commit,
        write: rung.write,
        crash: rung.crash,
    })
}

/// The batch size, after the sweep of the rung itself or of the one that it takes it from.
fn batch(rung: &Rung, swept: &BTreeMap<String, u32>) -> Result<u32, String> {
    match &rung.batch {
        Batch::Fixed(batch) => Ok(*batch),
        Batch::Sweep(_) => swept
            .get(sweep_owner(rung))
            .or_else(|| swept.get(&rung.name))
            .copied()
            .ok_or_else(|| "no batch size of its sweep worked".to_owned()),
    }
}

/// The rung whose sweep settles this rung's batch size.
pub(crate) fn sweep_owner(rung: &Rung) -> &str {
    rung.batch_of.as_deref().unwrap_or(&rung.name)
}

/// The durable, writing rung with the highest throughput so far.
pub(crate) fn best_durable(experiment: &Experiment, result: &RunResult) -> Option<String> {
    let durable = |name: &str| experiment.rung(name).is_some_and(Rung::is_durable);
    result
        .variants
        .iter()
        .filter(|v| v.status != VariantStatus::Skipped && durable(&v.name))
        .filter_map(|v| Some((v.summary.as_ref()?.throughput_per_s.median, &v.name)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.clone())
}

impl Settled {
    /// The levels as results hold them.
    pub(crate) fn factors(&self) -> Factors {
        let mut factors = Factors::new();
        match &self.connection {
            Connection::PerOperation => {
                factors.insert("connection".to_owned(), json!("per-operation"));
            }
            Connection::Pool { min, max, .. } => {
                factors.insert("connection".to_owned(), json!("pool"));
                factors.insert("pool".to_owned(), json!(max));
                factors.insert("pool_min".to_owned(), json!(min));
            }
        }
        factors.insert("concurrency".to_owned(), json!(self.concurrency));
        factors.insert("batch".to_owned(), json!(self.batch));
        factors.insert("method".to_owned(), json!(self.method.name()));
        let commit = if self.synchronous_commit { "on" } else { "off" };
        factors.insert("synchronous_commit".to_owned(), json!(commit));
        factors.insert("write".to_owned(), json!(self.write));
        factors
    }
}

/// The levels of a rung as the plan has them, before anything dynamic is settled.
pub(crate) fn planned_factors(rung: &Rung) -> Factors {
    let batch = match &rung.batch {
        Batch::Fixed(batch) => *batch,
        Batch::Sweep(_) => 0,
    };
    let mut factors = Settled {
        connection: rung.connection,
        concurrency: rung.concurrency,
        method: rung.method,
        batch,
        synchronous_commit: rung.synchronous_commit,
        write: rung.write,
        crash: rung.crash,
    }
    .factors();
    if let Batch::Sweep(sizes) = &rung.batch {
        factors.insert("batch".to_owned(), json!(sizes));
    }
    factors
}
