use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::read::settings;
use crate::{PostgresPlan, Transport};

pub(crate) static SECTION: Section = Section {
    name: "[postgres]",
    help: "The private PostgreSQL server that is brought up for the run. May be left out \
           altogether. With `--dsn` another server is used, and this section does not apply.",
    keys: &[&CPUS, &MEMORY, &PORT, &TRANSPORT, &SETTINGS],
};

static CPUS: Key = Key {
    name: "cpus",
    kind: Kind::Number { min: 0.01, max: 4096.0 },
    default: Fallback::Note("no limit"),
    help: "CPUs that the server may use; `0.5` is half of one.",
};
static MEMORY: Key = Key {
    name: "memory",
    kind: Kind::Size { min: 32 << 20, max: 64 << 40 },
    default: Fallback::Note("no limit"),
    help: "Memory that the server may use. Units are powers of 1024, as in PostgreSQL.",
};
static PORT: Key = Key {
    name: "port",
    kind: Kind::Whole { min: 1, max: 65_535 },
    default: Fallback::Note("a free one"),
    help: "TCP port on the loopback interface.",
};
static TRANSPORT: Key = Key {
    name: "transport",
    kind: Kind::Word(&["tcp", "unix"]),
    default: Fallback::Value(r#""tcp""#),
    help: "How the load reaches the server: loopback TCP, or its Unix socket.",
};
static SETTINGS: Key = Key {
    name: "settings",
    kind: Kind::Other("table `[postgres.settings]`"),
    default: Fallback::Note("none"),
    help: "PostgreSQL settings by name; strings, numbers and booleans. Where the server listens, \
           its files and its log are pinchpoint's own business; `synchronous_commit` is a rung's.",
};

pub(crate) fn read(fields: &Fields<'_, '_>) -> PostgresPlan {
    PostgresPlan {
        cpus: fields.number(&CPUS),
        memory_bytes: fields.size(&MEMORY),
        port: fields.whole(&PORT),
        transport: match fields.word(&TRANSPORT) {
            Some("unix") => Transport::Unix,
            _ => Transport::Tcp,
        },
        settings: fields.get(&SETTINGS).map(|v| settings::read(fields.sink, v)).unwrap_or_default(),
    }
}
