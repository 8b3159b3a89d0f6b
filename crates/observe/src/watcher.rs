use std::path::Path;
use std::time::{Duration, Instant};

use pinchpoint_measure::{Observation, PoolerFigures};
use rustix::time::{ClockId, clock_gettime};

use crate::application::{Application, application};
use crate::backends::Backends;
use crate::blockers::Blockers;
use crate::counters::{self, Reading};
use crate::disk::Disk;
use crate::host::Host;
use crate::limits::limits_of;
use crate::link::Link;
use crate::looks::Looks;
use crate::missing::Gaps;
use crate::observer::{Observed, ObserverSpec};
use crate::pace::Pace;
use crate::pgbouncer::{Listener, POOLER, PoolerTask, listener};
use crate::sessions::{Look, Sessions, Tally, look_query};
use crate::statements::{self, Statements};
use crate::throttling::groups_of;
use crate::tree::parent;
use crate::watched::Watched;

/// All samplers together, on a thread of their own.
pub(crate) struct Watcher {
    spec: ObserverSpec,
    link: Option<Link>,
    pooler: Option<PoolerTask>,
    look: String,
    /// Where `pg_stat_statements` is.
    statements: Option<String>,
    disk: Option<Disk>,
    /// The processes that are watched are all that the load keeps busy: others are foreign to it.
    all_known: bool,
    gaps: Gaps,
    pace: Pace,
    course: Option<Course>,
}

/// A stretch of time under observation.
struct Course {
    from: Base,
    tally: Tally,
    blockers: Blockers,
    looks: Looks,
    gaps: Gaps,
    next: Instant,
}

/// Everything that is counted, at one end of a stretch of time.
struct Base {
    at: Instant,
    counters: Reading,
    backends: Backends,
    statements: Statements,
    host: Host,
    cpu: Duration,
    server_cpu: Option<Duration>,
}

impl Watcher {
    pub(crate) async fn open(spec: ObserverSpec) -> Self {
        let (mut gaps, mut link) = (Gaps::default(), None);
        if let Some(dsn) = &spec.dsn {
            match Link::open(dsn).await {
                Ok(opened) => link = Some(opened),
                Err(reason) => {
                    gaps.note("wait events", format!("no session to watch from: {reason}"));
                }
            }
        }
        let pace = Pace::new(spec.seed);
        let (look, statements, disk, course) = (String::new(), None, None, None);
        // Behind sessions of others are applications, which somebody has to name.
        let all_known = matches!(spec.sessions, Sessions::Named(_)) || !spec.processes.is_empty();
        let pooler = None;
        let mut watcher =
            Self { spec, link, pooler, look, statements, disk, all_known, gaps, pace, course };
        watcher.find_out().await;
        watcher
    }

    /// What does not change while it watches.
    async fn find_out(&mut self) {
        if let Some(link) = &mut self.link {
            let text = look_query(&self.spec.sessions, &link.facts);
            self.look = link.prepare(text).await;
            counters::note_uncounted(&link.facts, &mut self.gaps);
            if self.spec.statements {
                self.statements = statements::schema(link, &mut self.gaps).await;
            }
        }
        self.find_processes();
        self.find_application();
        self.find_pooler().await;
        self.disk = self.find_disk().await;
    }

    /// A server of this machine that nobody named is found by the process that serves us.
    fn find_processes(&mut self) {
        let known = self.spec.processes.iter().any(|process| process.name() == "postgres");
        let Some(link) = self.link.as_ref().filter(|link| link.facts.local && !known) else {
            return;
        };
        if let Some(server) = parent(link.facts.process) {
            self.watch("postgres", server);
        }
    }

    /// An application of this machine, by the socket that it listens at.
    fn find_application(&mut self) {
        let Some(address) = self.spec.application else { return };
        match application(address) {
            Application::One(pid) => self.watch("app", pid),
            Application::Unknown(reason) => self.gaps.note("application's CPU", reason),
            Application::Nobody => (),
        }
    }

    /// Watches a process that nobody has named, with the limits of its control groups.
    fn watch(&mut self, name: &'static str, pid: u32) {
        let groups = groups_of(pid);
        let (cpus, memory) = limits_of(&groups);
        self.spec.processes.extend(Watched::new(name, Some(pid), &groups, cpus, memory));
    }

