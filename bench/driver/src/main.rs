//! The benchmarks' own driver: one prepared statement, to be held against pgbench.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pinchpoint_load::{Histograms, LoadSpec, Process, Schedule, Session, WarmUpPolicy, warm_up};
use pinchpoint_sql::{Dsn, StatementDriver};

/// Runs what pgbench can run too, and says what it cost.
#[derive(Debug, Parser)]
#[command(name = "pinchpoint-bench", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// `SELECT abalance … WHERE aid = $1`, prepared, on pgbench's tables; prints one line of JSON.
    Select(Select),
}

#[derive(Debug, clap::Args)]
struct Select {
    /// The server.
    #[arg(long, value_name = "URL")]
    dsn: String,
    /// Connections, each with a virtual user.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Load threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Seconds before them that are not measured.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Transactions a second, with Poisson gaps [default: flat out]
    #[arg(long)]
    rate: Option<f64>,
    /// The scale that the tables were made with.
    #[arg(long, default_value_t = 10)]
    scale: i32,
    /// Seed of the rows drawn and of the gaps.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let Command::Select(select) = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|e| e.to_string())
        .and_then(|runtime| runtime.block_on(run(&select)))
        .and_then(|line| writeln!(std::io::stdout(), "{line}").map_err(|e| e.to_string()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(select: &Select) -> Result<serde_json::Value, String> {
    let dsn = Dsn::parse(&select.dsn).map_err(|e| e.to_string())?;
    let sql = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
    let rows = select.scale.saturating_mul(100_000);
    let driver = StatementDriver::new(dsn, sql, (1, rows)).map_err(|e| e.to_string())?;
    let process = Process::Poisson { seed: select.seed };
    let spec = LoadSpec {
        users: select.connections,
        threads: select.threads,
        schedule: select.rate.map(|rate| Schedule::at_rate(rate, process)),
        seed: select.seed,
        spawn_per_s: None,
        think: Duration::ZERO,
        labels: 1,
        operations_per_user: None,
        latency_limit: None,
        keep_acks: false,
    };
    let mut session = Session::open(Arc::new(driver), &spec).await.map_err(|e| e.to_string())?;
    session.start();
    warm_up(&session, WarmUpPolicy::Fixed(seconds(select.warmup)?), |_| true).await;
    let mut histograms = Histograms::new();
    session.rotate(&mut histograms).await.map_err(|e| e.to_string())?;
    histograms.reset();
    tokio::time::sleep(seconds(select.duration)?).await;
    let harvest = session.rotate(&mut histograms).await.map_err(|e| e.to_string())?;
    session.settle(Duration::from_secs(5)).await.map_err(|e| e.to_string())?;
    let all = session.totals();
    session.close().await;
    let operations = harvest.totals.operations;
    let elapsed = harvest.elapsed.as_secs_f64();
    let response = histograms.response_ms();
    Ok(serde_json::json!({
        "operations": operations,
        "operations_per_s": operations as f64 / elapsed,
        "client_cpu_us_per_op": harvest.cpu.as_secs_f64() * 1e6 / operations.max(1) as f64,
        "p50_us": response.p50 * 1e3,
        "p99_us": response.p99 * 1e3,
        "failed": all.failed,
        // Warm-up and what was under way at the end included: what the whole process's CPU did.
        "all_operations": all.operations,
    }))
}

fn seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|e| format!("{seconds} seconds: {e}"))
}
