use std::sync::Once;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::ReportError;

/// Width of every plot in pixels: twice what a page shows, for sharp print.
pub(crate) const WIDTH: u32 = 1800;

const FONT: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");
const FAMILY: &str = "pinchpoint";

pub(super) const INK: RGBColor = RGBColor(27, 31, 36);
pub(super) const DIM: RGBColor = RGBColor(89, 99, 110);
pub(super) const WARN: RGBColor = RGBColor(179, 38, 30);
pub(super) const WHITE: RGBColor = RGBColor(255, 255, 255);
pub(super) const GRID: RGBColor = RGBColor(221, 226, 232);

/// How a text sits at its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
}

/// A white card of pixels.
pub(super) struct Canvas {
    pixels: Vec<u8>,
    height: u32,
}

impl Canvas {
    pub(super) fn new(height: u32) -> Self {
        static FONT_KNOWN: Once = Once::new();
        FONT_KNOWN.call_once(|| {
            // Without it texts fail to draw, and that is reported there.
            let _ = register_font(FAMILY, FontStyle::Normal, FONT);
        });
        Self { pixels: vec![255; (WIDTH * height * 3) as usize], height }
    }

    /// Draws on the card.
    pub(super) fn draw(
        &mut self,
        paint: impl FnOnce(&Brush<'_>) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let area =
            BitMapBackend::with_buffer(&mut self.pixels, (WIDTH, self.height)).into_drawing_area();
        let brush = Brush { area };
        paint(&brush)?;
        brush.area.present().map_err(failed)
    }

    pub(super) fn into_png(self) -> Result<Vec<u8>, ReportError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, WIDTH, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// What draws: rectangles, lines and texts at pixel coordinates.
pub(super) struct Brush<'a> {
    area: DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>,
}

impl Brush<'_> {
    pub(super) fn rectangle(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: RGBColor,
    ) -> Result<(), ReportError> {
        self.area.draw(&Rectangle::new([from, to], colour.filled())).map_err(failed)
    }

    pub(super) fn line(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: RGBColor,
        width: u32,
    ) -> Result<(), ReportError> {
        let style = colour.stroke_width(width);
        self.area.draw(&PathElement::new(vec![from, to], style)).map_err(failed)
    }

    /// A closed shape: filled, or its outline on the card's white.
    pub(super) fn polygon(
        &self,
        points: &[(i32, i32)],
        colour: RGBColor,
        filled: bool,
    ) -> Result<(), ReportError> {
        let fill = if filled { colour } else { WHITE };
        self.area.draw(&Polygon::new(points.to_vec(), fill.filled())).map_err(failed)?;
        let outline: Vec<_> = points.iter().chain(points.first()).copied().collect();
        self.area.draw(&PathElement::new(outline, colour.stroke_width(3))).map_err(failed)
    }

    /// A text whose vertical middle is at the point.
    pub(super) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: u32,
        align: Align,
        colour: RGBColor,
    ) -> Result<(), ReportError> {
        let h = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
        };
        let style = (FAMILY, size).into_font().color(&colour).pos(Pos::new(h, VPos::Center));
        // The box around a text reaches below its letters; what is seen is to be in the middle.
        let at = (at.0, at.1 + size as i32 / 9);
        self.area.draw(&Text::new(in_font(text), at, style)).map_err(failed)
    }

    /// A text from the point to the right, cut off with an ellipsis after `room` pixels.
    pub(super) fn text_in(
        &self,
        text: &str,
        at: (i32, i32),
        size: u32,
        room: i32,
        colour: RGBColor,
    ) -> Result<(), ReportError> {
        // No letter but a few is narrower than a fifth of its size: so much is enough to look at.
        let most = usize::try_from(room.max(0) * 5 / size.max(1) as i32).unwrap_or(0);
        let mut shown: String = text.chars().take(most + 1).collect();
        let font = (FAMILY, size).into_font();
        let mut cut = shown.len() < text.len();
        loop {
            let whole = if cut { format!("{shown}…") } else { shown.clone() };
            let (width, _) = font.box_size(&in_font(&whole)).map_err(failed)?;
            if width as i32 <= room {
                // No grid line runs through it.
                let (half, end) = (size as i32 * 2 / 3, at.0 + width as i32 + 4);
                self.rectangle((at.0 - 4, at.1 - half), (end, at.1 + half), WHITE)?;
                return self.text(&whole, at, size, Align::Left, colour);
            }
            if shown.pop().is_none() {
                return Ok(());
            }
            cut = true;
        }
    }
}

/// The text, with a question mark for each character that the font's subset does not have.
fn in_font(text: &str) -> String {
    let has = |c: &char| matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}' | '–' | '—' | '…' | '→' | '≈' | '≤' | '≥' | '−' | 'μ');
    text.chars().map(|c| if has(&c) { c } else { '?' }).collect()
}

fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError::Draw(error.to_string())
}
