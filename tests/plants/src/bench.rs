use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pinchpoint_measure::{RunResult, Verdict};
use pinchpoint_proxy::{Proxy, Shape, Upstream};
use pinchpoint_stats::median;

use crate::certificate::certificate;
use crate::companion::Companion;
use crate::delays::{Delays, Slow};
use crate::plant::{Plant, Planted, Scene, State};
use crate::score::PAYS;
use crate::server::{Server, ServerOptions};
use crate::swap::Swap;

/// How long each measurement takes.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Measured seconds of a trial.
    pub seconds: f64,
    /// Trials.
    pub trials: u32,
}

/// What the command said of a load.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Transactions a second.
    pub per_s: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// The whole result.
    pub result: RunResult,
}

/// A plant at one strength, or its decoy: with it and without it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What was planted.
    pub what: Planted,
    /// With it.
    pub planted: Seen,
    /// Without it.
    pub removed: Seen,
}

/// A server with what a plant needs, ready to be planted in.
struct Bed {
    server: Server,
    memory_bytes: Option<u64>,
    delays: Option<Delays>,
    /// Goes after the server.
    _swap: Option<Swap>,
}

/// Plants each of `what`, and removes it. One server serves them all, so that nothing else differs;
/// what is the same without it is measured once.
pub fn run(
    plant: &Plant,
    what: &[Planted],
    command: &Path,
    effort: Effort,
) -> Result<Vec<Pair>, String> {
    let states: Vec<_> = what.iter().filter_map(|what| states(plant, *what)).collect();
    // An experiment brings its own.
    let scripted = states.iter().all(|(_, [planted, _])| planted.experiment.is_none());
    let bed = if scripted { Some(Bed::new(&(plant.scene)(), command)?) } else { None };
    let once = |state: &State| match (&bed, &state.experiment) {
        (Some(bed), None) => bed.measure(state, command, effort),
        (_, Some(experiment)) => case(command, experiment, effort),
        (None, None) => Err("a script without a server".to_owned()),
    };
    let measure = |state: &State| {
        let mut seen = once(state)?;
        for _ in 1..MOST_TRIES {
            if !stolen(&seen.result) {
                break;
            }
            seen = once(state)?;
        }
        Ok::<_, String>(seen)
    };
    let (decoys, plants): (Vec<_>, Vec<_>) =
        states.iter().partition(|(what, _)| *what == Planted::Decoy);
    let mut with = Vec::new();
    for (what, [planted, removed]) in plants {
        with.push((*what, measure(planted)?, removed));
    }
    let mut without: Vec<(&State, Seen)> = Vec::new();
    let mut pairs = Vec::new();
    for (what, planted, removed) in with {
        let seen = match without.iter().find(|(state, _)| *state == removed) {
            Some((_, seen)) => seen.clone(),
            None => measure(removed)?,
        };
        without.push((removed, seen.clone()));
        pairs.push(Pair { what, planted, removed: seen });
    }
    // A decoy's server is one that the plant is removed from.
    for (what, [planted, removed]) in decoys {
        pairs.push(in_turns(*what, || measure(planted), || measure(removed))?);
    }
    Ok(pairs)
}

/// How often a load is measured at most while a virtual machine's host takes its CPU.
const MOST_TRIES: u32 = 3;
/// Share of the CPU from which that is so: what is left says nothing of the plant, nor does the verdict.
const STOLEN: f64 = 0.1;

fn stolen(result: &RunResult) -> bool {
    let trials = result.variants.iter().flat_map(|variant| &variant.trials);
    let mut hosts = trials.filter_map(|trial| trial.observation.as_ref()?.host);
    hosts.any(|host| host.steal_share.is_some_and(|share| share >= STOLEN))
}

/// With it, without it, and with it again: that nothing is gained shows only where a machine that gets
/// faster or slower meanwhile gains or loses nothing by it. Where something seems to be gained, it is
/// measured once more each way, and the medians count. The verdict is the first one's.
fn in_turns(
    what: Planted,
    planted: impl Fn() -> Result<Seen, String>,
    removed: impl Fn() -> Result<Seen, String>,
) -> Result<Pair, String> {
    let (mut first, mut last) = (planted()?, removed()?);
    let (mut with, mut without) = (vec![first.per_s, planted()?.per_s], vec![last.per_s]);
    let middle = |values: &[f64]| median(values).ok_or("no throughput");
    if middle(&with)? * PAYS <= middle(&without)? {
        without.push(removed()?.per_s);
        with.push(planted()?.per_s);
    }
    (first.per_s, last.per_s) = (middle(&with)?, middle(&without)?);
    Ok(Pair { what, planted: first, removed: last })
}

/// With it and without it; `None` for the decoy of a plant that has none.
pub(crate) fn states(plant: &Plant, what: Planted) -> Option<(Planted, [State; 2])> {
    let states = match (what, &plant.decoy) {
        (Planted::At(strength), _) => [(plant.planted)(strength), (plant.removed)(strength)],
        (Planted::Decoy, Some(decoy)) => [(decoy.planted)(), (decoy.removed)()],
        (Planted::Decoy, None) => return None,
    };
    Some((what, states))
}

