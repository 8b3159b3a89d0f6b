use pinchpoint_measure::{RunResult, human_duration, significant};
use plotters::style::RGBColor;

use super::canvas::{Align, Brush, Canvas, DIM, GRID, INK, WIDTH};
use crate::ReportError;
use crate::climb::{Rung, rungs};
use crate::share::{PARTS, Part, parts};
use crate::text::{clean, shorten};

const TOP: i32 = 190;
const ROW: i32 = 74;
const BOTTOM: i32 = 90;
/// Left edges of the rung's name, its title, the bars, the phases.
const NAME_X: i32 = 50;
const TITLE_X: i32 = 130;
const BARS_X: i32 = 560;
const BARS_END: i32 = 1060;
const PHASES_X: i32 = 1260;
const PHASES_END: i32 = WIDTH as i32 - 60;
/// Most rungs drawn; a longer ladder says how many were left out.
const MOST: usize = 40;

const BAR: RGBColor = RGBColor(0, 114, 178);
const CEILING: RGBColor = RGBColor(170, 178, 188);

/// The palette of Okabe and Ito, which colour-blind readers can tell apart.
const fn colour(part: Part) -> RGBColor {
    match part {
        Part::Connect => RGBColor(213, 94, 0),
        Part::Checkout => RGBColor(240, 228, 66),
        Part::Schedule => RGBColor(204, 121, 167),
        Part::Encode => RGBColor(0, 158, 115),
        Part::Transfer => RGBColor(170, 178, 188),
        Part::Execute => RGBColor(86, 180, 233),
        Part::Commit => RGBColor(0, 66, 117),
    }
}

/// Throughput of each rung on a logarithmic axis, and the phases of one operation beside it.
pub(crate) fn ladder(result: &RunResult) -> Result<Vec<u8>, ReportError> {
    let all = rungs(result);
    let shown = &all[..all.len().min(MOST)];
    let bottom = TOP + ROW * shown.len().max(1) as i32;
    let mut canvas = Canvas::new((bottom + BOTTOM) as u32);
    let scale = Scale::over(shown);
    canvas.draw(|brush| {
        titles(brush, result, all.len() - shown.len())?;
        scale.grid(brush, bottom)?;
        legend(brush)?;
        for (i, rung) in shown.iter().enumerate() {
            let middle = TOP + ROW * i as i32 + ROW / 2;
            label(brush, rung, middle)?;
            bar(brush, rung, &scale, middle)?;
            phases(brush, rung, middle)?;
        }
        Ok(())
    })?;
    canvas.into_png()
}

fn titles(brush: &Brush<'_>, result: &RunResult, left_out: usize) -> Result<(), ReportError> {
    let title = shorten(&clean(&result.experiment), 60);
    brush.text(&title, (NAME_X, 48), 40, Align::Left, INK)?;
    let server = result.environment.software.first();
    let server = server.map_or_else(String::new, |s| format!("{} {}, ", s.name, s.version));
    let mut subtitle = format!(
        "{server}{} × {} a rung, {}",
        result.plan.trials,
        human_duration(result.plan.duration_s),
        result.started_at.get(..10).unwrap_or_default()
    );
    if left_out > 0 {
        subtitle.push_str(&format!(", {left_out} more rungs not drawn"));
    }
    brush.text(&clean(&subtitle), (NAME_X, 92), 24, Align::Left, DIM)?;
    brush.text("rows per second (log axis, 95 % interval)", (BARS_X, 150), 24, Align::Left, INK)?;
    brush.text("where one operation's time went", (PHASES_X, 150), 24, Align::Left, INK)
}

