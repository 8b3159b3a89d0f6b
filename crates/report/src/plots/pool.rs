use pinchpoint_measure::{PoolAdvice, RunResult, group_thousands, significant};
use plotters::style::RGBColor;

use super::canvas::{Align, Brush, Canvas, DIM, GRID, INK, WIDTH};
use crate::ReportError;
use crate::pool::levels;
use crate::text::clean;

const LEFT: i32 = 150;
const RIGHT: i32 = WIDTH as i32 - 60;
/// The panel of the throughput, and that of the percentile.
const RATE: (i32, i32) = (170, 640);
const P95: (i32, i32) = (740, 920);
const HEIGHT: u32 = 1030;
const MARK: i32 = 9;

const MEASURED: RGBColor = RGBColor(0, 114, 178);
const CURVE: RGBColor = RGBColor(170, 178, 188);
const ADVISED: RGBColor = RGBColor(0, 158, 115);
const LATENCY: RGBColor = RGBColor(213, 94, 0);

/// One measured size.
struct Level {
    size: u64,
    rate: f64,
    ci95: Option<[f64; 2]>,
    p95_ms: f64,
}

/// Throughput over the pool's size with its intervals and the fitted curve; below it the 95th
/// percentile of the response time.
pub(crate) fn pool(result: &RunResult) -> Result<Vec<u8>, ReportError> {
    let measured: Vec<Level> = levels(result)
        .into_iter()
        .filter_map(|(size, variant)| {
            let summary = variant.summary.as_ref()?;
            let rate = &summary.throughput_per_s;
            (rate.median.is_finite() && summary.latency_ms.p95.is_finite()).then_some(Level {
                size,
                rate: rate.median,
                ci95: rate.ci95.filter(|ci| ci.iter().all(|x| x.is_finite())),
                p95_ms: summary.latency_ms.p95,
            })
        })
        .collect();
    let advice = result.pool.clone().unwrap_or_default();
    let mut canvas = Canvas::new(HEIGHT);
    canvas.draw(|brush| {
        titles(brush, result, &advice)?;
        let tops = |l: &Level| l.ci95.map_or(l.rate, |ci| ci[1].min(l.rate * 1.5));
        let rates = Axis::up_to(measured.iter().map(tops), RATE);
        let latencies = Axis::up_to(measured.iter().map(|l| l.p95_ms), P95);
        rates.grid(brush, "transactions per second")?;
        latencies.grid(brush, "p95 of the response time in ms")?;
        for (at, level) in measured.iter().enumerate() {
            let x = place(at, measured.len());
            let ink = if level.size == advice.size { ADVISED } else { INK };
            brush.text(&level.size.to_string(), (x, P95.1 + 32), 24, Align::Centre, ink)?;
        }
        let middle = i32::midpoint(LEFT, RIGHT);
        brush.text("connections in the pool", (middle, P95.1 + 72), 24, Align::Centre, DIM)?;
        curve(brush, &measured, &advice, &rates)?;
        points(brush, &measured, &advice, &rates)?;
        percentile(brush, &measured, &latencies)
    })?;
    canvas.into_png()
}

fn titles(brush: &Brush<'_>, result: &RunResult, advice: &PoolAdvice) -> Result<(), ReportError> {
    let title = format!("{} connections for {} clients", advice.size, advice.clients);
    brush.text_in(&title, (50, 48), 40, 1200, INK)?;
    let server = result.environment.software.first();
    let server = server.map_or_else(String::new, |s| format!("{} {}, ", s.name, s.version));
    let model = match &advice.curve {
        Some(curve) if curve.model == "usl" => "grey: the universal scalability law, fitted",
        Some(_) => "grey: a slope up to a cap, fitted",
        None => "too few sizes for a curve",
    };
    let subtitle = format!(
        "{server}green: the smallest size within noise of the best; bars: 95 % intervals; {model}"
    );
    brush.text_in(&clean(&subtitle), (50, 94), 24, 1700, DIM)
}

