use std::collections::BTreeMap;

use pinchpoint_measure::PoolerFigures;

use super::console::Row;

/// A pool at one instant; there is one for each database and user.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pool {
    pub(crate) database: String,
    pub(crate) waiting: u64,
    /// Clients that do not wait.
    pub(crate) clients: u64,
    pub(crate) active: u64,
    /// Server connections that are ready to be used.
    pub(crate) idle: u64,
    pub(crate) longest_wait_ms: f64,
}

impl Pool {
    /// A row of `SHOW POOLS`; what a version does not tell is 0.
    pub(crate) fn of(row: &Row) -> Self {
        let count = |name: &str| row.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        Self {
            database: row.get("database").cloned().unwrap_or_default(),
            waiting: count("cl_waiting"),
            clients: count("cl_active"),
            active: count("sv_active"),
            idle: count("sv_idle").saturating_add(count("sv_used")),
            longest_wait_ms: count("maxwait") as f64 * 1e3 + count("maxwait_us") as f64 / 1e3,
        }
    }

    fn add(&mut self, other: &Self) {
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.clients = self.clients.saturating_add(other.clients);
        self.active = self.active.saturating_add(other.active);
        self.idle = self.idle.saturating_add(other.idle);
        self.longest_wait_ms = self.longest_wait_ms.max(other.longest_wait_ms);
    }
}

/// The numbers of a row of `SHOW STATS` that only grow.
pub(crate) fn counts(row: &Row) -> BTreeMap<String, u64> {
    let totals = row.iter().filter(|(name, _)| name.starts_with("total_"));
    totals.filter_map(|(name, v)| Some((name.clone(), v.parse().ok()?))).collect()
}

/// Looks at the pools, added up: those of each database, and all of them together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queues {
    looks: u64,
    each: BTreeMap<String, Sums>,
    all: Sums,
}

/// Sums and maxima over looks.
#[derive(Debug, Clone, Default)]
struct Sums {
    sum: Pool,
    waiting_most: u64,
    active_most: u64,
    clients_most: u64,
}

impl Sums {
    fn look(&mut self, pool: &Pool) {
        self.sum.add(pool);
        self.waiting_most = self.waiting_most.max(pool.waiting);
        self.active_most = self.active_most.max(pool.active);
        self.clients_most = self.clients_most.max(pool.clients.saturating_add(pool.waiting));
    }
}

impl Queues {
    /// Takes in one look at all pools. A database has a pool for each of its users.
    pub(crate) fn look(&mut self, pools: &[Pool]) {
        let (mut each, mut all) = (BTreeMap::<&str, Pool>::new(), Pool::default());
        for pool in pools {
            each.entry(&pool.database).or_default().add(pool);
            all.add(pool);
        }
        for (database, pool) in each {
            self.each.entry(database.to_owned()).or_default().look(&pool);
        }
        self.all.look(&all);
        self.looks += 1;
    }

    /// Whether nobody has looked yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.looks == 0
    }

    /// Whether there was a pool of this database.
    pub(crate) fn has(&self, database: &str) -> bool {
        self.each.contains_key(database)
    }

    /// The figures of one database's pools, or of all.
    pub(crate) fn figures(&self, database: Option<&str>) -> PoolerFigures {
        let none = Sums::default();
        let sums = database.map_or(&self.all, |name| self.each.get(name).unwrap_or(&none));
        // A pool that came later was empty before.
        let mean = |sum: u64| sum as f64 / self.looks.max(1) as f64;
        PoolerFigures {
            database: database.map(str::to_owned),
            clients_waiting_most: sums.waiting_most,
            clients_waiting_mean: mean(sums.sum.waiting),
            longest_wait_ms: sums.sum.longest_wait_ms,
            servers_active_most: sums.active_most,
            servers_active_mean: mean(sums.sum.active),
            servers_idle_mean: Some(mean(sums.sum.idle)),
            clients_active_mean: Some(mean(sums.sum.clients)),
            clients_most: sums.clients_most,
            samples: self.looks,
            ..PoolerFigures::default()
        }
    }
}

