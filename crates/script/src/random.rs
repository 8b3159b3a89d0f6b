//! pgbench's random numbers, bit for bit: the generator and the distributions of `PostgreSQL` 15
//! and newer (`src/common/pg_prng.c`, `src/bin/pgbench/pgbench.c`), so that one seed draws the same
//! rows with either tool.

use crate::EvalError;

/// Xoroshiro128** by Blackman and Vigna, as `PostgreSQL` has it.
#[derive(Debug, Clone)]
pub struct Random {
    low: u64,
    high: u64,
}

/// The largest parameter of a Zipfian distribution, and the smallest.
const ZIPFIAN: std::ops::RangeInclusive<f64> = 1.001..=1000.0;

impl Random {
    /// A generator that is a function of the seed.
    pub fn new(mut seed: u64) -> Self {
        let random = Self { low: split_mix(&mut seed), high: split_mix(&mut seed) };
        // The one state that the generator cannot leave.
        if random.low == 0 && random.high == 0 { Self { low: 1, high: 0 } } else { random }
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let (s0, sx) = (self.low, self.high ^ self.low);
        let drawn = s0.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        self.low = s0.rotate_left(24) ^ sx ^ (sx << 16);
        self.high = sx.rotate_left(37);
        drawn
    }

    /// A number from 0 to `most`.
    pub(crate) const fn up_to(&mut self, most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let shift = most.leading_zeros();
        loop {
            let drawn = self.bits() >> shift;
            if drawn <= most {
                return drawn;
            }
        }
    }

    /// A number from 0 up to, and not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 12) as f64 * 2.0_f64.powi(-52)
    }

    /// An integer of the range, each as likely.
    pub(crate) fn uniform(&mut self, range: Range) -> i64 {
        range.min.wrapping_add_unsigned(self.up_to(range.span()))
    }

    /// An integer of the range, those in the middle the likeliest; `parameter` standard deviations
    /// lie to each side.
    pub(crate) fn gaussian(&mut self, range: Range, parameter: f64) -> Result<i64, EvalError> {
        if parameter.is_nan() || parameter < 2.0 {
            return Err(EvalError::new("the parameter of random_gaussian is at least 2"));
        }
        loop {
            // Box and Muller's transform.
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let deviation = radius * (2.0 * std::f64::consts::PI * (1.0 - self.unit())).sin();
            if (-parameter..parameter).contains(&deviation) {
                return Ok(range.at((deviation + parameter) / (parameter * 2.0)));
            }
        }
    }

    /// An integer of the range, the first the likeliest.
    pub(crate) fn exponential(&mut self, range: Range, parameter: f64) -> Result<i64, EvalError> {
        if parameter.is_nan() || parameter <= 0.0 {
            return Err(EvalError::new("the parameter of random_exponential is more than 0"));
        }
        let cut = (-parameter).exp();
        let uniform = 1.0 - self.unit();
        Ok(range.at(-(cut + (1.0 - cut) * uniform).ln() / parameter))
    }

    /// An integer of the range, the k-th as likely as k to the power of minus `parameter`, by
    /// rejection (Devroye, Non-Uniform Random Variate Generation, page 550).
    pub(crate) fn zipfian(&mut self, range: Range, parameter: f64) -> Result<i64, EvalError> {
        if !ZIPFIAN.contains(&parameter) {
            return Err(EvalError::new("the parameter of random_zipfian is 1.001 to 1000"));
        }
        let count = range.span() as f64 + 1.0;
        if count <= 1.0 {
            return Ok(range.min);
        }
        let scale = 2.0_f64.powf(parameter - 1.0) - 1.0;
        loop {
            let (u, v) = (self.unit(), self.unit());
            let x = u.powf(-1.0 / (parameter - 1.0)).floor();
            let t = (1.0 + 1.0 / x).powf(parameter - 1.0);
            if v * x * (t - 1.0) / scale <= t / (scale + 1.0) && x <= count {
                return Ok(range.min.wrapping_add(x as i64 - 1).min(range.max));
            }
        }
    }
}

/// From an integer to another, both included; no wider than pgbench takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    min: i64,
    max: i64,
}

impl Range {
    pub(crate) fn new(min: i64, max: i64) -> Result<Self, EvalError> {
        if min > max {
            return Err(EvalError(format!("the range from {min} to {max} is empty").into()));
        }
        let wide = max.checked_sub(min).and_then(|span| span.checked_add(1)).is_none();
        if wide {
            return Err(EvalError(format!("the range from {min} to {max} is too large").into()));
        }
        Ok(Self { min, max })
    }

    const fn span(self) -> u64 {
        self.max.abs_diff(self.min)
    }

    /// The integer at a part (0 to 1) of the range.
    fn at(self, part: f64) -> i64 {
        let offset = ((self.span() as f64 + 1.0) * part) as i64;
        self.min.saturating_add(offset).min(self.max)
    }
}

