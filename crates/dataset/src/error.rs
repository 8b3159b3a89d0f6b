use pinchpoint_sql::SqlError;

/// Why a database could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A statement failed.
    #[error("the blog could not be {action}: {source}")]
    Server {
        /// What was tried: `looked for`, `loaded`.
        action: &'static str,
        /// What the server said.
        source: SqlError,
    },
    /// The names are taken by tables that are not ours.
    #[error(
        "the database has a table {table} in schema public that pinchpoint did not make; use an \
         empty database"
    )]
    NotOurs {
        /// The table.
        table: String,
    },
    /// The password for the accounts could not be hashed.
    #[error("the password of the accounts could not be hashed: {0}")]
    Password(String),
    /// The user stopped it; nothing is left of what was begun.
    #[error("stopped while the blog was loaded")]
    Stopped,
}
