//! The proxy between a client and an echo: bytes, order, delay, cap, and what is left.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use pinchpoint_proxy::{Proxy, Shape, Upstream};

/// A server that sends back what it gets, until its client closes.
fn echo() -> Upstream {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            std::thread::spawn(move || {
                let mut back = client.try_clone().expect("a handle");
                let _ = std::io::copy(&mut client, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    Upstream::Tcp("127.0.0.1".to_owned(), port)
}

fn delayed(ms: u64) -> Shape {
    Shape { delay: Duration::from_millis(ms), ..Shape::default() }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).expect("a connection");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    client
}

/// Sends all of it and reads it back; says how long that took.
fn round_trip(client: &mut TcpStream, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let mut sender = client.try_clone().expect("a handle");
    let sent = bytes.to_vec();
    let writing = std::thread::spawn(move || sender.write_all(&sent).expect("sent"));
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).expect("what was sent");
    writing.join().expect("written");
    (got, began.elapsed())
}

/// Bytes that show a place that was swapped, lost or sent twice.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

#[test]
fn bytes_arrive_unchanged_and_in_order_whatever_the_shape() {
    let bytes = pattern(3 << 20);
    let capped = Shape { bytes_per_s: Some(40 << 20), ..delayed(3) };
    for shape in [Shape::default(), delayed(3), capped] {
        let proxy = Proxy::start(echo(), shape).expect("a proxy");
        let (got, _) = round_trip(&mut connect(&proxy), &bytes);
        assert!(got == bytes, "{shape:?} changed the bytes");
    }
}

#[test]
fn order_is_kept_when_the_delay_shrinks_meanwhile() {
    let proxy = Proxy::start(echo(), delayed(40)).expect("a proxy");
    let mut client = connect(&proxy);
    let mut sender = client.try_clone().expect("a handle");
    for part in 0..20_u8 {
        proxy.set(delayed(u64::from(20 - part) * 2));
        sender.write_all(&[part; 100]).expect("sent");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut got = vec![0; 2_000];
    client.read_exact(&mut got).expect("what was sent");
    assert!(got.is_sorted(), "an early part overtook a late one");
}

#[test]
fn a_round_trip_takes_at_least_twice_the_delay() {
    let proxy = Proxy::start(echo(), delayed(25)).expect("a proxy");
    let mut client = connect(&proxy);
    for _ in 0..3 {
        let (_, took) = round_trip(&mut client, b"ping");
        assert!(took >= Duration::from_millis(50), "{took:?}");
    }
    proxy.set(delayed(60));
    let (_, took) = round_trip(&mut client, b"ping");
    assert!(took >= Duration::from_millis(120), "a change counts at once: {took:?}");
}

#[test]
fn round_trips_are_counted_with_the_one_that_connects() {
    let proxy = Proxy::start(echo(), Shape::default()).expect("a proxy");
    assert_eq!(proxy.round_trips(), 0);
    let mut clients = [connect(&proxy), connect(&proxy)];
    for client in &mut clients {
        for _ in 0..5 {
            round_trip(client, b"ping");
        }
    }
    assert_eq!(proxy.round_trips(), 12);
}

#[test]
fn delays_of_requests_under_way_overlap() {
    let proxy = Proxy::start(echo(), delayed(100)).expect("a proxy");
    let mut client = connect(&proxy);
    let began = Instant::now();
    for _ in 0..20 {
        client.write_all(b"x").expect("sent");
        std::thread::sleep(Duration::from_millis(1));
    }
    client.read_exact(&mut [0; 20]).expect("what was sent");
    // One after the other they would take 20 × 200 ms at least.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn the_cap_is_that_of_all_connections_together() {
    let shape = Shape { bytes_per_s: Some(1_000_000), ..Shape::default() };
    let proxy = Proxy::start(echo(), shape).expect("a proxy");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| round_trip(&mut connect(&proxy), &pattern(100_000)));
        }
    });
    // 400,000 bytes at 1,000,000 a second, less the credit of a line at rest.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(390), "{took:?}");
    proxy.set(Shape::default());
    let began = Instant::now();
    round_trip(&mut connect(&proxy), &pattern(8_000_000));
    assert!(began.elapsed() < Duration::from_secs(8), "8 s is what it takes at the cap");
}

#[test]
fn each_side_sees_the_other_close() {
    let proxy = Proxy::start(echo(), delayed(5)).expect("a proxy");
    let mut client = connect(&proxy);
    client.write_all(b"last words").expect("sent");
    client.shutdown(Shutdown::Write).expect("half closed");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("the rest");
    assert_eq!(rest, b"last words");
}

#[test]
fn a_server_that_is_not_there_closes_the_connection() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = gone.local_addr().expect("an address").port();
    drop(gone);
    let upstream = Upstream::Tcp("127.0.0.1".to_owned(), port);
    let proxy = Proxy::start(upstream, Shape::default()).expect("a proxy");
    let read = connect(&proxy).read(&mut [0; 1]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[test]
fn a_unix_socket_may_be_behind_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut back = client.try_clone().expect("a handle");
        let _ = std::io::copy(&mut client, &mut back);
    });
    let proxy = Proxy::start(Upstream::Unix(path), delayed(1)).expect("a proxy");
    assert_eq!(round_trip(&mut connect(&proxy), b"through").0, b"through");
}

#[test]
fn dropping_it_closes_its_connections_and_frees_the_port() {
    let proxy = Proxy::start(echo(), delayed(1)).expect("a proxy");
    let address = proxy.address();
    let mut client = connect(&proxy);
    round_trip(&mut client, b"alive");
    drop(proxy);
    let read = client.read(&mut [0; 1]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    TcpListener::bind(address).expect("the port is free");
}
