use std::io::IsTerminal;
use std::time::{Duration, Instant};

use pinchpoint_measure::{ExitCode, Observation};
use pinchpoint_observe::{Observer, ObserverSpec, PoolerSpec};
use pinchpoint_report::{watch_line, watch_screen, watch_unseen};
use pinchpoint_stack::Cancel;
use serde_json::json;

use crate::cli::WatchArgs;
use crate::failure::Failure;
use crate::{signals, terminal};

/// Shorter observations see next to nothing, and cost most of what there is to be had.
const SHORTEST: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &WatchArgs) -> Result<ExitCode, Failure> {
    if args.every < SHORTEST {
        let every = args.every.as_millis();
        return Err(Failure::input(format!("--every is {every} ms; at least 200 ms make sense")));
    }
    let password = std::env::var("PGPASSWORD").ok();
    let mut spec = ObserverSpec::of_server(&args.dsn, password.clone())
        .map_err(|error| Failure::input(format!("the DSN is not usable: {error}")))?;
    if let Some(url) = &args.pooler.observe_pgbouncer {
        let database = spec.dsn.as_ref().map(|dsn| dsn.database.as_str());
        let pooler = PoolerSpec::read(url, password, database);
        spec.pooler = Some(pooler.map_err(|error| {
            Failure::input(format!("--observe-pgbouncer: the URL is not usable: {error}"))
        })?);
    }
    let cancel = Cancel::new();
    signals::listen(cancel.clone(), |_| ())
        .map_err(|error| Failure::run(format!("failed to listen for signals: {error}")))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("failed to start: {error}")))?
        .block_on(watch(args, spec, &cancel))?;
    Ok(ExitCode::Ok)
}

async fn watch(args: &WatchArgs, spec: ObserverSpec, cancel: &Cancel) -> Result<(), Failure> {
    let mut observer = Observer::open(spec).await;
    let began = Instant::now();
    let mut shown = Shown { live: !args.json && std::io::stdout().is_terminal(), lines: 0 };
    observer.begin().await;
    while !cancel.is_cancelled() && args.length.is_none_or(|length| began.elapsed() < length) {
        let left = args.length.map_or(args.every, |length| length.saturating_sub(began.elapsed()));
        pause(left.min(args.every), cancel).await;
        let seen = observer.slice().await.observation;
        if let Some(gone) = gone(&seen) {
            return Err(Failure::run(gone));
        }
        let elapsed = began.elapsed().as_secs_f64();
        if args.json {
            let line = json!({ "elapsed_s": elapsed, "observation": seen });
            terminal::print(&format!("{line}\n"))?;
        } else {
            terminal::print(&shown.next(&seen, elapsed))?;
        }
    }
    observer.end().await;
    Ok(())
}

/// Why there is nothing more to be seen: no session, or one that ended.
fn gone(seen: &Observation) -> Option<String> {
    if seen.sessions.is_some() {
        return None;
    }
    let reason = seen.missing.iter().find(|gap| gap.signal == "wait events");
    // A moment may be too short for a look.
    let gap = reason.filter(|gap| seen.counters.is_empty() && !gap.reason.contains("too short"))?;
    Some(format!("failed to watch: {}", gap.reason))
}

/// Waits, but not for long when the user wants to stop.
async fn pause(length: Duration, cancel: &Cancel) {
    let until = Instant::now() + length;
    while !cancel.is_cancelled() && Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(100))).await;
    }
}

/// What stands on the terminal.
struct Shown {
    live: bool,
    lines: usize,
}

impl Shown {
    /// The text that shows this moment: over the last one, or below it.
    fn next(&mut self, seen: &Observation, elapsed_s: f64) -> String {
        if self.live {
            let screen = watch_screen(seen, terminal::width());
            let back = match std::mem::replace(&mut self.lines, screen.lines().count()) {
                0 => String::new(),
                lines => format!("\u{1b}[{lines}A\u{1b}[J"),
            };
            return back + &screen;
        }
        let unseen = if self.lines == 0 { watch_unseen(seen) } else { String::new() };
        self.lines += 1;
        format!("{unseen}{elapsed_s:5.0} s  {}\n", watch_line(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_drawn_over_the_last_one() {
        let mut shown = Shown { live: true, lines: 0 };
        let seen = Observation::default();
        let first = shown.next(&seen, 1.0);
        assert!(first.starts_with("PostgreSQL"), "{first}");
        let lines = first.lines().count();
        assert!(shown.next(&seen, 2.0).starts_with(&format!("\u{1b}[{lines}A\u{1b}[J")));
    }

    #[test]
    fn lines_follow_each_other() {
        let mut shown = Shown { live: false, lines: 0 };
        assert_eq!(shown.next(&Observation::default(), 1.2), "    1 s  \n");
    }
}
