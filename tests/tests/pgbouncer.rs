//! A managed PgBouncer in front of a real server: its known traps.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use pinchpoint_measure::Cause;
use pinchpoint_plan::{BuiltIn, Plan, read_plan};
use pinchpoint_sql::{Connection, Dsn, SqlError, TlsSetup};
use pinchpoint_stack::{
    Cancel, Helper, PgBouncer, PgBouncerOptions, PoolerProgram, Postgres, PostgresOptions, Search,
    SearchInput, StackError, Transport, Upstream, find_pgbouncer, find_postgres,
};
use rustix::process::Signal;

use crate::command::binary;
use crate::processes::{signal, until};
use crate::server::block_on;

fn helper() -> Helper {
    Helper { exe: binary() }
}

/// A server with the settings that matrices have.
pub(crate) fn server() -> Postgres {
    let options = PostgresOptions {
        installation: find_postgres(&SearchInput::from_env())
            .and_then(Search::newest)
            .expect("PostgreSQL"),
        settings: vec![("max_connections".to_owned(), "100".to_owned())],
        environment: Vec::new(),
        cpus: None,
        memory_bytes: None,
        port: None,
        base_dir: None,
    };
    Postgres::start(&helper(), &options, &Cancel::default()).expect("a server")
}

/// The server's own superuser: it may look at everything.
fn upstream(server: &Postgres) -> Upstream {
    let dsn = Dsn::parse(&server.dsn(Transport::Tcp)).expect("a DSN");
    Upstream {
        host: dsn.host.clone(),
        port: dsn.port,
        user: dsn.user.clone(),
        password: dsn.password.clone().expect("a password"),
        database: dsn.database.clone(),
        verifier: None,
    }
}

/// What `pinchpoint run frameworks` would start, with these settings instead of its own.
pub(crate) fn options(server: &Postgres, changes: &[(&str, &str)]) -> PgBouncerOptions {
    let text = BuiltIn::find("frameworks").expect("it ships").text;
    let Ok(Plan::Matrix(matrix)) = read_plan("frameworks", text) else { panic!("it is a matrix") };
    let mut settings = matrix.pgbouncer.settings;
    for (name, value) in changes {
        settings.retain(|(known, _)| known != name);
        settings.push(((*name).to_owned(), (*value).to_owned()));
    }
    PgBouncerOptions {
        program: find_pgbouncer(None).expect("PgBouncer"),
        settings,
        cpus: None,
        memory_bytes: None,
        server: upstream(server),
        base_dir: None,
    }
}

pub(crate) fn start(options: &PgBouncerOptions) -> PgBouncer {
    PgBouncer::start(&helper(), options, &Cancel::default()).expect("a pooler")
}

pub(crate) async fn log_in(dsn: &str) -> Result<Connection, SqlError> {
    let dsn = Dsn::parse(dsn).expect("a DSN");
    Connection::connect(&dsn, &TlsSetup::new(&dsn).expect("no TLS")).await
}

/// Asks for a number and gets it.
fn seven(dsn: &str) -> Result<(), SqlError> {
    block_on(async {
        let rows = log_in(dsn).await?.query("SELECT 7").await?;
        assert_eq!(rows, [[Some("7".to_owned())]]);
        Ok(())
    })
}

/// A number from the row of the pool that is not the console's.
async fn pool(console: &mut Connection, columns: &[&str]) -> u64 {
    let (names, rows) = console.query_named("SHOW POOLS").await.expect("its pools");
    let at = |name: &str| names.iter().position(|n| n == name).expect("a column");
    let own = |row: &&Vec<Option<String>>| row[at("database")].as_deref() != Some("pgbouncer");
    let number = |text: &Option<String>| text.as_deref().and_then(|t| t.parse::<u64>().ok());
    let cells = rows.iter().filter(own).flat_map(|row| columns.iter().map(|c| &row[at(c)]));
    cells.map(|cell| number(cell).expect("a number")).sum()
}

