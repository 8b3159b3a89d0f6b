use pinchpoint_measure::Event;

use crate::error::LabError;
use crate::forecast;
use crate::resolve::settle;
use crate::run::Run;
use crate::server::Server;
use crate::sounding::sound;

impl Run<'_> {
    /// Says what the step after a rung should give, before it is taken.
    pub(crate) async fn look_ahead(
        &mut self,
        server: &mut Server,
        index: usize,
    ) -> Result<(), LabError> {
        let next = forecast::next_step(&self.result, self.experiment, &self.settled, index);
        let Some(step) = next else { return Ok(()) };
        let rung = &self.experiment.rungs[step.index];
        let plans = forecast::soundings_before(&self.result, &step);
        let mut soundings = Vec::new();
        if !plans.is_empty()
            && let Ok(settled) = settle(rung, self.experiment, &self.swept, &self.result)
        {
            self.tell(&Event::Preparing {
                what: format!("{}: its statement is tried for a moment, to say more", rung.name),
            });
            let seed = self.result.plan.seed;
            soundings = sound(server, self.experiment, &settled, &plans, seed, self.cancel).await?;
        }
        let (result, experience) = (&mut self.result, &self.experience);
        let event = forecast::state(result, self.experiment, &step, &soundings, experience);
        // On disk before the step is taken.
        self.directory.write_result(&self.result)?;
        self.tell(&event);
        Ok(())
    }
}
