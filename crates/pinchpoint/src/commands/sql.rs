use std::fs;
use std::path::Path;
use std::time::Duration;

use pinchpoint_lab::{
    Finished, Observe, QueryMode, ScriptSource, SqlAccount, SqlConnection, SqlJob, SqlLog,
    SqlServer, SqlWork, TablesPlan, Target, Vacuuming, built_in_scripts, run_sql, split_statements,
};
use pinchpoint_measure::{
    ExitCode, RunResult, RunStatus, Threshold, VariantStatus, human_duration,
};
use pinchpoint_plan::{LoadPlan, Pace, WarmUp, WarmUpChoice};
use pinchpoint_stack::Cancel;

use crate::cli::{Mode, ServerArgs, SqlArgs};
use crate::commands::postgres::{cpus, memory, settings};
use crate::commands::run::{helper, installation, listen, missed, sink_with};
use crate::commands::tables::tables;
use crate::commands::{explain, ledger, report};
use crate::failure::Failure;
use crate::live::ProgressLines;
use crate::terminal;

/// The most clients of one machine: each is a socket.
const MOST_CLIENTS: u32 = 20_000;
/// Measured when neither a time nor a number of transactions is given.
const TIME: Duration = Duration::from_secs(10);
/// How long a reporting interval is unless it is said.
const INTERVAL: Duration = Duration::from_secs(10);
/// A file that is larger holds no script.
const LARGEST_FILE: u64 = 1 << 20;

pub(crate) fn run(args: &SqlArgs) -> Result<ExitCode, Failure> {
    // `-b list` is how pgbench is asked.
    let list = args.list || args.builtin.iter().any(|name| name == "list");
    if list || args.show.is_some() {
        return show_scripts(args.show.as_deref());
    }
    let job = job(args)?;
    let cancel = Cancel::new();
    listen(&cancel)?;
    pinchpoint_stack::raise_file_limit();
    let mut sink = sink_with(args.quiet || args.json, ProgressLines::asked_for(args));
    let finished =
        run_sql(&job, sink.as_mut(), &cancel).map_err(|error| Failure::input(error.to_string()))?;
    drop(sink);
    if args.out.is_some() {
        report::write(&finished.result, &finished.directory)?;
    }
    if args.json {
        let text = finished.result.to_json().map_err(|e| Failure::run(e.to_string()))?;
        terminal::print(&text)?;
    } else {
        show(&finished.result)?;
        if args.explain {
            let variants = finished.result.variants.iter();
            let names: Vec<String> = variants.map(|v| v.name.clone()).collect();
            explain::print(&finished.result, &names)?;
        }
        if args.out.is_some() {
            terminal::print(&format!("\nresult  {}\n", finished.directory.display()))?;
        }
    }
    conclude(finished)
}

/// Prints what a load gave. Nothing ran where a server lets nobody in, which the error tells alone.
pub(crate) fn show(result: &RunResult) -> Result<(), Failure> {
    if result.variants.iter().all(|variant| variant.trials.is_empty()) {
        return Ok(());
    }
    let text = pinchpoint_report::table(result, terminal::width(), terminal::style());
    Ok(terminal::print(&text)?)
}

/// The exit code that the result calls for.
pub(crate) fn conclude(finished: Finished) -> Result<ExitCode, Failure> {
    if finished.result.status == RunStatus::Interrupted {
        return Ok(ExitCode::Interrupted);
    }
    // What ended the run says more than what it made fail.
    if let Some(error) = finished.error {
        return Err(error.into());
    }
    let failed = finished.result.variants.iter().find(|v| v.status == VariantStatus::Failed);
    match failed.and_then(|v| v.reason.clone()) {
        Some(reason) => Err(Failure::run(reason)),
        None if missed(&finished.result) => Ok(ExitCode::ThresholdMissed),
        None => Ok(ExitCode::Ok),
    }
}

fn show_scripts(name: Option<&str>) -> Result<ExitCode, Failure> {
    let Some(name) = name else {
        for (name, title, _) in built_in_scripts() {
            terminal::print(&format!("{name:<14} {title}\n"))?;
        }
        return Ok(ExitCode::Ok);
    };
    match built_in_scripts().find(|(known, ..)| *known == name) {
        Some((.., text)) => terminal::print(text)?,
        None => {
            return Err(Failure::input(format!("no built-in script is called {name:?}"))
                .hint("`pinchpoint sql --list` shows them"));
        }
    }
    Ok(ExitCode::Ok)
}

