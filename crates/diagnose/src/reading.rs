use pinchpoint_measure::{
    Factors, Pace, Phase, Trial, TrialStatus, Variant, factor_text, factor_u64,
};
use pinchpoint_stats::median;

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
    /// Response time of an operation without the wait for its turn (open load), above 0.
    pub service_ms: f64,
    /// Share of the machine's CPU in use, 0 to 1.
    pub cpu: Option<f64>,
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
    /// Gates that failed in one of them.
    pub failed_gates: Vec<String>,
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
        let mut failed_gates: Vec<String> = trials
            .iter()
            .flat_map(|t| t.gates.iter().filter(|g| !g.passed).map(|g| g.name.clone()))
            .collect();
        failed_gates.sort_unstable();
        failed_gates.dedup();
        Some(Self {
            name: variant.name.clone(),
            users: factor_u64(&factors, "concurrency").unwrap_or(1).max(1) as f64,
            rows,
            rows_per_s,
            service_ms: positive(response - schedule)?,
            cpu: middle(trials.iter().filter_map(|t| t.cpu_percent)).map(|p| (p / 100.0).min(1.0)),
            client_cpu: (client_s * rows_per_s / rows / cores).min(1.0),
            client_share: over(|t| t.client_cpu_share).unwrap_or(0.0).min(1.0),
            memory_percent: middle(trials.iter().filter_map(|t| t.memory_percent)),
            target_per_s: match first.pace {
                Pace::Open { target_per_s, .. } => positive(target_per_s),
                Pace::Closed => None,
            },
            trials: trials.len(),
            failed_gates,
            phases_ms: phases_ms.into_iter().filter(|(p, _)| *p != Phase::Schedule).collect(),
            factors,
        })
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

    /// By how much throughput could rise before the machine's CPU is used up, at most 10 (also
    /// when CPU was not measured).
    pub(crate) fn headroom(&self) -> f64 {
        self.cpu.map_or(10.0, |cpu| (1.0 / cpu).clamp(1.0, 10.0))
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

/// Median of the values that are finite and not negative.
fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let sound: Vec<f64> = values.filter(|v| v.is_finite() && *v >= 0.0).collect();
    median(&sound)
}
