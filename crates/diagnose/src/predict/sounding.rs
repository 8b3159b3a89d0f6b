use pinchpoint_measure::{Factors, Variant, group_thousands, significant};

use super::Expected;
use super::model::Range;
use super::target::{Target, active_users};
use crate::Machine;
use crate::bounds::Demands;
use crate::reading::{Reading, positive};

/// What is to be tried for a moment before a step is taken: the step's own statement, on kept
/// connections, with fewer users or fewer rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundingPlan {
    /// Operations at a time.
    pub users: u32,
    /// Rows in a statement.
    pub rows: u32,
}

/// What such a trial gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sounding {
    /// What was tried.
    pub plan: SoundingPlan,
    /// Statements per second.
    pub statements_per_s: f64,
    /// Share of the machine's CPU in use (0 to 1).
    pub busy: Option<f64>,
    /// Rows in the table at its end.
    pub rows_written: f64,
}

/// A part of the step's users is enough to see what they do to each other.
const USERS: f64 = 3.0;
/// Parts of the step's rows.
const ROWS: [f64; 2] = [16.0, 4.0];
/// What so short a look may be off by.
const SHORT: Range = Range { lo: 0.93, hi: 1.07 };
/// Throughput when more users meet on a busy machine: contention, or larger groups of commits. The
/// second is for statements of one row, which spend most of their time in the commit.
const MORE_USERS: Range = Range { lo: 0.9, hi: 1.12 };
const MORE_COMMITS: Range = Range { lo: 0.95, hi: 1.25 };
/// From one client's statements on a kept connection to the same for longer.
const SAME: Range = Range { lo: 0.88, hi: 1.07 };
/// CPU that a row takes more for each time that the table grows by a factor of e, in microseconds:
/// its indexes leave the caches. 0.3 was measured (a primary key of random UUIDs).
const GROWTH_US: Range = Range { lo: 0.08, hi: 0.42 };

/// What to try before the step from `from` to `to`; nothing where it would tell nothing new.
pub fn soundings(from: &Variant, to: &Factors, machine: &Machine) -> Vec<SoundingPlan> {
    let Some(reading) = Reading::of(from, machine.cores()) else { return Vec::new() };
    let target = Target::of(&reading, to);
    let steady = reading.target_per_s.is_none() && reading.writes() && target.writes;
    let grows = target.users > active_users(&reading.factors);
    let opens = target.pooled && !super::target::pooled(&reading.factors);
    if !steady || !target.pooled || !(grows || opens || target.changes_statement(&reading)) {
        return Vec::new();
    }
    let at_once = (target.users / USERS).ceil().max(target.users.min(machine.cores()));
    let rows = target.rows.hi;
    let mut sizes: Vec<u32> = ROWS.iter().map(|part| (rows / part).ceil() as u32).collect();
    sizes.dedup();
    sizes.into_iter().map(|rows| SoundingPlan { users: at_once as u32, rows }).collect()
}

/// Rows per second to expect from what was tried, with what was concluded; `None` when it was not
/// tried, or what came cannot be true.
pub(super) fn expect(
    soundings: &[Sounding],
    target: &Target,
    machine: &Machine,
    trial_s: f64,
) -> Option<Expected> {
    let statement = Statement::fitted(soundings)?;
    let tried = f64::from(soundings[0].plan.users);
    let rows = target.rows.hi;
    let ms = statement.ms(rows);
    let reached = positive(tried * rows / ms * 1000.0)?;
    let last = soundings.last()?;
    let more = more_users(target.users, tried, ms, last.busy, rows, machine);
    let range = Range { lo: reached * more.lo * SHORT.lo, hi: reached * more.hi * SHORT.hi };
    let grown = |per_s: f64, us: f64| {
        let times = (per_s * trial_s / last.rows_written.max(1.0)).max(1.0).ln();
        // A core's microseconds for a row, before and after.
        let before = machine.cores() * 1e6 / per_s;
        if rows > 1.0 { per_s * before / (before + us * times) } else { per_s }
    };
    let range = Range { lo: grown(range.lo, GROWTH_US.hi), hi: grown(range.hi, GROWTH_US.lo) };
    let basis = format!(
        "tried for a moment before, {} at a time on kept connections: {}; so a statement of {} \
         takes {} ms, and {} at a time reach {} to {} times as much, less what a larger table costs",
        group_thousands(u64::from(soundings[0].plan.users)),
        soundings.iter().map(found).collect::<Vec<_>>().join(", "),
        count(rows as u64),
        significant(ms, 3),
        group_thousands(target.users as u64),
        significant(more.lo, 2),
        significant(more.hi, 2),
    );
    let busy = last.busy.and_then(positive);
    let row_cpu_ms = busy.map(|busy| busy.min(1.0) * machine.cores() * ms / tried / rows);
    let sound = range.lo > 0.0 && range.hi.is_finite();
    sound.then(|| Expected { range, basis: vec![basis], row_cpu_ms })
}

/// `221 statements/s of 3,125 rows`.
fn found(sounding: &Sounding) -> String {
    let rows = count(u64::from(sounding.plan.rows));
    format!("{} statements/s of {rows}", significant(sounding.statements_per_s, 3))
}

fn count(rows: u64) -> String {
    format!("{} {}", group_thousands(rows), if rows == 1 { "row" } else { "rows" })
}

/// Throughput of `users` against that of those who tried.
fn more_users(
    users: f64,
    tried: f64,
    ms: f64,
    busy: Option<f64>,
    rows: f64,
    machine: &Machine,
) -> Range {
    if users <= tried {
        return SAME;
    }
    let more = if rows > 1.0 { MORE_USERS } else { MORE_COMMITS };
    let busy = busy.and_then(positive).unwrap_or(1.0).min(1.0);
    // CPU of a statement, of which each core serves one at a time; the rest overlaps.
    let cpu = busy * machine.cores() * ms / tried;
    let demands = Demands::delay((ms - cpu).max(0.0)).station(cpu.min(ms), machine.cores());
    let (Some(now), Some(then)) = (demands.throughput(tried), demands.throughput(users)) else {
        return more;
    };
    // What the bounds allow, as far as the machine has room.
    let room = (1.0 / busy).min(users / tried);
    let lo = (then.lo / now.hi).clamp(1.0, room);
    Range { lo: lo * more.lo, hi: (room * more.hi).max(lo * more.lo) }
}

/// A statement's time by its rows: a + c·rows, in milliseconds.
struct Statement {
    fixed_ms: f64,
    row_ms: f64,
}

impl Statement {
    fn fitted(soundings: &[Sounding]) -> Option<Self> {
        let point = |s: &Sounding| {
            let ms = positive(f64::from(s.plan.users) / s.statements_per_s * 1000.0)?;
            Some((f64::from(s.plan.rows), ms))
        };
        let points: Vec<(f64, f64)> = soundings.iter().map(point).collect::<Option<_>>()?;
        match points.as_slice() {
            [(_, ms)] => Some(Self { fixed_ms: *ms, row_ms: 0.0 }),
            [(few, short), (many, long)] if many > few => {
                // Neither part can be negative.
                let row_ms = ((long - short) / (many - few)).clamp(0.0, long / many);
                Some(Self { fixed_ms: long - row_ms * many, row_ms })
            }
            _ => None,
        }
    }

    fn ms(&self, rows: f64) -> f64 {
        self.fixed_ms + self.row_ms * rows
    }
}