    /// The pooler's console, and its process where that is one of this machine.
    async fn find_pooler(&mut self) {
        let Some(spec) = &self.spec.pooler else { return };
        match PoolerTask::open(spec).await {
            Ok(task) => self.pooler = Some(task),
            Err(error) => self.gaps.note(POOLER, error.to_string()),
        }
        if self.spec.processes.iter().any(|process| process.name() == "pgbouncer") {
            return;
        }
        match listener(&spec.dsn).await {
            Listener::One(pid) => self.watch("pgbouncer", pid),
            Listener::Several => {
                let text = "several processes share its port, and which one answers is not known";
                self.gaps.note("PgBouncer's CPU", text);
            }
            Listener::Nobody => (),
        }
    }

    async fn find_disk(&mut self) -> Option<Disk> {
        let directory = match (&self.spec.data_directory, &mut self.link) {
            (Some(directory), _) => Some(directory.clone()),
            (None, Some(link)) if link.facts.local => {
                let rows = link.ask("SELECT current_setting('data_directory')").await;
                let cell = rows.map(|rows| rows.into_iter().flatten().flatten().next());
                cell.unwrap_or_else(|reason| {
                    self.gaps.note("disk", reason);
                    None
                })
                .map(Into::into)
            }
            _ => None,
        }?;
        // The log may lie on a disk of its own, and it is the log that is flushed.
        let log = directory.join("pg_wal");
        let place: &Path = if log.exists() { &log } else { &directory };
        Disk::under(place).map_err(|reason| self.gaps.note("disk", reason)).ok()
    }

    /// Begins a stretch of time.
    pub(crate) async fn begin(&mut self) {
        let mut gaps = self.gaps.clone();
        let from = self.read(true, &mut gaps).await;
        // What it saw before is nobody's.
        self.turn_pooler(&mut Gaps::default()).await;
        self.set_out(from, gaps);
    }

    async fn turn_pooler(&self, gaps: &mut Gaps) -> Option<PoolerFigures> {
        self.pooler.as_ref()?.turn(gaps).await
    }

    fn set_out(&mut self, from: Base, gaps: Gaps) {
        self.pace.reset(self.cost());
        self.course = Some(Course {
            from,
            tally: Tally::default(),
            blockers: Blockers::default(),
            looks: Looks::default(),
            gaps,
            next: self.pace.next(),
        });
    }

    /// CPU that watching has cost so far.
    fn cost(&self) -> Duration {
        self.link.as_ref().map_or_else(thread_cpu, spent)
    }

