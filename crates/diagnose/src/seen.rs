//! What was seen around a variant's trials, and what of it an operation takes.

mod pool;

use std::collections::BTreeMap;

use pinchpoint_measure::{
    Counter, Observation, PoolerFigures, ProcessFigures, SessionFigures, SessionSamples, Trial,
    WAIT_CLASSES, WaitClass,
};
use pinchpoint_stats::std_dev;

use crate::reading::sound;

/// The surroundings of all trials that count, pooled; every number finite and not negative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Sessions, counters, processes and machine.
    pub observation: Observation,
    /// Operations in the seconds that were observed.
    pub operations: f64,
    /// A pooler's totals and queues.
    pub pooler: Option<PoolerFigures>,
    /// Connections of the load as the server counted them.
    pub sessions: Option<SessionFigures>,
    /// What the application's own metrics grew by.
    pub app_metrics: BTreeMap<String, f64>,
    /// What Redis's counters grew by.
    pub redis: BTreeMap<String, f64>,
    /// Standard error between trials of the mean sessions in a class.
    between: BTreeMap<WaitClass, f64>,
}

impl Seen {
    /// `None` when nobody looked.
    pub(crate) fn of(trials: &[&Trial]) -> Option<Self> {
        let looked: Vec<&Trial> = trials
            .iter()
            .copied()
            .filter(|t| t.observation.is_some() || t.stack.is_some())
            .collect();
        let stacks: Vec<_> = looked.iter().filter_map(|t| t.stack.as_ref()).collect();
        let (observation, operations) = pool::observations(&looked)?;
        let metrics = |pick: fn(&pinchpoint_measure::StackFigures) -> &BTreeMap<String, f64>| {
            let mut sums: BTreeMap<String, f64> = BTreeMap::new();
            for (name, value) in stacks.iter().flat_map(|s| pick(s)) {
                *sums.entry(name.clone()).or_default() += sound(*value);
            }
            sums
        };
        Some(Self {
            between: between(&looked),
            pooler: pool::poolers(looked.iter().filter_map(|trial| pooler(trial))),
            sessions: pool::sessions(stacks.iter().filter_map(|s| s.sessions.as_ref())),
            app_metrics: metrics(|s| &s.app_metrics),
            redis: metrics(|s| &s.redis),
            observation,
            operations,
        })
    }

    /// Sessions of the load, when they were sampled often enough to say something, and all of them were
    /// to be seen.
    pub(crate) fn samples(&self) -> Option<&SessionSamples> {
        let hidden = self.observation.missing.iter().any(|gap| gap.signal == WAIT_EVENTS);
        self.observation.sessions.as_ref().filter(|s| s.looks >= LOOKS && !hidden)
    }

    /// Mean sessions, as milliseconds of an operation: sessions ÷ throughput (Little 1961).
    pub(crate) fn ms_of(&self, sessions: f64) -> f64 {
        sound(sessions * self.observation.seconds * 1000.0 / self.operations)
    }

    /// Milliseconds of an operation in a class of waits.
    pub(crate) fn class_ms(&self, class: WaitClass) -> f64 {
        self.samples().map_or(0.0, |s| self.ms_of(s.in_class(class)))
    }

    /// The same over several classes.
    pub(crate) fn classes_ms(&self, classes: &[WaitClass]) -> f64 {
        classes.iter().fold(0.0, |sum, class| sum + self.class_ms(*class))
    }

    /// Standard error of [`Self::class_ms`]: that of the samples, or that between trials if larger.
    pub(crate) fn class_error_ms(&self, class: WaitClass) -> Option<f64> {
        let samples = self.samples()?;
        let within = samples
            .waits
            .iter()
            .filter(|w| w.class == class)
            .filter_map(|w| w.error)
            .map(|error| error * error)
            .sum::<f64>()
            .sqrt();
        let between = self.between.get(&class).copied().unwrap_or(0.0);
        Some(self.ms_of(within.max(between))).filter(|error| *error > 0.0)
    }

