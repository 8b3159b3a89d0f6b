//! The tables of `pinchpoint sql -i`, held against those of `pgbench -i` with the same options.

use std::io::Write;
use std::process::Command;

use pinchpoint_measure::ExitCode;

use crate::command::{Run, pinchpoint};
use crate::server::Server;

/// What the catalog says of pgbench's tables, a line a thing.
const CATALOG: &str = r"
    WITH tables AS (SELECT * FROM pg_class WHERE relname LIKE 'pgbench\_%')
    SELECT line FROM (
        SELECT concat_ws(' ', relname, relkind,
            -- A table of partitions is unlogged with pgbench 15; PostgreSQL 18 has none such.
            CASE WHEN relkind NOT IN ('p', 'I') THEN relpersistence END,
            reloptions, spcname, pg_get_expr(relpartbound, tables.oid),
            CASE relkind WHEN 'p' THEN pg_get_partkeydef(tables.oid) END) AS line
        FROM tables LEFT JOIN pg_tablespace AS place ON place.oid = reltablespace
        UNION ALL
        SELECT concat_ws(' ', relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull)
        FROM tables JOIN pg_attribute ON attrelid = tables.oid WHERE attnum > 0
        UNION ALL
        SELECT concat_ws(' ', relname, conname, pg_get_constraintdef(c.oid))
        FROM tables JOIN pg_constraint AS c ON conrelid = tables.oid WHERE contype IN ('p', 'f')
        UNION ALL
        SELECT concat_ws(' ', relname, 'vacuumed') FROM pg_stat_user_tables
        WHERE relname LIKE 'pgbench\_%' AND vacuum_count > 0 AND analyze_count > 0
    ) AS all_of_it ORDER BY line";

/// The rows of a table, in one number each.
const ROWS: &str = "SELECT concat_ws(' ', \
    (SELECT sum(hashtext(a::text)) FROM pgbench_accounts AS a), (SELECT count(*) FROM pgbench_accounts), \
    (SELECT sum(hashtext(t::text)) FROM pgbench_tellers AS t), (SELECT count(*) FROM pgbench_tellers), \
    (SELECT sum(hashtext(b::text)) FROM pgbench_branches AS b), (SELECT count(*) FROM pgbench_history))";

fn catalog(server: &Server) -> Vec<String> {
    server.query(CATALOG).into_iter().flatten().flatten().collect()
}

/// Makes the tables, and runs one transaction that needs none of them.
fn make(server: &Server, arguments: &[&str]) -> Run {
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    script.write_all(b"SELECT 1;\n").expect("written");
    let path = script.path().display().to_string();
    let mut all = vec!["sql", "--dsn", &server.dsn, "-i", "-t", "1", "-q", "-f", &path];
    all.extend(arguments);
    pinchpoint(&all)
}

/// Whether pgbench is one whose tables ours are made after.
fn has_pgbench() -> bool {
    let Ok(version) = Command::new("pgbench").arg("--version").output() else { return false };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.split_whitespace().find_map(|w| w.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 15)
}

#[test]
fn tables_are_those_of_pgbench_with_the_same_options() {
    if !has_pgbench() {
        return;
    }
    let server = Server::start(&["autovacuum=off", "allow_in_place_tablespaces=on"]);
    server.query(r#"CREATE TABLESPACE "a ""b"" c" LOCATION ''"#);
    server.query("CREATE TABLESPACE plain LOCATION ''");
    let cases: [(&[&str], &str); 5] = [
        (&["-F", "80", "--foreign-keys"], "pgbench_history_aid_fkey"),
        (&["--partitions=3", "-F", "55"], "pgbench_accounts_2 vacuumed"),
        (&["--partitions=2", "--partition-method=hash", "--unlogged-tables"], "modulus 2"),
        (&["-I", "dt g p f", "--unlogged-tables"], "pgbench_tellers r u"),
        (&["--tablespace=a \"b\" c", "--index-tablespace=plain", "--partitions=2", "-n"], "plain"),
    ];
    for (arguments, part) in cases {
        let pgbench =
            Command::new("pgbench").args(["-i", "-q"]).args(arguments).arg(&server.dsn).output();
        let pgbench = pgbench.expect("pgbench runs");
        assert!(pgbench.status.success(), "{}", String::from_utf8_lossy(&pgbench.stderr));
        let (theirs, their_rows) = (catalog(&server), server.value(ROWS));
        assert!(theirs.iter().any(|line| line.contains(part)), "{part}: {theirs:#?}");
        let drops = ["--drop-tables"];
        let drops = if arguments[0] == "-I" { &[][..] } else { &drops };
        let run = make(&server, &[arguments, drops].concat());
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.stderr);
        pretty_difference(&catalog(&server), &theirs, arguments);
        assert_eq!(server.value(ROWS), their_rows, "{arguments:?}");
    }
}

