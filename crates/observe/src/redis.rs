use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer answers are no `INFO`.
const LONGEST: u64 = 1 << 20;

/// What a Redis says of itself (`INFO`), numbers by name: `keyspace_hits`, `used_memory`,
/// `connected_clients`, …. `None` when it does not answer, or not to this password.
pub fn redis_info(address: SocketAddr, password: &str) -> Option<BTreeMap<String, f64>> {
    let text = ask(address, password, "INFO").ok()?;
    Some(parse(&text))
}

/// Removes everything that a Redis holds; says whether it did.
pub fn redis_flush(address: SocketAddr, password: &str) -> bool {
    ask(address, password, "FLUSHALL").is_ok()
}

/// One command after the password, as inline commands: the answer's text.
fn ask(address: SocketAddr, password: &str, command: &str) -> std::io::Result<String> {
    let within = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, within)?;
    stream.set_read_timeout(Some(within))?;
    write!(stream, "AUTH {password}\r\n{command}\r\n")?;
    let mut answers = BufReader::new(stream.take(LONGEST));
    let mut line = String::new();
    answers.read_line(&mut line)?;
    if line != "+OK\r\n" {
        return Err(std::io::Error::other("it does not take the password"));
    }
    line.clear();
    answers.read_line(&mut line)?;
    let Some(length) = line.strip_prefix('$') else {
        let ok = line.starts_with('+');
        return if ok { Ok(line) } else { Err(std::io::Error::other(line)) };
    };
    let length: usize = length.trim().parse().map_err(std::io::Error::other)?;
    let mut bytes = vec![0; length.min(LONGEST as usize)];
    answers.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:value` lines whose value is a number.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_name() {
        let text = "# Stats\r\nkeyspace_hits:12\r\nredis_version:7.0.15\r\nused_cpu_sys:0.25\r\n";
        let info = parse(text);
        assert_eq!(info.get("keyspace_hits"), Some(&12.0));
        assert_eq!(info.get("used_cpu_sys"), Some(&0.25));
        assert_eq!(info.len(), 2);
    }
}
