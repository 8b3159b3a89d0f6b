//! A server with what scripts need, before they run on it.

use std::time::Instant;

use pinchpoint_measure::Event;
use pinchpoint_plan::Transport;
use pinchpoint_stack::{Cancel, Postgres, PostgresOptions};

use crate::desk::Desk;
use crate::error::LabError;
use crate::options::Target;
use crate::pgbench_tables;
use crate::rung_load::cancelled;
use crate::server::Server;
use crate::sql_job::{SqlJob, SqlServer, Vacuuming};

/// Starts a server, or connects to one that somebody else runs.
pub(crate) async fn bring_up(
    server: &SqlServer,
    connections: u64,
    desk: &mut Desk<'_>,
    cancel: &Cancel,
) -> Result<Server, LabError> {
    let began = Instant::now();
    let (what, server) = match &server.target {
        Target::Managed { installation, helper } => {
            let what = format!("PostgreSQL {}", installation.version);
            desk.tell(&Event::StackStarting { what: what.clone() });
            let mut settings = server.settings.clone();
            if !settings.iter().any(|(name, _)| name == "max_connections") {
                let wanted = (connections + 20).max(100).to_string();
                settings.push(("max_connections".to_owned(), wanted));
            }
            let options = PostgresOptions {
                installation: installation.clone(),
                settings,
                cpus: server.cpus,
                memory_bytes: server.memory_bytes,
                environment: Vec::new(),
                port: None,
                base_dir: None,
            };
            let postgres = Postgres::start(helper, &options, cancel)?;
            (what, Server::managed(postgres, Transport::Tcp).await?)
        }
        Target::External { dsn } => {
            desk.tell(&Event::StackStarting { what: "connecting".to_owned() });
            let mut server = tokio::select! {
                server = Server::external_for(dsn, connections) => server?,
                () = cancelled(cancel) => return Err(LabError::Interrupted),
            };
            let software = server.software().await?;
            (format!("PostgreSQL {}", software.version), server)
        }
    };
    desk.tell(&Event::StackReady { what, ready_s: began.elapsed().as_secs_f64() });
    Ok(server)
}

/// Makes and fills what the scripts need, and says the scale.
pub(crate) async fn make_ready(
    job: &SqlJob,
    server: &mut Server,
    desk: &mut Desk<'_>,
    cancel: &Cancel,
) -> Result<u64, LabError> {
    tokio::select! {
        scale = prepare(job, server, desk) => scale,
        () = cancelled(cancel) => Err(LabError::Interrupted),
    }
}

async fn prepare(job: &SqlJob, server: &mut Server, desk: &mut Desk<'_>) -> Result<u64, LabError> {
    let built_in = job.work.uses_built_in();
    let initialize = job.server.initialize || (built_in && server.is_managed());
    let given = job.work.scale;
    if initialize {
        let scale = given.unwrap_or(1);
        desk.tell(&Event::Preparing { what: format!("pgbench's tables at scale {scale}") });
        let replace = job.server.replace || server.is_managed();
        pgbench_tables::make(server, &job.server.tables, scale, replace).await?;
    }
    if let Some(init) = &job.server.init {
        desk.tell(&Event::Preparing { what: "the database, by the script given".to_owned() });
        for statement in init {
            server.execute(statement, "run the SQL that prepares it").await?;
        }
    }
    let scale = match given {
        Some(scale) => scale,
        None if built_in => pgbench_tables::scale(server).await?,
        None => 1,
    };
    tidy(job, server).await?;
    Ok(scale)
}

/// Brings the tables back to where a load begins, after another.
pub(crate) async fn make_alike(
    job: &SqlJob,
    server: &mut Server,
    cancel: &Cancel,
) -> Result<(), LabError> {
    tokio::select! {
        made = tidy(job, server) => made,
        () = cancelled(cancel) => Err(LabError::Interrupted),
    }
}

/// What is vacuumed and emptied before a load, as far as that is wanted.
async fn tidy(job: &SqlJob, server: &mut Server) -> Result<(), LabError> {
    let built_in = job.work.uses_built_in();
    // On a server that is not ours nothing is changed that the scripts do not change themselves.
    let tidied = built_in && server.is_managed() && job.server.vacuum != Vacuuming::Nothing;
    if tidied {
        pgbench_tables::tidy(server).await?;
    }
    if job.server.vacuum == Vacuuming::All {
        pgbench_tables::vacuum(server, tidied).await?;
    }
    if server.is_managed() {
        server.execute("CHECKPOINT", "write a checkpoint").await?;
    }
    Ok(())
}