/// Where `value` (taken modulo `size`) goes in a permutation of 0 to `size` - 1 that the seed picks.
/// The same as pgbench's: six rounds of multiplying, turning and shifting.
pub(crate) fn permute(value: i64, size: i64, seed: i64) -> Result<i64, EvalError> {
    if size <= 0 {
        return Err(EvalError::new("the size of a permutation is more than 0"));
    }
    if size < 2 {
        return Ok(0);
    }
    let size = size as u64;
    let mut random = Random::new(seed as u64);
    let mut v = (value as u64) % size;
    let length = size.ilog2();
    let mask = (1_u64 << length) - 1;
    let stir = |v: u64, multiplier: u64, flip: u64| {
        let mixed = (v.wrapping_mul(multiplier) ^ flip) & mask;
        ((mixed << 1) & mask) | (mixed >> (length - 1))
    };
    for _ in 0..6 {
        let (multiplier, flip) = ((random.bits() & mask) | 1, random.bits() & mask);
        if v <= mask {
            v = stir(v, multiplier, flip);
        }
        let (multiplier, flip) = ((random.bits() & mask) | 1, random.bits() & mask);
        let mirrored = size - 1 - v;
        if mirrored <= mask {
            v = size - 1 - stir(mirrored, multiplier, flip);
        }
        // Both are below 2^63.
        v = (v + random.up_to(size - 1)) % size;
    }
    Ok(v as i64)
}

/// Fowler, Noll and Vo's hash, variant 1a.
pub(crate) fn fnv1a(value: i64, seed: i64) -> i64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed as u64;
    let hash = value
        .to_le_bytes()
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash as i64
}

/// Appleby's `MurmurHash2` of eight bytes.
pub(crate) const fn murmur2(value: i64, seed: i64) -> i64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    let mut key = (value as u64).wrapping_mul(MULTIPLIER);
    key ^= key >> 47;
    let mut hash = seed as u64 ^ MULTIPLIER.wrapping_mul(8);
    hash = (hash ^ key.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    hash = (hash ^ (hash >> 47)).wrapping_mul(MULTIPLIER);
    (hash ^ (hash >> 47)) as i64
}

const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut drawn = *state;
    drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    drawn ^ (drawn >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The figures are pgbench 15's.
    #[test]
    fn hashes_and_permutations_are_those_of_pgbench() {
        assert_eq!(murmur2(5, 7), 7_395_858_956_932_106_968);
        assert_eq!(permute(5, 100, 42), Ok(76));
    }

    /// What `pgbench --random-seed=42` draws for its first client, in this order.
    #[test]
    fn a_seed_draws_what_pgbench_draws() {
        let mut random = Random::new(Random::new(42).bits());
        let range = Range::new(1, 1000).unwrap();
        assert_eq!(random.uniform(range), 653);
        assert_eq!(random.zipfian(range, 1.5), Ok(1));
        assert_eq!(random.gaussian(range, 2.5), Ok(434));
        assert_eq!(random.exponential(range, 2.5), Ok(372));
    }

    #[test]
    fn a_permutation_meets_every_place_once() {
        for size in [1, 2, 3, 7, 64, 100] {
            let mut places: Vec<_> = (0..size).map(|v| permute(v, size, 5).unwrap()).collect();
            places.sort_unstable();
            assert_eq!(places, (0..size).collect::<Vec<_>>());
        }
        assert!(permute(1, 0, 1).is_err());
    }

    proptest! {
        #[test]
        fn what_is_drawn_lies_in_the_range(seed: u64, min in -1_000_000..1_000_000_i64, width in 0..1_000_000_i64) {
            let mut random = Random::new(seed);
            let range = Range::new(min, min + width).unwrap();
            let inside = |n: i64| (min..=min + width).contains(&n);
            for _ in 0..20 {
                prop_assert!(inside(random.uniform(range)));
                prop_assert!(inside(random.gaussian(range, 2.5).unwrap()));
                prop_assert!(inside(random.exponential(range, 3.0).unwrap()));
                prop_assert!(inside(random.zipfian(range, 1.2).unwrap()));
            }
        }

        #[test]
        fn ranges_at_the_ends_of_the_integers_do_not_overflow(a: i64, b: i64, seed: u64) {
            if let Ok(range) = Range::new(a, b) {
                let drawn = Random::new(seed).uniform(range);
                prop_assert!((a..=b).contains(&drawn));
                let drawn = Random::new(seed).gaussian(range, 2.0).unwrap();
                prop_assert!((a..=b).contains(&drawn));
            }
        }

        #[test]
        fn a_permutation_stays_in_its_size(value: i64, size in 1..i64::MAX, seed: i64) {
            let place = permute(value, size, seed).unwrap();
            prop_assert!((0..size).contains(&place));
        }
    }
}
