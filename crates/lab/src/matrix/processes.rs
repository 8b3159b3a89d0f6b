//! The processes of a case: pooler, application, and what runs beside it.

use pinchpoint_plan::{AppPlan, Via};
use pinchpoint_stack::{App, AppOptions, PgBouncer, PgBouncerOptions, StackError};

use crate::error::LabError;
use crate::matrix::case::CaseRun;
use crate::matrix::pool::Pooled;

/// They are stopped when it is dropped, the application first.
pub(crate) struct Stack {
    pub(crate) app: Option<App>,
    pub(crate) beside: Option<App>,
    pub(crate) pooler: Option<PgBouncer>,
    pub(crate) url: String,
}

impl CaseRun<'_> {
    /// Starts the pooler, when the case goes through one, fills its pool, and starts the
    /// application.
    pub(crate) async fn set_up(&self) -> Result<(Stack, Option<Pooled>), LabError> {
        let app = self.app();
        let external = match self.case.via {
            Via::Direct => &app.url,
            Via::PgBouncer => &app.pooled_url,
        };
        if let Some(url) = external {
            let stack = Stack { app: None, beside: None, pooler: None, url: url.clone() };
            return Ok((stack, None));
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
        let profile = &self.case.profile;
        let beside = if profile.beside.is_empty() {
            None
        } else {
            Some(self.start_app(pooler.as_ref(), &profile.beside, None)?)
        };
        let app = self.start_app(pooler.as_ref(), &profile.env, beside.as_ref())?;
        let url = app.url();
        Ok((Stack { app: Some(app), beside, pooler, url }, pooled))
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
        pooler: Option<&PgBouncer>,
        own: &[(String, String)],
        beside: Option<&App>,
    ) -> Result<App, StackError> {
        let app: &AppPlan = self.app();
        let dsn = match pooler {
            Some(pooler) => pooler.dsn(&self.bench.upstream().database),
            None => self.bench.dsn_of_app(),
        };
        let profile = &self.case.profile;
        let mut env = vec![
            ("DATABASE_URL".to_owned(), dsn),
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
            cpus: app.cpus,
            memory_bytes: app.memory_bytes,
        };
        App::start(&self.options.helper, &options, self.cancel)
    }
}