#[test]
fn a_burst_of_a_thousand_logins_succeeds_in_full() {
    const BURST: usize = 1000;
    pinchpoint_stack::raise_file_limit();
    let server = server();
    let pooler = start(&options(&server, &[]));
    let dsn = pooler.dsn(server.database());

    // While it stands still, only its backlog can take them; a full one drops what comes.
    let pid = pooler.pid().expect("it runs");
    signal(pid, Signal::STOP);
    let place = SocketAddr::from(([127, 0, 0, 1], pooler.port()));
    let knocking = (0..BURST)
        .map(|_| TcpStream::connect_timeout(&place, Duration::from_secs(5)))
        .take_while(Result::is_ok);
    let knocking: Vec<_> = knocking.collect();
    signal(pid, Signal::CONT);
    assert_eq!(knocking.len(), BURST, "its backlog is shorter than the burst");
    drop(knocking);

    let (sessions, clients) = block_on(async {
        let logins: Vec<_> = (0..BURST)
            .map(|_| {
                let dsn = dsn.clone();
                tokio::spawn(async move { log_in(&dsn).await })
            })
            .collect();
        let mut sessions = Vec::new();
        for login in logins {
            sessions.push(login.await.expect("it does not panic").expect("a login"));
        }
        let mut console = log_in(&pooler.dsn("pgbouncer")).await.expect("its console");
        (sessions.len(), pool(&mut console, &["cl_active", "cl_waiting"]).await)
    });
    assert_eq!(sessions, BURST);
    assert_eq!(clients, BURST as u64, "as PgBouncer counts them");
}

#[test]
fn it_serves_again_when_the_server_is_back() {
    let mut server = server();
    // Without a session kept ready it has to log in for the first client.
    let changes = [("min_pool_size", "0"), ("query_wait_timeout", "1")];
    let pooler = start(&options(&server, &changes));
    let dsn = pooler.dsn(server.database());
    let said = block_on(async {
        let mut console = log_in(&pooler.dsn("pgbouncer")).await.expect("its console");
        let (names, rows) = console.query_named("SHOW CONFIG").await.expect("its settings");
        let at = |name: &str| names.iter().position(|n| n == name).expect("a column");
        let key = Some("server_login_retry");
        let row = rows.iter().find(|row| row[at("key")].as_deref() == key).expect("the setting");
        row[at("value")].clone()
    });
    assert_eq!(said.as_deref(), Some("1"), "its own 15 s are longer than many a trial");

    server.crash().expect("it is stopped");
    let refused = block_on(log_in(&dsn)).expect_err("nobody to log in to");
    let said = matches!(refused.cause, Cause::SqlState(_));
    assert!(said, "not PgBouncer itself: {refused}");
    server.restart(&Cancel::default()).expect("it is back");
    until("an answer after the server came back", || seven(&dsn).ok());
}

/// A program that is PgBouncer, but lets us take its port before its first start.
fn slow_to_start(directory: &Path, real: &PoolerProgram) -> PoolerProgram {
    // It may run as another user.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("permissions");
    let path = directory.join("pgbouncer");
    let (place, real_path) = (directory.display(), real.path.display());
    let script = format!(
        "#!/bin/sh\nif mkdir {place}/first 2>/dev/null; then\n\
         sed -n 's/^listen_port = //p' \"$1\" > {place}/port.part\n\
         mv {place}/port.part {place}/port\n\
         while ! [ -e {place}/taken ]; do sleep 0.01; done\nfi\nexec {real_path} \"$1\"\n"
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    PoolerProgram { path, version: real.version.clone() }
}

#[test]
fn a_port_that_somebody_takes_first_is_left_for_another() {
    let server = server();
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = options(&server, &[]);
    options.program = slow_to_start(directory.path(), &options.program);
    let (port_file, taken) = (directory.path().join("port"), directory.path().join("taken"));
    let thief = std::thread::spawn(move || {
        let text = until("its port", || fs::read_to_string(&port_file).ok());
        let port: u16 = text.trim().parse().expect("a port");
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
        fs::write(taken, "").expect("written");
        listener
    });
    let pooler = start(&options);
    let listener = thief.join().expect("it took the port");
    assert_ne!(pooler.port(), listener.local_addr().expect("its address").port());
    seven(&pooler.dsn(server.database())).expect("an answer");
}

#[test]
fn a_pooler_that_never_gets_its_port_says_so() {
    let server = server();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    // The reader of experiments refuses this setting; here it stands for a port that is never free.
    let options = options(&server, &[("listen_port", &port)]);
    let error = PgBouncer::start(&helper(), &options, &Cancel::default()).expect_err("no port");
    assert!(matches!(error, StackError::Ended { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("no free port") && text.contains("already in use"), "{text}");
}

#[test]
fn it_ends_with_clients_connected_and_a_transaction_open() {
    let server = server();
    let pooler = start(&options(&server, &[]));
    let pid = pooler.pid().expect("it runs");
    let dsn = pooler.dsn(server.database());
    block_on(async {
        let mut busy = log_in(&dsn).await.expect("a login");
        busy.query("BEGIN").await.expect("a transaction");
        let mut idle = log_in(&dsn).await.expect("another");
        // New versions wait for their clients after this signal, old ones end.
        signal(pid, Signal::TERM);
        drop(pooler);
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it still runs");
        assert!(busy.query("COMMIT").await.is_err());
        assert!(idle.query("SELECT 1").await.is_err());
    });
}
