use std::collections::BTreeMap;

use pinchpoint_measure::{
    Factors, Pace, Phase, Trial, TrialStatus, Variant, factor_text, factor_u64,
};
use pinchpoint_stats::median;

use crate::seen::Seen;

/// A variant's figures as the rules and the model use them: medians over the trials that count,
/// every one finite and not negative.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The variant's name.
    pub name: String,
    /// Its levels, dynamic ones resolved.
    pub factors: Factors,
    /// Virtual users, at least 1.
    pub users: f64,
    /// Rows in an operation, above 0.
    pub rows: f64,
    /// Rows per second, above 0.
    pub rows_per_s: f64,
    /// Response time of an operation from its intended start, above 0.
    pub response_ms: f64,
    /// The same without the wait for its turn (open load), above 0.
    pub service_ms: f64,
    /// From the start of a user's operation to the start of its next one, in a closed load: the
    /// response time and the pause after it.
    pub cycle_ms: f64,
    /// Share of the machine's CPU in use, 0 to 1; without what strangers used, where the run got what
    /// it asked for all the same.
    pub cpu: Option<f64>,
    /// Share of an operation's time that the server's processes were ready and had no CPU; absent
    /// where that is not known.
    pub starved: Option<f64>,
    /// Share of that which the load threads used, as a share of the machine's CPU, 0 to 1.
    pub client_cpu: f64,
    /// Share of their own time that the loaded load threads were on a CPU.
    pub client_share: f64,
    /// Memory in use, in per cent.
    pub memory_percent: Option<f64>,
    /// What an open load asks for, in rows per second.
    pub target_per_s: Option<f64>,
    /// Trials that count.
    pub trials: usize,
    /// The load generator had no headroom in a trial.
    pub generator_full: bool,
    /// Other gates that failed, and in how many of the trials.
    pub failed_gates: BTreeMap<String, usize>,
    /// Cores that server and load share.
    pub cores: f64,
    /// Whether operations are requests to an application.
    pub requests: bool,
    /// Failed operations ÷ all.
    pub failed_share: f64,
    /// Why operations failed, the most frequent first.
    pub errors: Vec<(String, u64)>,
    /// Throughput of each trial.
    pub throughputs: Vec<f64>,
    /// Throughput of the second half of a trial ÷ that of the first: the largest change there was,
    /// where a trial has enough intervals to tell.
    pub drift: Option<f64>,
    /// What was seen around the load.
    pub seen: Option<Seen>,
    phases_ms: Vec<(Phase, f64)>,
}

impl Reading {
    /// `None` when the variant has no figures that could be true.
    pub(crate) fn of(variant: &Variant, cores: f64) -> Option<Self> {
        let summary = variant.summary.as_ref()?;
        let trials: Vec<&Trial> =
            variant.trials.iter().filter(|t| t.status == TrialStatus::Ok).collect();
        let first = trials.first()?;
        let over = |figure: fn(&Trial) -> f64| middle(trials.iter().map(|t| figure(t)));
        let mut factors = variant.factors.clone();
        factors.extend(first.factors.clone());

        let phases_ms: Vec<(Phase, f64)> =
            summary.phases_ms.iter().map(|(p, ms)| (*p, positive(*ms).unwrap_or(0.0))).collect();
        let schedule = phases_ms.iter().find(|(p, _)| *p == Phase::Schedule).map_or(0.0, |p| p.1);
        let sum: f64 = phases_ms.iter().map(|(_, ms)| ms).sum();
        let response = positive(summary.latency_ms.avg).unwrap_or(0.0).max(sum);
        let rows_per_s = positive(summary.throughput_per_s.median)?;
        let rows = over(|t| t.rows as f64 / t.succeeded as f64)
            .or(factor_u64(&factors, "batch").map(|b| b as f64))
            .filter(|rows| *rows > 0.0)
            .unwrap_or(1.0);
        let client_s = positive(summary.client_cpu_us_per_op).unwrap_or(0.0) / 1e6;
        let target_per_s = match first.pace {
            Pace::Open { target_per_s, .. } => positive(target_per_s),
            Pace::Closed => None,
        };
        let seen = Seen::of(&trials);
        let cpu = middle(trials.iter().filter_map(|t| t.cpu_percent)).map(|p| (p / 100.0).min(1.0));
        let service_ms = positive(response - schedule)?;
        let requests = trials.iter().any(|t| t.http.is_some());
        // Of a server elsewhere this machine's CPU says nothing.
        let elsewhere = seen.as_ref().and_then(Seen::server_is_here) == Some(false);
        let cpu = cpu.filter(|_| requests || !elsewhere);
        let (starved, cpu) = own_cpu(seen.as_ref(), cpu, service_ms, cores);
        let users = users(&factors);
        let mut failed_gates = failed_gates(&trials);
        let generator_full = failed_gates.remove("generator-headroom").is_some();
        let turn = users * rows / rows_per_s * 1000.0;
        Some(Self {
            name: variant.name.clone(),
            users,
            rows,
            rows_per_s,
            response_ms: response,
            service_ms,
            // Within a tenth it is the edges of the trial, not a pause.
            cycle_ms: match target_per_s {
                None if turn.is_finite() && turn > 1.1 * service_ms => turn,
                _ => service_ms,
            },
            cpu,
            starved,
            client_cpu: (client_s * rows_per_s / rows / cores).min(1.0),
            client_share: over(|t| t.client_cpu_share).unwrap_or(0.0).min(1.0),
            memory_percent: middle(trials.iter().filter_map(|t| t.memory_percent)),
            target_per_s,
            trials: trials.len(),
            generator_full,
            failed_gates,
            cores,
            requests,
            failed_share: over(|t| t.failed as f64 / (t.failed + t.succeeded) as f64)
                .unwrap_or(0.0)
                .min(1.0),
            errors: errors(&trials),
            throughputs: trials.iter().filter_map(|t| positive(t.throughput_per_s)).collect(),
            drift: trials
                .iter()
                .filter_map(|t| drift(t))
                .max_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs())),
            seen,
            phases_ms: phases_ms.into_iter().filter(|(p, _)| *p != Phase::Schedule).collect(),
            factors,
        })
    }

    /// Operations per second.
    pub(crate) fn ops_per_s(&self) -> f64 {
        self.rows_per_s / self.rows
    }

    /// How much throughput differs over the trials: (largest − smallest) ÷ median.
    pub(crate) fn spread(&self) -> f64 {
        let most = self.throughputs.iter().copied().fold(f64::MIN, f64::max);
        let least = self.throughputs.iter().copied().fold(f64::MAX, f64::min);
        median(&self.throughputs).map_or(0.0, |middle| sound((most - least) / middle))
    }

    /// What was seen of the sessions, processes and counters.
    pub(crate) fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Mean time of an operation in the phases that `select` picks, in milliseconds.
    pub(crate) fn phase_ms(&self, select: impl Fn(Phase) -> bool) -> f64 {
        // From 0, because an empty sum of floats is −0.
        self.phases_ms.iter().filter(|(p, _)| select(*p)).fold(0.0, |sum, (_, ms)| sum + ms)
    }

    /// The same as a share of the service time, 0 to 1.
    pub(crate) fn share(&self, select: impl Fn(Phase) -> bool) -> f64 {
        (self.phase_ms(select) / self.service_ms).clamp(0.0, 1.0)
    }

    /// CPU of the machine for one operation, in milliseconds of one core.
    pub(crate) fn cpu_ms(&self, cores: f64) -> Option<f64> {
        positive(self.cpu? * cores / self.rows_per_s * self.rows * 1000.0)
    }

    /// Whether a commit waits for its WAL to be on disk.
    pub(crate) fn is_durable(&self) -> bool {
        !matches!(factor_text(&self.factors, "synchronous_commit").as_str(), "off" | "false")
    }

    /// Whether this rung writes; the null rung does not.
    pub(crate) fn writes(&self) -> bool {
        factor_text(&self.factors, "write") != "false"
    }
}

