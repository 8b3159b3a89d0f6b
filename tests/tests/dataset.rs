//! The blog on a real server.

use pinchpoint_dataset::{Blog, BlogSize, DatasetError, Seeded, ensure};
use pinchpoint_sql::{Connection, TlsSetup};

use crate::server::{Server, block_on};

const SMALL: BlogSize = BlogSize { users: 50, posts: 300, comments: 700 };

async fn connect(server: &Server) -> Connection {
    let dsn = server.parsed();
    let tls = TlsSetup::new(&dsn).expect("TLS");
    Connection::connect(&dsn, &tls).await.expect("a session")
}

async fn value(connection: &mut Connection, sql: &str) -> String {
    let rows = connection.query(sql).await.expect("an answer");
    rows[0][0].clone().unwrap_or_default()
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM posts) \
                      || ' ' || (SELECT count(*) FROM comments)";

#[test]
fn a_blog_is_loaded_once_and_replaced_by_another() {
    let server = Server::start(&[]);
    block_on(async {
        let mut connection = connect(&server).await;
        let blog = Blog { size: SMALL, seed: 1 };
        let mut seen = Vec::new();
        let loaded = ensure(&mut connection, &blog, &mut |p| {
            seen.push((p.table, p.rows_done, p.rows_total));
            true
        })
        .await
        .expect("loaded");
        assert!(matches!(loaded, Seeded::Loaded { rows: 1050, .. }), "{loaded:?}");
        assert!(seen.contains(&("comments", 700, 700)), "{seen:?}");
        assert_eq!(value(&mut connection, COUNTS).await, "50 300 700");
        let again = ensure(&mut connection, &blog, &mut |_| true).await.expect("there");
        assert_eq!(again, Seeded::Present);

        // Whoever joins finds a partner for every row, by the indexes that requests use.
        let joined = "SELECT count(*) FROM comments c JOIN posts p ON p.id = c.post_id \
                      JOIN users u ON u.id = p.user_id JOIN users v ON v.id = c.user_id";
        assert_eq!(value(&mut connection, joined).await, "700");
        let indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'";
        assert_eq!(value(&mut connection, indexes).await, "5");

        let other = Blog { size: BlogSize { users: 10, ..SMALL }, seed: 2 };
        let replaced = ensure(&mut connection, &other, &mut |_| true).await.expect("replaced");
        assert!(matches!(replaced, Seeded::Loaded { .. }));
        assert_eq!(value(&mut connection, COUNTS).await, "10 300 700");
    });
}

#[test]
fn tables_of_somebody_else_are_left_alone() {
    let server = Server::start(&[]);
    block_on(async {
        let mut connection = connect(&server).await;
        connection.query("CREATE TABLE posts AS SELECT 7 AS precious").await.expect("a table");
        let error = ensure(&mut connection, &Blog::default(), &mut |_| true).await;
        let Err(DatasetError::NotOurs { table }) = error else { panic!("{error:?}") };
        assert_eq!(table, "posts");
        assert_eq!(value(&mut connection, "SELECT precious FROM posts").await, "7");
    });
}

#[test]
fn a_load_that_is_stopped_leaves_nothing() {
    let server = Server::start(&[]);
    block_on(async {
        let mut connection = connect(&server).await;
        let blog = Blog { size: BlogSize { posts: 20_000, ..SMALL }, seed: 1 };
        let stopped = ensure(&mut connection, &blog, &mut |p| p.table == "users").await;
        assert!(matches!(stopped, Err(DatasetError::Stopped)), "{stopped:?}");
        let tables =
            "SELECT count(*) FROM pg_class WHERE relname IN ('users', 'posts', 'comments')";
        assert_eq!(value(&mut connection, tables).await, "0");
        let loaded = ensure(&mut connection, &blog, &mut |_| true).await.expect("loaded");
        assert!(matches!(loaded, Seeded::Loaded { .. }), "the session still works");
    });
}
