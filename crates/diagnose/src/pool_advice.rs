use std::collections::BTreeMap;

use pinchpoint_measure::{PoolAdvice, PoolCurve, significant};
use pinchpoint_stats::{
    ScalingModel, ScalingPoint, fit_scaling, mean, median, median_ci, student_t_975,
};

/// What a pool of one size gave.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolLevel {
    /// Connections.
    pub size: u64,
    /// Round by round; it need not have been measured in each.
    pub rounds: Vec<PoolRound>,
}

/// One measurement of a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolRound {
    /// Which round it was.
    pub round: u32,
    /// Transactions per second.
    pub per_s: f64,
    /// 95th percentile of the response time in milliseconds.
    pub p95_ms: f64,
}

/// Sizes closer than this are not worth telling apart, however exact the measurement.
const INDIFFERENT: f64 = 0.02;
/// What the advice gives away at most, however noisy the measurement.
const MOST: f64 = 0.05;
/// A curve that is off by more than this on average describes nothing.
const WORST_CURVE: f64 = 0.10;

/// The smallest size within noise of the best. `None` without figures.
///
/// The logarithm of a rate is taken as the size's part plus the round's part plus noise, so that
/// what drifts from round to round hits no size more than another (two-way layout without
/// interaction; Scheffé, *The Analysis of Variance*, section 4.1). The noise is that of the
/// difference of two sizes, at 95 %.
pub fn pool_advice(levels: &[PoolLevel], clients: u64) -> Option<PoolAdvice> {
    let layout = Layout::of(levels)?;
    let levels = &layout.levels;
    let (best, best_rate) = *levels.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let noise = layout.noise();
    let within = |rate: f64, share: f64| rate >= best_rate * (1.0 - share);
    let tolerance = noise.clamp(INDIFFERENT, MOST);
    let (advised, rate) = *levels.iter().find(|(_, rate)| within(*rate, tolerance))?;
    let apart = noise.max(INDIFFERENT);
    let as_good: Vec<u64> =
        levels.iter().filter(|(_, rate)| within(*rate, apart)).map(|(l, _)| l.size).collect();
    let largest = levels.last()?.0.size;
    let points: Vec<ScalingPoint> =
        levels.iter().map(|(l, rate)| ScalingPoint { size: l.size as f64, rate: *rate }).collect();
    let fit = fit_scaling(&points).filter(|fit| fit.relative_error <= WORST_CURVE);
    let p95: Vec<f64> = advised.rounds.iter().map(|r| r.p95_ms).collect();
    let rates: Vec<f64> = advised.rounds.iter().map(|r| r.per_s).collect();
    let mut advice = PoolAdvice {
        size: advised.size,
        as_good: [*as_good.first()?, *as_good.last()?],
        throughput_per_s: rate,
        throughput_ci95: median_ci(&rates).and_then(|m| m.ci95).map(|i| [i.lo, i.hi]),
        p95_ms: median(&p95).unwrap_or(0.0),
        best_size: best.size,
        best_per_s: best_rate,
        tolerance,
        noise,
        // Flat up to the end is no growth; the one size that is best, and the last, is.
        still_rising: levels.len() > 1 && advised.size == largest && largest < clients,
        clients,
        curve: fit.map(|fit| PoolCurve {
            relative_error: fit.relative_error,
            knee: fit.model.knee(),
            points: points.iter().map(|p| [p.size, fit.model.rate(p.size)]).collect(),
            ..described(fit.model)
        }),
        settings: settings(advised.size),
        sentence: String::new(),
    };
    advice.sentence = sentence(&advice, levels);
    Some(advice)
}

/// Sizes with their rates, cleared of what the rounds differ by.
struct Layout<'a> {
    /// By size, smallest first.
    levels: Vec<(&'a PoolLevel, f64)>,
    /// Sum of the squares that neither size nor round explains, and its degrees of freedom.
    squares: f64,
    freedom: u32,
    /// Fewest rounds of a size that had more than one.
    rounds: usize,
}

/// Sweeps of the alternating means; with rounds left out they converge fast.
const SWEEPS: usize = 100;

