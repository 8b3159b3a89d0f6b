use std::collections::BTreeMap;

use pinchpoint_measure::{
    Direction, Gate, Latency, Quantity, RunResult, StackFigures, Trial, TrialStatus, Unit, Variant,
    VariantStatus, factor_text, factor_u64,
};

use crate::text::clean;

/// A case as all outputs show it.
pub(crate) struct Row<'a> {
    pub(crate) variant: &'a Variant,
    /// `FastAPI`, with its profile where there are several.
    pub(crate) framework: String,
    pub(crate) app: String,
    /// `direct`, `pgbouncer`.
    pub(crate) mode: String,
    pub(crate) users: u64,
    /// Absent for a case without figures.
    pub(crate) figures: Option<Figures>,
    /// Gates that did not hold in some trial, each once.
    pub(crate) voided: Vec<&'a Gate>,
    /// The waterfall's application and the step's number.
    pub(crate) step: Option<(String, u64)>,
}

/// The figures of a case: medians over its trials.
pub(crate) struct Figures {
    pub(crate) rps: Quantity,
    pub(crate) latency_ms: Latency,
    /// Failed ÷ all requests of all trials, 0 to 1.
    pub(crate) error_rate: f64,
    pub(crate) failures_per_s: f64,
}

impl<'a> Row<'a> {
    fn new(variant: &'a Variant, several_profiles: bool) -> Self {
        let text = |name: &str| clean(&factor_text(&variant.factors, name));
        let framework = text("framework");
        let framework = if several_profiles && !variant.factors.contains_key("step") {
            format!("{framework} ({})", text("profile"))
        } else {
            framework
        };
        let step = factor_u64(&variant.factors, "step").map(|n| (text("waterfall"), n));
        Self {
            variant,
            framework,
            app: text("app"),
            mode: text("connection"),
            users: factor_u64(&variant.factors, "users").unwrap_or(0),
            figures: Figures::of(variant),
            voided: voided(variant),
            step,
        }
    }

    /// Whether its figures may be used.
    pub(crate) fn counts(&self) -> bool {
        self.figures.is_some() && self.voided.is_empty()
    }

    /// What to say of a case that has no figures, or figures that cannot be true; one line.
    pub(crate) fn trouble(&self) -> Option<String> {
        let reason = self.variant.reason.as_deref().and_then(|r| r.lines().next());
        // What follows there has a place of its own.
        let reason = reason.map(|r| clean(r.trim_end_matches("; the end of its log:")));
        match self.variant.status {
            VariantStatus::Pending => Some("not run".to_owned()),
            VariantStatus::Skipped => {
                Some(format!("skipped: {}", reason.unwrap_or_else(|| "no reason".to_owned())))
            }
            VariantStatus::Failed => {
                Some(format!("failed: {}", reason.unwrap_or_else(|| "no reason".to_owned())))
            }
            VariantStatus::Ok if !self.voided.is_empty() => {
                let gates: Vec<_> = self
                    .voided
                    .iter()
                    .map(|g| format!("{}: {}", clean(&g.name), clean(&g.detail)))
                    .collect();
                Some(format!("void: {}", gates.join("; ")))
            }
            VariantStatus::Ok => None,
        }
    }

    /// The same in a few words, for a column.
    pub(crate) fn mark(&self) -> String {
        let gates = || {
            let names: Vec<_> = self.voided.iter().map(|g| clean(&g.name)).collect();
            names.join(", ")
        };
        match self.variant.status {
            VariantStatus::Pending => "not run".to_owned(),
            VariantStatus::Skipped => "skipped".to_owned(),
            VariantStatus::Failed => "failed".to_owned(),
            VariantStatus::Ok if self.voided.is_empty() => String::new(),
            VariantStatus::Ok => format!("void: {}", gates()),
        }
    }

    /// What limited it, in a word.
    pub(crate) fn limited_by(&self) -> String {
        self.variant.verdict.as_ref().map_or_else(String::new, |v| clean(&v.bottleneck))
    }

