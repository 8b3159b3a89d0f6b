//! What is planted. To add something, write it into the file of its kind and list it here.

mod cache;
mod disk;
mod load;
mod locks;
mod network;
mod pooler;
mod processor;
mod quiet;
mod reader;
mod replica;
mod statements;
mod vacuum;

use crate::plant::{Plant, State};

/// Every plant, in the order of the page.
pub const PLANTS: &[&Plant] = &[
    &processor::CPU_QUOTA,
    &processor::CPU_FOR_REAL,
    &processor::BACKENDS,
    &disk::FSYNC_DELAY,
    &disk::SLOW_READS,
    &disk::CHECKPOINTS,
    &disk::MEMORY,
    &disk::SWAP,
    &network::ROUND_TRIPS,
    &network::BANDWIDTH,
    &network::FLUSH_AND_ROUND_TRIPS,
    &replica::REPLICA,
    &reader::SLOW_READER,
    &load::TINY_POOL,
    &load::POOL_HELD,
    &pooler::SLOTS,
    &pooler::CPU,
    &pooler::APP_CPU,
    &cache::CACHE,
    &load::CONNECT,
    &load::CONNECT_TLS,
    &load::CLIENT_CPU,
    &load::SERVER_WAIT,
    &locks::HOT_ROW,
    &locks::HOT_ROW_FLUSH,
    &locks::IDLE_BLOCKER,
    &locks::TABLE_LOCK,
    &locks::SUBTRANSACTIONS,
    &locks::RIGHT_END,
    &vacuum::VACUUM,
    &vacuum::BLOAT,
    &statements::NO_INDEX,
    &statements::N_PLUS_ONE,
    &statements::UNPREPARED,
    &statements::TEMP_FILES,
    &quiet::NEIGHBOUR,
    &quiet::SWITCHED_ON,
    &quiet::NOTHING,
    &quiet::WATCHED,
];

/// What is in the research's list and not planted here, and why.
pub const NOT_REPRODUCED: &[(&str, &str)] = &[(
    "many partitions",
    "where 100 are not pruned, 16 clients spend a fifth of an operation on the lock manager's \
         lightweight locks, but on two cores that are full all the same, which is what limits; these \
         locks are planted by savepoints and at a table's end",
)];

/// A load of so many clients by a script, and nothing else.
fn load(clients: u32, script: &str) -> State {
    State { script: script.to_owned(), clients, ..State::default() }
}

/// The same with other arguments of the command.
fn load_with(clients: u32, script: &str, arguments: &[&'static str]) -> State {
    State { arguments: arguments.to_vec(), ..load(clients, script) }
}

/// A table `t` of 10,000 small rows with a key.
const TABLE: &str = "CREATE TABLE t AS SELECT i AS id, i % 97 AS n, repeat('x', 50) AS x \
                     FROM generate_series(1, 10000) i";
const KEY: &str = "ALTER TABLE t ADD PRIMARY KEY (id)";
const ANALYZE: &str = "VACUUM ANALYZE";
