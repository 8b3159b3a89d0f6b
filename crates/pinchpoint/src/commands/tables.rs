use pinchpoint_lab::{PartitionMethod, TablesPlan};

use crate::cli::{Method, TablesArgs};
use crate::commands::sql::bounds;
use crate::failure::Failure;

/// Partitions beyond this number take the server longer than any load on them.
const MOST_PARTITIONS: u32 = 10_000;

/// How pgbench's tables are made.
pub(crate) fn tables(args: &TablesArgs, no_vacuum: bool) -> Result<TablesPlan, Failure> {
    let fillfactor = args.fillfactor.unwrap_or(100);
    bounds("--fillfactor", (10..=100).contains(&fillfactor), "10 to 100 percent")?;
    let partitions = args.partitions.unwrap_or(0);
    bounds("--partitions", partitions <= MOST_PARTITIONS, "0 to 10000")?;
    if partitions == 0 && args.partition_method.is_some() {
        return Err(Failure::input("--partition-method: there are no partitions to choose from")
            .hint("give --partitions a number above 0"));
    }
    let mut steps = args.init_steps.clone().unwrap_or_default();
    if no_vacuum {
        steps = steps.without_vacuum();
    }
    if args.foreign_keys {
        steps = steps.with_foreign_keys();
    }
    Ok(TablesPlan {
        steps,
        fillfactor,
        partitions,
        partition_method: match args.partition_method {
            Some(Method::Hash) => PartitionMethod::Hash,
            Some(Method::Range) | None => PartitionMethod::Range,
        },
        unlogged: args.unlogged_tables,
        tablespace: args.tablespace.clone(),
        index_tablespace: args.index_tablespace.clone(),
    })
}