/// The value when it is finite and above 0.
pub(crate) fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

/// The value when it is finite and above 0, else 0.
pub(crate) fn sound(value: f64) -> f64 {
    positive(value).unwrap_or(0.0)
}

/// Share of an operation's time without a CPU up to which the run got what it asked for.
pub(crate) const HARDLY_STARVED: f64 = 0.15;

/// How much the server was kept from running, and the CPU in use: strangers' CPU is left out where
/// they were in nobody's way.
fn own_cpu(
    seen: Option<&Seen>,
    cpu: Option<f64>,
    service_ms: f64,
    cores: f64,
) -> (Option<f64>, Option<f64>) {
    let Some(seen) = seen else { return (None, cpu) };
    // A server that its own limit holds back is ready to run meanwhile, and nobody else's doing.
    let free = seen.held_back("postgres") < HARDLY_STARVED;
    let server = seen.starved_ms().filter(|_| free).map(|ms| sound(ms / service_ms).min(1.0));
    let ours = seen.own_starved(cores);
    let starved = [server, ours].into_iter().flatten().reduce(f64::max);
    let foreign =
        seen.foreign_share(cores).filter(|_| starved.is_some_and(|s| s <= HARDLY_STARVED));
    (starved, cpu.map(|all| (all - foreign.unwrap_or(0.0)).clamp(0.0, 1.0)))
}

/// Operations under way at most: users of an application, or of a table. At least 1.
fn users(factors: &Factors) -> f64 {
    let named = ["concurrency", "users", "clients"];
    named.iter().find_map(|name| factor_u64(factors, name)).unwrap_or(1).max(1) as f64
}

fn failed_gates(trials: &[&Trial]) -> BTreeMap<String, usize> {
    let mut failed = BTreeMap::new();
    for gate in trials.iter().flat_map(|t| &t.gates).filter(|g| !g.passed) {
        *failed.entry(gate.name.clone()).or_default() += 1;
    }
    failed
}

fn errors(trials: &[&Trial]) -> Vec<(String, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (cause, count) in trials.iter().flat_map(|t| &t.errors) {
        let sum = sums.entry(cause).or_default();
        *sum = sum.saturating_add(*count);
    }
    let mut sorted: Vec<(String, u64)> = sums.into_iter().map(|(c, n)| (c.to_owned(), n)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted
}

/// Throughput in the second half of a trial ÷ that in the first; from 4 intervals on, so that one
/// short stall does not look like a change.
fn drift(trial: &Trial) -> Option<f64> {
    let rates: Vec<f64> = trial.intervals.iter().map(|i| i.tps).collect();
    if rates.len() < 4 {
        return None;
    }
    let (first, second) = rates.split_at(rates.len() / 2);
    positive(median(second)? / median(first)?)
}

/// Median of the values that are finite and not negative.
fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let sound: Vec<f64> = values.filter(|v| v.is_finite() && *v >= 0.0).collect();
    median(&sound)
}
