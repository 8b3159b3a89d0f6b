use pinchpoint_measure::{PredictionRecord, TrackRecord, TrackScore, significant};

use crate::table::{Flow, Paint, Style};
use crate::text::{clean, count, fixed, pad, pad_left, percent, shorten, width};

/// Longest name of a lever that is shown whole.
const LONGEST: usize = 24;
/// Misses that are listed; the rest is counted.
const MISSES: usize = 12;

/// How predictions fared, for a terminal of `width` columns (40 to 400).
pub fn track_table(track: &TrackRecord, width: usize, style: Style) -> String {
    let columns = width.clamp(40, 400);
    let mut out = String::new();
    let mut say = |text: &str, paint: Paint| {
        let mut flow = Flow::new(&mut out, style, columns, 2);
        flow.words(text, paint);
        flow.end();
    };
    if track.all.predictions == 0 {
        say("No prediction has been judged yet.", Paint::Plain);
        say(
            "`pinchpoint run ladder` states what each step should give before it takes it; when the \
             run has ended, what came is held against that and kept here.",
            Paint::Dim,
        );
    } else {
        say(&sentence(&track.all), Paint::Bold);
        out.push('\n');
        out.push_str(&scores(track, style, columns));
        out.push_str(&misses(&track.misses, style, columns));
    }
    if track.broken > 0 {
        let text = format!(
            "Left out, because what they say is not what was stated before the run: {}.",
            count(track.broken, "prediction", "predictions")
        );
        let mut flow = Flow::new(&mut out, style, columns, 2);
        flow.words(&text, Paint::Red);
        flow.end();
    }
    out
}

/// `7 of 9 predictions held, median width × 1.8`.
pub(crate) fn sentence(score: &TrackScore) -> String {
    let undecided = if score.undecided > 0 {
        format!(", {} undecided", score.undecided)
    } else {
        String::new()
    };
    format!(
        "{} of {} held{undecided}, median width × {}.",
        score.held,
        count(score.predictions, "prediction", "predictions"),
        figure(score.width)
    )
}