/// The logarithmic axis: whole powers of ten around the figures.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn over(rungs: &[Rung<'_>]) -> Self {
        let rates: Vec<f64> = rungs
            .iter()
            .filter_map(|r| r.figures.as_ref())
            .map(|f| f.tps)
            .filter(|x| x.is_finite() && *x >= 1e-3 && *x < 1e15)
            .collect();
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(0.0, f64::max);
        if rates.is_empty() {
            return Self { low: 0, high: 3 };
        }
        // The shortest bar must be seen as one.
        let low = (least / 1.5).log10().floor() as i32;
        let high = (most.log10().ceil() as i32).max(low + 1);
        Self { low, high }
    }

    fn x(&self, value: f64) -> i32 {
        let exponent = value.max(1e-9).log10().clamp(f64::from(self.low), f64::from(self.high));
        let share = (exponent - f64::from(self.low)) / f64::from(self.high - self.low);
        BARS_X + (share * f64::from(BARS_END - BARS_X)).round() as i32
    }

    fn grid(&self, brush: &Brush<'_>, bottom: i32) -> Result<(), ReportError> {
        for exponent in self.low..=self.high {
            let value = 10_f64.powi(exponent);
            let x = self.x(value);
            brush.line((x, TOP - 8), (x, bottom), GRID, 2)?;
            brush.text(&power(value), (x, bottom + 26), 22, Align::Centre, DIM)?;
        }
        Ok(())
    }
}

fn power(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", significant(v / 1e6, 1)),
        v if v >= 1e3 => format!("{}k", significant(v / 1e3, 1)),
        v => significant(v, 1),
    }
}

fn label(brush: &Brush<'_>, rung: &Rung<'_>, middle: i32) -> Result<(), ReportError> {
    brush.text(&shorten(&rung.name, 6), (NAME_X, middle), 28, Align::Left, INK)?;
    brush.text(&shorten(&rung.title, 40), (TITLE_X, middle), 20, Align::Left, DIM)
}

fn bar(brush: &Brush<'_>, rung: &Rung<'_>, scale: &Scale, middle: i32) -> Result<(), ReportError> {
    let Some(figures) = rung.figures.as_ref().filter(|f| f.tps.is_finite() && f.tps > 0.0) else {
        let text = shorten(&rung.absence(), 46);
        return brush.text(&text, (BARS_X + 8, middle), 20, Align::Left, DIM);
    };
    let end = scale.x(figures.tps);
    let fill = if rung.is_null { CEILING } else { BAR };
    brush.rectangle((BARS_X, middle - 20), (end.max(BARS_X + 3), middle + 20), fill)?;
    let mut text_x = end;
    let interval = rung.variant.summary.as_ref().and_then(|s| s.throughput_per_s.ci95);
    if let Some([lo, hi]) = interval.filter(|[lo, hi]| lo.is_finite() && hi.is_finite()) {
        let (lo, hi) = (scale.x(lo), scale.x(hi));
        brush.line((lo, middle), (hi, middle), INK, 3)?;
        for x in [lo, hi] {
            brush.line((x, middle - 9), (x, middle + 9), INK, 3)?;
        }
        text_x = text_x.max(hi);
    }
    let text = if rung.is_null {
        format!("{} (ceiling)", figures.tps_text)
    } else {
        figures.tps_text.clone()
    };
    brush.text(&text, (text_x + 14, middle), 22, Align::Left, INK)
}

fn phases(brush: &Brush<'_>, rung: &Rung<'_>, middle: i32) -> Result<(), ReportError> {
    let Some(summary) = &rung.variant.summary else { return Ok(()) };
    let width = f64::from(PHASES_END - PHASES_X);
    let mut before = 0.0;
    for (part, _, share) in parts(&summary.phases_ms) {
        let from = PHASES_X + (before * width).round() as i32;
        before += share;
        let to = PHASES_X + (before * width).round() as i32;
        if to <= from {
            continue;
        }
        brush.rectangle((from, middle - 20), (to, middle + 20), colour(part))?;
        if share >= 0.12 {
            let ink = if matches!(part, Part::Commit) { RGBColor(255, 255, 255) } else { INK };
            let text = format!("{:.0} %", share * 100.0);
            brush.text(&text, (i32::midpoint(from, to), middle), 20, Align::Centre, ink)?;
        }
    }
    Ok(())
}

/// Above the phases on the right, in two lines of names with their colours.
fn legend(brush: &Brush<'_>) -> Result<(), ReportError> {
    let (mut x, mut y) = (PHASES_X, 50);
    for (i, part) in PARTS.iter().enumerate() {
        if i == 4 {
            (x, y) = (PHASES_X, 92);
        }
        brush.rectangle((x, y - 10), (x + 20, y + 10), colour(*part))?;
        brush.text(part.name(), (x + 28, y), 20, Align::Left, INK)?;
        x += 122;
    }
    Ok(())
}
