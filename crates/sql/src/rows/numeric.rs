use bytes::{BufMut, BytesMut};

/// Appends a decimal in `numeric`'s binary form, with its length: digits of base 10,000 with the
/// weight of the first (`numeric_send` in `PostgreSQL`'s `numeric.c`).
pub(crate) fn put(units: i64, scale: u8, out: &mut BytesMut) {
    let groups = scale.div_ceil(4);
    let shift = 10_u128.pow(u32::from(groups * 4 - scale));
    let mut rest = u128::from(units.unsigned_abs()) * shift;
    // Least significant first; a u128 has ten groups of four at most.
    let mut digits = [0_u16; 12];
    let mut count = 0;
    while rest > 0 && count < digits.len() {
        digits[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    let weight = count as i16 - i16::from(groups) - 1;
    let skipped = digits[..count].iter().take_while(|d| **d == 0).count();
    let kept = &digits[skipped..count];
    out.put_i32(8 + 2 * kept.len() as i32);
    out.put_i16(kept.len() as i16);
    out.put_i16(if kept.is_empty() { 0 } else { weight });
    out.put_u16(if units < 0 { 0x4000 } else { 0 });
    out.put_u16(u16::from(scale));
    for digit in kept.iter().rev() {
        out.put_u16(*digit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(units: i64, scale: u8) -> Vec<u16> {
        let mut out = BytesMut::new();
        put(units, scale, &mut out);
        let length = u32::from_be_bytes(out[..4].try_into().unwrap());
        assert_eq!(length as usize, out.len() - 4);
        out[4..].chunks(2).map(|c| u16::from_be_bytes(c.try_into().unwrap())).collect()
    }

    /// Digits, weight, sign and scale back to units.
    fn decode(words: &[u16]) -> i64 {
        let (count, weight, sign, scale) = (words[0], words[1] as i16, words[2], words[3]);
        let mut value = 0_f64;
        for i in 0..count {
            let power = f64::from(i32::from(weight) - i32::from(i as i16)) * 4.0;
            value += f64::from(words[4 + i as usize]) * 10_f64.powf(power);
        }
        let units = (value * 10_f64.powi(i32::from(scale))).round() as i64;
        if sign == 0x4000 { -units } else { units }
    }

    #[test]
    fn known_values_have_the_bytes_that_the_server_sends() {
        assert_eq!(words(0, 2), [0, 0, 0, 2]);
        assert_eq!(words(100, 2), [1, 0, 0, 2, 1]);
        assert_eq!(words(5, 2), [1, 0xffff, 0, 2, 500]);
        assert_eq!(words(999_999, 2), [2, 0, 0, 2, 9999, 9900]);
        assert_eq!(words(1_000_000, 2), [1, 1, 0, 2, 1]);
        assert_eq!(words(123_456_789, 2), [3, 1, 0, 2, 123, 4567, 8900]);
        assert_eq!(words(-12_345, 0), [2, 1, 0x4000, 0, 1, 2345]);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(units in -999_999_999_999_i64..999_999_999_999, scale in 0_u8..=6) {
            prop_assert_eq!(decode(&words(units, scale)), units);
        }

        #[test]
        fn extremes_do_not_overflow(units: i64, scale in 0_u8..=18) {
            words(units, scale);
        }
    }
}
