//! Raises the users until throughput no longer grows, and names that point.

use pinchpoint_measure::{Event, Knee, RungPlan, significant};
use pinchpoint_plan::{Case, Profile, Via};

use crate::error::LabError;
use crate::matrix::bench::Bench;
use crate::matrix::result;
use crate::matrix::run::MatrixRun;

/// Growth that counts as growth: less may be noise.
const GROWTH: f64 = 1.05;
/// More users than this say nothing of an application on one machine.
const MOST_USERS: u32 = 16_000;

/// One line of levels: an application, its settings, its way to the database.
struct Line {
    app: usize,
    profile: Profile,
    via: Via,
}

impl MatrixRun<'_> {
    pub(crate) async fn until_limit(&mut self, bench: &mut Bench) -> Result<(), LabError> {
        for line in self.lines() {
            loop {
                let levels = self.levels(&line);
                let Some((largest, _)) = levels.last().copied() else { break };
                let next = largest.saturating_mul(2);
                if !still_grows(&levels) || next > MOST_USERS {
                    break;
                }
                let at = self.add(&line, next);
                self.trial(bench, at, 1).await?;
                if self.levels(&line).last().is_none_or(|(users, _)| *users != next) {
                    // It failed or was skipped: that is the end of the line.
                    break;
                }
            }
            let levels = self.levels(&line);
            if let Some(knee) = self.knee(&line, &levels) {
                self.result.knees.push(knee);
                self.directory.write_result(&self.result)?;
            }
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for case in self.cases.iter().filter(|c| c.step.is_none()) {
            let known = lines.iter().any(|l| {
                l.app == case.app && l.via == case.via && l.profile.name == case.profile.name
            });
            if !known {
                let profile = case.profile.clone();
                lines.push(Line { app: case.app, profile, via: case.via });
            }
        }
        lines
    }

    /// Users and requests per second of a line's cases that count, by users.
    fn levels(&self, line: &Line) -> Vec<(u32, f64)> {
        let of_line = |case: &Case| {
            case.step.is_none()
                && case.app == line.app
                && case.via == line.via
                && case.profile.name == line.profile.name
        };
        let both = self.cases.iter().zip(&self.result.variants);
        let mut levels: Vec<(u32, f64)> = both
            .filter(|(case, _)| of_line(case))
            .filter_map(|(case, variant)| {
                Some((case.users, variant.summary.as_ref()?.throughput_per_s.median))
            })
            .collect();
        levels.sort_by_key(|(users, _)| *users);
        levels
    }

    fn add(&mut self, line: &Line, users: u32) -> usize {
        let case = self.matrix.case(line.app, &line.profile, line.via, users);
        let mut variant = result::variant(self.matrix, &case);
        let app = &self.matrix.apps[case.app];
        variant.factors = crate::matrix::facts::factors(&case, app, self.readiness.get(&case.app));
        let rung = RungPlan { name: case.name.clone(), title: case.title.clone() };
        self.tell(&Event::VariantAdded { rung });
        self.result.variants.push(variant);
        self.cases.push(case);
        self.cases.len() - 1
    }

    fn knee(&self, line: &Line, levels: &[(u32, f64)]) -> Option<Knee> {
        let best = levels.iter().map(|(_, x)| *x).fold(0.0, f64::max);
        let (users, throughput) = levels.iter().copied().find(|(_, x)| *x * GROWTH >= best)?;
        let (last, _) = levels.last()?;
        let detail = if still_grows(levels) {
            format!("still growing at {last} users, the most that were tried")
        } else {
            format!(
                "the least users within {:.0} % of the best, {} requests/s; tried up to {last}",
                (GROWTH - 1.0) * 100.0,
                significant(best, 3)
            )
        };
        Some(Knee {
            app: self.matrix.apps[line.app].name.clone(),
            connection: line.via.name().to_owned(),
            users: users.into(),
            throughput_per_s: throughput,
            detail,
        })
    }
}

/// Whether the last level gave more than every level before it.
fn still_grows(levels: &[(u32, f64)]) -> bool {
    let Some(((_, last), before)) = levels.split_last() else { return false };
    before.iter().all(|(_, x)| *last > *x * GROWTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_more_than_noise() {
        assert!(still_grows(&[(10, 100.0), (100, 150.0)]));
        assert!(!still_grows(&[(10, 100.0), (100, 104.0)]));
        assert!(!still_grows(&[(10, 160.0), (100, 100.0), (500, 150.0)]));
        assert!(!still_grows(&[]));
    }
}
