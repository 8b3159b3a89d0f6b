use crate::PoolerPlan;
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section, nearest};
use crate::place::quote;
use crate::read::matrix::pairs;

pub(crate) static SECTION: Section = Section {
    name: "[pgbouncer]",
    help: "The PgBouncer that is started for the cases that go through it.",
    keys: &[&CPUS, &MEMORY, &SETTINGS],
};

static CPUS: Key = Key {
    name: "cpus",
    kind: Kind::Number { min: 0.01, max: 4096.0 },
    default: Fallback::Note("no limit"),
    help: "CPUs that it may use; it has one thread.",
};
static MEMORY: Key = Key {
    name: "memory",
    kind: Kind::Size { min: 16 << 20, max: 64 << 40 },
    default: Fallback::Note("no limit"),
    help: "Memory that it may use.",
};
static SETTINGS: Key = Key {
    name: "settings",
    kind: Kind::Other("table `[pgbouncer.settings]`"),
    default: Fallback::Note("none"),
    help: "Settings of `[pgbouncer]` by name. Where it listens, who gets in and where it keeps its \
           files are pinchpoint's own business.",
};

/// Settings that are pinchpoint's.
const OURS: [&str; 13] = [
    "listen_addr",
    "listen_port",
    "unix_socket_dir",
    "unix_socket_mode",
    "auth_type",
    "auth_file",
    "auth_query",
    "auth_user",
    "admin_users",
    "stats_users",
    "logfile",
    "pidfile",
    "user",
];

/// Settings of PgBouncer 1.18 to 1.25 (its `doc/config.md`).
const KNOWN: [&str; 66] = [
    "application_name_add_host",
    "autodb_idle_timeout",
    "cancel_wait_timeout",
    "client_idle_timeout",
    "client_login_timeout",
    "client_tls_ca_file",
    "client_tls_cert_file",
    "client_tls_ciphers",
    "client_tls_dheparams",
    "client_tls_ecdhcurve",
    "client_tls_key_file",
    "client_tls_protocols",
    "client_tls_sslmode",
    "client_tls13_ciphers",
    "conffile",
    "default_pool_size",
    "disable_pqexec",
    "dns_max_ttl",
    "dns_nxdomain_ttl",
    "dns_zone_check_period",
    "idle_transaction_timeout",
    "ignore_startup_parameters",
    "job_name",
    "listen_backlog",
    "load_balance_hosts",
    "log_connections",
    "log_disconnections",
    "log_pooler_errors",
    "log_stats",
    "max_client_conn",
    "max_db_client_connections",
    "max_db_connections",
    "max_packet_size",
    "max_prepared_statements",
    "max_user_client_connections",
    "max_user_connections",
    "min_pool_size",
    "peer_id",
    "pkt_buf",
    "pool_mode",
    "query_timeout",
    "query_wait_notify",
    "query_wait_timeout",
    "reserve_pool_size",
    "reserve_pool_timeout",
    "resolv_conf",
    "sbuf_loopcnt",
    "scram_iterations",
    "server_check_delay",
    "server_check_query",
    "server_connect_timeout",
    "server_fast_close",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_reset_query_always",
    "server_round_robin",
    "server_tls_sslmode",
    "service_name",
    "so_reuseport",
    "stats_period",
    "suspend_timeout",
    "tcp_keepalive",
    "track_extra_parameters",
    "verbose",
];

pub(crate) fn read(fields: &Fields<'_, '_>) -> PoolerPlan {
    let settings = pairs::placed(fields, &SETTINGS, |_| true);
    for ((name, _), place) in &settings {
        if OURS.contains(&name.as_str()) {
            let message = format!("setting {} is not for an experiment", quote(name));
            let help = "pinchpoint decides where PgBouncer listens and who gets in";
            fields.sink.report_with(place, message, help);
        } else if !KNOWN.contains(&name.as_str()) && !name.starts_with("tcp_") {
            let help = match nearest(name, KNOWN) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "its settings are in PgBouncer's manual".to_owned(),
            };
            let message = format!("PgBouncer has no setting {}", quote(name));
            fields.sink.report_with(place, message, help);
        }
    }
    let settings = settings.into_iter().map(|(pair, _)| pair).collect();
    PoolerPlan { cpus: fields.number(&CPUS), memory_bytes: fields.size(&MEMORY), settings }
}