    /// When to look next; never, without a server or outside a stretch of time.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let open = self.link.as_ref().is_some_and(Link::is_open);
        self.course.as_ref().filter(|_| open).map(|course| course.next)
    }

    pub(crate) async fn look(&mut self) {
        let (Some(link), Some(course)) = (&mut self.link, &mut self.course) else { return };
        let start = Instant::now();
        match link.ask(&self.look).await {
            Ok(rows) => {
                let at = start + start.elapsed() / 2;
                match rows.first().and_then(|row| Look::parse(row)) {
                    Some(look) => {
                        course.tally.take(at, &look, &mut course.looks);
                        let waiters = look.lock_waiters();
                        course.blockers.look(link, waiters, &mut course.gaps).await;
                    }
                    None => {
                        course.gaps.note("wait events", "the server's answer is not understood");
                    }
                }
            }
            Err(reason) => course.gaps.note("wait events", reason),
        }
        self.pace.looked(|| spent(link));
        course.next = self.pace.next();
    }

    /// A machine that stood still for a while calls the first look and the end at the same moment.
    fn owes_a_look(&self) -> bool {
        let none = self.course.as_ref().is_some_and(|course| course.tally.looks() == 0);
        none && self.next_look().is_some_and(|at| at <= Instant::now())
    }

    async fn read(&mut self, first: bool, gaps: &mut Gaps) -> Base {
        let mut counters = Reading::default();
        let (mut backends, mut statements) = (Backends::default(), Statements::default());
        let mut at = Instant::now();
        let cpu = thread_cpu();
        let server_cpu = self.link.as_ref().and_then(Link::server_cpu);
        let host = Host::read(self.disk);
        if let Some(link) = self.link.as_mut().filter(|link| !first && link.is_open()) {
            counters = counters::read(link, first, gaps).await;
        }
        for process in &mut self.spec.processes {
            if first { process.begin() } else { process.end() }
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open()) {
            let processes = &self.spec.processes;
            backends = Backends::read(link, &self.spec.sessions, processes, gaps).await;
            if let Some(schema) = &self.statements {
                statements = Statements::read(link, schema, gaps).await;
            }
            if first {
                counters = counters::read(link, first, gaps).await;
                at = Instant::now();
            }
        }
        Base { at, counters, backends, statements, host, cpu, server_cpu }
    }

    /// Ends a stretch of time, and begins the next at the same instant when `go_on` is set.
    pub(crate) async fn end(&mut self, go_on: bool) -> Observed {
        if self.owes_a_look() {
            self.look().await;
        }
        let Some(mut course) = self.course.take() else { return Observed::default() };
        let cost = self.cost();
        let pooler = self.turn_pooler(&mut course.gaps).await;
        let to = self.read(false, &mut course.gaps).await;
        let mut observation = Observation { pooler, ..self.observation(&mut course, &to) };
        if let (Some(link), Some(schema)) = (&mut self.link, &self.statements) {
            observation.statements =
                to.statements.since(&course.from.statements, link, schema).await;
        }
        let watcher_cpu = thread_cpu().saturating_sub(course.from.cpu);
        observation.watcher_cpu_s = watcher_cpu.as_secs_f64();
        if go_on {
            let reading = self.cost().saturating_sub(cost);
            self.pace.share_with(reading, to.at.saturating_duration_since(course.from.at));
            for process in &mut self.spec.processes {
                process.turn();
            }
            self.set_out(to, self.gaps.clone());
        }
        Observed { observation, looks: course.looks }
    }

    fn observation(&self, course: &mut Course, to: &Base) -> Observation {
        let facts = self.link.as_ref().map(|link| &link.facts);
        self.note_unseen(course);
        let from = &course.from;
        let counters = counters::growth(&from.counters, &to.counters, &mut course.gaps);
        let server_cpu = to.server_cpu.zip(from.server_cpu);
        let tested: Option<Duration> = self.spec.processes.iter().map(Watched::cpu).sum();
        let tested = tested.filter(|_| self.all_known && !self.spec.processes.is_empty());
        let mut sessions = course.tally.samples();
        if let Some(sessions) = &mut sessions {
            sessions.blockers = course.blockers.figures();
        }
        Observation {
            seconds: to.at.saturating_duration_since(from.at).as_secs_f64(),
            server_version: facts.map(|facts| facts.version),
            round_trip_ms: self.link.as_ref().map(|link| link.round_trip.as_secs_f64() * 1e3),
            sessions,
            counters,
            backends: to.backends.since(&from.backends),
            processes: self.spec.processes.iter().map(|p| p.figures(0)).collect(),
            pooler: None,
            host: Some(to.host.since(&from.host, tested)),
            statements: Vec::new(),
            slow: None,
            watcher_cpu_s: 0.0,
            watcher_server_cpu_s: server_cpu
                .map(|(now, then)| now.saturating_sub(then).as_secs_f64()),
            missing: course.gaps.list(),
        }
    }

    /// Names what the looks could not see.
    fn note_unseen(&self, course: &mut Course) {
        let Some(link) = &self.link else { return };
        let (hidden, untracked) = (course.tally.most_hidden, course.tally.most_untracked);
        if hidden > 0 {
            let hint = "GRANT pg_read_all_stats to our role shows them";
            let text = format!("{hidden} sessions are of roles whose waits we may not see; {hint}");
            course.gaps.note("wait events", text);
        }
        if untracked > 0 {
            let text = format!("{untracked} sessions report nothing (track_activities is off)");
            course.gaps.note("wait events", text);
        }
        // Requests of others say nothing of their sessions anyhow.
        let own_load = matches!(self.spec.sessions, Sessions::Named(_));
        if link.facts.pooled || (own_load && self.spec.pooler.is_some()) {
            let text = "a pooler stands before the server, so a request's session is not known";
            course.gaps.note("slow operations", text);
        }
        if link.facts.pooled && course.tally.looks() > 0 && course.tally.most() == 0 {
            // In a pool of one connection, whoever looks keeps everybody else away meanwhile.
            let text = "looks go through a pooler, and saw no session but their own; look past it, at \
                        the server's own address (`watch --dsn`; else --observe-dsn)";
            course.gaps.note("wait events", text);
        }
        if course.tally.looks() == 0 && link.is_open() {
            course.gaps.note("wait events", "the time was too short for a look");
        }
    }

    pub(crate) async fn close(self) {
        if let Some(pooler) = self.pooler {
            pooler.close().await;
        }
        if let Some(link) = self.link {
            link.close().await;
        }
    }
}

/// CPU that looking has cost so far: ours, and the server's where we may see it. Elsewhere its time
/// stands for it, with the waiting in it.
fn spent(link: &Link) -> Duration {
    thread_cpu() + link.server_cpu().unwrap_or(link.busy)
}

/// CPU time that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0).min(999_999_999);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}
