/// Draws from Zipf's law on 1..=n in constant time and memory, by rejection-inversion:
/// W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
/// distributions", ACM Transactions on Modeling and Computer Simulation 6 (3), 1996.
#[derive(Debug, Clone)]
pub struct Zipf {
    last: u64,
    n: f64,
    exponent: f64,
    h_first: f64,
    h_last: f64,
    squeeze: f64,
}

impl Zipf {
    /// `n` at least 1, `exponent` above 0.
    pub fn new(n: u64, exponent: f64) -> Self {
        let last = n.max(1);
        let n = last as f64;
        let mut zipf = Self { last, n, exponent, h_first: 0.0, h_last: 0.0, squeeze: 0.0 };
        zipf.h_first = zipf.h(1.5) - 1.0;
        zipf.h_last = zipf.h(n + 0.5);
        zipf.squeeze = 2.0 - zipf.h_inverse(zipf.h(2.5) - 2_f64.powf(-exponent));
        zipf
    }

    /// The next value.
    pub fn draw(&self, rng: &mut fastrand::Rng) -> u64 {
        loop {
            let u = self.h_last + rng.f64() * (self.h_first - self.h_last);
            let x = self.h_inverse(u);
            let k = x.round().clamp(1.0, self.n);
            if k - x <= self.squeeze || u >= self.h(k + 0.5) - k.powf(-self.exponent) {
                // Above 2^53 the float `n` may be larger than the whole number.
                return (k as u64).min(self.last);
            }
        }
    }

    /// An integral of x^-exponent.
    fn h(&self, x: f64) -> f64 {
        let log = x.ln();
        expm1_ratio((1.0 - self.exponent) * log) * log
    }

    fn h_inverse(&self, y: f64) -> f64 {
        let t = (y * (1.0 - self.exponent)).max(-1.0);
        (ln_1p_ratio(t) * y).exp()
    }
}

/// (e^x − 1) / x, also near 0.
fn expm1_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// ln(1 + x) / x, also near 0.
fn ln_1p_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_law() {
        for exponent in [0.5, 1.0, 1.5] {
            let zipf = Zipf::new(100, exponent);
            let mut rng = fastrand::Rng::with_seed(42);
            let draws = 200_000;
            let mut counts = [0_u32; 101];
            for _ in 0..draws {
                counts[zipf.draw(&mut rng) as usize] += 1;
            }
            let norm: f64 = (1..=100).map(|k| f64::from(k).powf(-exponent)).sum();
            for k in [1, 2, 5, 20, 100] {
                let expected = f64::from(draws) * f64::from(k).powf(-exponent) / norm;
                let seen = f64::from(counts[k as usize]);
                // Five standard deviations of a binomial count.
                assert!(
                    (seen - expected).abs() < 5.0 * expected.sqrt(),
                    "{exponent} {k}: {seen} {expected}"
                );
            }
            assert_eq!(counts[0], 0);
        }
    }

    #[test]
    fn one_value_is_always_that_value() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert!((0..100).all(|_| Zipf::new(1, 1.0).draw(&mut rng) == 1));
    }
}
