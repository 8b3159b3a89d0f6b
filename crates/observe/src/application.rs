use std::net::SocketAddr;

use crate::sockets::{at_addresses, holders};
use crate::tree::parent;

/// Programs that listen for a service which is somewhere else, and only hand bytes on.
const FORWARDERS: [&str; 3] = ["docker-proxy", "rootlessport", "ssh"];

/// Which processes answer at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Application {
    /// One of this machine, with its descendants.
    One(u32),
    /// Processes of this machine whose CPU is not that of the application, and why.
    Unknown(String),
    /// None that is to be seen: it is on another machine, or another user's.
    Nobody,
}

/// Finds the application by the socket that it listens at.
pub(crate) fn application(address: SocketAddr) -> Application {
    // What starts services on demand (systemd) holds their sockets as well.
    let found: Vec<(u32, String)> =
        holders(&at_addresses([address])).into_iter().filter(|(pid, _)| *pid != 1).collect();
    among(&found, std::process::id(), parent)
}

/// The one of these from which the others descend: a master and its workers share a socket.
fn among(found: &[(u32, String)], own: u32, parent: impl Fn(u32) -> Option<u32>) -> Application {
    if let Some((_, name)) = found.iter().find(|(_, name)| FORWARDERS.contains(&name.as_str())) {
        return Application::Unknown(format!(
            "{name} listens there, and hands on to another place"
        ));
    }
    let above = |pid: u32| std::iter::successors(parent(pid), |pid| parent(*pid));
    let heads: Vec<u32> = found
        .iter()
        .map(|(pid, _)| *pid)
        .filter(|pid| above(*pid).all(|over| found.iter().all(|(other, _)| *other != over)))
        .collect();
    match heads.as_slice() {
        [] => Application::Nobody,
        [head] if above(own).any(|over| over == *head) => {
            Application::Unknown(format!("process {head} that listens there has started us, too"))
        }
        [head] => Application::One(*head),
        several => {
            let text = format!("{} processes listen there, apart from each other", several.len());
            Application::Unknown(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listening(found: &[(u32, &str)], own: u32) -> Application {
        // 10 has started 11 and 12, and 12 has started 13.
        let parents = [(10, 1), (11, 10), (12, 10), (13, 12), (20, 1), (30, 1)];
        let parent = |pid| parents.iter().find(|(child, _)| *child == pid).map(|(_, over)| *over);
        let found: Vec<(u32, String)> = found.iter().map(|(p, n)| (*p, (*n).to_owned())).collect();
        among(&found, own, parent)
    }

    #[test]
    fn workers_belong_to_the_process_that_started_them() {
        let workers = [(13, "gunicorn"), (10, "gunicorn"), (11, "gunicorn")];
        assert_eq!(listening(&workers, 30), Application::One(10));
        assert_eq!(listening(&[(20, "node")], 30), Application::One(20));
        assert_eq!(listening(&[], 30), Application::Nobody);
    }

    #[test]
    fn who_is_not_the_application_alone_is_not_taken_for_it() {
        let reason = |found: &[(u32, &str)], own| match listening(found, own) {
            Application::Unknown(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(&[(20, "app"), (30, "app")], 1).contains("2 processes"));
        assert!(reason(&[(20, "docker-proxy")], 30).contains("docker-proxy"));
        assert!(reason(&[(10, "python3")], 13).contains("has started us"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_found_by_its_address() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        // Whoever has started this test may have its socket only if it is this process.
        assert_eq!(application(address), Application::One(std::process::id()));
        drop(socket);
        assert_eq!(application(address), Application::Nobody);
    }
}
