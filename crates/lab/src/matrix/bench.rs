//! The database side of a matrix: one server for all cases, brought back to the same state before
//! each.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use pinchpoint_dataset::make_accounts;
use pinchpoint_measure::Software;
use pinchpoint_observe::{ObserverSpec, PoolerSpec, Sessions, Watched, redis_flush};
use pinchpoint_plan::Matrix;
use pinchpoint_sql::{Connection, Dsn, SqlError, TlsSetup};
use pinchpoint_stack::{
    Cancel, Helper, Installation, Postgres, PostgresOptions, Redis, RedisOptions, Transport,
    Upstream, find_redis,
};

use crate::error::LabError;
use crate::matrix::MatrixOptions;
use crate::options::Target;
use crate::server::SETTINGS;

/// The server under the applications.
pub(crate) struct Bench {
    /// Absent for a server that is not ours.
    pub(crate) postgres: Option<Postgres>,
    pub(crate) admin: Connection,
    dsn: Dsn,
    /// Whether statements can be counted.
    pub(crate) counts_statements: bool,
    upstream: Upstream,
    /// Absent when the experiment has none.
    pub(crate) redis: Option<Redis>,
    /// What the tokens of prepared sessions begin with; user 7's is `<this>-7`.
    pub(crate) session_prefix: String,
    indexes: Indexes,
    accounts: bool,
}

/// The indexes that the blog can do without.
struct Indexes {
    now: bool,
    /// In cases that do not say otherwise.
    usual: bool,
}

fn asked(action: &'static str) -> impl Fn(SqlError) -> LabError {
    move |source| LabError::Server { action, source }
}

/// Ends every session but our own; what an application left open must not burden the next.
const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity \
                        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
/// Reads the whole of the data, so that no case is the first to do it.
const WARM_CACHE: &str = "SELECT (SELECT sum(length(bio)) FROM users), \
                          (SELECT sum(length(content)) FROM posts), \
                          (SELECT sum(length(content)) FROM comments)";

