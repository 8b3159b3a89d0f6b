use std::io::Read;
use std::time::Duration;

use pinchpoint_measure::ExitCode;
use pinchpoint_stack::{Cancel, REDIS_OWN, Redis, RedisOptions, find_redis};

use crate::cli::RedisArgs;
use crate::commands::postgres::{cpus, memory, settings};
use crate::commands::run::helper;
use crate::failure::Failure;
use crate::{signals, terminal};

pub(crate) fn run(args: &RedisArgs) -> Result<ExitCode, Failure> {
    let settings = settings(&args.settings)?;
    if let Some((name, _)) = settings.iter().find(|(name, _)| REDIS_OWN.contains(&name.as_str())) {
        return Err(Failure::input(format!(
            "--set {name}: pinchpoint decides where Redis listens, its password and its directory"
        )));
    }
    let options = RedisOptions {
        program: find_redis(args.redis.as_deref()).map_err(|e| Failure::run(e.to_string()))?,
        settings,
        cpus: cpus(args.cpus)?,
        memory_bytes: memory(args.memory.as_deref())?,
        port: args.port,
        base_dir: None,
    };
    let cancel = Cancel::new();
    signals::listen(cancel.clone(), |_| ())
        .map_err(|error| Failure::run(format!("failed to listen for signals: {error}")))?;
    let redis = Redis::start(&helper()?, &options, &cancel).map_err(|error| {
        let failure = Failure::run(error.to_string());
        let exit = if error.is_cancelled() { ExitCode::Interrupted } else { failure.exit };
        Failure { exit, ..failure }
    })?;
    terminal::print(&format!("{}\n", redis.url()))?;
    for limit in redis.limits().iter().filter(|limit| !limit.in_force) {
        terminal::eprint(&format!(
            "limit not set: {} {} ({})\n",
            limit.name, limit.asked, limit.how
        ));
    }
    if args.until_eof {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            cancel.cancel();
        });
    }
    while !cancel.is_cancelled() {
        if let Err(gone) = redis.alive() {
            return Err(Failure::run(gone.to_string()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(ExitCode::Ok)
}
