use std::fs;
use std::time::Duration;

use pinchpoint_lab::{HttpJob, Observe, run_http};
use pinchpoint_measure::{ExitCode, Threshold};
use pinchpoint_plan::{CheckPlan, HttpPlan, LoadPlan, Pace, RequestPlan, WarmUp, WarmUpChoice};
use pinchpoint_stack::Cancel;

use crate::cli::{Arrivals, HttpArgs};
use crate::commands::run::{listen, sink};
use crate::commands::sql::{conclude, show};
use crate::commands::{ledger, report};
use crate::failure::Failure;
use crate::terminal;

/// The most users of one machine: each is a socket.
const MOST_USERS: u32 = 200_000;
/// The longest schedule.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) fn run(args: &HttpArgs) -> Result<ExitCode, Failure> {
    let job = job(args)?;
    let cancel = Cancel::new();
    listen(&cancel)?;
    pinchpoint_stack::raise_file_limit();
    let mut sink = sink(args.quiet || args.json);
    let finished = run_http(&job, sink.as_mut(), &cancel)
        .map_err(|error| Failure::input(error.to_string()))?;
    drop(sink);
    if args.out.is_some() {
        report::write(&finished.result, &finished.directory)?;
    }
    if args.json {
        let text = finished.result.to_json().map_err(|e| Failure::run(e.to_string()))?;
        terminal::print(&text)?;
    } else {
        show(&finished.result)?;
        if args.out.is_some() {
            terminal::print(&format!("\nresult  {}\n", finished.directory.display()))?;
        }
    }
    conclude(finished)
}

fn job(args: &HttpArgs) -> Result<HttpJob, Failure> {
    let bounds = |what: &str, fits: bool, text: &str| {
        if fits {
            Ok(())
        } else {
            Err(Failure::input(format!("{what} is out of bounds: it is {text}")))
        }
    };
    let observe = Observe {
        dsn: args.observe.observe_dsn.clone(),
        pgbouncer: args.observe.pooler.observe_pgbouncer.clone(),
    };
    observe.check().map_err(Failure::input)?;
    bounds("--users", (1..=MOST_USERS).contains(&args.users), "1 to 200000")?;
    let next = args.next.iter().all(|users| (1..=MOST_USERS).contains(users));
    bounds("--next users", next, "1 to 200000")?;
    bounds("--duration", args.duration >= Duration::from_millis(100), "at least 100 ms")?;
    bounds("--trials", (1..=1000).contains(&args.trials), "1 to 1000")?;
    bounds("--timeout", !args.request.timeout.is_zero(), "more than 0")?;
    if let Some(rate) = args.rate {
        bounds("--rate", (0.001..=1e9).contains(&rate), "0.001 to 1000000000 requests/s")?;
        if args.think.is_some() || args.spawn_rate.is_some() {
            return Err(Failure::input("--rate goes with neither --think nor --spawn-rate")
                .hint("with a rate the schedule says when requests start, not the users"));
        }
    }
    if let Some(rate) = args.spawn_rate {
        bounds("--spawn-rate", (0.001..=1e9).contains(&rate), "0.001 to 1000000000 users/s")?;
    }
    let (pace, duration) = pace(args)?;
    let thresholds: Result<Vec<Threshold>, _> = args.threshold.iter().map(|t| t.parse()).collect();
    let (url, path) = split(&args.url);
    Ok(HttpJob {
        url,
        http: HttpPlan {
            requests: vec![request(args, path)?],
            timeout: args.request.timeout,
            spawn_per_s: args.spawn_rate,
            think: args.think.unwrap_or_default(),
            keep_alive: !args.request.disable_keepalive,
            insecure: args.request.insecure,
            statements_per_request: None,
        },
        load: LoadPlan {
            duration,
            warmup: warm_up(args)?,
            trials: args.trials,
            interval: Duration::from_secs(10),
            pace,
            poisson: args.arrivals == Arrivals::Poisson,
            seed: args.seed,
            threads: args.threads,
        },
        users: args.users,
        thresholds: thresholds.map_err(|e| Failure::input(e.to_string()))?,
        observe,
        next: args.next.clone(),
        ledger: if args.no_ledger { None } else { ledger::own() },
        directory: args.out.clone(),
    })
}

/// How requests are started, and how long.
fn pace(args: &HttpArgs) -> Result<(Pace, Duration), Failure> {
    if args.stage.is_empty() {
        let pace = args.rate.map_or(Pace::FlatOut, |per_s| Pace::Rate { per_s });
        return Ok((pace, args.duration));
    }
    let duration: Duration = args.stage.iter().map(|s| s.duration).sum();
    if duration > LONGEST {
        return Err(Failure::input("the stages take longer than 7 days"));
    }
    if args.stage.iter().all(|s| s.target_per_s == 0.0) {
        return Err(Failure::input("the stages never ask for anything")
            .hint("give at least one a rate above 0"));
    }
    Ok((Pace::Stages(args.stage.clone()), duration))
}

fn warm_up(args: &HttpArgs) -> Result<WarmUp, Failure> {
    let choice: WarmUpChoice = args.warmup.parse().map_err(|error| {
        Failure::input(format!("--warmup {}: {error}", args.warmup))
            .hint("give `auto` or a time such as 5s")
    })?;
    Ok(match choice {
        WarmUpChoice::Auto => WarmUp::Auto { at_most: Duration::from_secs(10) },
        WarmUpChoice::Fixed(length) => WarmUp::Fixed(length),
    })
}

/// The server's part of a URL, and the path with its query.
fn split(url: &str) -> (String, String) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let url = url.split('#').next().unwrap_or(url);
    match url[start..].find(['/', '?']) {
        Some(at) => {
            let (server, path) = url.split_at(start + at);
            let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
            (server.to_owned(), path)
        }
        None => (url.to_owned(), "/".to_owned()),
    }
}

fn request(args: &HttpArgs, path: String) -> Result<RequestPlan, Failure> {
    let body = match args.request.data.as_deref() {
        None => String::new(),
        Some(file) if file.starts_with('@') => fs::read_to_string(&file[1..])
            .map_err(|e| Failure::input(format!("failed to read {}: {e}", &file[1..])))?,
        Some(text) => text.to_owned(),
    };
    let method = args.request.method.clone().unwrap_or_else(|| {
        if args.request.data.is_some() { "POST".to_owned() } else { "GET".to_owned() }
    });
    let headers = args.request.header.iter().map(|header| {
        header
            .split_once(':')
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .ok_or_else(|| Failure::input(format!("--header {header:?} has no colon")))
    });
    let mut checks: Vec<CheckPlan> =
        args.request.check_status.iter().map(|status| CheckPlan::Status(*status)).collect();
    for check in &args.request.check_json {
        checks.push(match check.split_once('=') {
            Some((pointer, value)) => CheckPlan::JsonEquals(pointer.to_owned(), value.to_owned()),
            None => CheckPlan::JsonExists(check.clone()),
        });
    }
    Ok(RequestPlan {
        name: path.clone(),
        weight: 1,
        method,
        path,
        parameters: Vec::new(),
        headers: headers.collect::<Result<_, _>>()?,
        body,
        checks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_behind_the_server() {
        for (url, server, path) in [
            ("http://a:1/b?c=d#e", "http://a:1", "/b?c=d"),
            ("http://a", "http://a", "/"),
            ("a:1?x=/y", "a:1", "/?x=/y"),
            ("https://[::1]:8/", "https://[::1]:8", "/"),
        ] {
            assert_eq!(split(url), (server.to_owned(), path.to_owned()), "{url}");
        }
    }
}
