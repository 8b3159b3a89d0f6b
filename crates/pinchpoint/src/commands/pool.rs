use std::time::Duration;

use pinchpoint_lab::{PoolJob, SqlServer, SqlWork, run_pool};
use pinchpoint_measure::ExitCode;
use pinchpoint_stack::Cancel;

use crate::cli::PoolArgs;
use crate::commands::report;
use crate::commands::run::{listen, sink};
use crate::commands::sql::{bounds, conclude, mode, scripts, server, variables, with_target};
use crate::failure::Failure;
use crate::terminal;

/// The largest pool that is tried.
const MOST: u32 = 4096;

pub(crate) fn run(args: &PoolArgs) -> Result<ExitCode, Failure> {
    let job = job(args)?;
    let cancel = Cancel::new();
    listen(&cancel)?;
    pinchpoint_stack::raise_file_limit();
    let mut sink = sink(args.quiet || args.json);
    let finished = run_pool(&job, sink.as_mut(), &cancel)
        .map_err(|error| Failure::input(error.to_string()))?;
    drop(sink);
    if args.out.is_some() {
        report::write(&finished.result, &finished.directory)?;
    }
    if args.json {
        let text = finished.result.to_json().map_err(|e| Failure::run(e.to_string()))?;
        terminal::print(&text)?;
    } else if finished.result.pool.is_some() {
        let style = terminal::style();
        terminal::print(&pinchpoint_report::table(&finished.result, terminal::width(), style))?;
        if args.out.is_some() {
            let plot = finished.directory.join("plots/pool.png");
            let place = finished.directory.display();
            terminal::print(&format!("\nresult  {place}\nplot    {}\n", plot.display()))?;
        }
    }
    conclude(finished)
}

fn job(args: &PoolArgs) -> Result<PoolJob, Failure> {
    bounds("--client", (1..=20_000).contains(&args.client), "1 to 20000")?;
    bounds("--rounds", (1..=1000).contains(&args.rounds), "1 to 1000")?;
    bounds("--duration", args.duration >= Duration::from_millis(100), "at least 100 ms")?;
    bounds("--max-size", (1..=MOST).contains(&args.max_size), "1 to 4096")?;
    let sizes = args.sizes.iter().all(|size| (1..=MOST).contains(size));
    bounds("--sizes", sizes, "sizes of 1 to 4096")?;
    if args.file.is_empty() && args.builtin.is_empty() {
        return Err(Failure::input("there is nothing to run")
            .hint("give a script with -f, or one of pgbench's with -b select-only"));
    }
    let dsn = args.address.dsn()?;
    let job = PoolJob {
        work: SqlWork {
            scripts: scripts(&args.file, &args.builtin)?,
            mode: mode(args.protocol),
            variables: variables(&args.define)?,
            scale: args.scale,
            max_tries: 1,
        },
        clients: args.client,
        sizes: args.sizes.clone(),
        largest: args.max_size,
        duration: args.duration,
        rounds: args.rounds,
        at_most: args.max_time,
        seed: args.seed,
        server: SqlServer { initialize: args.initialize, ..server(&args.server, dsn.as_deref())? },
        directory: args.out.clone(),
    };
    job.check().map_err(|e| Failure::input(e.to_string()))?;
    Ok(PoolJob { server: with_target(job.server, &args.server, dsn.as_deref())?, ..job })
}