impl<'a> Layout<'a> {
    fn of(levels: &'a [PoolLevel]) -> Option<Self> {
        let possible = |r: &&PoolRound| r.per_s.is_finite() && r.per_s > 0.0;
        let mut sized: Vec<(&PoolLevel, Vec<(u32, f64)>)> = levels
            .iter()
            .map(|l| {
                (l, l.rounds.iter().filter(possible).map(|r| (r.round, r.per_s.ln())).collect())
            })
            .filter(|(_, cells): &(_, Vec<_>)| !cells.is_empty())
            .collect();
        sized.sort_by_key(|(level, _)| level.size);
        let cells =
            || sized.iter().enumerate().flat_map(|(i, (_, c))| c.iter().map(move |c| (i, *c)));
        let mut of_round: BTreeMap<u32, f64> =
            cells().map(|(_, (round, _))| (round, 0.0)).collect();
        let mut of_size = vec![0.0; sized.len()];
        for _ in 0..SWEEPS {
            for (i, (_, c)) in sized.iter().enumerate() {
                let rest: Vec<f64> = c.iter().map(|(r, x)| x - of_round[r]).collect();
                of_size[i] = mean(&rest)?;
            }
            let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
            for (i, (round, x)) in cells() {
                let sum = sums.entry(round).or_default();
                *sum = (sum.0 + x - of_size[i], sum.1 + 1.0);
            }
            of_round = sums.into_iter().map(|(round, (sum, n))| (round, sum / n)).collect();
        }
        let drift: Vec<f64> = of_round.values().copied().collect();
        let centre = mean(&drift)?;
        let squares = cells().map(|(i, (r, x))| (x - of_size[i] - of_round[&r]).powi(2)).sum();
        let used = sized.len() + of_round.len() - 1;
        let freedom = u32::try_from(cells().count().saturating_sub(used)).unwrap_or(u32::MAX);
        let rounds = sized.iter().map(|(_, c)| c.len()).filter(|n| *n > 1).min().unwrap_or(1);
        let rates = of_size.iter().map(|x| (x + centre).exp());
        let levels = sized.iter().map(|(level, _)| *level).zip(rates).collect();
        Some(Self { levels, squares, freedom, rounds })
    }

    /// Half the width of a 95 % interval of the difference of two sizes, as a share of the rate.
    fn noise(&self) -> f64 {
        if self.freedom == 0 {
            return MOST;
        }
        let deviation = (self.squares / f64::from(self.freedom)).sqrt();
        student_t_975(self.freedom) * deviation * (2.0 / self.rounds as f64).sqrt()
    }
}

fn described(model: ScalingModel) -> PoolCurve {
    let (name, parameters) = match model {
        ScalingModel::HardCap { slope, cap } => ("hard-cap", vec![("slope", slope), ("cap", cap)]),
        ScalingModel::Usl { one, contention, crosstalk } => {
            ("usl", vec![("one", one), ("contention", contention), ("crosstalk", crosstalk)])
        }
    };
    PoolCurve {
        model: name.to_owned(),
        parameters: parameters.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
        ..PoolCurve::default()
    }
}

