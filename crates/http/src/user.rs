use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinchpoint_load::{Probe, User};
use pinchpoint_measure::{Cause, Outcome, Phase};

use crate::Check;
use crate::decode::Decoder;
use crate::driver::Plan;
use crate::kind::Kinds;
use crate::stream::{Stream, cause};
use crate::tally::ThreadTally;

/// Room for an answer at first; it grows with the answers.
const ROOM: usize = 4 << 10;
/// A buffer that had to grow beyond this is let go with its connection.
const LARGE: usize = 256 << 10;
/// How long a user waits after a failure to connect: a refusal costs nothing, and a loop of them
/// would take a whole core.
const BACKOFF: Duration = Duration::from_millis(10);

/// A virtual user: one connection, one request at a time.
#[derive(Debug)]
pub struct HttpUser {
    shared: Rc<(Arc<Plan>, Arc<ThreadTally>)>,
    connection: Option<Connection>,
    rng: fastrand::Rng,
    request: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    /// What has been read and not decoded.
    inbox: Vec<u8>,
    /// An answer has come over it before.
    used: bool,
}

/// How a try on a connection went wrong.
struct Broken {
    cause: Cause,
    /// Nothing of an answer had come: a kept connection may simply have been closed meanwhile.
    unanswered: bool,
}

impl HttpUser {
    pub(crate) fn new(shared: Rc<(Arc<Plan>, Arc<ThreadTally>)>, seed: u64) -> Self {
        Self {
            shared,
            connection: None,
            rng: fastrand::Rng::with_seed(seed),
            request: Vec::new(),
            body: Vec::new(),
        }
    }

    fn plan(&self) -> &Plan {
        &self.shared.0
    }

    fn tally(&self) -> &ThreadTally {
        &self.shared.1
    }

    /// Draws one of the requests by their weights.
    fn choose(&mut self) -> usize {
        let [_, .., all] = self.shared.0.weights.as_slice() else { return 0 };
        let drawn = self.rng.u64(..*all);
        self.shared.0.weights.partition_point(|sum| *sum <= drawn)
    }

    /// One request and its answer.
    async fn exchange(&mut self, which: usize, probe: &mut Probe) -> Result<Decoder, Cause> {
        let mut since = Instant::now();
        let shared = self.shared.clone();
        let template = &shared.0.templates[which];
        if template.fixed().is_none() {
            template.fill(&mut self.rng, &mut self.request);
        }
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect(probe, &mut since).await?,
            };
            let request = template.fixed().unwrap_or(&self.request);
            self.body.clear();
            let keep = template.reads_body.then_some(&mut self.body);
            let decoder = Decoder::new(template.is_head);
            let talk = connection.talk(request, decoder, keep, &shared.1, probe, &mut since);
            match talk.await {
                Ok(decoder) => {
                    connection.used = true;
                    if decoder.keep_alive && self.plan().keep_alive {
                        self.connection = Some(connection);
                    } else {
                        drop(connection);
                        probe.lap(Phase::Disconnect, &mut since);
                    }
                    return Ok(decoder);
                }
                // The server may close a connection at the moment at which we use it again.
                Err(broken) if broken.unanswered && connection.used && template.is_idempotent => {
                    self.tally().reopened();
                }
                Err(broken) => return Err(broken.cause),
            }
        }
    }

    async fn connect(&self, probe: &mut Probe, since: &mut Instant) -> Result<Connection, Cause> {
        let plan = self.plan();
        let stream = Stream::open(&plan.target, plan.tls.as_ref(), probe, since).await?;
        self.tally().opened();
        Ok(Connection { stream, inbox: Vec::with_capacity(ROOM), used: false })
    }

    /// Whether an answer is right.
    fn judge(&self, which: usize, answer: &Decoder) -> Result<(), Cause> {
        let template = &self.plan().templates[which];
        self.tally().answered(which, answer.status, answer.body_bytes);
        let mut verdict = Ok(());
        if !template.checks_status() && answer.status >= 400 {
            verdict = Err(Cause::Status(answer.status));
        }
        for (at, check) in template.checks.iter().enumerate() {
            let passed = check.passes(answer.status, &self.body, answer.body_bytes);
            self.tally().checked(which, at, passed);
            if !passed && verdict.is_ok() {
                verdict = Err(match check {
                    Check::Status(_) => Cause::Status(answer.status),
                    _ => Cause::CheckFailed,
                });
            }
        }
        verdict
    }
}

impl Connection {
    /// Sends a request and reads its answer.
    async fn talk(
        &mut self,
        request: &[u8],
        mut decoder: Decoder,
        mut keep: Option<&mut Vec<u8>>,
        tally: &ThreadTally,
        probe: &mut Probe,
        since: &mut Instant,
    ) -> Result<Decoder, Broken> {
        // Bytes that nobody asked for would be taken for the answer. They came with the last one,
        // so that the server does not keep to its lengths: no case for another try.
        if !self.inbox.is_empty() {
            return Err(Broken { cause: Cause::WrongAnswer, unanswered: false });
        }
        if let Err(error) = self.stream.write(request).await {
            return Err(Broken { cause: cause(&error), unanswered: true });
        }
        tally.sent(request.len());
        probe.lap(Phase::Transfer, since);
        let mut answered = false;
        loop {
            if self.inbox.capacity() - self.inbox.len() < ROOM / 4 {
                self.inbox.reserve(ROOM);
            }
            let count = match self.stream.read(&mut self.inbox).await {
                Ok(0) => {
                    if answered && decoder.closed() {
                        break;
                    }
                    return Err(Broken { cause: Cause::Closed, unanswered: !answered });
                }
                Ok(count) => count,
                Err(error) => {
                    return Err(Broken { cause: cause(&error), unanswered: !answered });
                }
            };
            tally.received(count);
            if !answered {
                answered = true;
                probe.lap(Phase::FirstByte, since);
            }
            let taken = decoder
                .feed(&self.inbox, keep.as_deref_mut())
                .map_err(|_| Broken { cause: Cause::WrongAnswer, unanswered: false })?;
            if taken == self.inbox.len() {
                self.inbox.clear();
            } else {
                self.inbox.drain(..taken);
            }
            if decoder.is_done() {
                break;
            }
        }
        if self.inbox.capacity() > LARGE && self.inbox.is_empty() {
            self.inbox = Vec::with_capacity(ROOM);
        }
        probe.lap(Phase::Receive, since);
        Ok(decoder)
    }
}

impl User for HttpUser {
    async fn operate(&mut self, probe: &mut Probe) -> Outcome {
        let which = self.choose();
        probe.set_label(Kinds::of(which).label(None));
        let timeout = self.plan().timeout;
        let answer = match tokio::time::timeout(timeout, self.exchange(which, probe)).await {
            Ok(answer) => answer,
            Err(_) => Err(Cause::TimedOut),
        };
        let verdict = answer.and_then(|answer| {
            self.judge(which, &answer)?;
            Ok(answer.cache)
        });
        match verdict {
            Ok(lookup) => {
                self.tally().succeeded(which);
                probe.set_label(Kinds::of(which).label(lookup));
                Outcome::Done { rows: 1 }
            }
            Err(cause) => {
                self.tally().failed(which, cause);
                Outcome::Failed { cause, rows: 1, in_doubt: false }
            }
        }
    }

    async fn recover(&mut self) {
        if self.connection.is_none() {
            tokio::time::sleep(BACKOFF).await;
        }
    }

    async fn close(self) {}
}
