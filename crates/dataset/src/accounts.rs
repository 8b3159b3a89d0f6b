//! What a service needs to let users log in: credentials and sessions.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use pinchpoint_sql::{Connection, SqlError};

use crate::DatasetError;

const TABLES: &str = "
    DROP TABLE IF EXISTS sessions, credentials;
    CREATE TABLE credentials (
        user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        password_hash text NOT NULL);
    CREATE TABLE sessions (
        token_hash bytea PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL);
    CREATE INDEX sessions_expires_at ON sessions (expires_at);";

/// The indexes that the blog can do without, more slowly: users by name, posts of a category by
/// time.
const INDEXES: [(&str, &str); 3] = [
    ("users_username", "users (username)"),
    ("posts_category_created_at", "posts (category, created_at DESC, id DESC)"),
    ("posts_created_at", "posts (created_at DESC, id DESC)"),
];

/// Makes the tables `credentials` and `sessions` anew, and lets every user of the blog log in with
/// one `password`. It is hashed once, by Argon2id as a service would; hashing it for each user would
/// take longer than any experiment.
pub async fn make_accounts(
    connection: &mut Connection,
    password: &str,
) -> Result<(), DatasetError> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| DatasetError::Password(error.to_string()))?
        .to_string();
    let failed = |source: SqlError| DatasetError::Server { action: "given accounts", source };
    connection.query(TABLES).await.map_err(failed)?;
    // A PHC string has no quote in it: letters, digits, and $ = , + / - .
    let fill = format!("INSERT INTO credentials SELECT id, '{hash}' FROM users");
    connection.query(&fill).await.map_err(failed)?;
    connection.query("VACUUM (ANALYZE) credentials").await.map_err(failed)?;
    Ok(())
}

/// Creates or drops the indexes that the blog can do without.
pub async fn set_indexes(connection: &mut Connection, present: bool) -> Result<(), DatasetError> {
    let failed = |source: SqlError| DatasetError::Server { action: "indexed", source };
    for (name, on) in INDEXES {
        let sql = if present {
            format!("CREATE INDEX IF NOT EXISTS {name} ON {on}")
        } else {
            format!("DROP INDEX IF EXISTS {name}")
        };
        connection.query(&sql).await.map_err(failed)?;
    }
    connection.query("ANALYZE users, posts").await.map_err(failed)?;
    Ok(())
}