/// What to write where. Each is of one pool; several processes share the size out among them.
fn settings(size: u64) -> BTreeMap<String, String> {
    [
        ("PgBouncer", format!("default_pool_size = {size}")),
        ("SQLAlchemy", format!("pool_size={size}, max_overflow=0")),
        ("asyncpg, psycopg_pool", format!("max_size={size}")),
        ("HikariCP", format!("maximumPoolSize={size}")),
        ("sqlx", format!("max_connections({size})")),
        ("deadpool, node-postgres", format!("max_size = {size}, max: {size}")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn sentence(advice: &PoolAdvice, levels: &[(&PoolLevel, f64)]) -> String {
    let connections = if advice.size == 1 { "connection" } else { "connections" };
    let per_s = significant(advice.throughput_per_s, 3);
    let mut text = format!(
        "give the pool {} {connections} in all (default_pool_size, pool_size, max_size): {} clients \
         get {per_s} transactions/s through them",
        advice.size, advice.clients
    );
    if advice.noise > MOST && levels.len() > 1 {
        let noise = significant(advice.noise * 100.0, 2);
        let [least, most] = advice.as_good;
        text.push_str(&format!(
            "; but the rounds differ by more than sizes do ({noise} %), so that {least} to {most} could \
             be as good: measure longer, or on a quieter machine"
        ));
        return text;
    }
    if advice.still_rising {
        text.push_str(", and throughput still grew there: larger pools were not measured");
        return text;
    }
    let within = significant(advice.tolerance * 100.0, 2);
    if advice.best_size == advice.size {
        text.push_str(", and no size measured gave more");
    } else {
        text.push_str(&format!(
            ", within {within} % of the best, {} with {}",
            significant(advice.best_per_s, 3),
            advice.best_size
        ));
    }
    if let Some((largest, rate)) = levels.last().filter(|(l, _)| l.size > advice.as_good[1]) {
        let loss = (1.0 - rate / advice.best_per_s) * 100.0;
        text.push_str(&format!("; {} lose {} %", largest.size, significant(loss, 2)));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(size: u64, rates: &[f64]) -> PoolLevel {
        let rounds = rates.iter().zip(1..);
        PoolLevel {
            size,
            rounds: rounds
                .map(|(per_s, round)| PoolRound { round, per_s: *per_s, p95_ms: size as f64 })
                .collect(),
        }
    }

    #[test]
    fn the_smallest_size_within_noise_of_the_best_is_advised() {
        let levels = [
            level(1, &[1000.0, 1010.0, 990.0]),
            level(2, &[1900.0, 1910.0, 1890.0]),
            level(4, &[2970.0, 2980.0, 2990.0]),
            level(8, &[3000.0, 3010.0, 2990.0]),
            level(16, &[2700.0, 2710.0, 2690.0]),
        ];
        let advice = pool_advice(&levels, 64).unwrap();
        assert_eq!((advice.size, advice.best_size, advice.as_good), (4, 8, [4, 8]));
        assert!(!advice.still_rising && advice.curve.is_none());
        assert_eq!(
            advice.sentence,
            "give the pool 4 connections in all (default_pool_size, pool_size, max_size): 64 clients \
             get 2,980 transactions/s through them, within 2.0 % of the best, 3,000 with 8; 16 lose 10 %"
        );
        assert_eq!(advice.settings["PgBouncer"], "default_pool_size = 4");
    }

    #[test]
    fn a_rise_up_to_the_last_size_is_said() {
        let levels = [level(1, &[10.0, 10.1]), level(2, &[20.0, 20.1]), level(4, &[39.0, 40.0])];
        let advice = pool_advice(&levels, 64).unwrap();
        assert!(advice.still_rising && advice.size == 4, "{advice:?}");
        assert!(!pool_advice(&levels, 4).unwrap().still_rising, "a client needs one at most");
    }

    #[test]
    fn noise_may_not_give_away_more_than_is_promised_and_is_said() {
        let levels = [level(1, &[60.0, 140.0, 80.0]), level(2, &[100.0, 160.0, 70.0])];
        let advice = pool_advice(&levels, 9).unwrap();
        assert!((advice.tolerance - MOST).abs() < 1e-12);
        assert_eq!(advice.as_good, [1, 2]);
        assert!(advice.sentence.contains("measure longer"), "{}", advice.sentence);
    }

    /// A machine that gets slower from round to round, and sizes that were not measured in each.
    #[test]
    fn what_drifts_from_round_to_round_hits_no_size() {
        let drift = [1.0, 0.8, 0.5];
        let at = |size: u64, rate: f64, rounds: usize| {
            level(size, &drift[..rounds].iter().map(|d| rate * d).collect::<Vec<_>>())
        };
        let levels = [at(1, 1000.0, 1), at(2, 2000.0, 3), at(4, 3000.0, 3), at(8, 3010.0, 2)];
        let advice = pool_advice(&levels, 64).unwrap();
        assert_eq!((advice.size, advice.best_size), (4, 8), "{advice:?}");
        assert!(advice.noise < 1e-6, "{advice:?}");
        let ratio = advice.throughput_per_s / advice.best_per_s;
        assert!((ratio - 3000.0 / 3010.0).abs() < 1e-6, "{advice:?}");
    }

    #[test]
    fn six_sizes_have_a_curve() {
        let levels: Vec<_> = [1, 2, 3, 4, 6, 8]
            .map(|size| level(size, &[(1000.0 * size as f64).min(3500.0); 3]))
            .to_vec();
        let curve = pool_advice(&levels, 64).unwrap().curve.unwrap();
        assert_eq!((curve.model.as_str(), curve.points.len()), ("hard-cap", 6));
        assert!((curve.knee.unwrap() - 3.5).abs() < 0.01, "{curve:?}");
    }

    proptest! {
        #[test]
        fn the_advised_size_gives_away_no_more_than_is_promised(
            rates in prop::collection::vec(prop::collection::vec(1.0..1e5_f64, 1..6), 1..12)
        ) {
            let levels: Vec<_> =
                rates.iter().enumerate().map(|(i, r)| level(i as u64 + 1, r)).collect();
            let advice = pool_advice(&levels, 100).unwrap();
            prop_assert!(advice.throughput_per_s >= advice.best_per_s * (1.0 - MOST) - 1e-9);
            prop_assert!(advice.as_good[0] <= advice.best_size);
            prop_assert!(advice.best_size <= advice.as_good[1]);
            prop_assert!(!advice.sentence.contains("NaN"));
        }
    }
}
