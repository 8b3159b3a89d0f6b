//! Which processes of this machine listen at an address.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Inodes of sockets that listen at one of these addresses; none at those of other machines.
pub(crate) fn at_addresses(addresses: impl IntoIterator<Item = SocketAddr>) -> BTreeSet<u64> {
    let ours: Vec<SocketAddr> = addresses.into_iter().filter(is_ours).collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    texts.iter().flat_map(|text| tcp_sockets(text, &ours)).collect()
}

/// Inodes of Unix sockets that listen at a path.
pub(crate) fn at_path(path: &str) -> BTreeSet<u64> {
    unix_sockets(&fs::read_to_string("/proc/net/unix").unwrap_or_default(), path)
}

/// Processes that hold one of these sockets, and what they call themselves. Another user's are hidden
/// from us, unless we are root.
pub(crate) fn holders(sockets: &BTreeSet<u64>) -> Vec<(u32, String)> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| inode(fs::read_link(file.path()).ok()?.to_str()?))
            .any(|found| sockets.contains(&found))
    };
    let named = |pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, name.trim_end().to_owned()))
    };
    pids.filter(holds).filter_map(named).collect()
}

/// Whether an address is one of this machine: only then can it be bound.
fn is_ours(address: &SocketAddr) -> bool {
    address.ip().is_loopback() || UdpSocket::bind((address.ip(), 0)).is_ok()
}

/// Inodes of sockets that listen at one of these addresses, or at all of the machine's; see
/// `proc_net_tcp(5)`.
fn tcp_sockets(text: &str, wanted: &[SocketAddr]) -> BTreeSet<u64> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (address, port) = local.split_once(':')?;
        let (address, port) = (ip(address)?, u16::from_str_radix(port, 16).ok()?);
        let meets = |wanted: &SocketAddr| {
            wanted.port() == port && (address.is_unspecified() || address == wanted.ip())
        };
        // 0A is a socket that listens.
        (*state == "0A" && wanted.iter().any(meets)).then(|| inode.parse().ok())?
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// An address as the kernel prints it: words of 32 bits in the machine's own order.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at * 8..(at + 1) * 8)?, 16).ok();
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Inodes of Unix sockets that listen at a path.
fn unix_sockets(text: &str, path: &str) -> BTreeSet<u64> {
    let place = format!(" {path}");
    let socket = |line: &str| {
        // Number, references, protocol, flags (these say that it listens), type, state, inode, path.
        let mut fields = line.split_ascii_whitespace().skip(3);
        let listens = fields.next()? == "00010000";
        let inode = fields.nth(2)?;
        (listens && line.ends_with(&place)).then(|| inode.parse().ok())?
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// `socket:[1234]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4711 1 0
   1: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4712 1 0
   2: 0100007F:1920 0100007F:D431 01 00000000:00000000 00:00000000 00000000   999        0 4713 1 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1920 00000000000000000000000000000000:0000 0A 0:0 00:0 0 999 0 4720 1
   1: 0000000000000000FFFF00000100007F:1921 00000000000000000000000000000000:0000 0A 0:0 00:0 0 999 0 4721 1
";
    const UNIX: &str = "\
Num       RefCount Protocol Flags    Type St Inode Path
ffff8881: 00000002 00000000 00010000 0001 01 4730 /run/pool/.s.PGSQL.6432
ffff8882: 00000003 00000000 00000000 0001 03 4731 /run/pool/.s.PGSQL.6432
ffff8883: 00000002 00000000 00010000 0001 01 24732
ffff8884: 00000002 00000000 00010000 0001 01   473 /run/.s.PGSQL.1
";

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_that_listen_are_found_by_their_address() {
        let at = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        assert_eq!(tcp_sockets(TCP, &at("127.0.0.1:6432")), [4711].into());
        // It listens at all addresses.
        assert_eq!(tcp_sockets(TCP, &at("127.0.0.1:5432")), [4712].into());
        assert_eq!(tcp_sockets(TCP, &at("127.0.0.2:6432")), [].into());
        assert_eq!(tcp_sockets(TCP6, &at("[::1]:6432")), [4720].into());
        assert_eq!(tcp_sockets(TCP6, &at("127.0.0.1:6433")), [4721].into());
        assert_eq!(unix_sockets(UNIX, "/run/pool/.s.PGSQL.6432"), [4730].into());
        assert_eq!(unix_sockets(UNIX, "/run/.s.PGSQL.1"), [473].into());
        assert_eq!(unix_sockets(UNIX, "/run/pool"), [].into());
    }

    #[test]
    fn what_is_no_table_holds_no_socket() {
        for text in ["", "a\nb c d e f g h i j k l", "x\n0: Ü0000000:1 0 0A 0 0 0 0 0 1"] {
            assert!(tcp_sockets(text, &["1.2.3.4:1".parse().unwrap()]).is_empty(), "{text}");
            assert!(unix_sockets(text, "/x").is_empty(), "{text}");
        }
        assert_eq!(inode("socket:[12]"), Some(12));
        assert_eq!((inode("pipe:[12]"), inode("socket:[x]")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_what_it_listens_at() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let pids: Vec<u32> = holders(&at_addresses([address])).iter().map(|(p, _)| *p).collect();
        assert!(pids.contains(&std::process::id()), "{pids:?}");
        // An address of somebody else's (RFC 5737), though our port is the same.
        assert!(at_addresses([SocketAddr::new([192, 0, 2, 1].into(), address.port())]).is_empty());
        drop(socket);
        assert_eq!(holders(&at_addresses([address])), []);
    }
}
