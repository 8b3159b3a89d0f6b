//! The library that makes a server's disk slow on purpose.

use std::time::{Duration, Instant};

use pinchpoint_plants::{Delays, Server, ServerOptions, Slow, pinchpoint};

fn took(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

#[test]
fn flushes_and_reads_take_longer_and_only_where_they_should() {
    let delays = Delays::new().expect("the library");
    let options = ServerOptions {
        // No background flush of the log, whose delay would fall on nobody.
        settings: [("shared_buffers", "128kB"), ("wal_writer_delay", "10s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        environment: delays.environment(),
        ..ServerOptions::default()
    };
    let server = Server::start(pinchpoint().expect("the command"), &options).expect("a server");
    let mut session = server.session().expect("a session");
    session
        .run("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 5000) i")
        .expect("a table");
    let count = "SELECT sum(length(x)) FROM t";

    session.run("CHECKPOINT").expect("no page is dirty that a read would have to write");
    let delay = Duration::from_secs(1);
    delays.set(Slow::WalSync, delay).expect("set");
    let insert = took(|| drop(session.run("INSERT INTO t VALUES (0, '')").expect("inserted")));
    assert!(insert >= delay, "a commit waits for the flush: {insert:?}");
    let read = took(|| drop(session.run("SELECT FROM t LIMIT 1").expect("read")));
    session.run("SET synchronous_commit = off").expect("set");
    let insert = took(|| drop(session.run("INSERT INTO t VALUES (0, '')").expect("inserted")));
    assert!(insert < delay && read < delay, "these do not: {insert:?} {read:?}");
    delays.set(Slow::WalSync, Duration::ZERO).expect("set");

    // 5,000 rows are more pages than shared buffers hold, so some are read each time.
    delays.set(Slow::DataRead, Duration::from_millis(2)).expect("set");
    let read = took(|| drop(session.run(count).expect("read")));
    assert!(read >= Duration::from_millis(2 * 100), "300 pages and more: {read:?}");
}
