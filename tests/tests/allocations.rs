//! Nothing is allocated for an operation once the buffers have grown: counted, not claimed.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use pinchpoint_http::{Check, HttpDriver, HttpSpec, Parameter, RequestSpec, Target};
use pinchpoint_load::{LoadSpec, Session};
use pinchpoint_measure::{Choice, Column, Generator, Method, SqlType, Table};
use pinchpoint_script::{Compiler, Protocol};
use pinchpoint_sql::{
    Admin, ConnectionSpec, LogLayout, ScriptConnection, ScriptDriver, ScriptSpec, StatementDriver,
    TransactionLog, WriteDriver, WriteSpec,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::server::{Server, block_on};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocations() -> usize {
    let stats = COUNTED.stats();
    stats.allocations + stats.reallocations
}

/// Allocations of the whole process and operations, over a while after a warm-up.
async fn count<D: pinchpoint_load::Driver>(driver: D, users: usize, log: bool) -> (usize, u64) {
    let load = LoadSpec {
        users,
        threads: 1,
        schedule: None,
        seed: 3,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: 1,
        operations_per_user: None,
        latency_limit: None,
        keep_acks: true,
    };
    let mut session = Session::open(Arc::new(driver), &load).await.expect("a session");
    session.keep_log(log);
    session.rotate(&mut session.empty()).await.expect("a rotation");
    session.start();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (before, done) = (allocations(), session.totals().operations);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (after, operations) = (allocations(), session.totals().operations - done);
    session.settle(Duration::from_secs(10)).await.expect("rest");
    assert_eq!(session.totals().failed, 0);
    session.close().await;
    (after - before, operations)
}

#[test]
fn an_operation_allocates_nothing_after_the_warm_up() {
    let server = Server::start(&[]);
    let column =
        |name: &str, sql_type, generator| Column { name: name.to_owned(), sql_type, generator };
    let integer = Generator::Integer { min: 1, max: 1000, choice: Choice::Zipf { exponent: 1.0 } };
    let table = Table {
        name: "t".to_owned(),
        columns: vec![
            column("id", SqlType::Uuid, Generator::Uuid),
            column("n", SqlType::Integer, integer),
            column("text", SqlType::Text, Generator::Text { min: 1, max: 20 }),
            column("at", SqlType::TimestampTz, Generator::Now),
        ],
        primary_key: vec![],
    };
    block_on(async {
        let mut admin = Admin::connect(&server.parsed()).await.expect("an admin");
        admin.create_schema("s").await.expect("a schema");
        admin.create_table(&table, "s").await.expect("a table");
        for (method, batch) in [
            (Method::Insert, 1),
            (Method::ExecuteMany, 50),
            (Method::Unnest, 50),
            (Method::Copy, 50),
        ] {
            let spec = WriteSpec {
                dsn: server.parsed(),
                schema: Some("s".to_owned()),
                table: table.clone(),
                method,
                batch,
                synchronous_commit: Some(false),
                write: true,
                // Fewer connections than users, so that waiting for one is covered too.
                connection: ConnectionSpec::Pool {
                    min: 4,
                    max: 4,
                    timeout: Duration::from_secs(9),
                },
            };
            let driver = WriteDriver::new(spec).expect("a driver");
            let (allocations, operations) = count(driver, 12, false).await;
            assert_none(&format!("{method:?}"), allocations, operations);
        }
        let dsn = server.parsed();
        let driver = StatementDriver::new(dsn, "SELECT $1::int4", (1, 9)).expect("a driver");
        let (allocations, operations) = count(driver, 16, false).await;
        assert_none("a prepared SELECT", allocations, operations);
    });
}

/// A server in this process that allocates nothing for an answer, as its allocations count too.
fn frugal_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut request = [0_u8; 1024];
                // A small request from loopback comes in one piece.
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"status\": \"ok\"}";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn a_request_allocates_nothing_after_the_warm_up() {
    let (target, _) = Target::parse(&frugal_server()).expect("a URL");
    let request = RequestSpec {
        path: "/users/{id}".to_owned(),
        parameters: vec![Parameter { name: "id".to_owned(), min: 1, max: 900, zipf: Some(1.0) }],
        checks: vec![
            Check::Status(vec![200]),
            Check::json_exists("/status").expect("a pointer"),
            Check::BodySize(1, 100),
        ],
        ..RequestSpec::default()
    };
    let spec = HttpSpec {
        target,
        requests: vec![request],
        timeout: Duration::from_secs(5),
        keep_alive: true,
        insecure: false,
    };
    block_on(async {
        let driver = HttpDriver::new(&spec).expect("a driver");
        let (allocations, operations) = count(driver, 8, false).await;
        assert_none("a request", allocations, operations);
    });
}

/// The test's own timers and the runtime may allocate now and then: that does not grow with the
/// operations.
fn assert_none(what: &str, allocations: usize, operations: u64) {
    assert!(operations > 300, "{what}: only {operations} operations");
    assert!(allocations < 50, "{what}: {allocations} allocations in {operations} operations");
}

/// With its line in the transaction log.
#[test]
fn a_scripts_transaction_allocates_nothing_after_the_warm_up() {
    let server = Server::start(&[]);
    let mut compiler = Compiler::new(Protocol::Prepared);
    compiler.add("a", "\\set n random(1, 9)\nSELECT :n;\n", 1).expect("a script");
    let program = Arc::new(compiler.finish().expect("a program"));
    let null = || std::fs::File::options().write(true).open("/dev/null").expect("/dev/null");
    for logged in [false, true] {
        let layout = LogLayout::default();
        let log = logged.then(|| Arc::new(TransactionLog::new(vec![null()], layout, 1.0)));
        let spec = ScriptSpec {
            dsn: server.parsed(),
            program: program.clone(),
            connection: ScriptConnection::Own,
            max_tries: 1,
            seed: 1,
            log,
        };
        let driver = ScriptDriver::new(spec).expect("a driver");
        let (allocated, operations) = block_on(count(driver, 4, logged));
        assert_none(&format!("a transaction, logged: {logged}"), allocated, operations);
    }
}