impl Bench {
    pub(crate) async fn start(
        matrix: &Matrix,
        options: &MatrixOptions,
        cancel: &Cancel,
    ) -> Result<Self, LabError> {
        match &options.server {
            Target::Managed { installation, helper } => {
                Self::managed(matrix, options, installation, helper, cancel).await
            }
            Target::External { dsn } => Self::external(matrix, options, dsn, cancel).await,
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(options: &MatrixOptions) -> String {
        match &options.server {
            Target::Managed { installation, .. } => format!("PostgreSQL {}", installation.version),
            Target::External { .. } => "external PostgreSQL".to_owned(),
        }
    }

    async fn managed(
        matrix: &Matrix,
        options: &MatrixOptions,
        installation: &Installation,
        helper: &Helper,
        cancel: &Cancel,
    ) -> Result<Self, LabError> {
        let counts_statements = has_statement_counter(installation);
        let mut settings = Vec::new();
        if counts_statements {
            // Loaded and silent: counting is switched on for the evidence pass only.
            settings.push(("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned()));
            settings.push(("pg_stat_statements.track".to_owned(), "none".to_owned()));
        }
        settings.extend(matrix.postgres.settings.iter().cloned());
        let postgres = Postgres::start(
            helper,
            &PostgresOptions {
                installation: installation.clone(),
                settings,
                environment: Vec::new(),
                // Without a limit, and prepared for one, where probes are to change it.
                cpus: matrix.postgres.cpus.or(options.prove.then_some(f64::INFINITY)),
                memory_bytes: matrix.postgres.memory_bytes,
                port: matrix.postgres.port,
                base_dir: None,
            },
            cancel,
        )?;
        let dsn = Dsn::parse(&postgres.dsn(Transport::Unix))
            .map_err(|e| LabError::Unsuitable(e.to_string()))?
            .named("pinchpoint-admin");
        let mut admin = connect(&dsn).await?;
        if counts_statements {
            let sql = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
            admin.query(sql).await.map_err(asked("make pg_stat_statements"))?;
        }
        let upstream = make_role(&mut admin, &postgres).await?;
        let redis = start_redis(matrix, options, cancel)?;
        Ok(Self {
            postgres: Some(postgres),
            admin,
            dsn,
            counts_statements,
            upstream,
            redis,
            session_prefix: String::new(),
            indexes: Indexes { now: false, usual: matrix.dataset.indexes },
            accounts: matrix.dataset.accounts,
        })
    }

    /// A server that somebody else runs: nothing of it is changed but the blog's own tables, and
    /// nobody's session is ended. Applications log in as the DSN's role.
    async fn external(
        matrix: &Matrix,
        options: &MatrixOptions,
        dsn: &str,
        cancel: &Cancel,
    ) -> Result<Self, LabError> {
        if matrix.dataset.accounts {
            return Err(LabError::Unsuitable(
                "the experiment gives users accounts, and that is done only on a server of \
                 pinchpoint's own: leave --dsn out"
                    .to_owned(),
            ));
        }
        let dsn = Dsn::parse(dsn)
            .map_err(|e| LabError::Unsuitable(format!("the DSN is not usable: {e}")))?
            .with_password(std::env::var("PGPASSWORD").ok())
            .named("pinchpoint-admin");
        let unsuitable = |text: &str| Err(LabError::Unsuitable(text.to_owned()));
        if dsn.is_unix() {
            return unsuitable(
                "the DSN names a Unix socket, and applications connect by TCP: name a host",
            );
        }
        let Some(password) = dsn.password.clone() else {
            return unsuitable(
                "the DSN has no password, and applications and PgBouncer need one; put it there, or \
                 into PGPASSWORD",
            );
        };
        let upstream = Upstream {
            host: dsn.host.clone(),
            port: dsn.port,
            user: dsn.user.clone(),
            password,
            database: dsn.database.clone(),
            verifier: None,
        };
        let admin = connect(&dsn).await?;
        Ok(Self {
            postgres: None,
            admin,
            dsn,
            counts_statements: false,
            upstream,
            redis: start_redis(matrix, options, cancel)?,
            session_prefix: String::new(),
            indexes: Indexes { now: false, usual: matrix.dataset.indexes },
            accounts: false,
        })
    }

    /// What is observed of a case: the sessions of the applications' role, these processes, and a
    /// pooler's queues.
    pub(crate) fn observer_spec(
        &self,
        processes: &[Watched],
        pooler: Option<PoolerSpec>,
        seed: u64,
    ) -> ObserverSpec {
        ObserverSpec {
            dsn: Some(self.dsn.clone()),
            pooler,
            sessions: Sessions::OfRole(self.upstream.user.clone()),
            application: None,
            processes: processes.to_vec(),
            data_directory: self.postgres.as_ref().map(Postgres::data_dir),
            // Statements are counted in a pass of their own.
            statements: false,
            seed,
        }
    }

    /// What comes after the blog itself: accounts, and the indexes that it can do without.
    pub(crate) async fn complete(&mut self) -> Result<(), LabError> {
        if self.accounts {
            make_accounts(&mut self.admin, &pinchpoint_stack::password()?).await?;
            self.session_prefix = pinchpoint_stack::password()?;
            let role = &self.upstream.user;
            let prefix = &self.session_prefix;
            for sql in [
                format!("GRANT UPDATE ON users TO {role}"),
                format!("GRANT INSERT, DELETE ON sessions TO {role}"),
                format!(
                    "INSERT INTO sessions (token_hash, user_id, expires_at) SELECT \
                     sha256(convert_to('{prefix}-' || id, 'UTF8')), id, now() + interval '7 days' \
                     FROM users"
                ),
                "VACUUM (ANALYZE) sessions".to_owned(),
            ] {
                self.admin.query(&sql).await.map_err(asked("prepare sessions"))?;
            }
        }
        self.set_indexes(None).await
    }

    /// Sees to it that the optional indexes are there, or not: as the dataset says where a case does
    /// not say otherwise.
    pub(crate) async fn set_indexes(&mut self, asked_for: Option<bool>) -> Result<(), LabError> {
        let wanted = asked_for.unwrap_or(self.indexes.usual);
        if self.indexes.now != wanted {
            pinchpoint_dataset::set_indexes(&mut self.admin, wanted).await?;
            self.indexes.now = wanted;
        }
        Ok(())
    }

    pub(crate) async fn warm_cache(&mut self) -> Result<(), LabError> {
        self.admin.query(WARM_CACHE).await.map(|_| ()).map_err(asked("read its tables"))
    }

    /// Brings the server back to where every case begins: nobody connected, nothing left to write.
    pub(crate) async fn reset(&mut self, cancel: &Cancel) -> Result<(), LabError> {
        if let Some(redis) = &self.redis {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, redis.port()));
            if !redis_flush(address, redis.password()) {
                let gone = redis.alive().err().map(|gone| gone.to_string());
                let reason = gone.unwrap_or_else(|| "it does not answer".to_owned());
                return Err(LabError::Unsuitable(format!("Redis could not be emptied: {reason}")));
            }
        }
        let Some(postgres) = &mut self.postgres else {
            if self.admin.query("SELECT 1").await.is_err() {
                self.admin = connect(&self.dsn).await?;
            }
            return Ok(());
        };
        if postgres.alive().is_err() || self.admin.query("SELECT 1").await.is_err() {
            postgres.restart(cancel)?;
            self.admin = connect(&self.dsn).await?;
            self.warm_cache().await?;
        }
        self.admin.query(END_SESSIONS).await.map_err(asked("end sessions"))?;
        for _ in 0..100 {
            if number(&mut self.admin, SESSIONS).await? == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if self.accounts {
            // What the case before changed.
            self.admin.query("VACUUM users").await.map_err(asked("vacuum"))?;
        }
        self.admin.query("CHECKPOINT").await.map_err(asked("write a checkpoint"))?;
        Ok(())
    }

    /// The server as results describe it.
    pub(crate) async fn software(&mut self) -> Result<Software, LabError> {
        let rows = self
            .admin
            .query("SELECT name, current_setting(name, true) FROM pg_settings")
            .await
            .map_err(asked("show its settings"))?;
        let settings = rows.into_iter().filter_map(|row| {
            let mut cells = row.into_iter();
            Some((cells.next()??, cells.next()??))
        });
        let version = self.admin.parameter("server_version").unwrap_or("unknown");
        Ok(Software {
            name: "PostgreSQL".to_owned(),
            version: version.split_whitespace().next().unwrap_or(version).to_owned(),
            managed: self.postgres.is_some(),
            transport: "tcp".to_owned(),
            settings: settings.filter(|(name, _)| SETTINGS.contains(&name.as_str())).collect(),
        })
    }

    /// What a pooler or an application needs to get in.
    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// An administrator's way to the server, over TCP as the applications'.
    pub(crate) fn admin_dsn(&self) -> Result<Dsn, LabError> {
        match &self.postgres {
            None => Ok(self.dsn.clone()),
            Some(postgres) => Dsn::parse(&postgres.dsn(Transport::Tcp))
                .map_err(|e| LabError::Unsuitable(e.to_string())),
        }
    }
}

/// What an application needs to get in, as a URL.
pub(crate) fn url_of(upstream: &Upstream) -> String {
    let Upstream { host, port, user, password, database, .. } = upstream;
    let [user, password, database] = [user, password, database].map(|text| encode(text));
    format!("postgresql://{user}:{password}@{host}:{port}/{database}")
}

fn start_redis(
    matrix: &Matrix,
    options: &MatrixOptions,
    cancel: &Cancel,
) -> Result<Option<Redis>, LabError> {
    let Some(plan) = &matrix.redis else { return Ok(None) };
    let redis = RedisOptions {
        program: find_redis(None)?,
        settings: plan.settings.clone(),
        cpus: plan.cpus,
        memory_bytes: plan.memory_bytes,
        port: None,
        base_dir: None,
    };
    Ok(Some(Redis::start(&options.helper, &redis, cancel)?))
}

/// Makes the role that applications log in as: it only reads. It is no superuser, so that the
/// connections which the server keeps for superusers stay free for whoever watches.
async fn make_role(admin: &mut Connection, postgres: &Postgres) -> Result<Upstream, LabError> {
    const ROLE: &str = "blog";
    let password = pinchpoint_stack::password()?;
    let failed = asked("make the applications' role");
    // The password is made of hexadecimal digits: nothing in it could end the literal.
    for sql in [
        format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'"),
        format!("GRANT pg_read_all_data TO {ROLE}"),
    ] {
        admin.query(&sql).await.map_err(&failed)?;
    }
    let kept = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'");
    let rows = admin.query(&kept).await.map_err(&failed)?;
    Ok(Upstream {
        host: "127.0.0.1".to_owned(),
        port: postgres.port(),
        user: ROLE.to_owned(),
        password,
        database: postgres.database().to_owned(),
        verifier: rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten(),
    })
}

/// A text as a part of a URL.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

async fn connect(dsn: &Dsn) -> Result<Connection, LabError> {
    let tls = TlsSetup::new(dsn).map_err(asked("let us in"))?;
    Connection::connect(dsn, &tls).await.map_err(asked("let us in"))
}

/// The one number that a query gives.
pub(crate) async fn number(connection: &mut Connection, sql: &str) -> Result<u64, LabError> {
    let rows = connection.query(sql).await.map_err(asked("count"))?;
    let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
    Ok(cell.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Whether the server's programs come with `pg_stat_statements`: its library is beside them.
fn has_statement_counter(installation: &Installation) -> bool {
    let root = installation.bin_dir.parent().unwrap_or(&installation.bin_dir);
    ["lib", "lib/postgresql", "lib64/pgsql", "lib/pgsql"].iter().any(|place| {
        ["so", "dylib"].iter().any(|suffix| {
            root.join(Path::new(place)).join(format!("pg_stat_statements.{suffix}")).is_file()
        })
    })
}
