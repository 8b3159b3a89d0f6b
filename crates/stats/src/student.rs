/// Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom (Fisher & Yates, table III).
const TABLE: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
    2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
    2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];

/// The 97.5 % point of the standard normal distribution.
const NORMAL_975: f64 = 1.959_963_985;

/// The 97.5 % point of Student's t distribution; infinite without a degree of freedom.
///
/// From 31 degrees on by the Cornish–Fisher expansion (Abramowitz & Stegun 26.7.5), which is exact
/// there to five decimals.
pub fn student_t_975(df: u32) -> f64 {
    match usize::try_from(df) {
        Ok(0) => f64::INFINITY,
        Ok(n @ 1..=30) => TABLE[n - 1],
        _ => {
            let (x, n) = (NORMAL_975, f64::from(df));
            let g1 = (x.powi(3) + x) / 4.0;
            let g2 = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
            let g3 = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
            x + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
        }
    }
}

/// The same for a number of values less `used` degrees of freedom.
pub(crate) fn student_t_for(values: usize, used: usize) -> f64 {
    student_t_975(u32::try_from(values.saturating_sub(used)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        for (df, t) in [(1, 12.706_2), (5, 2.570_58), (30, 2.042_27), (31, 2.039_51), (60, 2.000_3)]
        {
            assert!((student_t_975(df) - t).abs() < 2e-5, "{df}: {}", student_t_975(df));
        }
        assert!((student_t_975(u32::MAX) - NORMAL_975).abs() < 1e-8);
        assert!(student_t_975(0).is_infinite());
    }

    #[test]
    fn falls_with_every_degree_of_freedom() {
        assert!((0..2_000).all(|df| student_t_975(df) > student_t_975(df + 1)));
    }
}
