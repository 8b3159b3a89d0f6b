use std::collections::BTreeMap;
use std::time::Duration;

use pinchpoint_measure::PoolerFigures;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::console::{ConsoleError, PoolerConsole};
use super::queues::{Queues, growth};
use super::{POOLER, PoolerSpec};
use crate::missing::Gaps;

/// Between two looks: often enough to see a queue.
const EVERY: Duration = Duration::from_millis(100);
/// A console that was lost is not waited for, while the next stretch of time goes by.
const REOPEN_WITHIN: Duration = Duration::from_secs(1);

/// Looks at the queues on a task of its own: a pooler that is busy answers late, and looks at the
/// server are not to wait for that, nor to follow it.
#[derive(Debug)]
pub(crate) struct PoolerTask {
    turns: mpsc::UnboundedSender<oneshot::Sender<Seen>>,
    task: JoinHandle<()>,
}

/// What was seen in a stretch of time, or why nothing was; and what is to be said of it.
type Seen = Result<(PoolerFigures, Option<String>), ConsoleError>;

impl PoolerTask {
    /// Opens the console. Looks begin with the first turn.
    pub(crate) async fn open(spec: &PoolerSpec) -> Result<Self, ConsoleError> {
        let console = PoolerConsole::open(&spec.dsn).await?;
        let (turns, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(serve(console, spec.clone(), inbox));
        Ok(Self { turns, task })
    }

    /// Ends it, and takes leave of the console.
    pub(crate) async fn close(self) {
        drop(self.turns);
        let _ = self.task.await;
    }

    /// Ends a stretch of time, and begins the next.
    pub(crate) async fn turn(&self, gaps: &mut Gaps) -> Option<PoolerFigures> {
        let (reply, answer) = oneshot::channel();
        // The task ends after us; without it there is nothing to be said.
        self.turns.send(reply).ok()?;
        match answer.await.ok()? {
            Ok((figures, note)) => {
                if let Some(note) = note {
                    gaps.note("the load's own pool", note);
                }
                Some(figures)
            }
            Err(error) => {
                gaps.note(POOLER, error.to_string());
                None
            }
        }
    }
}

async fn serve(
    console: PoolerConsole,
    spec: PoolerSpec,
    mut inbox: mpsc::UnboundedReceiver<oneshot::Sender<Seen>>,
) {
    let mut course = Course { console, spec, queues: None, totals: BTreeMap::new(), lost: None };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // What is asked of the console is awaited in here alone, and never left half-way: its answer
        // would be taken for that of the next.
        tokio::select! {
            biased;
            turn = inbox.recv() => match turn {
                Some(reply) => drop(reply.send(course.turn().await)),
                None => break,
            },
            _ = ticks.tick(), if course.looks() => course.look().await,
        }
    }
    course.console.close().await;
}

/// A stretch of time under observation, if there is one.
struct Course {
    console: PoolerConsole,
    spec: PoolerSpec,
    queues: Option<Queues>,
    totals: BTreeMap<String, BTreeMap<String, u64>>,
    lost: Option<ConsoleError>,
}

impl Course {
    const fn looks(&self) -> bool {
        self.queues.is_some() && self.lost.is_none()
    }

    async fn look(&mut self) {
        match self.console.pools().await {
            Ok(pools) => self.queues.iter_mut().for_each(|queues| queues.look(&pools)),
            Err(error) => self.lost = Some(error),
        }
    }

    /// Begins anew with a pooler that may have been restarted.
    async fn reopen(&mut self) -> Result<(), ConsoleError> {
        let opened = tokio::time::timeout(REOPEN_WITHIN, PoolerConsole::open(&self.spec.dsn)).await;
        let seconds = REOPEN_WITHIN.as_secs();
        self.console = opened.unwrap_or(Err(ConsoleError::Silent { asked: "a login", seconds }))?;
        self.totals = self.console.totals().await?;
        self.queues = Some(Queues::default());
        Ok(())
    }

    async fn turn(&mut self) -> Seen {
        if self.lost.is_none() && self.queues.as_ref().is_some_and(Queues::is_empty) {
            // However short it was, there is a look.
            self.look().await;
        }
        if let Some(lost) = self.lost.take() {
            self.lost = self.reopen().await.err();
            return Err(lost);
        }
        let totals = self.console.totals().await.inspect_err(|e| self.lost = Some(e.clone()))?;
        let queues = self.queues.replace(Queues::default()).unwrap_or_default();
        let before = std::mem::replace(&mut self.totals, totals);
        // PgBouncer has names of its own for databases, and the load's may go by another one.
        let wanted = self.spec.database.as_deref();
        let own = wanted.filter(|name| queues.has(name));
        let note = wanted.filter(|_| own.is_none()).map(|name| {
            format!("PgBouncer has no pool of a database {name}; the pools of all count")
        });
        let figures = PoolerFigures {
            version: self.console.version().map(str::to_owned),
            totals: growth(&before, &self.totals, own),
            ..queues.figures(own)
        };
        Ok((figures, note))
    }
}
