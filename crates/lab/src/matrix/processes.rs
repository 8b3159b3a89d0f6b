//! The processes of a case: pooler, application, and what runs beside it.

use pinchpoint_plan::{AppPlan, Via};
use pinchpoint_proxy as proxy;
use pinchpoint_stack::{App, AppOptions, PgBouncer, PgBouncerOptions, StackError, Upstream};

use crate::error::LabError;
use crate::matrix::bench::url_of;
use crate::matrix::case::CaseRun;
use crate::matrix::pool::Pooled;
use crate::prove::proxy_at;

/// They are stopped when it is dropped, the application first.
pub(crate) struct Stack {
    pub(crate) app: Option<App>,
    pub(crate) beside: Option<App>,
    pub(crate) pooler: Option<PgBouncer>,
    pub(crate) url: String,
    /// Who stands between the application and what it connects to.
    pub(crate) proxy: Option<proxy::Proxy>,
}

/// How a stack is started otherwise than for a trial.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arranged {
    /// A proxy of ours stands between the application and what it connects to.
    pub(crate) by_proxy: bool,
    /// The application's CPU limit can be changed, also when it has none.
    pub(crate) changeable: bool,
}

impl CaseRun<'_> {
    /// Starts the pooler, when the case goes through one, fills its pool, and starts the
    /// application.
    pub(crate) async fn set_up(
        &self,
        arranged: Arranged,
    ) -> Result<(Stack, Option<Pooled>), LabError> {
        let app = self.app();
        let external = match self.case.via {
            Via::Direct => &app.url,
            Via::PgBouncer => &app.pooled_url,
        };
        if let Some(url) = external {
            let (app, beside, pooler, proxy) = (None, None, None, None);
            return Ok((Stack { app, beside, pooler, url: url.clone(), proxy }, None));
        }
        let pooler = self.start_pooler()?;
        let pooled = match &pooler {
            None => None,
            Some(pooler) => {
                let database = &self.bench.upstream().database;
                let settings = &self.matrix.pgbouncer.settings;
                Some(Pooled::open(pooler, database, settings, self.cancel).await?)
            }
        };
        let (dsn, proxy) = self.way(pooler.as_ref(), arranged.by_proxy)?;
        let profile = &self.case.profile;
        let beside = if profile.beside.is_empty() {
            None
        } else {
            Some(self.start_app(&dsn, &profile.beside, None, false)?)
        };
        let app = self.start_app(&dsn, &profile.env, beside.as_ref(), arranged.changeable)?;
        let url = app.url();
        Ok((Stack { app: Some(app), beside, pooler, url, proxy }, pooled))
    }

    /// Where the application connects to, and who stands there.
    fn way(
        &self,
        pooler: Option<&PgBouncer>,
        by_proxy: bool,
    ) -> Result<(String, Option<proxy::Proxy>), LabError> {
        let server = self.bench.upstream();
        if by_proxy {
            let (host, port) = match pooler {
                Some(pooler) => ("127.0.0.1", pooler.port()),
                None => (server.host.as_str(), server.port),
            };
            let proxy = proxy_at(proxy::Upstream::Tcp(host.to_owned(), port))?;
            let host = proxy.address().ip().to_string();
            let behind = Upstream { host, port: proxy.port(), ..server.clone() };
            return Ok((url_of(&behind), Some(proxy)));
        }
        let dsn = match pooler {
            Some(pooler) => pooler.dsn(&server.database),
            None => url_of(server),
        };
        Ok((dsn, None))
    }

    fn start_pooler(&self) -> Result<Option<PgBouncer>, StackError> {
        let (Via::PgBouncer, Ok(program)) = (self.case.via, &self.options.pooler) else {
            return Ok(None);
        };
        let options = PgBouncerOptions {
            program: program.clone(),
            settings: self.matrix.pgbouncer.settings.clone(),
            cpus: self.matrix.pgbouncer.cpus,
            memory_bytes: self.matrix.pgbouncer.memory_bytes,
            server: self.bench.upstream().clone(),
            base_dir: None,
        };
        PgBouncer::start(&self.options.helper, &options, self.cancel).map(Some)
    }

    /// Starts a process of the application with this environment beside that of every case.
    fn start_app(
        &self,
        dsn: &str,
        own: &[(String, String)],
        beside: Option<&App>,
        changeable: bool,
    ) -> Result<App, StackError> {
        let app: &AppPlan = self.app();
        let profile = &self.case.profile;
        let mut env = vec![
            ("DATABASE_URL".to_owned(), dsn.to_owned()),
            ("POSTS".to_owned(), self.matrix.dataset.posts.to_string()),
        ];
        env.extend(self.bench.redis.as_ref().map(|redis| ("REDIS_URL".to_owned(), redis.url())));
        env.extend(app.env.iter().cloned());
        env.extend(own.iter().cloned());
        env.extend(match self.case.via {
            Via::Direct => profile.direct.iter().cloned(),
            Via::PgBouncer => profile.pgbouncer.iter().cloned(),
        });
        if let Some(beside) = beside {
            for (_, value) in &mut env {
                *value = value.replace("{beside}", &beside.url());
            }
        }
        let options = AppOptions {
            name: app.name.clone(),
            directory: self.prepared.directory.clone(),
            command: profile.command.clone().unwrap_or_else(|| app.command.clone()),
            env,
            venv: self.prepared.venv.clone(),
            health: app.health.clone(),
            ready_within: app.ready_within,
            cpus: app.cpus.or(changeable.then_some(f64::INFINITY)),
            memory_bytes: app.memory_bytes,
        };
        App::start(&self.options.helper, &options, self.cancel)
    }
}
