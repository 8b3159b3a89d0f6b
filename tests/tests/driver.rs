//! The driver against a real server: values arrive as they were made, whatever the method.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pinchpoint_load::{Histograms, LoadSpec, Session, Totals};
use pinchpoint_measure::{Cause, Choice, Column, Generator, Method, Phase, SqlType, Table};
use pinchpoint_sql::{Admin, Connection, ConnectionSpec, Dsn, TlsSetup, WriteDriver, WriteSpec};

use crate::server::{Server, block_on};

const POOL: ConnectionSpec =
    ConnectionSpec::Pool { min: 1, max: 2, timeout: Duration::from_secs(5) };

fn column(name: &str, sql_type: SqlType, generator: Generator) -> Column {
    Column { name: name.to_owned(), sql_type, generator }
}

fn integer(min: i64, max: i64) -> Generator {
    Generator::Integer { min, max, choice: Choice::Uniform }
}

/// A column of every type, one of them with a hostile name.
fn every_type() -> Table {
    let decimal = Generator::Decimal { min: -9_999, max: 123_456_789, scale: 2 };
    Table {
        name: "every \"type\"; DROP TABLE x".to_owned(),
        columns: vec![
            column("id", SqlType::Uuid, Generator::Uuid),
            column("small", SqlType::SmallInt, integer(-5, 5)),
            column("user", SqlType::Integer, integer(100_000, 100_010)),
            column("big", SqlType::BigInt, integer(i64::MAX - 3, i64::MAX)),
            column("money", SqlType::Numeric { precision: 12, scale: 2 }, decimal),
            column("double", SqlType::Double, Generator::Decimal { min: 5, max: 5, scale: 1 }),
            column("one", SqlType::Text, Generator::OneOf(vec!["é'\"".to_owned(), "b".to_owned()])),
            column("text", SqlType::Text, Generator::Text { min: 3, max: 30 }),
            column("at", SqlType::TimestampTz, Generator::Now),
            column(
                "zipf",
                SqlType::Integer,
                Generator::Integer { min: 1, max: 100, choice: Choice::Zipf { exponent: 1.2 } },
            ),
        ],
        primary_key: vec!["id".to_owned()],
    }
}

/// Drives a method for a moment; says what was done and where the time went.
async fn drive(
    spec: WriteSpec,
    users: usize,
    length: Duration,
) -> (Totals, Histograms, Vec<Cause>) {
    let driver = WriteDriver::new(spec).expect("a driver");
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
        keep_acks: false,
    };
    let mut session = Session::open(Arc::new(driver), &load).await.expect("a session");
    session.start();
    tokio::time::sleep(length).await;
    session.settle(Duration::from_secs(20)).await.expect("rest");
    let mut histograms = Histograms::new();
    let harvest = session.rotate(&mut histograms).await.expect("a harvest");
    let totals = session.totals();
    session.close().await;
    (totals, histograms, harvest.errors.into_keys().collect())
}

fn spec(server: &Server, table: &Table, method: Method, batch: u32) -> WriteSpec {
    WriteSpec {
        dsn: server.parsed(),
        schema: Some("s \"x".to_owned()),
        table: table.clone(),
        method,
        batch,
        synchronous_commit: Some(false),
        write: true,
        connection: POOL,
    }
}

async fn prepare(server: &Server, table: &Table) -> Admin {
    let mut admin = Admin::connect(&server.parsed()).await.expect("an admin");
    admin.create_schema("s \"x").await.expect("a schema");
    admin.create_table(table, "s \"x").await.expect("a table");
    admin
}

#[test]
fn every_method_writes_every_type_and_the_values_are_right() {
    let server = Server::start(&[]);
    let table = every_type();
    block_on(async {
        let mut admin = prepare(&server, &table).await;
        for (method, batch) in [
            (Method::Insert, 1),
            (Method::ExecuteMany, 70),
            (Method::Unnest, 70),
            (Method::Copy, 3000),
        ] {
            admin.truncate(&table, "s \"x").await.expect("empty");
            let work = spec(&server, &table, method, batch);
            let (totals, _, errors) = drive(work.clone(), 3, Duration::from_millis(150)).await;
            assert!(errors.is_empty() && totals.rows > 0, "{method:?}: {errors:?}");
            let stored = admin.count_rows(&table, "s \"x").await.expect("a count");
            assert_eq!(stored, totals.rows, "{method:?}");
            let check = server.value(CHECK);
            assert_eq!(check, "0", "{method:?}: rows whose values are not as they should be");
            assert_eq!(server.value(VARIETY), "t", "{method:?}: the values do not vary");

            admin.truncate(&table, "s \"x").await.expect("empty");
            let null = WriteSpec { write: false, ..work };
            let (totals, _, errors) = drive(null, 3, Duration::from_millis(80)).await;
            assert!(errors.is_empty() && totals.rows > 0, "{method:?} without writing: {errors:?}");
            let stored = admin.count_rows(&table, "s \"x").await.expect("a count");
            assert_eq!(stored, 0, "{method:?} without writing");
        }
    });
}