/// Fails with the lines that only one of the two has.
fn pretty_difference(ours: &[String], theirs: &[String], arguments: &[&str]) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let (ours_only, theirs_only) = (only(ours, theirs), only(theirs, ours));
    assert!(
        ours == theirs,
        "{arguments:?}: only with us {ours_only:#?}, only with pgbench {theirs_only:#?}"
    );
}

/// Steps do what their letters say, and no more: nothing of somebody else's is dropped unasked.
#[test]
fn steps_do_no_more_than_their_letters_say() {
    let server = Server::start(&["autovacuum=off"]);
    server.query("CREATE TABLE pgbench_accounts (aid int)");
    for steps in ["tGvp", "td"] {
        let run = make(&server, &["-I", steps]);
        assert_eq!(run.code, Some(1), "{steps}: {}", run.stderr);
        assert!(run.stderr.contains("--drop-tables"), "{steps}: {}", run.stderr);
    }
    let run = make(&server, &["-I", "d"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.value("SELECT to_regclass('pgbench_accounts')"), "");
    let run = make(&server, &["-I", "t"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.value("SELECT count(*) FROM pgbench_accounts"), "0");
    // A script of pgbench's finds its tables empty.
    let run = pinchpoint(&["sql", "--dsn", &server.dsn, "-S", "-t", "1", "-q"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("g or G"), "{}", run.stderr);
    // A second filling replaces the first.
    for steps in ["g", "Gp"] {
        let run = make(&server, &["-I", steps]);
        assert_eq!(run.code, Some(0), "{steps}: {}", run.stderr);
        assert_eq!(server.value("SELECT count(*) FROM pgbench_accounts"), "100000", "{steps}");
    }
    let run = make(&server, &["--tablespace=no_such", "--drop-tables"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("\"no_such\" does not exist"), "{}", run.stderr);
}

/// `-v` vacuums wherever it is asked to; the history of somebody else's server stays.
#[test]
fn all_tables_are_vacuumed_when_that_is_asked() {
    let server = Server::start(&["autovacuum=off"]);
    let run = make(&server, &["-n", "-I", "tGp"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    server.query("INSERT INTO pgbench_history (tid) VALUES (1)");
    let vacuumed = "SELECT count(*) FROM pg_stat_user_tables WHERE vacuum_count > 0";
    let base = ["sql", "--dsn", &server.dsn, "-S", "-t", "1", "-q"];
    assert_eq!(pinchpoint(&base).code, Some(0));
    assert_eq!(server.value(vacuumed), "0");
    let run = pinchpoint(&[&base[..], &["-v"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.value(vacuumed), "4");
    let accounts =
        "SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'pgbench_accounts'";
    assert_eq!(server.value(accounts), "1");
    assert_eq!(server.value("SELECT count(*) FROM pgbench_history"), "1");
}

#[test]
fn options_of_the_tables_that_cannot_be_are_refused_before_anything_starts() {
    for (arguments, word) in [
        (&["-i", "-F", "9"][..], "--fillfactor is out of bounds: it is 10 to 100"),
        (&["-i", "-F", "300"], "300"),
        (&["-i", "-F", "-1"], "-1"),
        (&["-F", "80"], "--initialize"),
        (&["-i", "--partitions=10001"], "--partitions is out of bounds: it is 0 to 10000"),
        (&["-i", "--partitions=-1"], "-1"),
        (&["-i", "--partitions=0", "--partition-method=hash"], "above 0"),
        (&["-i", "--partition-method=hash"], "--partitions"),
        (&["-i", "--partitions=2", "--partition-method=list"], "range, hash"),
        (&["-i", "-I", "dtx"], "'x' is no step"),
        (&["-i", "-I", ""], "dtgvp"),
        (&["-I", "dtgvp"], "--initialize"),
        (&["--unlogged-tables"], "--initialize"),
        (&["-v", "-n"], "--no-vacuum"),
    ] {
        let run = pinchpoint(&[&["sql"], arguments].concat());
        assert_eq!(run.code, Some(ExitCode::BadInput.code().into()), "{arguments:?}");
        assert!(run.stderr.contains(word), "{arguments:?}: {}", run.stderr);
    }
}
