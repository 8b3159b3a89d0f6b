//! Seeded noise for tests.

/// A standard normal variate (Box & Muller).
pub(crate) fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// `n` values of an AR(1) process with this mean, standard deviation of the stationary
/// distribution and autocorrelation `phi`, begun in that distribution.
pub(crate) fn ar1(rng: &mut fastrand::Rng, n: usize, mean: f64, sd: f64, phi: f64) -> Vec<f64> {
    let innovation = sd * (1.0 - phi * phi).sqrt();
    let mut deviation = sd * normal(rng);
    let mut values = Vec::with_capacity(n);
    for _ in 0..n {
        values.push(mean + deviation);
        deviation = phi * deviation + innovation * normal(rng);
    }
    values
}