    /// Milliseconds that a statement of the load was executing.
    pub(crate) fn active_ms(&self) -> Option<f64> {
        Some(self.ms_of(self.samples()?.active))
    }

    /// Milliseconds that a transaction was open and its session had nothing to do.
    pub(crate) fn held_ms(&self) -> f64 {
        self.samples().map_or(0.0, |s| self.ms_of(s.idle_in_transaction))
    }

    /// Seconds of something, as milliseconds of an operation.
    pub(crate) fn each_ms(&self, seconds: f64) -> f64 {
        sound(seconds * 1000.0 / self.operations)
    }

    /// What a counter grew by.
    pub(crate) fn counter(&self, counter: Counter) -> Option<f64> {
        self.observation.counter(counter)
    }

    /// The same for each operation.
    pub(crate) fn per_op(&self, counter: Counter) -> Option<f64> {
        self.counter(counter).map(|grown| sound(grown / self.operations))
    }

    /// The process of this name.
    pub(crate) fn process(&self, name: &str) -> Option<&ProcessFigures> {
        self.observation.process(name)
    }

    /// CPU used ÷ CPU allowed, for a process that has a limit. An application has one where all goes
    /// through a thread, or an interpreter: an event loop has no more than a core.
    pub(crate) fn fullness(&self, name: &str) -> Option<f64> {
        let lane = self.busiest_lane(name).filter(|_| self.goes_through_lanes(name));
        [self.quota_used(name), lane].into_iter().flatten().reduce(f64::max)
    }

    /// CPU used ÷ CPU allowed, for a process that somebody has given a limit.
    pub(crate) fn quota_used(&self, name: &str) -> Option<f64> {
        let process = self.process(name)?;
        let allowed = process.cpus.filter(|cpus| *cpus > 0.0)?;
        Some(sound(process.cpu_s? / (allowed * self.observation.seconds)))
    }

    /// Whether an application's work is done by interpreters, or most of it by one thread: beside others at
    /// work a thread may be the runtime's own, whose limit is not the application's.
    fn goes_through_lanes(&self, name: &str) -> bool {
        let Some(process) = self.process(name).filter(|_| name == "app") else { return false };
        let most =
            process.busiest_lane_s.zip(process.cpu_s).is_some_and(|(b, all)| b >= MOST * all);
        process.interpreters.is_some() || most
    }

    /// The part of a core that was used by the busiest of a process's threads and interpreters.
    pub(crate) fn busiest_lane(&self, name: &str) -> Option<f64> {
        Some(sound(self.process(name)?.busiest_lane_s? / self.observation.seconds).min(1.0))
    }

    /// Share of the scheduler's periods in which a process's CPU limit held it back.
    pub(crate) fn held_back(&self, name: &str) -> f64 {
        self.process(name).and_then(|p| p.throttled_share).unwrap_or(0.0).min(1.0)
    }

    /// CPUs that a process used on average.
    pub(crate) fn cpus(&self, name: &str) -> Option<f64> {
        Some(sound(self.process(name)?.cpu_s? / self.observation.seconds))
    }

    /// Whether the server runs on this machine; unknown where nobody looked at its sessions.
    pub(crate) fn server_is_here(&self) -> Option<bool> {
        self.observation.sessions.as_ref()?;
        Some(self.process("postgres").is_some() || self.observation.backends.is_some())
    }

    /// CPUs that the server used on average, as far as we may see its processes.
    pub(crate) fn server_cpus(&self) -> Option<f64> {
        let backends = self.observation.backends.map(|b| sound(b.cpu_s / self.observation.seconds));
        self.cpus("postgres").or(backends)
    }

    /// Milliseconds of an operation that the server's processes were ready and had no CPU, also while
    /// they were still said to wait for what had woken them. Not known where sessions come and go:
    /// the kernel's accounts of a process end with it.
    pub(crate) fn starved_ms(&self) -> Option<f64> {
        if self.sessions_each().is_some_and(|each| each > FEW_SESSIONS) {
            return None;
        }
        let backends = self.observation.backends.map(|b| b.run_delay_s);
        let delay_s = backends.or_else(|| self.process("postgres")?.run_delay_s)?;
        Some(self.each_ms(delay_s))
    }

