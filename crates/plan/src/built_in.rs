/// An experiment that ships inside the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// What `pinchpoint run` takes.
    pub name: &'static str,
    /// One line for lists; the same as the file's description.
    pub summary: &'static str,
    /// The experiment file.
    pub text: &'static str,
}

/// Every experiment that ships inside the binary.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "ladder",
        summary: "Write the same rows in ever better ways, and see which bottleneck each step removes.",
        text: include_str!("../../../experiments/ladder.toml"),
    },
    BuiltIn {
        name: "frameworks",
        summary: "The same endpoint in five web frameworks, with and without PgBouncer, as users grow.",
        text: include_str!("../../../experiments/frameworks.toml"),
    },
    BuiltIn {
        name: "cache",
        summary: "The blog service without a cache, with a cold one and a warm one, and what indexes, joins and pools give beside it.",
        text: include_str!("../../../experiments/cache.toml"),
    },
    BuiltIn {
        name: "sessions",
        summary: "A user service that asks a cache service over HTTP, with a client for each request and with one shared client.",
        text: include_str!("../../../experiments/sessions.toml"),
    },
];

impl BuiltIn {
    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|b| b.name == name)
    }
}