/// What the totals of one database, or of all, have grown by.
pub(crate) fn growth(
    before: &BTreeMap<String, BTreeMap<String, u64>>,
    after: &BTreeMap<String, BTreeMap<String, u64>>,
    database: Option<&str>,
) -> BTreeMap<String, u64> {
    let mut grown = BTreeMap::<String, u64>::new();
    for (name, now) in after.iter().filter(|(name, _)| database.is_none_or(|d| d == *name)) {
        for (total, value) in now {
            let then = before.get(name).and_then(|totals| totals.get(total)).copied().unwrap_or(0);
            let sum = grown.entry(total.clone()).or_default();
            *sum = sum.saturating_add(value.saturating_sub(then));
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn pool(database: &str, waiting: u64, active: u64) -> Pool {
        Pool { database: database.to_owned(), waiting, active, clients: 2, ..Pool::default() }
    }

    #[test]
    fn a_row_is_read_whatever_a_version_leaves_out() {
        let pool = Pool::of(&row(&[
            ("database", "shop"),
            ("cl_active", "3"),
            ("cl_waiting", "7"),
            ("sv_active", "1"),
            ("sv_idle", "4"),
            ("sv_used", "2"),
            ("maxwait", "1"),
            ("maxwait_us", "500000"),
        ]));
        assert_eq!((pool.waiting, pool.clients, pool.active, pool.idle), (7, 3, 1, 6));
        assert!((pool.longest_wait_ms - 1500.0).abs() < 1e-9);
        assert_eq!(Pool::of(&row(&[("cl_waiting", "many")])), Pool::default());
        let totals = counts(&row(&[
            ("database", "shop"),
            ("total_wait_time", "12"),
            ("avg_wait_time", "3"),
            ("total_odd", "x"),
        ]));
        assert_eq!(totals, [("total_wait_time".to_owned(), 12)].into());
    }

    #[test]
    fn the_pools_of_one_database_count_where_it_is_known() {
        let mut queues = Queues::default();
        queues.look(&[pool("shop", 3, 1), pool("shop", 4, 1), pool("other", 50, 9)]);
        queues.look(&[pool("shop", 1, 2)]);
        assert!(queues.has("shop") && queues.has("other") && !queues.has("none"));
        let shop = queues.figures(Some("shop"));
        assert_eq!((shop.clients_waiting_most, shop.servers_active_most), (7, 2));
        assert!((shop.clients_waiting_mean - 4.0).abs() < 1e-9, "{shop:?}");
        assert!((shop.servers_active_mean - 2.0).abs() < 1e-9, "{shop:?}");
        assert_eq!((shop.clients_most, shop.samples), (11, 2));
        let all = queues.figures(None);
        assert_eq!((all.clients_waiting_most, all.database), (57, None));
        // It was there for one of two looks.
        assert!((queues.figures(Some("other")).clients_waiting_mean - 25.0).abs() < 1e-9);
        assert_eq!(Queues::default().figures(None).samples, 0);
    }

    #[test]
    fn totals_grow_from_where_they_were() {
        let totals = |shop: u64, other: u64| -> BTreeMap<_, BTreeMap<_, _>> {
            let each = |n| BTreeMap::from([("total_wait_time".to_owned(), n)]);
            [("shop".to_owned(), each(shop)), ("other".to_owned(), each(other))].into()
        };
        let (before, after) = (totals(10, 5), totals(17, 4));
        let of = |database| growth(&before, &after, database)["total_wait_time"];
        assert_eq!((of(Some("shop")), of(Some("other")), of(None)), (7, 0, 7));
        assert_eq!(growth(&BTreeMap::new(), &after, None)["total_wait_time"], 21);
    }

    proptest! {
        #[test]
        fn hostile_numbers_never_panic(cells in prop::collection::vec("[0-9]{0,21}|-1|\\PC{0,4}", 8)) {
            let names = ["cl_waiting", "cl_active", "sv_active", "sv_idle", "sv_used", "maxwait",
                "maxwait_us", "total_x"];
            let row: Row = names.into_iter().map(str::to_owned).zip(cells).collect();
            let mut queues = Queues::default();
            queues.look(&[Pool::of(&row), Pool::of(&row)]);
            queues.look(&[Pool::of(&row)]);
            let figures = queues.figures(None);
            prop_assert!(figures.clients_waiting_mean >= 0.0 && counts(&row).len() <= 1);
        }
    }
}
