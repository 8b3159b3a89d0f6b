use std::net::SocketAddr;

use crate::sockets::{at_addresses, holders};
use crate::tree::parent;

/// Programs that listen for a service which is somewhere else, and hand requests or bytes on to it: what
/// their names begin with.
const FORWARDERS: [&str; 14] = [
    "caddy",
    "docker-proxy",
    "envoy",
    "haproxy",
    "kubectl",
    "nginx",
    "pasta",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "socat",
    "ssh",
    "traefik",
    "varnishd",
];
/// What starts services on demand holds their sockets as well.
const STARTERS: [&str; 2] = ["systemd", "init"];

/// Which processes answer at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Application {
    /// One of this machine, with its descendants.
    One(u32),
    /// Processes of this machine whose CPU is not that of the application, and why.
    Unknown(String),
    /// None of this machine.
    Nobody,
}

/// Finds the application by the socket that it listens at.
pub(crate) fn application(address: SocketAddr) -> Application {
    let sockets = at_addresses([address]);
    let mut found = holders(&sockets);
    found.retain(|(_, name)| !STARTERS.contains(&name.as_str()));
    if found.is_empty() && !sockets.is_empty() {
        let text = "another user's process listens there, which its user and root can see";
        return Application::Unknown(text.to_owned());
    }
    among(&found, std::process::id(), parent)
}

/// The one of these from which the others descend: a master and its workers share a socket.
fn among(found: &[(u32, String)], own: u32, parent: impl Fn(u32) -> Option<u32>) -> Application {
    let hands_on = |name: &str| FORWARDERS.iter().any(|known| name.starts_with(known));
    if let Some((_, name)) = found.iter().find(|(_, name)| hands_on(name)) {
        let hint = "load the port of whom it hands on to";
        return Application::Unknown(format!("{name} listens there, and hands on; {hint}"));
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
        for name in ["docker-proxy", "pasta.avx2", "sshd", "nginx"] {
            assert!(reason(&[(20, name)], 30).contains(name), "{name}");
        }
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