const CHECK: &str = r#"SELECT count(*) FROM "s ""x"."every ""type""; DROP TABLE x" WHERE NOT (
    substr(id::text, 15, 1) = '4' AND small BETWEEN -5 AND 5 AND "user" BETWEEN 100000 AND 100010
    AND big >= 9223372036854775804 AND money BETWEEN -99.99 AND 1234567.89 AND scale(money) = 2
    AND double = 0.5 AND one IN ('é''"', 'b') AND length(text) BETWEEN 3 AND 30
    AND text ~ '^[a-zA-Z0-9]+$' AND at BETWEEN now() - interval '5 min' AND now() + interval '5 s'
    AND zipf BETWEEN 1 AND 100)"#;

const VARIETY: &str = r#"SELECT count(DISTINCT id) = count(*) AND count(DISTINCT small) > 5
    AND count(DISTINCT one) = 2 AND count(DISTINCT length(text)) > 5 AND min(money) < max(money)
    AND count(*) FILTER (WHERE zipf = 1) > count(*) FILTER (WHERE zipf BETWEEN 50 AND 60)
    FROM "s ""x"."every ""type""; DROP TABLE x""#;

#[test]
fn batches_larger_than_every_buffer_do_not_lock_up() {
    let server = Server::start(&[]);
    let table = every_type();
    block_on(async {
        let mut admin = prepare(&server, &table).await;
        for (method, batch) in
            [(Method::Copy, 50_000), (Method::ExecuteMany, 20_000), (Method::Unnest, 20_000)]
        {
            admin.truncate(&table, "s \"x").await.expect("empty");
            let work = spec(&server, &table, method, batch);
            let (totals, ..) = drive(work, 2, Duration::from_millis(300)).await;
            assert!(totals.rows >= u64::from(batch), "{method:?}: {totals:?}");
            assert_eq!(admin.count_rows(&table, "s \"x").await.expect("a count"), totals.rows);
        }
    });
}

#[test]
fn a_batch_that_fails_is_stored_not_at_all() {
    let server = Server::start(&[]);
    let table = Table {
        name: "few".to_owned(),
        columns: vec![column("id", SqlType::Integer, integer(1, 50))],
        primary_key: vec!["id".to_owned()],
    };
    block_on(async {
        let mut admin = prepare(&server, &table).await;
        // Fifty keys for batches of twenty: soon each batch meets one that is taken.
        for method in [Method::ExecuteMany, Method::Unnest, Method::Copy] {
            admin.truncate(&table, "s \"x").await.expect("empty");
            let work = spec(&server, &table, method, 20);
            let (totals, _, errors) = drive(work, 2, Duration::from_millis(150)).await;
            assert_eq!(errors, [Cause::SqlState(*b"23505")], "{method:?}");
            assert!(totals.failed > 0 && totals.in_doubt_rows == 0, "{method:?}: {totals:?}");
            assert_eq!(admin.count_rows(&table, "s \"x").await.expect("a count"), totals.rows);
        }
    });
}

#[test]
fn a_small_pool_makes_users_wait_and_time_out() {
    let server = Server::start(&[]);
    let table = every_type();
    block_on(async {
        let mut admin = prepare(&server, &table).await;
        let mut work = spec(&server, &table, Method::Insert, 1);
        let one = |timeout| ConnectionSpec::Pool { min: 1, max: 1, timeout };
        work.connection = one(Duration::from_secs(5));
        let (totals, histograms, errors) = drive(work.clone(), 4, Duration::from_millis(200)).await;
        assert!(errors.is_empty() && totals.rows > 0, "{errors:?}");
        let (wait, whole) =
            (histograms.phase_mean_ms(Phase::Checkout), histograms.response_ms().avg);
        assert!(wait > whole * 0.5, "three of four wait: {wait} of {whole}");
        // The same seed would make the same keys again.
        admin.truncate(&table, "s \"x").await.expect("empty");
        work.method = Method::Copy;
        work.batch = 50_000;
        work.connection = one(Duration::from_millis(1));
        let (_, _, errors) = drive(work, 4, Duration::from_millis(200)).await;
        assert_eq!(errors, [Cause::PoolTimedOut]);
    });
}

