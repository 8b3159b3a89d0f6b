use crate::RedisPlan;
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::place::quote;
use crate::read::matrix::pairs;

pub(crate) static SECTION: Section = Section {
    name: "[redis]",
    help: "The Redis that is started for the applications, once for the run, and emptied before each \
           trial.",
    keys: &[&CPUS, &MEMORY, &SETTINGS],
};

static CPUS: Key = Key {
    name: "cpus",
    kind: Kind::Number { min: 0.01, max: 4096.0 },
    default: Fallback::Note("no limit"),
    help: "CPUs that it may use; one thread runs commands.",
};
static MEMORY: Key = Key {
    name: "memory",
    kind: Kind::Size { min: 16 << 20, max: 64 << 40 },
    default: Fallback::Note("no limit"),
    help: "Memory that it may use, all of it; what it keeps is bounded by its setting `maxmemory`.",
};
static SETTINGS: Key = Key {
    name: "settings",
    kind: Kind::Other("table `[redis.settings]`"),
    default: Fallback::Note("none; nothing is kept on disk"),
    help: "Settings of `redis.conf` by name. Where it listens, its password and its directory are \
           pinchpoint's own business.",
};

/// Settings that are pinchpoint's.
const OURS: [&str; 9] = [
    "bind",
    "port",
    "requirepass",
    "dir",
    "daemonize",
    "logfile",
    "protected-mode",
    "unixsocket",
    "include",
];

pub(crate) fn read(fields: &Fields<'_, '_>) -> RedisPlan {
    let settings = pairs::placed(fields, &SETTINGS, |_| true);
    for ((name, _), place) in &settings {
        if OURS.contains(&name.as_str()) {
            let message = format!("setting {} is not for an experiment", quote(name));
            let help = "pinchpoint decides where Redis listens, its password and its directory";
            fields.sink.report_with(place, message, help);
        }
    }
    let settings = settings.into_iter().map(|(pair, _)| pair).collect();
    RedisPlan { cpus: fields.number(&CPUS), memory_bytes: fields.size(&MEMORY), settings }
}
