use pinchpoint_measure::{Event, VariantStatus};
use pinchpoint_plan::Case;

use crate::error::LabError;
use crate::forecast::keep;
use crate::matrix::bench::Bench;
use crate::matrix::case::CaseRun;
use crate::matrix::forecast::{self, Ahead};
use crate::matrix::readiness::Prepared;
use crate::matrix::run::MatrixRun;
use crate::matrix::sounding::EXPECTED_S;

impl<'a> MatrixRun<'a> {
    /// A case whose stack is started for something else than a trial of it.
    pub(super) fn apart<'b>(
        &self,
        bench: &'b mut Bench,
        case: &'b Case,
        prepared: &'b Prepared,
    ) -> CaseRun<'b>
    where
        'a: 'b,
    {
        CaseRun {
            bench,
            matrix: self.matrix,
            options: self.options,
            case,
            prepared,
            number: 1,
            seed: self.result.plan.seed,
            thresholds: &[],
            cancel: self.cancel,
            left_after_s: 0.0,
        }
    }

    /// Says what a case should give before it is run for the first time, or why that is not said. A
    /// stack that differs in one thing from one that was measured is tried for a moment.
    pub(super) async fn look_ahead(
        &mut self,
        bench: &mut Bench,
        at: usize,
        prepared: &Prepared,
    ) -> Result<(), LabError> {
        if !forecast::is_new(&self.result, at) {
            return Ok(());
        }
        let measured = |i: usize| self.result.variants[i].status == VariantStatus::Ok;
        let Some(ahead) = forecast::ahead(self.matrix, &self.cases, at, measured) else {
            return Ok(());
        };
        let case = self.cases[at].clone();
        let expected = match ahead {
            Ahead::Silent(reason) => Err(reason),
            Ahead::Users(from) => {
                forecast::of_users(&self.result, from, case.users, &self.experience)
            }
            Ahead::Step { .. } if bench.postgres.is_none() => {
                Err("the server is somebody else's, whose CPU cannot be seen".to_owned())
            }
            Ahead::Step { from, lever, users } => {
                let what = format!(
                    "{}: {users} at a time try it for a moment, to say what {lever} gives",
                    case.name
                );
                self.tell(&Event::Preparing { what });
                let sounding = self.sound(bench, &case, prepared, users).await?;
                sounding.and_then(|found| {
                    let (result, experience) = (&self.result, &self.experience);
                    forecast::of_step(result, from, &lever, &case, &found, experience)
                })
            }
        };
        let event = keep(&mut self.result, at, expected);
        // On disk before the case is run.
        self.directory.write_result(&self.result)?;
        self.tell(&event);
        Ok(())
    }

    async fn sound(
        &self,
        bench: &mut Bench,
        case: &Case,
        prepared: &Prepared,
        users: u32,
    ) -> Result<Result<pinchpoint_diagnose::StackSounding, String>, LabError> {
        bench.set_indexes(case.profile.indexes).await?;
        self.apart(bench, case, prepared).sound(users).await
    }

    /// About how long all soundings of the run take, in seconds.
    pub(super) fn soundings_s(&self) -> f64 {
        let steps = (0..self.cases.len()).filter(|at| {
            let ahead = forecast::ahead(self.matrix, &self.cases, *at, |i| i < *at);
            forecast::is_new(&self.result, *at) && matches!(ahead, Some(Ahead::Step { .. }))
        });
        steps.count() as f64 * EXPECTED_S
    }
}