fn job(args: &SqlArgs) -> Result<SqlJob, Failure> {
    bounds("--client", (1..=MOST_CLIENTS).contains(&args.client), "1 to 20000")?;
    bounds("--jobs", args.jobs.is_none_or(|n| (1..=1024).contains(&n)), "1 to 1024")?;
    bounds("--trials", (1..=1000).contains(&args.trials), "1 to 1000")?;
    bounds("--max-tries", (1..=1_000_000).contains(&args.max_tries), "1 to 1000000")?;
    let pool = args.pool.is_none_or(|n| (1..=MOST_CLIENTS).contains(&n));
    bounds("--pool", pool, "1 to 20000")?;
    let time = args.time.unwrap_or(TIME);
    bounds("--time", time >= Duration::from_millis(100), "at least 100 ms")?;
    let interval = args.progress.unwrap_or(INTERVAL);
    bounds("--progress", interval >= Duration::from_millis(100), "at least 100 ms")?;
    if let Some(rate) = args.rate {
        bounds("--rate", (0.001..=1e9).contains(&rate), "0.001 to 1000000000 transactions/s")?;
    }
    let dsn = args.address.dsn()?;
    let job = SqlJob {
        work: work(args)?,
        clients: args.client,
        connection: match args.pool {
            _ if args.connect => SqlConnection::PerTransaction,
            Some(size) => SqlConnection::Pool(size),
            None => SqlConnection::Own,
        },
        transactions: args.transactions,
        load: LoadPlan {
            duration: time,
            warmup: warm_up(&args.warmup)?,
            trials: args.trials,
            interval,
            pace: args.rate.map_or(Pace::FlatOut, |per_s| Pace::Rate { per_s }),
            // As pgbench's, whose throttle is a Poisson process.
            poisson: true,
            seed: args.random_seed.and_then(|seed| seed.0),
            threads: args.jobs,
        },
        server: SqlServer {
            initialize: args.initialize,
            replace: args.drop_tables,
            tables: tables(&args.tables, args.no_vacuum)?,
            vacuum: match (args.no_vacuum, args.vacuum_all) {
                (true, _) => Vacuuming::Nothing,
                (false, true) => Vacuuming::All,
                (false, false) => Vacuuming::Private,
            },
            ..server(&args.server, dsn.as_deref())?
        },
        observe: observe(args, dsn.is_none())?,
        shows_statements: args.report_per_command,
        account: account(args)?,
        synchronous_commit: None,
        prove: args.prove,
        next: args.next.clone(),
        ledger: if args.no_ledger { None } else { ledger::own() },
        directory: args.out.clone(),
    };
    // Before a server is looked for: a script that cannot run is refused whatever else is missing.
    job.check().map_err(|e| Failure::input(e.to_string()))?;
    Ok(SqlJob { server: with_target(job.server, &args.server, dsn.as_deref())?, ..job })
}

/// What is observed beside the server that the load connects to.
fn observe(args: &SqlArgs, private: bool) -> Result<Observe, Failure> {
    let pgbouncer = args.pooler.observe_pgbouncer.clone();
    if pgbouncer.is_some() && private {
        return Err(Failure::input(
            "--observe-pgbouncer: no pooler stands before a private server",
        )
        .hint("give the address that PgBouncer listens at, with --dsn or -h and -p"));
    }
    let observe = Observe { dsn: args.observe_dsn.clone(), pgbouncer };
    observe.check().map_err(Failure::input)?;
    Ok(observe)
}

/// What is counted, judged and written beside the figures of the summary.
fn account(args: &SqlArgs) -> Result<SqlAccount, Failure> {
    let limit = args.latency_limit.map(|ms| Duration::try_from_secs_f64(ms / 1000.0));
    let fits = limit.as_ref().is_none_or(|limit| limit.as_ref().is_ok_and(|l| !l.is_zero()));
    bounds("--latency-limit", fits, "a time in milliseconds above 0")?;
    let share = args.sampling_rate;
    bounds("--sampling-rate", share > 0.0 && share <= 1.0, "above 0 and up to 1")?;
    let interval_s = args.aggregate_interval;
    bounds("--aggregate-interval", interval_s != Some(0), "1 second at least")?;
    let time = args.time.unwrap_or(TIME);
    if let Some(seconds) = interval_s
        && args.transactions.is_none()
        && !time.as_nanos().is_multiple_of(Duration::from_secs(seconds.into()).as_nanos())
    {
        let time = human_duration(time.as_secs_f64());
        return Err(Failure::input(format!(
            "--aggregate-interval {seconds}: the measured time of {time} is no multiple of it"
        ))
        .hint("give a -T that is, so that the last line is of a whole interval"));
    }
    let mut thresholds = Vec::new();
    for text in &args.threshold {
        let read = Threshold::of_transactions(text).map_err(|e| Failure::input(e.to_string()))?;
        let (limit, rate) = read.needs();
        if limit && args.latency_limit.is_none() {
            return Err(Failure::input(format!(
                "--threshold {text}: nothing is late without a limit"
            ))
            .hint("give one with -L, in milliseconds"));
        }
        if rate && args.rate.is_none() {
            return Err(Failure::input(format!("--threshold {text}: nothing is skipped flat out"))
                .hint("give a rate with -R"));
        }
        thresholds.push(read);
    }
    Ok(SqlAccount {
        latency_limit: limit.and_then(Result::ok),
        thresholds,
        failures_detailed: args.failures_detailed,
        log: args.log.then(|| SqlLog { prefix: args.log_prefix.clone(), share, interval_s }),
    })
}

