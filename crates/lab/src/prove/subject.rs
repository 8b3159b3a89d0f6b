use std::time::Duration;

use pinchpoint_load::{Session, WarmUpPolicy};
use pinchpoint_measure::Demand;
use pinchpoint_proxy::Proxy;
use pinchpoint_sql::{Dsn, Hold};

use crate::error::LabError;

/// A closed load of which one demand after the other is made larger.
pub(crate) trait Subject {
    /// What results call it.
    fn variant(&self) -> &str;

    /// Users, each with one operation at a time.
    fn users(&self) -> u32;

    /// How long its trials take.
    fn trial(&self) -> Duration;

    /// For how long an operation keeps its connection, in milliseconds, as the trials measured it.
    fn hold_ms(&self) -> Option<f64>;

    /// The demands that such a load makes, in the order in which they are probed.
    fn demands(&self) -> &'static [Demand];

    /// Why a demand cannot be made larger here, as far as that is known beforehand.
    fn obstacle(&self, demand: Demand) -> Option<String>;

    /// The way to the server for who sets something on it.
    fn admin(&self) -> &Dsn;

    /// Brings everything to the state in which a probe begins.
    async fn reset(&mut self) -> Result<(), LabError>;

    /// Opens the load, with nothing running yet: through a proxy of ours or straight. Connections go
    /// back to a pool of ours only after the pause of `hold`.
    async fn open(&mut self, by_proxy: bool, hold: Hold) -> Result<Opened, LabError>;

    /// The load has been closed, or could not be opened.
    fn closed(&mut self) {}

    /// What passes before the first slice; a slice when absent.
    fn warm_up(&self) -> Option<WarmUpPolicy> {
        None
    }

    /// Milliseconds that a round trip takes on its way through what stands before the server.
    async fn detour_ms(&mut self) -> f64 {
        0.0
    }

    /// The first of the processes whose CPU this demand is; absent where it is not ours.
    fn pid(&self, demand: Demand) -> Option<u32>;

    /// CPUs that these processes were given; infinite without a limit, absent where none can be set.
    fn cpus(&self, demand: Demand) -> Option<f64>;

    /// CPUs that these processes can make use of, whatever their limit.
    fn most_cpus(&self, _: Demand) -> f64 {
        f64::INFINITY
    }

    /// Whether nobody but the load runs beside these processes.
    fn alone(&self) -> bool {
        true
    }

    /// Changes the CPUs that these processes may use; infinity lifts the limit.
    fn set_cpus(&self, demand: Demand, cpus: f64) -> Result<(), LabError>;
}

/// A load that was opened.
pub(crate) struct Opened {
    pub(crate) session: Session,
    /// Who stands in its way to the server.
    pub(crate) proxy: Option<Proxy>,
}
