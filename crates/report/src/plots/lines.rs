use pinchpoint_measure::{RunResult, human_duration, significant};
use plotters::style::RGBColor;

use super::canvas::{Align, Brush, Canvas, DIM, GRID, INK, WIDTH};
use crate::ReportError;
use crate::matrix::{Row, cases, rows};
use crate::text::{clean, count};

const LEFT: i32 = 150;
const RIGHT: i32 = WIDTH as i32 - 430;
const TOP: i32 = 170;
const BOTTOM: i32 = 900;
const HEIGHT: u32 = 1010;
const LEGEND_X: i32 = RIGHT + 50;
const MARK: i32 = 11;
/// More frameworks than this are not told apart.
pub(super) const MOST: usize = 8;

/// The palette of Okabe and Ito, which colour-blind readers can tell apart; marks differ in shape
/// and lines in their strokes besides.
pub(super) const COLOURS: [RGBColor; MOST] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(27, 31, 36),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 94, 40),
];

/// What is drawn over the users.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Requests per second.
    Rate,
    /// 95th percentile of the response time.
    P95,
}

impl Over {
    const fn title(self) -> &'static str {
        match self {
            Self::Rate => "requests per second, log axis",
            Self::P95 => "p95 of the response time in ms, log axis",
        }
    }

    fn value(self, row: &Row<'_>) -> Option<f64> {
        let figures = row.figures.as_ref()?;
        let value = match self {
            Self::Rate => figures.rps.value,
            Self::P95 => figures.latency_ms.p95,
        };
        (value > 0.0 && value.is_finite()).then_some(value)
    }
}

/// A line of the plot: one framework, one way to the database.
struct Series {
    framework: String,
    pooled: bool,
    colour: usize,
    /// Users, value, and whether it may be used.
    points: Vec<(u64, f64, bool)>,
}

/// A figure over the users, a line for each framework and way to the database.
pub(crate) fn over_users(result: &RunResult, over: Over) -> Result<Vec<u8>, ReportError> {
    let rows = rows(result);
    let series = series(&rows, over);
    let mut users: Vec<u64> = cases(&rows).map(|r| r.users).collect();
    users.sort_unstable();
    users.dedup();
    let values = || series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
    let axis = Axis::over(values());
    let mut canvas = Canvas::new(HEIGHT);
    canvas.draw(|brush| {
        titles(brush, result, over)?;
        axis.grid(brush)?;
        for (at, level) in users.iter().enumerate() {
            let x = place(at, users.len());
            brush.line((x, BOTTOM), (x, BOTTOM + 8), DIM, 2)?;
            let text = pinchpoint_measure::group_thousands(*level);
            brush.text(&text, (x, BOTTOM + 32), 24, Align::Centre, INK)?;
        }
        brush.text("users", (i32::midpoint(LEFT, RIGHT), BOTTOM + 72), 24, Align::Centre, DIM)?;
        for line in &series {
            draw(brush, line, &users, &axis)?;
        }
        legend(brush, &series)
    })?;
    canvas.into_png()
}

