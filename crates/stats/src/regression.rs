/// Least-squares change over a series of equally spaced values: the fitted line's last point less
/// its first. 0 for fewer than two values.
pub(crate) fn fitted_change(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let centre = (n - 1.0) / 2.0;
    let covariance: f64 = values.iter().enumerate().map(|(i, v)| (i as f64 - centre) * v).sum();
    covariance / squared_distances(n) * (n - 1.0)
}

/// Standard error of [`fitted_change`] over `n` values, in units of the values' noise.
pub(crate) fn fitted_change_error(n: usize) -> f64 {
    let n = n as f64;
    (n - 1.0) / squared_distances(n).sqrt()
}

/// Σ (i − mean)² over i = 0 … n − 1.
fn squared_distances(n: f64) -> f64 {
    n * (n * n - 1.0) / 12.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_by_its_rise() {
        let line: Vec<f64> = (0..9).map(|i| 100.0 + 2.5 * f64::from(i)).collect();
        assert!((fitted_change(&line) - 20.0).abs() < 1e-9);
        assert!(fitted_change(&[4.0]).abs() < 1e-12);
        assert!((fitted_change_error(12) - 11.0 / 143_f64.sqrt()).abs() < 1e-12);
    }
}