#[test]
fn tls_is_used_and_checked_as_sslmode_says() {
    let server = Server::start(&[]);
    let data = server.value("SHOW data_directory");
    for name in ["server", "other"] {
        certificate(&data, name);
    }
    server.query("ALTER SYSTEM SET ssl = on");
    server.query("SELECT pg_reload_conf()");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while server.value("SHOW ssl") != "on" {
        assert!(std::time::Instant::now() < deadline, "TLS was not switched on");
    }
    let good = format!("sslrootcert={data}/server.crt");
    let other = format!("sslrootcert={data}/other.crt");
    for (parameters, outcome) in [
        ("sslmode=disable".to_owned(), Ok("f")),
        ("sslmode=prefer".to_owned(), Ok("t")),
        ("sslmode=require".to_owned(), Ok("t")),
        (format!("sslmode=verify-full&{good}"), Ok("t")),
        (format!("sslmode=verify-ca&{good}"), Ok("t")),
        (format!("sslmode=verify-full&{other}"), Err(())),
        (format!("sslmode=require&{other}"), Err(())),
        ("sslmode=verify-full&sslrootcert=/nowhere".to_owned(), Err(())),
    ] {
        let found = encrypted(&format!("{}?{parameters}", server.dsn));
        match outcome {
            Ok(expected) => assert_eq!(found.as_deref(), Ok(expected), "{parameters}"),
            Err(()) => assert_eq!(found, Err(Cause::Tls), "{parameters}"),
        }
    }
    let dsn = server.dsn.replace("127.0.0.1", "localhost");
    let by_name = |mode: &str| encrypted(&format!("{dsn}?sslmode={mode}&{good}"));
    assert_eq!(by_name("verify-ca").as_deref(), Ok("t"), "the chain is good");
    assert_eq!(by_name("verify-full"), Err(Cause::Tls), "the certificate is for 127.0.0.1 only");
}

/// Whether the server says that a session of this DSN is encrypted.
fn encrypted(dsn: &str) -> Result<String, Cause> {
    block_on(async {
        let dsn = Dsn::parse(dsn).expect("a DSN");
        let tls = TlsSetup::new(&dsn).map_err(|e| e.cause)?;
        let mut connection = Connection::connect(&dsn, &tls).await.map_err(|e| e.cause)?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let rows = connection.query(sql).await.map_err(|e| e.cause)?;
        Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
    })
}

/// Makes a self-signed certificate for 127.0.0.1 that the server's user can read.
fn certificate(directory: &str, name: &str) {
    let key = format!("{directory}/{name}.key");
    let certificate = format!("{directory}/{name}.crt");
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "rsa:2048"])
        .args(["-subj", "/CN=pinchpoint test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let owner = std::fs::metadata(directory).expect("the data directory");
    let owner = std::os::unix::fs::MetadataExt::uid(&owner);
    for file in [&key, &certificate] {
        std::os::unix::fs::chown(file, Some(owner), None).expect("the server owns it");
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let server = Server::start(&[]);
    let error = block_on(async {
        let dsn = Dsn::parse(&server.dsn_as("pinchpoint", "wrong", "postgres")).expect("a DSN");
        let tls = TlsSetup::new(&dsn).expect("TLS");
        Connection::connect(&dsn, &tls).await.expect_err("a refusal")
    });
    assert_eq!(error.cause, Cause::SqlState(*b"28P01"), "{error}");
}

#[test]
fn a_statement_given_up_half_way_ends_the_session() {
    let server = Server::start(&[]);
    let dsn = server.parsed();
    block_on(async {
        let tls = TlsSetup::new(&dsn).expect("no TLS");
        let mut connection = Connection::connect(&dsn, &tls).await.expect("a session");
        {
            let slow = connection.query("SELECT 1, pg_sleep(5)");
            let given_up = tokio::time::timeout(Duration::from_millis(1), slow).await;
            assert!(given_up.is_err(), "it sleeps for longer");
        }
        let next = connection.query("SELECT 2").await;
        let error = next.expect_err("the answer would be that of the statement before");
        assert_eq!(error.cause, Cause::Closed, "{error}");
    });
}