fn series(rows: &[Row<'_>], over: Over) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut frameworks: Vec<String> = Vec::new();
    for row in cases(rows) {
        let known = frameworks.iter().position(|f| *f == row.framework);
        let colour = known.unwrap_or_else(|| {
            frameworks.push(row.framework.clone());
            frameworks.len() - 1
        });
        if colour >= MOST {
            continue;
        }
        let Some(value) = over.value(row) else { continue };
        let pooled = row.mode == "pgbouncer";
        let point = (row.users, value, row.voided.is_empty());
        match all.iter_mut().find(|s| s.colour == colour && s.pooled == pooled) {
            Some(line) => line.points.push(point),
            None => all.push(Series {
                framework: row.framework.clone(),
                pooled,
                colour,
                points: vec![point],
            }),
        }
    }
    for line in &mut all {
        line.points.sort_by_key(|p| p.0);
    }
    all
}

fn titles(brush: &Brush<'_>, result: &RunResult, over: Over) -> Result<(), ReportError> {
    brush.text_in(&clean(&result.experiment), (50, 48), 40, 1200, INK)?;
    let server = result.environment.software.first();
    let server = server.map_or_else(String::new, |s| format!("{} {}, ", s.name, s.version));
    let subtitle = format!(
        "{server}{} of {} a case, {}; hollow marks: a check of the figures failed",
        count(result.plan.trials as usize, "trial", "trials"),
        human_duration(result.plan.duration_s),
        result.started_at.get(..10).unwrap_or_default()
    );
    brush.text_in(&clean(&subtitle), (50, 94), 24, 1600, DIM)?;
    brush.text(over.title(), (LEFT, 140), 24, Align::Left, INK)
}

/// A level's place: levels stand side by side, whatever their distance.
fn place(at: usize, levels: usize) -> i32 {
    let width = RIGHT - LEFT;
    LEFT + width * (2 * at as i32 + 1) / (2 * levels.max(1) as i32)
}

fn draw(brush: &Brush<'_>, line: &Series, users: &[u64], axis: &Axis) -> Result<(), ReportError> {
    let colour = COLOURS[line.colour % MOST];
    let at = |(level, value, _): &(u64, f64, bool)| {
        let position = users.iter().position(|u| u == level).unwrap_or(0);
        (place(position, users.len()), axis.y(*value))
    };
    for pair in line.points.windows(2) {
        stroke(brush, at(&pair[0]), at(&pair[1]), colour, line.pooled)?;
    }
    for point in &line.points {
        mark(brush, at(point), line.colour, point.2)?;
    }
    Ok(())
}

/// A line: whole behind the pooler, dashed when direct.
fn stroke(
    brush: &Brush<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: RGBColor,
    whole: bool,
) -> Result<(), ReportError> {
    if whole {
        return brush.line(from, to, colour, 4);
    }
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy).max(1.0);
    let mut done = 0.0;
    while done < length {
        let point = |d: f64| {
            let share = (d / length).min(1.0);
            (from.0 + (dx * share).round() as i32, from.1 + (dy * share).round() as i32)
        };
        brush.line(point(done), point(done + 14.0), colour, 4)?;
        done += 24.0;
    }
    Ok(())
}

/// A mark whose shape is the framework's.
fn mark(brush: &Brush<'_>, at: (i32, i32), which: usize, filled: bool) -> Result<(), ReportError> {
    let (x, y) = at;
    let colour = COLOURS[which % MOST];
    let points: Vec<(i32, i32)> = match which % 4 {
        0 => vec![
            (x - MARK, y - MARK),
            (x + MARK, y - MARK),
            (x + MARK, y + MARK),
            (x - MARK, y + MARK),
        ],
        1 => vec![(x, y - MARK - 3), (x + MARK + 2, y + MARK), (x - MARK - 2, y + MARK)],
        2 => vec![(x, y - MARK - 4), (x + MARK + 4, y), (x, y + MARK + 4), (x - MARK - 4, y)],
        _ => vec![(x - MARK - 2, y - MARK), (x + MARK + 2, y - MARK), (x, y + MARK + 3)],
    };
    brush.polygon(&points, colour, filled)
}

fn legend(brush: &Brush<'_>, series: &[Series]) -> Result<(), ReportError> {
    let mut y = TOP + 10;
    for line in series {
        let colour = COLOURS[line.colour % MOST];
        stroke(brush, (LEGEND_X, y), (LEGEND_X + 84, y), colour, line.pooled)?;
        mark(brush, (LEGEND_X + 42, y), line.colour, true)?;
        let mode = if line.pooled { "PgBouncer" } else { "direct" };
        let text = format!("{}, {mode}", line.framework);
        brush.text_in(&text, (LEGEND_X + 100, y), 24, WIDTH as i32 - LEGEND_X - 120, INK)?;
        y += 46;
    }
    Ok(())
}

/// A logarithmic axis from bottom to top.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
        if high <= 0.0 {
            return Self { low: 0.0, high: 1.0 };
        }
        let (low, high) = ((low / 1.3).log10(), (high * 1.3).log10());
        Self { low, high: high.max(low + 0.5) }
    }

    fn y(&self, value: f64) -> i32 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        BOTTOM - (share.clamp(0.0, 1.0) * f64::from(BOTTOM - TOP)).round() as i32
    }

    fn grid(&self, brush: &Brush<'_>) -> Result<(), ReportError> {
        brush.line((LEFT, BOTTOM), (RIGHT, BOTTOM), DIM, 2)?;
        for exponent in self.low.floor() as i32..=self.high.ceil() as i32 {
            for digit in [1.0, 2.0, 5.0] {
                let value = digit * 10_f64.powi(exponent);
                if value.log10() < self.low || value.log10() > self.high {
                    continue;
                }
                let y = self.y(value);
                brush.line((LEFT, y), (RIGHT, y), GRID, 2)?;
                brush.text(&significant(value, 2), (LEFT - 60, y), 22, Align::Centre, DIM)?;
            }
        }
        Ok(())
    }
}
