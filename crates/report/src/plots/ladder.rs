use pinchpoint_measure::{RunResult, VariantStatus, human_duration};
use plotters::style::RGBColor;

use super::canvas::{Align, Brush, Canvas, DIM, GRID, INK, WARN, WHITE, WIDTH};
use super::scale::Scale;
use crate::ReportError;
use crate::climb::{Rung, rungs};
use crate::share::{PARTS, Part, parts};
use crate::text::{clean, count, percent};

const TOP: i32 = 184;
const ROW: i32 = 74;
/// Half a bar's height.
const HALF: i32 = 21;
const BOTTOM: i32 = 80;
/// Left edges of the rung's name, its title, the bars, the phases.
const NAME_X: i32 = 50;
const TITLE_X: i32 = 150;
const BARS_X: i32 = 580;
const BARS_END: i32 = 1080;
const PHASES_X: i32 = 1310;
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
    let rates = shown.iter().filter_map(Rung::tps);
    let scale = Scale::over(rates, BARS_X, BARS_END);
    canvas.draw(|brush| {
        titles(brush, result, all.len() - shown.len())?;
        scale.grid(brush, TOP - 6, bottom)?;
        shares(brush, bottom)?;
        legend(brush, shown)?;
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
    let title = clean(&result.experiment);
    brush.text_in(&title, (NAME_X, 48), 40, 1200, INK)?;
    let server = result.environment.software.first();
    let server = server.map_or_else(String::new, |s| format!("{} {}, ", s.name, s.version));
    let mut subtitle = format!(
        "{server}{} of {} a rung, {}",
        count(result.plan.trials as usize, "trial", "trials"),
        human_duration(result.plan.duration_s),
        result.started_at.get(..10).unwrap_or_default()
    );
    if left_out > 0 {
        subtitle.push_str(&format!(", {left_out} more rungs not drawn"));
    }
    brush.text_in(&clean(&subtitle), (NAME_X, 94), 24, 1200, DIM)?;
    let y = 148;
    brush.text("rows per second, log axis, 95 % interval", (BARS_X, y), 24, Align::Left, INK)?;
    brush.text("where one operation's time went", (PHASES_X, y), 24, Align::Left, INK)
}

fn label(brush: &Brush<'_>, rung: &Rung<'_>, middle: i32) -> Result<(), ReportError> {
    brush.text_in(&rung.name, (NAME_X, middle), 28, TITLE_X - NAME_X - 14, INK)?;
    brush.text_in(&rung.title, (TITLE_X, middle), 20, BARS_X - TITLE_X - 20, DIM)
}

fn bar(brush: &Brush<'_>, rung: &Rung<'_>, scale: &Scale, middle: i32) -> Result<(), ReportError> {
    let room = PHASES_X - BARS_X - 30;
    let (Some(figures), Some(tps)) = (&rung.figures, rung.tps()) else {
        let text = rung.trouble().unwrap_or_else(|| "no throughput".to_owned());
        let pending = rung.variant.status == VariantStatus::Pending;
        let ink = if pending { DIM } else { WARN };
        return brush.text_in(&text, (BARS_X + 12, middle), 20, room, ink);
    };
    let (end, _) = scale.x(tps);
    let end = end.max(BARS_X + 3);
    let fill = if rung.is_null { CEILING } else { BAR };
    brush.rectangle((BARS_X, middle - HALF), (end, middle + HALF), fill)?;
    let interval = rung.variant.summary.as_ref().and_then(|s| s.throughput_per_s.ci95);
    let interval = interval.filter(|[lo, hi]| lo.is_finite() && hi.is_finite() && lo <= hi);
    let mut text_x = end;
    if let Some(interval) = interval {
        text_x = text_x.max(whisker(brush, scale, interval, middle)?);
    }
    let mut text = figures.tps_text.clone();
    let mut ink = INK;
    if rung.is_ceiling() {
        text.push_str(" (ceiling)");
    } else if rung.trouble().is_some() {
        text.push_str(" (failed)");
        ink = WARN;
    }
    brush.text_in(&text, (text_x + 14, middle), 22, PHASES_X - text_x - 24, ink)
}

/// The interval's line, on a light edge so that it is seen on the bar; its right end.
fn whisker(
    brush: &Brush<'_>,
    scale: &Scale,
    [lo, hi]: [f64; 2],
    middle: i32,
) -> Result<i32, ReportError> {
    let (from, to) = (scale.x(lo), scale.x(hi));
    for (colour, edge) in [(WHITE, 2), (INK, 0)] {
        let thick = 3 + 2 * edge as u32;
        brush.line((from.0 - edge, middle), (to.0 + edge, middle), colour, thick)?;
        // An end beyond the axis is left open.
        for (x, _) in [from, to].into_iter().filter(|(_, beyond)| !beyond) {
            brush.line((x, middle - 9 - edge), (x, middle + 9 + edge), colour, thick)?;
        }
    }
    Ok(to.0)
}

fn share_x(share: f64) -> i32 {
    PHASES_X + (share * f64::from(PHASES_END - PHASES_X)).round() as i32
}

/// The axis of the phases.
fn shares(brush: &Brush<'_>, bottom: i32) -> Result<(), ReportError> {
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let x = share_x(share);
        brush.line((x, TOP - 6), (x, bottom), GRID, 2)?;
        brush.text(&percent(share), (x, bottom + 24), 22, Align::Centre, DIM)?;
    }
    Ok(())
}

fn phases(brush: &Brush<'_>, rung: &Rung<'_>, middle: i32) -> Result<(), ReportError> {
    let Some(summary) = &rung.variant.summary else { return Ok(()) };
    let shares = parts(&summary.phases_ms);
    if shares.is_empty() {
        let room = PHASES_END - PHASES_X - 20;
        return brush.text_in("no time was recorded", (PHASES_X + 12, middle), 20, room, DIM);
    }
    let mut before = 0.0;
    for (part, _, share) in shares {
        let from = share_x(before);
        before += share;
        let to = share_x(before);
        if to <= from {
            continue;
        }
        brush.rectangle((from, middle - HALF), (to, middle + HALF), colour(part))?;
        if share >= 0.12 {
            let ink = if matches!(part, Part::Commit) { WHITE } else { INK };
            let at = (i32::midpoint(from, to), middle);
            brush.text(&percent(share), at, 20, Align::Centre, ink)?;
        }
    }
    Ok(())
}

/// Above the phases: the parts that are there to be seen, in two lines.
fn legend(brush: &Brush<'_>, rungs: &[Rung<'_>]) -> Result<(), ReportError> {
    let seen = |part: &&Part| {
        let summaries = rungs.iter().filter_map(|r| r.variant.summary.as_ref());
        let mut shares = summaries.flat_map(|s| parts(&s.phases_ms));
        shares.any(|(p, _, share)| p == **part && share >= 0.004)
    };
    for (i, part) in PARTS.iter().filter(seen).enumerate() {
        let (column, line) = (i as i32 % 4, i as i32 / 4);
        let (x, y) = (PHASES_X + column * 116, 50 + line * 42);
        brush.rectangle((x, y - 10), (x + 20, y + 10), colour(*part))?;
        brush.text(part.name(), (x + 28, y), 20, Align::Left, INK)?;
    }
    Ok(())
}
