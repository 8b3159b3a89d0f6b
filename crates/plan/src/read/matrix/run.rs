use crate::RunPlan;
use crate::fields::Fields;
use crate::key::{Fallback, Key, Kind, Section};
use crate::place::quote;
use crate::read::bounds::{LONGEST, MOST_TRIALS, SHORTEST};
use crate::read::matrix::pairs;

pub(crate) static SECTION: Section = Section {
    name: "[[run]]",
    help: "A way to run the experiment, for `--profile`: some of its cases, for another time, held \
           against limits of its own.",
    keys: &[&NAME, &ONLY, &DURATION, &TRIALS, &THRESHOLDS],
};

static NAME: Key = Key {
    name: "name",
    kind: Kind::Line { longest: 40 },
    default: Fallback::Required,
    help: "What `--profile` takes.",
};
static ONLY: Key = Key {
    name: "only",
    kind: Kind::Other("array of strings"),
    default: Fallback::Note("every case"),
    help: "The cases, as for `--only`: `\"app=warm\"`.",
};
static DURATION: Key = Key {
    name: "duration",
    kind: Kind::Span { min: SHORTEST, max: LONGEST },
    default: Fallback::Note("that of `[load]`"),
    help: "Measured time of a trial.",
};
static TRIALS: Key = Key {
    name: "trials",
    kind: Kind::Whole { min: 1, max: MOST_TRIALS as i128 },
    default: Fallback::Note("those of `[load]`"),
    help: "Trials of each case.",
};
static THRESHOLDS: Key = Key {
    name: "thresholds",
    kind: Kind::Other("table of arrays of expressions"),
    default: Fallback::Note("none"),
    help: "Limits beside those of `[thresholds]`.",
};

pub(crate) fn read_all(top: &Fields<'_, '_>, key: &'static Key) -> Vec<RunPlan> {
    let mut all: Vec<RunPlan> = Vec::new();
    for found in top.array(key) {
        let Some(fields) = Fields::open(top.sink, found, &SECTION) else { continue };
        let thresholds = fields.get(&THRESHOLDS).map(|v| pairs::thresholds(top.sink, v));
        let (only, duration) = (pairs::texts(&fields, &ONLY), fields.span(&DURATION));
        let trials = fields.whole(&TRIALS);
        let Some(name) = fields.text(&NAME) else { continue };
        if all.iter().any(|run| run.name == name) {
            let message = format!("the run {} is there twice", quote(&name));
            fields.report_at(&NAME, message, "give each a name of its own");
        }
        let thresholds = thresholds.unwrap_or_default();
        all.push(RunPlan { name, only, duration, trials, thresholds });
    }
    all
}
