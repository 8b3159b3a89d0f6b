use std::time::Instant;

use pinchpoint_sql::{Connection, SqlError};

use crate::rows::{Rows, Table};
use crate::{Blog, DatasetError, MARK};

/// Whether the blog had to be loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seeded {
    /// It was there.
    Present,
    /// It was loaded.
    Loaded {
        /// Rows of all tables.
        rows: u64,
        /// Bytes sent.
        bytes: u64,
        /// Seconds, indexes and statistics included.
        seconds: f64,
    },
}

/// How far loading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedProgress {
    /// The table.
    pub table: &'static str,
    /// Rows sent of it.
    pub rows_done: u64,
    /// Rows that it will have.
    pub rows_total: u64,
}

/// Sent at once: no more of a table is ever in memory.
const PART: usize = 256 << 10;

const TABLES: &str = "
    CREATE TABLE users (
        id bigint PRIMARY KEY, username text NOT NULL, email text NOT NULL,
        full_name text NOT NULL, bio text NOT NULL, created_at timestamptz NOT NULL);
    CREATE TABLE posts (
        id bigint PRIMARY KEY, user_id bigint NOT NULL, title text NOT NULL,
        content text NOT NULL, category text NOT NULL, created_at timestamptz NOT NULL);
    CREATE TABLE comments (
        id bigint PRIMARY KEY, post_id bigint NOT NULL, user_id bigint NOT NULL,
        content text NOT NULL, created_at timestamptz NOT NULL);";

/// After the rows: a sorted index is built quicker than it grows.
const INDEXES: &str = "
    ALTER TABLE posts ADD FOREIGN KEY (user_id) REFERENCES users;
    ALTER TABLE comments ADD FOREIGN KEY (post_id) REFERENCES posts;
    ALTER TABLE comments ADD FOREIGN KEY (user_id) REFERENCES users;
    CREATE INDEX posts_user_id ON posts (user_id);
    CREATE INDEX comments_post_id ON comments (post_id);";

const OURS: &str = "SELECT c.relname, obj_description(p.oid, 'pg_class') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_class p ON p.relname = 'posts' AND p.relnamespace = n.oid \
    WHERE n.nspname = 'public' AND c.relname IN ('users', 'posts', 'comments')";

fn failed(action: &'static str) -> impl Fn(SqlError) -> DatasetError {
    move |source| DatasetError::Server { action, source }
}

/// Makes sure that the database holds this blog, in schema `public`: it is left alone when it is
/// there, takes the place of another blog of ours, and never that of tables which are not ours.
///
/// Everything happens in one transaction, so what is stopped half-way leaves nothing. `progress` is
/// called now and then, and stops the loading by answering `false`.
pub async fn ensure(
    connection: &mut Connection,
    blog: &Blog,
    progress: &mut dyn FnMut(SeedProgress) -> bool,
) -> Result<Seeded, DatasetError> {
    let fingerprint = blog.fingerprint();
    let there = connection.query(OURS).await.map_err(failed("looked for"))?;
    let mark = there.first().and_then(|row| row.get(1).cloned()).flatten();
    match (there.first(), mark) {
        (Some(_), Some(mark)) if mark == fingerprint && there.len() == 3 => {
            return Ok(Seeded::Present);
        }
        (Some(_), Some(mark)) if mark.starts_with(MARK) => {}
        (Some(row), _) => {
            let table = row.first().cloned().flatten().unwrap_or_default();
            return Err(DatasetError::NotOurs { table });
        }
        (None, _) => {}
    }
    let began = Instant::now();
    connection.query("BEGIN").await.map_err(failed("loaded"))?;
    let loaded = load(connection, blog, &fingerprint, progress).await;
    let bytes = match loaded {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = connection.query("ROLLBACK").await;
            return Err(error);
        }
    };
    connection.query("COMMIT").await.map_err(failed("loaded"))?;
    let tidy = "VACUUM (ANALYZE) users, posts, comments";
    connection.query(tidy).await.map_err(failed("analysed"))?;
    let rows = Table::ALL.iter().map(|t| t.rows(blog)).sum();
    Ok(Seeded::Loaded { rows, bytes, seconds: began.elapsed().as_secs_f64() })
}

async fn load(
    connection: &mut Connection,
    blog: &Blog,
    fingerprint: &str,
    progress: &mut dyn FnMut(SeedProgress) -> bool,
) -> Result<u64, DatasetError> {
    let failed = failed("loaded");
    connection
        .query("DROP TABLE IF EXISTS comments, posts, users CASCADE")
        .await
        .map_err(&failed)?;
    connection.query(TABLES).await.map_err(&failed)?;
    let mut bytes = 0;
    for table in Table::ALL {
        bytes += fill(connection, table, blog, progress).await?;
    }
    connection.query(INDEXES).await.map_err(&failed)?;
    let comment = format!("COMMENT ON TABLE posts IS '{fingerprint}'");
    connection.query(&comment).await.map_err(&failed)?;
    Ok(bytes)
}

async fn fill(
    connection: &mut Connection,
    table: Table,
    blog: &Blog,
    progress: &mut dyn FnMut(SeedProgress) -> bool,
) -> Result<u64, DatasetError> {
    let failed = failed("loaded");
    let rows_total = table.rows(blog);
    let mut rows = Rows::new(table, *blog);
    // Frozen rows need no second visit by vacuum; it takes a table made in the same transaction.
    let sql = format!("COPY {} FROM STDIN (FORMAT binary, FREEZE)", table.name());
    let mut copy = connection.copy_in(&sql).await.map_err(&failed)?;
    let mut part = Vec::with_capacity(PART + (16 << 10));
    part.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    let (mut done, mut bytes) = (0, 0);
    loop {
        let more = rows.put(&mut part);
        done += u64::from(more);
        if !more {
            part.extend_from_slice(&(-1_i16).to_be_bytes());
        }
        if !more || part.len() >= PART {
            bytes += part.len() as u64;
            copy.send(&part).await.map_err(&failed)?;
            part.clear();
            let goes_on =
                progress(SeedProgress { table: table.name(), rows_done: done, rows_total });
            if !goes_on {
                copy.abort("stopped by the user").await;
                return Err(DatasetError::Stopped);
            }
        }
        if !more {
            copy.finish().await.map_err(&failed)?;
            return Ok(bytes);
        }
    }
}
