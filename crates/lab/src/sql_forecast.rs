use std::sync::Arc;

use pinchpoint_diagnose::{ScriptStep, clients_to_try, predict_script};
use pinchpoint_measure::{Event, Prediction, SqlLever};
use pinchpoint_script::Program;

use crate::error::LabError;
use crate::forecast::{keep, machine};
use crate::server::Server;
use crate::sql_run::{SqlRun, threads};
use crate::sql_sounding::Trying;

impl SqlRun<'_> {
    /// States what a lever should give before it is run, or why that is not said; where it has to be
    /// seen for that, few clients try it for a moment. On disk, and sealed, before the changed load
    /// starts.
    pub(crate) async fn look_ahead(
        &mut self,
        server: &mut Server,
        at: usize,
        lever: SqlLever,
        program: &Arc<Program>,
    ) -> Result<(), LabError> {
        let load = &self.loads[at];
        let at_once = load.at_once();
        let step = ScriptStep { lever, at_once, threads: threads(load) as u32, sounding: None };
        let expected = match clients_to_try(&self.result.variants[0], lever, at_once) {
            None => self.expect(&step),
            Some(clients) => {
                let what = format!(
                    "{lever}: {clients} at a time try it for a moment, to say what it gives"
                );
                self.desk.tell(&Event::Preparing { what });
                let trying = Trying {
                    job: &self.loads[at],
                    program,
                    dsn: self.loads[at].dsn(server),
                    observed: server.observer_spec(self.result.plan.seed),
                    // Other transactions than those that will be measured.
                    seed: !self.result.plan.seed,
                    cancel: self.cancel,
                };
                let found = trying.sound(clients).await?;
                found.and_then(|found| self.expect(&ScriptStep { sounding: Some(&found), ..step }))
            }
        };
        let event = keep(&mut self.result, at, expected);
        self.desk.write(&self.result)?;
        self.desk.tell(&event);
        Ok(())
    }

    fn expect(&self, step: &ScriptStep<'_>) -> Result<Prediction, String> {
        let (from, machine) = (&self.result.variants[0], machine(&self.result));
        predict_script(from, step, &machine, &self.experience).map_err(|why| why.to_string())
    }
}