/// Heading and cell of a column, the most important first: the last leave a narrow terminal first.
type Column = (&'static str, fn(&TrackScore) -> String);

const COLUMNS: [Column; 8] = [
    ("judged", |s| s.predictions.to_string()),
    ("held", |s| s.held.to_string()),
    ("missed", |s| s.missed.to_string()),
    ("coverage", |s| s.coverage.map_or_else(dash, percent)),
    ("width", |s| format!("× {}", figure(s.width))),
    ("undecided", |s| s.undecided.to_string()),
    ("direction", |s| s.direction.map_or_else(dash, percent)),
    ("score", |s| s.interval_score.map_or_else(dash, |x| fixed(x, 2))),
];

fn dash() -> String {
    "–".to_owned()
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(dash, |x| significant(x, 3))
}

fn scores(track: &TrackRecord, style: Style, columns: usize) -> String {
    let rows: Vec<&TrackScore> = track.levers.iter().chain([&track.all]).collect();
    let name = |s: &TrackScore| shorten(&clean(&s.lever), LONGEST);
    let widest = rows.iter().map(|s| width(&name(s))).max().unwrap_or(0).max("lever".len());
    let mut left = columns.saturating_sub(widest);
    let mut lines = vec![pad("lever", widest)];
    lines.extend(rows.iter().map(|s| pad(&name(s), widest)));
    for (heading, cell) in COLUMNS {
        let cells: Vec<String> =
            [heading.to_owned()].into_iter().chain(rows.iter().map(|s| cell(s))).collect();
        let room = cells.iter().map(|c| width(c)).max().unwrap_or(0) + 2;
        if room > left {
            break;
        }
        left -= room;
        for (line, cell) in lines.iter_mut().zip(&cells) {
            line.push_str(&pad_left(cell, room));
        }
    }
    let last = lines.len() - 1;
    let paint = |at: usize| if at == 0 || at == last { Paint::Bold } else { Paint::Plain };
    let lines = lines.iter().enumerate().map(|(at, line)| style.paint(paint(at), line) + "\n");
    lines.collect()
}

fn misses(misses: &[PredictionRecord], style: Style, columns: usize) -> String {
    let mut out = String::new();
    if misses.is_empty() {
        return out;
    }
    out.push_str("\nMissed, the latest first:\n");
    for record in misses.iter().rev().take(MISSES) {
        let mut flow = Flow::new(&mut out, style, columns, 4);
        flow.start("  ", Paint::Plain);
        flow.words(&miss(record), Paint::Plain);
        flow.end();
    }
    if misses.len() > MISSES {
        out.push_str(&format!("  and {} more\n", misses.len() - MISSES));
    }
    out
}

/// `ladder 2026-02-04T08:40, 2 by pool from 1: 1,240–2,839 expected, 5,586 came, × 1.97 above`.
fn miss(record: &PredictionRecord) -> String {
    let prediction = &record.prediction;
    let [lo, hi] = prediction.range_per_s;
    let came = prediction.measured_per_s.unwrap_or(f64::NAN);
    let by = if came > hi {
        format!(", × {} above", significant(came / hi, 3))
    } else if came < lo {
        format!(", × {} below", significant(lo / came, 3))
    } else {
        String::new()
    };
    let minute: String = clean(&record.run).chars().take("2026-02-04T08:40".len()).collect();
    format!(
        "{} {minute}, {} by {} from {}: {}–{} expected, {} came{by}",
        shorten(&clean(&record.experiment), LONGEST),
        shorten(&clean(&record.variant), LONGEST),
        shorten(&clean(&prediction.lever), LONGEST),
        shorten(&clean(&prediction.from), LONGEST),
        significant(lo, 3),
        significant(hi, 3),
        significant(came, 3)
    )
}

#[cfg(test)]
mod tests {
    use pinchpoint_measure::{Judgement, Prediction};

    use super::*;

    fn score(lever: &str, held: usize, missed: usize) -> TrackScore {
        TrackScore {
            lever: lever.to_owned(),
            predictions: held + missed + 1,
            held,
            missed,
            undecided: 1,
            coverage: Some(held as f64 / (held + missed) as f64),
            width: Some(1.84),
            interval_score: Some(1.234),
            direction: None,
        }
    }

    fn fixture() -> TrackRecord {
        let miss = PredictionRecord {
            experiment: "ladder".to_owned(),
            run: "2026-02-04T08:40:59.661721Z".to_owned(),
            variant: "2".to_owned(),
            prediction: Prediction {
                from: "1".to_owned(),
                lever: "pool".to_owned(),
                range_per_s: [1_240.0, 2_839.0],
                measured_per_s: Some(5_586.0),
                judgement: Some(Judgement::Missed),
                ..Prediction::default()
            },
            ..PredictionRecord::default()
        };
        TrackRecord {
            levers: vec![score("batch", 5, 0), score("pool", 3, 1)],
            all: score("all", 8, 1),
            misses: vec![miss; 14],
            broken: 2,
        }
    }

    #[test]
    fn the_table_at_80_columns() {
        insta::assert_snapshot!(track_table(&fixture(), 80, Style::Plain));
    }

    #[test]
    fn nothing_yet_says_how_to_begin() {
        insta::assert_snapshot!(track_table(&TrackRecord::default(), 80, Style::Plain));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut hostile = fixture();
        hostile.levers[0].lever = "x\u{1b}[31m".repeat(100);
        hostile.misses[13].variant = "y\n".repeat(200);
        for columns in [0, 40, 60, 80, 200] {
            for line in track_table(&hostile, columns, Style::Plain).lines() {
                assert!(width(line) <= columns.clamp(40, 400), "{columns}: {line:?}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}