impl Bed {
    fn new(scene: &Scene, command: &Path) -> Result<Self, String> {
        let delays = if scene.delays { Some(Delays::new()?) } else { None };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut settings: Vec<_> = scene.settings.iter().map(own).collect();
        // What statements cost is what some verdicts are made of.
        for setting in [
            ("shared_preload_libraries", "pg_stat_statements"),
            ("pg_stat_statements.track_planning", "on"),
        ] {
            settings.push(own(&setting));
        }
        let options = ServerOptions {
            settings,
            environment: delays.as_ref().map(Delays::environment).unwrap_or_default(),
            cpus: Some(f64::INFINITY),
            memory_bytes: scene.memory_bytes,
        };
        let swap = scene.swap_bytes.map(Swap::start).transpose()?;
        let server = Server::start(command.to_owned(), &options)?;
        let mut session = server.session()?;
        session.run("CREATE EXTENSION pg_stat_statements")?;
        if scene.tls {
            certificate(&server.postgres().data_dir())?;
            session.run("ALTER SYSTEM SET ssl = on")?;
            session.run("SELECT pg_reload_conf()")?;
            server.wait_for_tls()?;
        }
        for sql in &scene.init {
            session.run(sql)?;
        }
        drop(session);
        Ok(Self { server, memory_bytes: scene.memory_bytes, delays, _swap: swap })
    }

    fn measure(&self, state: &State, command: &Path, effort: Effort) -> Result<Seen, String> {
        let mut session = self.server.session()?;
        for sql in &state.before {
            session.run(sql)?;
        }
        session.run("CHECKPOINT")?;
        drop(session);
        self.slow_down(&state.slow)?;
        let cpus = state.cpus.unwrap_or(f64::INFINITY);
        self.server.postgres().set_cpus(cpus).map_err(|e| e.to_string())?;
        if let Some(bytes) = state.memory_bytes.or(self.memory_bytes) {
            self.server.postgres().set_memory(bytes).map_err(|e| e.to_string())?;
        }
        let way = state.way.map(|way| {
            let shape = Shape { delay: way.delay, bytes_per_s: way.bytes_per_s };
            let upstream = Upstream::Tcp("127.0.0.1".to_owned(), self.server.postgres().port());
            Proxy::start(upstream, shape)
        });
        let way = way.transpose().map_err(|e| e.to_string())?;
        let direct = self.server.dsn();
        let dsn = match &way {
            Some(proxy) => direct.replace(
                &format!(":{}/", self.server.postgres().port()),
                &format!(":{}/", proxy.port()),
            ),
            None => direct.clone(),
        };
        let companion = Companion::start(&state.beside, &direct)?;
        let seen = load(command, &dsn, state, effort);
        drop(companion);
        self.server.postgres().set_cpus(f64::INFINITY).map_err(|e| e.to_string())?;
        self.slow_down(&[])?;
        seen
    }

    fn slow_down(&self, slow: &[(Slow, Duration)]) -> Result<(), String> {
        let Some(delays) = &self.delays else { return Ok(()) };
        for kind in Slow::ALL {
            let delay = slow.iter().find(|(k, _)| *k == kind).map_or(Duration::ZERO, |(_, d)| *d);
            delays.set(kind, delay)?;
        }
        Ok(())
    }
}

/// Runs an experiment of one case.
fn case(command: &Path, experiment: &str, effort: Effort) -> Result<Seen, String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = directory.path().join("case.toml");
    std::fs::write(&file, experiment).map_err(|e| e.to_string())?;
    let mut run = Command::new(command);
    run.args(["run", "--quiet", "--no-ledger", "--out"]).arg(directory.path().join("result"));
    seen(run.arg(&file).args(["--duration", &duration(effort)]), effort)
}

/// Runs scripts as anybody would.
fn load(command: &Path, dsn: &str, state: &State, effort: Effort) -> Result<Seen, String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let script = directory.path().join("load.sql");
    std::fs::write(&script, &state.script).map_err(|e| e.to_string())?;
    let mut run = Command::new(command);
    run.args(["sql", "--quiet", "--dsn", dsn, "--file"]).arg(&script);
    run.args(["--client", &state.clients.to_string()]).args(["--time", &duration(effort)]);
    seen(run.args(&state.arguments), effort)
}

fn duration(effort: Effort) -> String {
    format!("{}ms", (effort.seconds * 1000.0).round())
}

/// Runs the command, and reads what it printed.
fn seen(run: &mut Command, effort: Effort) -> Result<Seen, String> {
    let output = run
        .args(["--json", "--trials", &effort.trials.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("failed to run {}: {e}", run.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let result = RunResult::from_json(&text).map_err(|e| format!("{e}; it said:\n{stderr}"))?;
    let variant = result.variants.first().ok_or("no variant")?;
    let summary = variant.summary.as_ref().ok_or_else(|| format!("no figures: {stderr}"))?;
    let verdict = variant.verdict.clone().ok_or_else(|| format!("no verdict: {stderr}"))?;
    Ok(Seen { per_s: summary.throughput_per_s.median, verdict, result })
}
