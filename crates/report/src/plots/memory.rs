use pinchpoint_measure::{RunResult, group_thousands, significant};

use super::canvas::{Align, Brush, Canvas, DIM, GRID, INK, WIDTH};
use super::lines::{COLOURS, MOST};
use crate::ReportError;
use crate::matrix::{Row, cases, good, has_before_and_after, rows};
use crate::text::clean;

const LEFT: i32 = 150;
const RIGHT: i32 = WIDTH as i32 - 560;
const TOP: i32 = 170;
const BOTTOM: i32 = 800;
const HEIGHT: u32 = 910;
const MIB: f64 = 1024.0 * 1024.0;

/// The application's memory in one case, once a second.
struct Line {
    name: String,
    mib: Vec<f64>,
}

/// Whether there is something to draw: an application with a cache or a client of another service,
/// and two readings of its memory.
pub(crate) fn has_memory(result: &RunResult) -> bool {
    has_before_and_after(&rows(result)) && !lines(result).is_empty()
}

/// Resident memory of the application over the first trial of each case with the most users.
pub(crate) fn memory(result: &RunResult) -> Result<Vec<u8>, ReportError> {
    let lines = lines(result);
    let users = most_users(result);
    let seconds = lines.iter().map(|l| l.mib.len() - 1).max().unwrap_or(1).max(1);
    let top = lines.iter().flat_map(|l| &l.mib).fold(1.0_f64, |a, b| a.max(*b)) * 1.1;
    let at = |second: usize, mib: f64| {
        let x = LEFT + (f64::from(RIGHT - LEFT) * second as f64 / seconds as f64).round() as i32;
        (x, BOTTOM - (f64::from(BOTTOM - TOP) * (mib / top).clamp(0.0, 1.0)).round() as i32)
    };
    let mut canvas = Canvas::new(HEIGHT);
    canvas.draw(|brush| {
        brush.text_in(&clean(&result.experiment), (50, 48), 40, 1200, INK)?;
        let subtitle = format!("first trial of each case, {} users", group_thousands(users));
        brush.text(&subtitle, (50, 94), 24, Align::Left, DIM)?;
        let title = "resident memory of the application in MiB";
        brush.text(title, (LEFT, 140), 24, Align::Left, INK)?;
        grid(brush, top, seconds, &at)?;
        for (which, line) in lines.iter().enumerate() {
            let colour = COLOURS[which % MOST];
            for (second, pair) in line.mib.windows(2).enumerate() {
                brush.line(at(second, pair[0]), at(second + 1, pair[1]), colour, 4)?;
            }
            let y = TOP + 10 + 46 * which as i32;
            brush.line((RIGHT + 50, y), (RIGHT + 120, y), colour, 4)?;
            let (first, last) = (line.mib[0], line.mib[line.mib.len() - 1]);
            let text = format!("{}: {first:.0} → {last:.0}", line.name);
            brush.text_in(&text, (RIGHT + 136, y), 24, WIDTH as i32 - RIGHT - 150, INK)?;
        }
        Ok(())
    })?;
    canvas.into_png()
}

fn grid(
    brush: &Brush<'_>,
    top: f64,
    seconds: usize,
    at: &impl Fn(usize, f64) -> (i32, i32),
) -> Result<(), ReportError> {
    for step in 0..=4 {
        let mib = top * f64::from(step) / 4.0;
        let (_, y) = at(0, mib);
        brush.line((LEFT, y), (RIGHT, y), if step == 0 { DIM } else { GRID }, 2)?;
        brush.text(&significant(mib, 2), (LEFT - 60, y), 22, Align::Centre, DIM)?;
    }
    for second in [0, seconds] {
        let (x, _) = at(second, 0.0);
        brush.text(&second.to_string(), (x, BOTTOM + 32), 24, Align::Centre, INK)?;
    }
    let middle = (i32::midpoint(LEFT, RIGHT), BOTTOM + 72);
    brush.text("seconds of the measured part", middle, 24, Align::Centre, DIM)
}

fn most_users(result: &RunResult) -> u64 {
    cases(&rows(result)).map(|row| row.users).max().unwrap_or(0)
}

fn lines(result: &RunResult) -> Vec<Line> {
    let most = most_users(result);
    let rows = rows(result);
    let line = |row: &Row<'_>| {
        let stack = good(row.variant).find_map(|trial| trial.stack.as_ref())?;
        let bytes = &stack.process("app")?.resident_bytes;
        let mib = bytes.iter().map(|b| *b as f64 / MIB).collect();
        (bytes.len() > 1).then(|| Line { name: row.framework.clone(), mib })
    };
    cases(&rows).filter(|row| row.users == most).filter_map(line).take(MOST).collect()
}