fn curve(
    brush: &Brush<'_>,
    measured: &[Level],
    advice: &PoolAdvice,
    axis: &Axis,
) -> Result<(), ReportError> {
    let Some(curve) = &advice.curve else { return Ok(()) };
    let at = |level: &Level| {
        let point = curve.points.iter().find(|p| (p[0] - level.size as f64).abs() < 0.5)?;
        point[1].is_finite().then(|| axis.y(point[1]))
    };
    let places: Vec<_> = measured
        .iter()
        .enumerate()
        .filter_map(|(i, level)| Some((place(i, measured.len()), at(level)?)))
        .collect();
    for pair in places.windows(2) {
        brush.line(pair[0], pair[1], CURVE, 6)?;
    }
    Ok(())
}

fn points(
    brush: &Brush<'_>,
    measured: &[Level],
    advice: &PoolAdvice,
    axis: &Axis,
) -> Result<(), ReportError> {
    for (i, level) in measured.iter().enumerate() {
        let (x, y) = (place(i, measured.len()), axis.y(level.rate));
        let colour = if level.size == advice.size { ADVISED } else { MEASURED };
        if let Some([lo, hi]) = level.ci95 {
            brush.line((x, axis.y(lo)), (x, axis.y(hi)), colour, 3)?;
        }
        let square = [
            (x - MARK, y - MARK),
            (x + MARK, y - MARK),
            (x + MARK, y + MARK),
            (x - MARK, y + MARK),
        ];
        brush.polygon(&square, colour, true)?;
    }
    Ok(())
}

fn percentile(brush: &Brush<'_>, measured: &[Level], axis: &Axis) -> Result<(), ReportError> {
    let places: Vec<_> = measured
        .iter()
        .enumerate()
        .map(|(i, level)| (place(i, measured.len()), axis.y(level.p95_ms)))
        .collect();
    for pair in places.windows(2) {
        brush.line(pair[0], pair[1], LATENCY, 4)?;
    }
    for (x, y) in places {
        let triangle = [(x, y - MARK - 3), (x + MARK + 2, y + MARK), (x - MARK - 2, y + MARK)];
        brush.polygon(&triangle, LATENCY, true)?;
    }
    Ok(())
}

/// A size's place: sizes stand side by side, whatever their distance.
fn place(at: usize, levels: usize) -> i32 {
    LEFT + (RIGHT - LEFT) * (2 * at as i32 + 1) / (2 * levels.max(1) as i32)
}

/// An axis from 0 at a panel's bottom to the largest value at its top.
struct Axis {
    most: f64,
    panel: (i32, i32),
}

impl Axis {
    fn up_to(values: impl Iterator<Item = f64>, panel: (i32, i32)) -> Self {
        let most = values.filter(|v| v.is_finite()).fold(0.0, f64::max);
        Self { most: if most > 0.0 { most * 1.05 } else { 1.0 }, panel }
    }

    fn y(&self, value: f64) -> i32 {
        let share = (value / self.most).clamp(0.0, 1.0);
        self.panel.1 - (share * f64::from(self.panel.1 - self.panel.0)).round() as i32
    }

    fn grid(&self, brush: &Brush<'_>, title: &str) -> Result<(), ReportError> {
        brush.text(title, (LEFT, self.panel.0 - 30), 24, Align::Left, INK)?;
        brush.line((LEFT, self.panel.1), (RIGHT, self.panel.1), DIM, 2)?;
        // A step of 1, 2 or 5 times a power of ten that gives two to five lines.
        let power = 10_f64.powf((self.most / 2.0).log10().floor());
        let step = [5.0, 2.0, 1.0].into_iter().map(|d| d * power).find(|s| self.most / s >= 2.0);
        let step = step.unwrap_or(self.most);
        for line in 0..=10 {
            let value = step * f64::from(line);
            if value > self.most {
                break;
            }
            let y = self.y(value);
            if line > 0 {
                brush.line((LEFT, y), (RIGHT, y), GRID, 2)?;
            }
            let text = if value >= 1000.0 {
                group_thousands(value.round() as u64)
            } else {
                significant(value, 2)
            };
            brush.text(&text, (LEFT - 70, y), 22, Align::Centre, DIM)?;
        }
        Ok(())
    }
}
