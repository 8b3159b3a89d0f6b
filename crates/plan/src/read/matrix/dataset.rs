use crate::DatasetPlan;
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};

pub(crate) static SECTION: Section = Section {
    name: "[dataset]",
    help: "The blog that the applications read: users who wrote posts that others comment on. The \
           same sizes and seed give the same rows.",
    keys: &[&USERS, &POSTS, &COMMENTS, &SEED, &ACCOUNTS, &INDEXES],
};

static USERS: Key = Key {
    name: "users",
    kind: Kind::Whole { min: 1, max: 1_000_000_000 },
    default: Fallback::Value("10000"),
    help: "Rows of `users`.",
};
static POSTS: Key = Key {
    name: "posts",
    kind: Kind::Whole { min: 1, max: 1_000_000_000 },
    default: Fallback::Value("50000"),
    help: "Rows of `posts`.",
};
static COMMENTS: Key = Key {
    name: "comments",
    kind: Kind::Whole { min: 0, max: 1_000_000_000 },
    default: Fallback::Value("100000"),
    help: "Rows of `comments`.",
};
static SEED: Key = Key {
    name: "seed",
    kind: Kind::Whole { min: 0, max: u64::MAX as i128 },
    default: Fallback::Value("1"),
    help: "Seed of its texts.",
};

static ACCOUNTS: Key = Key {
    name: "accounts",
    kind: Kind::Flag,
    default: Fallback::Value("false"),
    help: "Whether users have credentials and sessions (tables `credentials` and `sessions`), and \
           applications may change users and sessions. Only on a server of pinchpoint's own.",
};
static INDEXES: Key = Key {
    name: "indexes",
    kind: Kind::Flag,
    default: Fallback::Value("false"),
    help: "Whether there are indexes on `users (username)`, `posts (category, created_at DESC, id \
           DESC)` and `posts (created_at DESC, id DESC)`.",
};

pub(crate) fn read(fields: &Fields<'_, '_>) -> Option<DatasetPlan> {
    let (users, posts) = (fields.whole(&USERS), fields.whole(&POSTS));
    let (comments, seed) = (fields.whole(&COMMENTS), fields.whole(&SEED));
    let (accounts, indexes) = (fields.flag(&ACCOUNTS), fields.flag(&INDEXES));
    Some(DatasetPlan {
        users: users?,
        posts: posts?,
        comments: comments?,
        seed: seed?,
        accounts: accounts?,
        indexes: indexes?,
    })
}
