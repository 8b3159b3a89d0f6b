use pinchpoint_measure::{Phase, significant};

use super::model::{Model, Range};
use super::target::{Target, pooled};
use crate::Machine;
use crate::reading::Reading;

/// Throughput of the rest of the operation may be lower by this much: the pool costs something.
const MARGIN: f64 = 0.25;
/// A fresh backend fills its caches of catalog and relations during its first statement, which a
/// kept one has behind it. That takes this share of the time to open the connection: 0.12 was
/// measured with pgbench on `PostgreSQL` 15; a client that authenticates faster raises it.
const FIRST_STATEMENT: Range = Range { lo: 0.05, hi: 0.18 };
/// Share of the execution that this can be, when the commit is known apart (a flush does not
/// depend on caches).
const OF_EXECUTE: Range = Range { lo: 0.5, hi: 0.95 };
/// The same when the commit is in it: nothing, or half.
const OF_STATEMENT: Range = Range { lo: 0.0, hi: 0.5 };

/// Connections are kept: their phases go, X = N ÷ (R − connect).
pub(crate) fn apply(
    model: &mut Model,
    reading: &Reading,
    target: &Target,
    _machine: &Machine,
) -> Option<()> {
    let connect = reading.phase_ms(Phase::is_connection);
    if pooled(&reading.factors) == target.pooled {
        return Some(());
    }
    if !target.pooled || connect <= 0.0 {
        // From kept to fresh connections: what those cost has not been seen.
        return None;
    }
    let rest = reading.service_ms - connect;
    let execute = reading.phase_ms(|p| p == Phase::Execute);
    let commit = reading.phase_ms(|p| p == Phase::Commit);
    let open = connect - reading.phase_ms(|p| p == Phase::Disconnect);
    let part = if commit > 0.0 { OF_EXECUTE } else { OF_STATEMENT };
    let first = Range {
        lo: (FIRST_STATEMENT.lo * open).min(part.lo * execute),
        hi: (FIRST_STATEMENT.hi * open).min(part.hi * execute),
    };
    if rest - first.hi <= 0.0 {
        return None;
    }
    model.service_ms.hi = (rest - first.lo) / (1.0 - MARGIN);
    model.service_ms.lo = rest - first.hi;
    if let Some(cpu) = &mut model.cpu_ms {
        // CPU went with time, or was mostly the set-up's.
        *cpu = cpu.times(model.service_ms.lo / reading.service_ms / 2.0, rest / reading.service_ms);
    }
    model.basis.push(format!(
        "{} ms − {} ms of connection set-up leaves {} ms an operation, down to {} ms where a fresh \
         backend's first statement is slower than its later ones",
        significant(reading.service_ms, 3),
        significant(connect, 3),
        significant(rest, 3),
        significant(rest - first.hi, 3)
    ));
    Some(())
}
