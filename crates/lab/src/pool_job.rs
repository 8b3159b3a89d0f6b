use std::path::PathBuf;
use std::time::Duration;

use pinchpoint_plan::{LoadPlan, Pace, WarmUp};

use crate::error::LabError;
use crate::observe_job::Observe;
use crate::sql_job::{SqlAccount, SqlConnection, SqlJob, SqlServer, SqlWork};

/// A search for the right size of a pool, at a fixed load.
#[derive(Debug, Clone)]
pub struct PoolJob {
    /// What clients run.
    pub work: SqlWork,
    /// Clients that share the pool; each always has a transaction to run.
    pub clients: u32,
    /// Sizes to try; a series up to the largest that makes sense when empty.
    pub sizes: Vec<u32>,
    /// No size above it is tried.
    pub largest: u32,
    /// Measured time of one size in one round.
    pub duration: Duration,
    /// The most rounds over all sizes.
    pub rounds: u32,
    /// No round begins that would not end within this time.
    pub at_most: Duration,
    /// Seed of all that is random.
    pub seed: Option<u64>,
    /// The server, and how it is made ready.
    pub server: SqlServer,
    /// The result directory; a result is kept in memory alone when absent.
    pub directory: Option<PathBuf>,
}

/// Each size's load before it is measured: connections are open, caches of plans are filled.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);
/// The series of sizes: steps of a half and a third, so that no size is far from one that was tried.
const SERIES: [u32; 22] =
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

impl PoolJob {
    pub(crate) fn load(&self) -> LoadPlan {
        LoadPlan {
            duration: self.duration,
            warmup: WarmUp::Fixed(WARM_UP),
            trials: self.rounds,
            interval: Duration::from_secs(10),
            pace: Pace::FlatOut,
            poisson: false,
            seed: self.seed,
            // All clients share one pool, so one thread drives them.
            threads: Some(1),
        }
    }

    /// Refuses what cannot be run, before anything starts.
    pub fn check(&self) -> Result<(), LabError> {
        self.as_sql(1).check()
    }

    /// The load with a pool of so many, as `pinchpoint sql` would run it.
    pub(crate) fn as_sql(&self, size: u32) -> SqlJob {
        SqlJob {
            work: self.work.clone(),
            clients: self.clients,
            connection: SqlConnection::Pool(size),
            transactions: None,
            load: self.load(),
            server: self.server.clone(),
            observe: Observe::default(),
            shows_statements: false,
            account: SqlAccount::default(),
            synchronous_commit: None,
            prove: false,
            next: Vec::new(),
            ledger: None,
            directory: None,
        }
    }

    /// The sizes to try, where a server has room for so many connections.
    pub(crate) fn sizes(&self, room: u64) -> Result<Vec<u32>, LabError> {
        let most = u64::from(self.largest.min(self.clients)).min(room);
        let fits = |size: &u32| u64::from(*size) <= most;
        if let Some(size) = self.sizes.iter().find(|size| u64::from(**size) > room) {
            return Err(LabError::Unsuitable(format!(
                "a pool of {size} does not fit: the server has room for {room} more connections \
                 when some are left to others"
            )));
        }
        let mut sizes: Vec<u32> = if self.sizes.is_empty() {
            SERIES.into_iter().filter(fits).collect()
        } else {
            self.sizes.clone()
        };
        let last = u32::try_from(most).unwrap_or(u32::MAX);
        // The end of the series, where that is not far above its last member.
        if self.sizes.is_empty()
            && sizes.last().is_some_and(|s| f64::from(last) > 1.2 * f64::from(*s))
        {
            sizes.push(last);
        }
        sizes.sort_unstable();
        sizes.dedup();
        if sizes.is_empty() {
            return Err(LabError::Unsuitable(
                "the server has no room for a connection more".to_owned(),
            ));
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(sizes: &[u32], clients: u32) -> PoolJob {
        PoolJob {
            work: SqlWork {
                scripts: Vec::new(),
                mode: crate::QueryMode::Prepared,
                variables: Vec::new(),
                scale: None,
                max_tries: 1,
            },
            clients,
            sizes: sizes.to_vec(),
            largest: 2000,
            duration: Duration::from_secs(1),
            rounds: 3,
            at_most: Duration::from_secs(60),
            seed: Some(1),
            server: SqlServer {
                target: crate::Target::External { dsn: String::new() },
                settings: Vec::new(),
                cpus: None,
                memory_bytes: None,
                initialize: false,
                tables: crate::TablesPlan::default(),
                replace: false,
                init: None,
                vacuum: crate::Vacuuming::Private,
            },
            directory: None,
        }
    }

    #[test]
    fn sizes_end_with_the_clients_and_with_the_room_on_the_server() {
        assert_eq!(job(&[], 12).sizes(1000).unwrap(), [1, 2, 3, 4, 6, 8, 12]);
        assert_eq!(job(&[], 100).sizes(20).unwrap(), [1, 2, 3, 4, 6, 8, 12, 16, 20]);
        assert_eq!(job(&[], 100).sizes(17).unwrap(), [1, 2, 3, 4, 6, 8, 12, 16]);
        assert_eq!(job(&[5, 2, 5], 100).sizes(20).unwrap(), [2, 5]);
        assert!(job(&[21], 100).sizes(20).is_err());
        assert!(job(&[], 100).sizes(0).is_err());
    }
}
