//! What holds for every load that we send to a server ourselves.

use pinchpoint_measure::Demand;
use pinchpoint_sql::SslMode;

use crate::server::Server;

/// Its demands, in the order in which they are probed.
pub(super) const DEMANDS: [Demand; 4] =
    [Demand::ServerCpu, Demand::RoundTrip, Demand::WalFlush, Demand::Hold];

/// Why nothing can be read from a load on a schedule.
pub(crate) const SCHEDULED: &str = "a schedule sets the throughput, so it does not answer";

/// Why a demand cannot be made larger on this server.
pub(super) fn obstacle(server: &Server, demand: Demand) -> Option<String> {
    match demand {
        Demand::ServerCpu | Demand::WalFlush if !server.is_managed() => {
            Some("the server is not ours, and is not slowed down".to_owned())
        }
        Demand::RoundTrip if server.dsn().ssl_mode == SslMode::VerifyFull => {
            Some("sslmode=verify-full lets nobody stand in the way".to_owned())
        }
        _ => None,
    }
}
