use std::time::Duration;

use crate::fields::{Fields, Value};
use crate::key::{Fallback, Key, Kind, Section};
use crate::read::bounds::{LONGEST, MOST_TRIALS, SHORTEST, TARGETS};
use crate::sink::Sink;
use crate::value;
use crate::{LoadPlan, Pace, Stage, WarmUp, parse_duration};

/// Stages in a schedule.
const MOST_STAGES: usize = 1000;

pub(crate) static SECTION: Section = Section {
    name: "[load]",
    help: "How long each trial runs, how often, and how fast. May be left out altogether.",
    keys: &[
        &DURATION,
        &WARMUP,
        &WARMUP_AT_MOST,
        &TRIALS,
        &INTERVAL,
        &TARGET_TPS,
        &STAGES,
        &ARRIVALS,
        &SEED,
        &THREADS,
    ],
};

static DURATION: Key = Key {
    name: "duration",
    kind: Kind::Span { min: SHORTEST, max: LONGEST },
    default: Fallback::Value(r#""10s""#),
    help: "Measured time of each trial, after its warm-up. Left out with `stages`: it is their sum.",
};
static WARMUP: Key = Key {
    name: "warmup",
    kind: Kind::Other("`auto`, or a duration such as `\"5s\"`; `\"0s\"` for none"),
    default: Fallback::Value(r#""auto""#),
    help: "Load before measuring. `auto` waits until throughput is steady.",
};
static WARMUP_AT_MOST: Key = Key {
    name: "warmup_at_most",
    kind: Kind::Span { min: SHORTEST, max: LONGEST },
    default: Fallback::Value(r#""10s""#),
    help: "Bound of an `auto` warm-up; a trial that has not settled by then says so.",
};
static TRIALS: Key = Key {
    name: "trials",
    kind: Kind::Whole { min: 1, max: MOST_TRIALS as i128 },
    default: Fallback::Value("3"),
    help: "Trials of each rung, interleaved with those of the others.",
};
static INTERVAL: Key = Key {
    name: "interval",
    kind: Kind::Span { min: SHORTEST, max: Duration::from_secs(3600) },
    default: Fallback::Value(r#""10s""#),
    help: "Reporting interval: one line of `metrics.csv`.",
};
static TARGET_TPS: Key = Key {
    name: "target_tps",
    kind: Kind::Number { min: TARGETS.0, max: TARGETS.1 },
    default: Fallback::Note("flat out"),
    help: "Rows per second that a schedule asks for; latency counts from the intended start.",
};
static STAGES: Key = Key {
    name: "stages",
    kind: Kind::Other("array of tables `{ duration, target_tps }`"),
    default: Fallback::Note("none"),
    help: "A schedule whose rate changes. It begins at 0 and goes in a straight line to each \
           stage's target in turn, as in k6.",
};
static ARRIVALS: Key = Key {
    name: "arrivals",
    kind: Kind::Word(&["constant", "poisson"]),
    default: Fallback::Value(r#""constant""#),
    help: "Gaps between the operations of a schedule: all alike, or random as of independent users.",
};
static SEED: Key = Key {
    name: "seed",
    kind: Kind::Whole { min: 0, max: u64::MAX as i128 },
    default: Fallback::Note("a new one for each run; it is in the result"),
    help: "Seed of all that is random.",
};
static THREADS: Key = Key {
    name: "threads",
    kind: Kind::Whole { min: 1, max: 1024 },
    default: Fallback::Note("as many as the machine has cores"),
    help: "Threads that drive the load.",
};

pub(crate) static STAGE: Section = Section {
    name: "[[load.stages]]",
    help: "One stage of a schedule.",
    keys: &[&STAGE_DURATION, &STAGE_TARGET],
};
static STAGE_DURATION: Key = Key {
    name: "duration",
    kind: Kind::Span { min: SHORTEST, max: LONGEST },
    default: Fallback::Required,
    help: "How long the rate takes to get to the target.",
};
static STAGE_TARGET: Key = Key {
    name: "target_tps",
    kind: Kind::Number { min: 0.0, max: TARGETS.1 },
    default: Fallback::Required,
    help: "Rows per second at the stage's end.",
};

pub(crate) fn read(fields: &Fields<'_, '_>) -> Option<LoadPlan> {
    let at_most = fields.span(&WARMUP_AT_MOST);
    let warmup = read_warmup(fields, at_most.unwrap_or(LONGEST));
    let pace = read_pace(fields);
    let poisson = fields.word(&ARRIVALS) == Some("poisson");
    if poisson && pace == Pace::FlatOut && !fields.has(&STAGES) && !fields.has(&TARGET_TPS) {
        let message = "`arrivals` without a schedule: flat out, each operation follows the last";
        fields.report_at(
            &ARRIVALS,
            message,
            "add `target_tps` or `stages`, or leave `arrivals` out",
        );
    }
    let duration = fields.span(&DURATION);
    let duration = match &pace {
        Pace::Stages(stages) => Some(stages.iter().map(|s| s.duration).sum()),
        _ => duration,
    };
    Some(LoadPlan {
        duration: duration?,
        warmup: warmup?,
        trials: fields.whole(&TRIALS)?,
        interval: fields.span(&INTERVAL)?,
        pace,
        poisson,
        seed: fields.whole(&SEED),
        threads: fields.whole(&THREADS),
    })
}

fn read_warmup(fields: &Fields<'_, '_>, at_most: Duration) -> Option<WarmUp> {
    let Some(found) = fields.get(&WARMUP) else { return Some(WarmUp::Auto { at_most }) };
    let Some(text) = found.get_ref().as_str() else {
        value::refuse(fields.sink, &WARMUP, found);
        return None;
    };
    if text == "auto" {
        return Some(WarmUp::Auto { at_most });
    }
    if fields.has(&WARMUP_AT_MOST) {
        let message = "`warmup_at_most` bounds an `auto` warm-up, and this one has a fixed length";
        fields.report_at(&WARMUP_AT_MOST, message, "leave it out, or write `warmup = \"auto\"`");
    }
    match parse_duration(text) {
        Ok(fixed) if fixed <= LONGEST => Some(WarmUp::Fixed(fixed)),
        Ok(_) => {
            fields.report_at(&WARMUP, "`warmup` is longer than 7 days", "make it shorter");
            None
        }
        Err(error) => {
            let help = "it is `auto`, or a duration such as `5s`";
            fields.report_at(&WARMUP, format!("bad `warmup`: {error}"), help);
            None
        }
    }
}

fn read_pace(fields: &Fields<'_, '_>) -> Pace {
    let rate = fields.number(&TARGET_TPS);
    if !fields.has(&STAGES) {
        return rate.map_or(Pace::FlatOut, |per_s| Pace::Rate { per_s });
    }
    if fields.has(&TARGET_TPS) {
        let help = "leave one of them out";
        fields.report_at(&TARGET_TPS, "`target_tps` and `stages` both say how fast to go", help);
    }
    if fields.has(&DURATION) {
        let message = "`duration` and `stages` both say how long a trial is";
        fields.report_at(&DURATION, message, "leave `duration` out: it is the stages' sum");
    }
    let found = fields.array(&STAGES);
    if found.len() > MOST_STAGES {
        let message = format!("`stages` has {} stages, more than {MOST_STAGES}", found.len());
        fields.report_at(&STAGES, message, "leave some out");
        return Pace::FlatOut;
    }
    let stages: Vec<Stage> = found.iter().filter_map(|v| read_stage(fields.sink, v)).collect();
    let all_read = stages.len() == found.len();
    let total: Duration = stages.iter().map(|s| s.duration).sum();
    if total > LONGEST {
        fields.report_at(&STAGES, "`stages` take longer than 7 days", "make them shorter");
    } else if all_read && !stages.iter().any(|s| s.target_per_s > 0.0) {
        let help = "give at least one stage a `target_tps` above 0";
        fields.report_at(&STAGES, "`stages` never ask for anything", help);
    }
    Pace::Stages(stages)
}

fn read_stage(sink: &Sink, value: &Value<'_>) -> Option<Stage> {
    let fields = Fields::open(sink, value, &STAGE)?;
    let (duration, target_per_s) = (fields.span(&STAGE_DURATION), fields.number(&STAGE_TARGET));
    Some(Stage { duration: duration?, target_per_s: target_per_s? })
}
