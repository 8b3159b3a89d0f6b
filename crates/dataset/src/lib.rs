//! Fills a database with a blog: users who wrote posts that others comment on.
//!
//! The same seed and sizes give the same rows everywhere. The texts are composed of sentences, names
//! and words of the `fake` crate, made once, so that a million posts take seconds.

mod accounts;
mod error;
mod load;
mod rows;
mod text;

pub use accounts::{make_accounts, set_indexes};
pub use error::DatasetError;
pub use load::{SeedProgress, Seeded, ensure};

/// Raised when the same seed and sizes give other rows than before: data of an earlier version is
/// then made anew.
const VERSION: u32 = 1;

/// Rows of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlogSize {
    /// Rows of `users`; at least 1.
    pub users: u64,
    /// Rows of `posts`; at least 1.
    pub posts: u64,
    /// Rows of `comments`.
    pub comments: u64,
}

impl Default for BlogSize {
    fn default() -> Self {
        Self { users: 10_000, posts: 50_000, comments: 100_000 }
    }
}

/// A blog: its sizes, and the seed of what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blog {
    /// Rows of each table.
    pub size: BlogSize,
    /// Seed of the texts, times and relations.
    pub seed: u64,
}

/// How fingerprints begin: tables without one are somebody else's.
const MARK: &str = "pinchpoint blog ";

impl Blog {
    /// What tells it from every other blog; kept in the database as the comment on `posts`.
    pub fn fingerprint(&self) -> String {
        let BlogSize { users, posts, comments } = self.size;
        format!(
            "{MARK}v{VERSION} seed={} users={users} posts={posts} comments={comments}",
            self.seed
        )
    }
}
