use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinchpoint_load::{Driver, DriverError, Seat};
use rustls::ClientConfig;

use crate::tally::{Tally, ThreadTally};
use crate::template::Template;
use crate::{HttpError, HttpSpec, HttpUser, Target, tls};

/// HTTP load on one server.
#[derive(Debug)]
pub struct HttpDriver {
    pub(crate) plan: Arc<Plan>,
    tallies: Mutex<Vec<Arc<ThreadTally>>>,
}

/// What all users share and nobody changes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) templates: Vec<Template>,
    /// Running sums of the weights.
    pub(crate) weights: Vec<u64>,
    pub(crate) timeout: Duration,
    pub(crate) keep_alive: bool,
}

impl HttpDriver {
    /// Checks a specification and makes its requests.
    pub fn new(spec: &HttpSpec) -> Result<Self, HttpError> {
        let templates: Vec<Template> =
            spec.requests.iter().map(|r| Template::new(spec, r)).collect::<Result<_, _>>()?;
        if templates.is_empty() {
            let reason = "there is none".to_owned();
            return Err(HttpError::Request { name: String::new(), reason });
        }
        let mut sum = 0;
        let weights = spec.requests.iter().map(|r| {
            sum += u64::from(r.weight.max(1));
            sum
        });
        let plan = Plan {
            target: spec.target.clone(),
            tls: if spec.target.tls { Some(tls::config(spec.insecure)?) } else { None },
            weights: weights.collect(),
            templates,
            timeout: spec.timeout,
            keep_alive: spec.keep_alive,
        };
        Ok(Self { plan: Arc::new(plan), tallies: Mutex::new(Vec::new()) })
    }

    /// What has been counted since the load was opened. It disturbs nothing.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for thread in self.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.add_to(&mut sum);
        }
        sum
    }
}

impl Driver for HttpDriver {
    type User = HttpUser;

    fn open(
        &self,
        seat: Seat,
    ) -> impl Future<Output = Result<Vec<HttpUser>, DriverError>> + use<'_> {
        let checks = self.plan.templates.iter().map(|t| t.checks.len());
        let tally = Arc::new(ThreadTally::new(checks));
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        let shared = Rc::new((self.plan.clone(), tally));
        async move {
            let mut seeds = fastrand::Rng::with_seed(seat.seed);
            let users = (0..seat.users).map(|_| HttpUser::new(shared.clone(), seeds.u64(..)));
            Ok(users.collect())
        }
    }
}
