use pinchpoint_measure::significant;

use super::canvas::{Align, Brush, DIM, GRID};
use crate::ReportError;

/// A logarithmic axis from left to right: whole powers of ten around the figures.
pub(super) struct Scale {
    low: i32,
    high: i32,
    left: i32,
    right: i32,
}

impl Scale {
    pub(super) fn over(rates: impl Iterator<Item = f64>, left: i32, right: i32) -> Self {
        // What cannot be a rate does not spoil the axis of the others.
        let rates = rates.filter(|x| (1e-3..1e15).contains(x));
        let (least, most) = rates.fold((f64::INFINITY, 0.0_f64), |(a, b), x| (a.min(x), b.max(x)));
        if most <= 0.0 {
            return Self { low: 0, high: 3, left, right };
        }
        // The shortest bar must be seen as one.
        let low = (least / 1.5).log10().floor() as i32;
        let high = (most.log10().ceil() as i32).max(low + 1);
        Self { low, high, left, right }
    }

    /// The place of a value, and whether it is beyond the axis.
    pub(super) fn x(&self, value: f64) -> (i32, bool) {
        let exponent = value.max(1e-9).log10();
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let share = (exponent.clamp(low, high) - low) / (high - low);
        let x = self.left + (share * f64::from(self.right - self.left)).round() as i32;
        (x, !(low..=high).contains(&exponent))
    }

    pub(super) fn grid(&self, brush: &Brush<'_>, top: i32, bottom: i32) -> Result<(), ReportError> {
        // Labels need some room: seven of them or so.
        let step = usize::try_from((self.high - self.low + 6) / 7).unwrap_or(1).max(1);
        for exponent in (self.low..=self.high).step_by(step) {
            let value = 10_f64.powi(exponent);
            let (x, _) = self.x(value);
            brush.line((x, top), (x, bottom), GRID, 2)?;
            brush.text(&power(value), (x, bottom + 24), 22, Align::Centre, DIM)?;
        }
        Ok(())
    }
}

fn power(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{}G", significant(v / 1e9, 1)),
        v if v >= 1e6 => format!("{}M", significant(v / 1e6, 1)),
        v if v >= 1e3 => format!("{}k", significant(v / 1e3, 1)),
        v => significant(v, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_holds_the_figures_between_powers_of_ten() {
        let scale = Scale::over([271.0, 557_046.0, f64::NAN, -1.0].into_iter(), 100, 500);
        assert_eq!((scale.low, scale.high), (2, 6));
        assert_eq!(scale.x(100.0), (100, false));
        assert_eq!(scale.x(1e4), (300, false));
        assert_eq!(scale.x(1e9), (500, true));
        assert_eq!(scale.x(0.0), (100, true));
    }

    #[test]
    fn without_figures_there_is_an_axis_all_the_same() {
        let scale = Scale::over(std::iter::empty(), 0, 30);
        assert_eq!(scale.x(10.0), (10, false));
    }
}
