use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer answers are cut off.
const LONGEST: u64 = 8 << 20;

/// Reads the samples that a process on this machine shows in Prometheus's text format, by series:
/// `cache_hits_total{cache="user",level="memory"}`. Buckets of histograms are left out; their sums and
/// counts are there. `None` when it does not answer within two seconds.
pub fn exposition(address: SocketAddr, path: &str) -> Option<BTreeMap<String, f64>> {
    let within = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, within).ok()?;
    stream.set_read_timeout(Some(within)).ok()?;
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|status| *status == "200")?;
    Some(parse(body))
}

/// <https://prometheus.io/docs/instrumenting/exposition_formats/>, lines that are no samples left out.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        // Labels may hold spaces; what follows the series does not.
        let end = line.rfind('}').map_or_else(|| line.find(' '), |at| Some(at + 1))?;
        let (series, rest) = line.split_at(end);
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        (!series.contains("_bucket{")).then(|| (series.to_owned(), value))
    };
    text.lines().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_are_read_by_their_series() {
        let text =
            "# TYPE a counter\na 1\na_bucket{le=\"1\"} 7\nb{x=\"1 2\"} 3.5 1700\n\nc NaN\nbad\n";
        let samples = parse(text);
        assert_eq!(samples.get("a"), Some(&1.0));
        assert_eq!(samples.get("b{x=\"1 2\"}"), Some(&3.5));
        assert!(samples.get("c").is_some_and(|value| value.is_nan()));
        assert_eq!(samples.len(), 3);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "([ab{}= \"#.0-9]|\n|\\PC){0,60}") {
            let _ = parse(&text);
        }
    }
}