pub(crate) fn bounds(what: &str, fits: bool, text: &str) -> Result<(), Failure> {
    if fits {
        Ok(())
    } else {
        Err(Failure::input(format!("{what} is out of bounds: it is {text}")))
    }
}

fn work(args: &SqlArgs) -> Result<SqlWork, Failure> {
    let mut scripts = scripts(&args.file, &args.builtin)?;
    for (given, name) in
        [(args.skip_some_updates, "simple-update"), (args.select_only, "select-only")]
    {
        if given {
            scripts.push(ScriptSource::BuiltIn { name: name.to_owned(), weight: 1 });
        }
    }
    Ok(SqlWork {
        scripts,
        mode: mode(args.protocol),
        variables: variables(&args.define)?,
        scale: args.scale,
        max_tries: args.max_tries,
    })
}

pub(crate) const fn mode(mode: Mode) -> QueryMode {
    match mode {
        Mode::Simple => QueryMode::Simple,
        Mode::Extended => QueryMode::Extended,
        Mode::Prepared => QueryMode::Prepared,
    }
}

/// The scripts that `-f` and `-b` name.
pub(crate) fn scripts(files: &[String], built_in: &[String]) -> Result<Vec<ScriptSource>, Failure> {
    let mut scripts = Vec::new();
    for given in files {
        let (path, weight) = weighted(given)?;
        let text = read(Path::new(path))?;
        scripts.push(ScriptSource::File { name: path.to_owned(), text, weight });
    }
    for given in built_in {
        let (name, weight) = weighted(given)?;
        scripts.push(ScriptSource::BuiltIn { name: name.to_owned(), weight });
    }
    Ok(scripts)
}

pub(crate) fn variables(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::input(format!("--define {text}: expected NAME=VALUE"))),
        })
        .collect()
}

/// A name and the weight behind its last `@`, as pgbench takes them.
fn weighted(text: &str) -> Result<(&str, u32), Failure> {
    let Some((name, weight)) = text.rsplit_once('@') else { return Ok((text, 1)) };
    let weight = weight.parse().map_err(|_| {
        Failure::input(format!("{text}: {weight:?} is no weight")).hint(
            "a weight is an integer; a file with an @ in its name needs one, such as a@b.sql@1",
        )
    })?;
    Ok((name, weight))
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed =
        |e: std::io::Error| Failure::input(format!("failed to read {}: {e}", path.display()));
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST_FILE {
        return Err(Failure::input(format!("{} is larger than 1 MiB", path.display())));
    }
    fs::read_to_string(path).map_err(failed)
}

pub(crate) fn warm_up(text: &str) -> Result<WarmUp, Failure> {
    let choice: WarmUpChoice = text.parse().map_err(|error| {
        Failure::input(format!("--warmup {text}: {error}")).hint("give `auto` or a time such as 5s")
    })?;
    Ok(match choice {
        WarmUpChoice::Auto => WarmUp::Auto { at_most: Duration::from_secs(10) },
        WarmUpChoice::Fixed(length) => WarmUp::Fixed(length),
    })
}

/// How the server is set up; where it is comes with [`with_target`].
pub(crate) fn server(args: &ServerArgs, dsn: Option<&str>) -> Result<SqlServer, Failure> {
    let init = match &args.init {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let text = read(path)?;
            Some(split_statements(&name, &text).map_err(|e| Failure::input(e.to_string()))?)
        }
    };
    Ok(SqlServer {
        target: Target::External { dsn: dsn.unwrap_or_default().to_owned() },
        settings: settings(&args.settings)?,
        cpus: cpus(args.cpus)?,
        memory_bytes: memory(args.memory.as_deref())?,
        initialize: false,
        tables: TablesPlan::default(),
        replace: false,
        init,
        vacuum: Vacuuming::Private,
    })
}

/// Finds PostgreSQL's programs where no DSN was given.
pub(crate) fn with_target(
    server: SqlServer,
    args: &ServerArgs,
    dsn: Option<&str>,
) -> Result<SqlServer, Failure> {
    let target = match dsn {
        Some(dsn) if dsn.trim().is_empty() => {
            return Err(Failure::input("--dsn is empty").hint(
                "give postgresql://user@host:port/database, or leave it out for a private server",
            ));
        }
        Some(dsn) => {
            pinchpoint_lab::check_dsn(dsn).map_err(Failure::input)?;
            Target::External { dsn: dsn.to_owned() }
        }
        None => Target::Managed { installation: installation(&args.search)?, helper: helper()? },
    };
    Ok(SqlServer { target, ..server })
}
