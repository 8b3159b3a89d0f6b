use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use pinchpoint_measure::{Missing, Observation};
use pinchpoint_sql::{Dsn, DsnError};
use tokio::sync::{mpsc, oneshot};

use crate::looks::Looks;
use crate::pgbouncer::PoolerSpec;
use crate::sessions::Sessions;
use crate::watched::Watched;
use crate::watcher::Watcher;

/// What is to be observed.
#[derive(Debug, Clone)]
pub struct ObserverSpec {
    /// The server; without one, only the machine is observed.
    pub dsn: Option<Dsn>,
    /// The console of a PgBouncer before it.
    pub pooler: Option<PoolerSpec>,
    /// Which of its sessions are the load.
    pub sessions: Sessions,
    /// Where the application listens, which is to be found if it runs on this machine.
    pub application: Option<SocketAddr>,
    /// Processes under test. A server and a pooler of this machine that are not among them are found.
    pub processes: Vec<Watched>,
    /// Where the server keeps its data; it is asked when this is absent.
    pub data_directory: Option<PathBuf>,
    /// Whether to read `pg_stat_statements`, where it counts.
    pub statements: bool,
    /// Seed of the gaps between looks.
    pub seed: u64,
}

impl ObserverSpec {
    /// All clients of a database that somebody else runs, and what of the machine is to be seen from
    /// here. The error says what is wrong with the DSN.
    pub fn of_server(dsn: &str, password: Option<String>) -> Result<Self, DsnError> {
        Ok(Self {
            dsn: Some(Dsn::parse(dsn)?.with_password(password)),
            pooler: None,
            sessions: Sessions::Others,
            application: None,
            processes: Vec::new(),
            data_directory: None,
            statements: false,
            seed: u64::from(std::process::id()),
        })
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Observed {
    /// The figures.
    pub observation: Observation,
    /// Single looks, for single requests.
    pub looks: Looks,
}

/// Observes a server and its surroundings, on a thread of its own: what that costs is known, and
/// nothing that it waits for holds the load up.
///
/// It changes nothing on the server, and it never fails: what cannot be read is in
/// [`Observation::missing`]. Dropping it ends it.
#[derive(Debug)]
pub struct Observer {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Greet(oneshot::Sender<()>),
    Begin(oneshot::Sender<()>),
    Slice(oneshot::Sender<Observed>),
    End(oneshot::Sender<Observed>),
}

impl Observer {
    /// Connects, before the load may take every connection that there is.
    pub async fn open(spec: ObserverSpec) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        // Without a thread every answer below says that there is no observer.
        let _ =
            std::thread::Builder::new().name("observer".to_owned()).spawn(move || run(spec, inbox));
        let observer = Self { commands };
        let _ = observer.ask(Command::Greet).await;
        observer
    }

    /// Begins a stretch of time.
    pub async fn begin(&mut self) {
        let _ = self.ask(Command::Begin).await;
    }

    /// Observes while `load` goes on.
    pub async fn during<T>(mut self, load: impl Future<Output = T>) -> (T, Observed) {
        self.begin().await;
        let outcome = load.await;
        (outcome, self.end().await)
    }

    /// What was seen since the beginning or the last slice; it goes on.
    pub async fn slice(&mut self) -> Observed {
        self.ask(Command::Slice).await.unwrap_or_else(lost)
    }

    /// What was seen since the beginning or the last slice.
    pub async fn end(self) -> Observed {
        self.ask(Command::End).await.unwrap_or_else(lost)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).ok()?;
        answer.await.ok()
    }
}

fn lost() -> Observed {
    let reason = "the thread that observes could not be started, or ended before its time";
    let missing = vec![Missing { signal: "observer".to_owned(), reason: reason.to_owned() }];
    Observed {
        observation: Observation { missing, ..Observation::default() },
        ..Observed::default()
    }
}

/// The body of the thread.
fn run(spec: ObserverSpec, inbox: mpsc::UnboundedReceiver<Command>) {
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        runtime.block_on(serve(spec, inbox));
    }
}

async fn serve(spec: ObserverSpec, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let mut watcher = Watcher::open(spec).await;
    loop {
        let command = match watcher.next_look() {
            None => inbox.recv().await,
            Some(at) => tokio::select! {
                biased;
                command = inbox.recv() => command,
                () = tokio::time::sleep_until(at.into()) => {
                    watcher.look().await;
                    continue;
                }
            },
        };
        match command {
            None => break,
            Some(Command::Greet(reply)) => drop(reply.send(())),
            Some(Command::Begin(reply)) => {
                watcher.begin().await;
                let _ = reply.send(());
            }
            Some(Command::Slice(reply)) => drop(reply.send(watcher.end(true).await)),
            Some(Command::End(reply)) => {
                let _ = reply.send(watcher.end(false).await);
                break;
            }
        }
    }
    watcher.close().await;
}