    /// Share of the machine's time in which threads of ours were ready and had no CPU.
    pub(crate) fn own_starved(&self, cores: f64) -> Option<f64> {
        let delay_s = self.observation.host?.own_delay_s?;
        Some(sound(delay_s / (self.observation.seconds * cores)).min(1.0))
    }

    /// Share of the machine's CPU that processes outside the run took.
    pub(crate) fn foreign_share(&self, cores: f64) -> Option<f64> {
        let foreign_s = self.observation.host?.foreign_cpu_s?;
        Some(sound(foreign_s / (self.observation.seconds * cores)))
    }

    /// New sessions of the database for each operation.
    pub(crate) fn sessions_each(&self) -> Option<f64> {
        let counted = self.sessions.as_ref().map(|s| sound(s.opened as f64 / self.operations));
        counted.or_else(|| self.per_op(Counter::Sessions))
    }
}

/// A pooler's figures: of a stack of ours, or of one whose console was named.
fn pooler(trial: &Trial) -> Option<&PoolerFigures> {
    let ours = trial.stack.as_ref().and_then(|stack| stack.pooler.as_ref());
    ours.or(trial.observation.as_ref()?.pooler.as_ref())
}

/// Share of an application's CPU from which the thread that used it does its work.
const MOST: f64 = 0.7;
/// New sessions for each operation up to which they may be taken to last.
const FEW_SESSIONS: f64 = 0.01;
/// Looks below which sampled sessions say too little to be used. A watcher on a busy machine looks
/// ten times a second, and a trial may last three; how uncertain that is, the samples' own error says.
const LOOKS: u64 = 10;
/// What an observation calls the samples where some of them are missing.
pub(crate) const WAIT_EVENTS: &str = "wait events";
/// What it calls the console of a pooler.
pub(crate) const POOLER: &str = "pgbouncer";

/// How much a class differs from trial to trial.
fn between(trials: &[&Trial]) -> BTreeMap<WaitClass, f64> {
    let samples: Vec<&SessionSamples> = trials
        .iter()
        .filter_map(|t| t.observation.as_ref()?.sessions.as_ref())
        .filter(|s| s.looks >= LOOKS)
        .collect();
    let error = |class: WaitClass| {
        let values: Vec<f64> = samples.iter().map(|s| s.in_class(class)).collect();
        let deviation = std_dev(&values)?;
        Some((class, sound(deviation / (values.len() as f64).sqrt())))
    };
    WAIT_CLASSES.into_iter().filter_map(error).collect()
}

impl Seen {
    /// Milliseconds of an operation that the pooler's clients waited for a server connection. Its
    /// total counts microseconds, when a server has been found, and so lags behind the queue.
    pub(crate) fn pooler_wait_ms(&self) -> Option<f64> {
        let waited = self.pooler.as_ref()?.total("total_wait_time")?;
        Some(self.each_ms(waited as f64 / 1e6))
    }

    /// Milliseconds without those that a pooler's clients waited for a server connection, which no
    /// session of the server accounts for.
    pub(crate) fn past_the_pooler_ms(&self, ms: f64) -> f64 {
        (ms - self.pooler_wait_ms().unwrap_or(0.0)).max(0.0)
    }
}

impl Seen {
    /// The events of some classes, the largest first: `mostly LWLock:BufferContent`.
    pub(crate) fn events(&self, classes: &[WaitClass]) -> Option<String> {
        let samples = self.samples()?;
        let mut waits: Vec<_> = samples
            .waits
            .iter()
            .filter(|w| classes.contains(&w.class) && w.sessions > 0.0)
            .collect();
        waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
        let names: Vec<&str> = waits.iter().take(3).map(|w| w.event.as_str()).collect();
        (!names.is_empty()).then(|| format!("mostly {}", names.join(", ")))
    }
}
