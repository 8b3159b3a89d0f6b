use pinchpoint_sql::Dsn;

use crate::sockets::{at_addresses, at_path, holders};

/// What the program calls itself.
const NAME: &str = "pgbouncer";

/// Who listens where the console is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// One PgBouncer of this machine.
    One(u32),
    /// Several that share the port (`so_reuseport`): which of them has answered is not known.
    Several,
    /// None that is to be seen: it is on another machine, or another user's.
    Nobody,
}

/// Finds PgBouncer's process by the socket that it listens at.
pub(crate) async fn listener(dsn: &Dsn) -> Listener {
    let sockets = if dsn.is_unix() {
        at_path(&format!("{}/.s.PGSQL.{}", dsn.host.trim_end_matches('/'), dsn.port))
    } else {
        let addresses = tokio::net::lookup_host((dsn.host.as_str(), dsn.port)).await;
        at_addresses(addresses.into_iter().flatten())
    };
    let mut found = holders(&sockets).into_iter().filter(|(_, name)| name == NAME);
    match (found.next(), found.next()) {
        (None, _) => Listener::Nobody,
        (Some((pid, _)), None) => Listener::One(pid),
        (Some(_), Some(_)) => Listener::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_no_pgbouncer_is_not_taken_for_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let dsn = Dsn::parse(&format!("postgresql://127.0.0.1:{port}/pgbouncer")).unwrap();
        assert_eq!(runtime.block_on(listener(&dsn)), Listener::Nobody);
    }
}