    /// What was seen of the processes in its first trial that counts.
    pub(crate) fn stack(&self) -> Option<&'a StackFigures> {
        good(self.variant).find_map(|t| t.stack.as_ref())
    }
}

impl Figures {
    fn of(variant: &Variant) -> Option<Self> {
        let summary = variant.summary.as_ref()?;
        let (mut failed, mut all, mut seconds) = (0, 0, 0.0);
        for trial in good(variant) {
            failed += trial.failed;
            all += trial.failed + trial.succeeded;
            seconds += trial.duration_s;
        }
        let throughput = &summary.throughput_per_s;
        Some(Self {
            rps: Quantity::new(throughput.median, Unit::PerSecond, Direction::Up)
                .with_ci95(throughput.ci95),
            latency_ms: summary.latency_ms,
            error_rate: if all == 0 { 0.0 } else { failed as f64 / all as f64 },
            failures_per_s: if seconds > 0.0 { failed as f64 / seconds } else { 0.0 },
        })
    }
}

/// The trials that count.
pub(crate) fn good(variant: &Variant) -> impl Iterator<Item = &Trial> {
    variant.trials.iter().filter(|t| t.status == TrialStatus::Ok)
}

fn voided(variant: &Variant) -> Vec<&Gate> {
    let mut gates: BTreeMap<&str, &Gate> = BTreeMap::new();
    for gate in good(variant).flat_map(|t| &t.gates).filter(|g| !g.passed) {
        gates.entry(&gate.name).or_insert(gate);
    }
    gates.into_values().collect()
}

/// The cases in the result's order, the steps of waterfalls last.
pub(crate) fn rows(result: &RunResult) -> Vec<Row<'_>> {
    let mut profiles: Vec<String> = result
        .variants
        .iter()
        .filter(|v| !v.factors.contains_key("step"))
        .map(|v| factor_text(&v.factors, "profile"))
        .collect();
    profiles.sort();
    profiles.dedup();
    result.variants.iter().map(|v| Row::new(v, profiles.len() > 1)).collect()
}

/// The cases of the matrix proper.
pub(crate) fn cases<'r, 'a>(rows: &'r [Row<'a>]) -> impl Iterator<Item = &'r Row<'a>> {
    rows.iter().filter(|r| r.step.is_none())
}

/// Requests per second behind the pooler ÷ direct, where both count.
pub(crate) struct Ratio {
    pub(crate) framework: String,
    pub(crate) users: u64,
    pub(crate) direct: f64,
    pub(crate) pooled: f64,
    /// Lowest and highest quotient of trials of the same round; absent with one trial.
    pub(crate) range: Option<(f64, f64)>,
}

impl Ratio {
    pub(crate) fn value(&self) -> f64 {
        self.pooled / self.direct
    }
}

/// The ratios in the order of the direct cases.
pub(crate) fn ratios(rows: &[Row<'_>]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for direct in cases(rows).filter(|r| r.mode == "direct" && r.counts()) {
        let pooled = cases(rows).find(|r| {
            r.mode == "pgbouncer"
                && r.framework == direct.framework
                && r.app == direct.app
                && r.users == direct.users
                && r.counts()
        });
        let (Some(pooled), Some(a)) = (pooled, &direct.figures) else { continue };
        let Some(b) = &pooled.figures else { continue };
        if a.rps.value <= 0.0 {
            continue;
        }
        let quotients: Vec<f64> = good(direct.variant)
            .filter_map(|t| {
                let other = good(pooled.variant).find(|o| o.number == t.number)?;
                (t.throughput_per_s > 0.0).then(|| other.throughput_per_s / t.throughput_per_s)
            })
            .collect();
        let range = (quotients.len() > 1).then(|| {
            let low = quotients.iter().copied().fold(f64::INFINITY, f64::min);
            (low, quotients.iter().copied().fold(0.0, f64::max))
        });
        ratios.push(Ratio {
            framework: direct.framework.clone(),
            users: direct.users,
            direct: a.rps.value,
            pooled: b.rps.value,
            range,
        });
    }
    ratios
}
