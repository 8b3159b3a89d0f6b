use std::time::SystemTime;

use bytes::{BufMut, BytesMut};
use pinchpoint_measure::{Choice, Column, Generator, SqlType};

use super::numeric;
use pinchpoint_load::Zipf;

/// Makes rows: a generator for each column, and the randomness that they share.
#[derive(Debug)]
pub(crate) struct RowMaker {
    columns: Vec<Maker>,
    rng: fastrand::Rng,
    now: i64,
}

/// A column's generator, ready to be called millions of times.
#[derive(Debug)]
enum Maker {
    Uuid,
    Integer {
        width: u8,
        min: i64,
        draw: Draw,
    },
    Numeric {
        min: i64,
        span: u64,
        scale: u8,
    },
    Double {
        min: i64,
        span: u64,
        unit: f64,
    },
    /// Texts with their lengths before them.
    OneOf(Vec<Vec<u8>>),
    Text {
        min: u32,
        span: u64,
    },
    Now,
}

#[derive(Debug)]
enum Draw {
    /// A distance from the minimum, below or equal to this.
    Uniform(u64),
    Zipf(Zipf),
}

/// Microseconds from 1970 to 2000, where `PostgreSQL`'s timestamps begin.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

impl RowMaker {
    pub(crate) fn new(columns: &[Column], seed: u64) -> Self {
        Self {
            columns: columns.iter().map(Maker::new).collect(),
            rng: fastrand::Rng::with_seed(seed),
            now: 0,
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Reads the clock: once for each batch, whose rows share the time.
    pub(crate) fn begin_batch(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        self.now = micros.saturating_sub(EPOCH_2000_US);
    }

    /// Appends one row, field after field.
    pub(crate) fn row(&mut self, out: &mut BytesMut) {
        for column in &self.columns {
            column.put(&mut self.rng, self.now, out);
        }
    }

    /// Appends one value of one column.
    pub(crate) fn value(&mut self, column: usize, out: &mut BytesMut) {
        if let Some(column) = self.columns.get(column) {
            column.put(&mut self.rng, self.now, out);
        }
    }
}

impl Maker {
    fn new(column: &Column) -> Self {
        match &column.generator {
            Generator::Uuid => Self::Uuid,
            Generator::Integer { min, max, choice } => {
                let span = max.abs_diff(*min);
                let draw = match choice {
                    Choice::Uniform => Draw::Uniform(span),
                    Choice::Zipf { exponent } => {
                        Draw::Zipf(Zipf::new(span.saturating_add(1), *exponent))
                    }
                };
                let width = match column.sql_type {
                    SqlType::SmallInt => 2,
                    SqlType::BigInt => 8,
                    _ => 4,
                };
                Self::Integer { width, min: *min, draw }
            }
            Generator::Decimal { min, max, scale } => {
                let (min, span) = (*min, max.abs_diff(*min));
                if column.sql_type == SqlType::Double {
                    Self::Double { min, span, unit: 10_f64.powi(-i32::from(*scale)) }
                } else {
                    Self::Numeric { min, span, scale: *scale }
                }
            }
            Generator::OneOf(texts) => Self::OneOf(
                texts
                    .iter()
                    .map(|text| {
                        let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
                        bytes.extend(text.as_bytes());
                        bytes
                    })
                    .collect(),
            ),
            Generator::Text { min, max } => {
                Self::Text { min: *min, span: u64::from(max.saturating_sub(*min)) }
            }
            Generator::Now => Self::Now,
        }
    }

    fn put(&self, rng: &mut fastrand::Rng, now: i64, out: &mut BytesMut) {
        match self {
            Self::Uuid => put_uuid(rng, out),
            Self::Integer { width, min, draw } => {
                let distance = match draw {
                    Draw::Uniform(span) => rng.u64(0..=*span),
                    Draw::Zipf(zipf) => zipf.draw(rng) - 1,
                };
                let value = min.wrapping_add_unsigned(distance);
                out.put_i32(i32::from(*width));
                match width {
                    2 => out.put_i16(value as i16),
                    4 => out.put_i32(value as i32),
                    _ => out.put_i64(value),
                }
            }
            Self::Numeric { min, span, scale } => {
                numeric::put(min.wrapping_add_unsigned(rng.u64(0..=*span)), *scale, out);
            }
            Self::Double { min, span, unit } => {
                let units = min.wrapping_add_unsigned(rng.u64(0..=*span));
                out.put_i32(8);
                out.put_f64(units as f64 * unit);
            }
            Self::OneOf(texts) => {
                if let Some(text) = texts.get(rng.usize(0..texts.len().max(1))) {
                    out.put_slice(text);
                }
            }
            Self::Text { min, span } => {
                put_text((u64::from(*min) + rng.u64(0..=*span)) as usize, rng, out);
            }
            Self::Now => {
                out.put_i32(8);
                out.put_i64(now);
            }
        }
    }
}

/// A random UUID, version 4 (RFC 9562).
fn put_uuid(rng: &mut fastrand::Rng, out: &mut BytesMut) {
    let bits = (u128::from(rng.u64(..)) << 64) | u128::from(rng.u64(..));
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let mut field = [0_u8; 20];
    field[3] = 16;
    field[4..].copy_from_slice(&bits.to_be_bytes());
    out.put_slice(&field);
}

fn put_text(length: usize, rng: &mut fastrand::Rng, out: &mut BytesMut) {
    // 64 characters, so that six bits choose one; the last two stand twice.
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345678901";
    out.put_i32(length as i32);
    let mut left = length;
    while left > 0 {
        let mut bits = rng.u64(..);
        for _ in 0..left.min(10) {
            out.put_u8(LETTERS[(bits & 63) as usize]);
            bits >>= 6;
        }
        left = left.saturating_sub(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(sql_type: SqlType, generator: Generator) -> Vec<u8> {
        let column = Column { name: "c".to_owned(), sql_type, generator };
        let mut maker = RowMaker::new(&[column], 7);
        let mut out = BytesMut::new();
        maker.begin_batch();
        maker.row(&mut out);
        let length = i32::from_be_bytes(out[..4].try_into().unwrap());
        assert_eq!(length as usize, out.len() - 4);
        out[4..].to_vec()
    }

    #[test]
    fn values_are_in_their_range_and_of_their_width() {
        let integer = |min, max| Generator::Integer { min, max, choice: Choice::Uniform };
        assert_eq!(field(SqlType::SmallInt, integer(-3, -3)), (-3_i16).to_be_bytes());
        assert_eq!(field(SqlType::Integer, integer(70_000, 70_000)), 70_000_i32.to_be_bytes());
        assert_eq!(field(SqlType::BigInt, integer(i64::MAX, i64::MAX)), i64::MAX.to_be_bytes());
        field(SqlType::BigInt, integer(i64::MIN, i64::MAX));
        let decimal = Generator::Decimal { min: 250, max: 250, scale: 2 };
        assert_eq!(field(SqlType::Double, decimal), 2.5_f64.to_be_bytes());
        assert_eq!(field(SqlType::Text, Generator::OneOf(vec!["EUR".into()])), b"EUR");
        let text = field(SqlType::Text, Generator::Text { min: 23, max: 23 });
        assert!(text.len() == 23 && text.iter().all(u8::is_ascii_alphanumeric));
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let bytes = field(SqlType::Uuid, Generator::Uuid);
        assert_eq!(bytes[6] >> 4, 4);
        assert_eq!(bytes[8] >> 6, 2);
    }

    #[test]
    fn the_time_is_now() {
        let bytes = field(SqlType::TimestampTz, Generator::Now);
        let micros = i64::from_be_bytes(bytes.try_into().unwrap()) + EPOCH_2000_US;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        assert!((now as i64 - micros).abs() < 60_000_000);
    }

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        let column =
            || Column { name: "c".to_owned(), sql_type: SqlType::Uuid, generator: Generator::Uuid };
        let make = |seed| {
            let mut out = BytesMut::new();
            let mut maker = RowMaker::new(&[column()], seed);
            (0..5).for_each(|_| maker.row(&mut out));
            out
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
