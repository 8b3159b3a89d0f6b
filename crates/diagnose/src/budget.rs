//! An operation's time, line by line, from its intended start to its acknowledgement.

use pinchpoint_measure::{BudgetLine, BudgetSource, Phase, Suspect, WAIT_CLASSES, WaitClass};

use crate::check::Check;
use crate::reading::Reading;
use crate::seen::Seen;

/// Lines that take a smaller share of the response time are left out.
const NEGLIGIBLE: f64 = 0.0005;

/// By so much of the whole the parts may miss it.
const CLOSES: f64 = 0.10;

/// Where an operation's time goes.
pub(crate) struct Budget {
    lines: Vec<Line>,
    whole_ms: f64,
}

/// A line, and the cause that would make it too long.
struct Line {
    line: BudgetLine,
    cause: &'static str,
}

impl Budget {
    /// Client phases, with the server's time within them by what it waited for.
    ///
    /// A mean number of sessions in a class of waits ÷ throughput is the mean time of an operation
    /// in that class (Little 1961). Time without a wait is split by what the kernel counted for the
    /// server's processes: on a CPU, waiting for one, and the rest, in which they were blocked where
    /// nobody reports. What the client waited and no session accounts for is network and driver.
    pub(crate) fn of(reading: &Reading) -> Self {
        let mut budget = Self { lines: Vec::new(), whole_ms: reading.response_ms };
        let schedule = (reading.response_ms - reading.service_ms).max(0.0);
        budget.clock("schedule", "schedule", schedule);
        let phase = |wanted: Phase| reading.phase_ms(|p| p == wanted);
        budget.clock("checkout", "pool-wait", phase(Phase::Checkout));
        for (name, phase_of) in [
            ("connect: socket", Phase::Tcp),
            ("connect: TLS", Phase::Tls),
            ("connect: authentication", Phase::Auth),
        ] {
            budget.clock(name, "connection-setup", phase(phase_of));
        }
        budget.clock("encode", "client-cpu", phase(Phase::Encode));
        match reading.seen() {
            Some(seen) if reading.requests && knows_behind(seen) => budget.request(reading, seen),
            Some(seen) if seen.samples().is_some() => budget.statement(reading, seen),
            _ => {
                budget.clock("transfer", "network", phase(Phase::Transfer));
                let queued = reading.seen().map_or(0.0, |seen| budget.pooler(seen));
                let execute = (phase(Phase::Execute) - queued).max(0.0);
                budget.clock("execute", "server-wait", execute);
                budget.clock("commit", "wal-flush", phase(Phase::Commit));
                // Before the first byte of an answer the application works, or waits.
                budget.clock("first byte of the answer", "app-wait", phase(Phase::FirstByte));
                budget.clock("rest of the answer", "network", phase(Phase::Receive));
                budget.clock("pause of the script", "users", phase(Phase::Sleep));
            }
        }
        budget.clock("disconnect", "connection-setup", phase(Phase::Disconnect));
        budget.lines.retain(|l| l.line.ms > NEGLIGIBLE * budget.whole_ms);
        budget
    }

    /// A statement that we sent ourselves. A script may pause within a transaction, where the server
    /// sees it idle in it, or outside of one.
    fn statement(&mut self, reading: &Reading, seen: &Seen) {
        let window = reading.phase_ms(|p| p.is_statement() && p != Phase::Encode);
        let paused = reading.phase_ms(|p| p == Phase::Sleep);
        let server = self.server(seen);
        let held = seen.held_ms();
        let outside = (paused - held).max(0.0);
        let samples = BudgetSource::Samples;
        self.push("in transaction, waiting for the client", "idle-in-transaction", held, samples);
        self.clock("pause of the script", "users", outside);
        let queued = self.pooler(seen);
        let rest = window + paused - outside - server - held - queued;
        self.push("network and driver", "serial-round-trips", rest, BudgetSource::Rest);
    }

    /// A request to an application, which asks the server in its turn.
    fn request(&mut self, reading: &Reading, seen: &Seen) {
        let window = reading.phase_ms(|p| p.is_statement() && p != Phase::Encode);
        let mut known = 0.0;
        if let Some(app) = seen.process("app") {
            let cpu = app.cpu_s.map_or(0.0, |s| seen.each_ms(s));
            let delay = app.run_delay_s.map_or(0.0, |s| seen.each_ms(s));
            self.push("application: on a CPU", "app-cpu", cpu, BudgetSource::Counters);
            self.push("application: waiting for a CPU", "app-cpu", delay, BudgetSource::Counters);
            known += cpu + delay;
        }
        known += self.pooler(seen);
        if seen.samples().is_some() {
            known += self.server(seen);
        } else if let Some(cpu_s) = seen.process("postgres").and_then(|p| p.cpu_s) {
            let cpu = seen.each_ms(cpu_s);
            self.push("server: on a CPU", "server-cpu", cpu, BudgetSource::Counters);
            known += cpu;
        }
        let rest = "application's own waits, and network";
        self.push(rest, "app-wait", window - known, BudgetSource::Rest);
    }

    /// The queue for a pooler's server connections; returns its time.
    fn pooler(&mut self, seen: &Seen) -> f64 {
        let Some(wait) = seen.pooler_wait_ms() else { return 0.0 };
        self.push("pooler: waiting for a server", "pooler-slots", wait, BudgetSource::Counters);
        wait
    }

    /// The server's lines; returns their sum.
    fn server(&mut self, seen: &Seen) -> f64 {
        let mut sum = 0.0;
        for class in WAIT_CLASSES {
            let ms = seen.class_ms(class);
            sum += ms;
            if class == WaitClass::Running && seen.observation.backends.is_some() {
                self.running(seen, ms);
                continue;
            }
            let error_ms = seen.class_error_ms(class).map(|e| 1.96 * e);
            let name = format!("server: {}", label(class));
            let line = BudgetLine { name, ms, error_ms, source: BudgetSource::Samples };
            self.lines.push(Line { line, cause: cause(class) });
        }
        sum
    }

    /// Time without a wait: on a CPU, ready and waiting for one, or neither. The kernel counts what
    /// happens outside of statements as well, so each part is at most what is left.
    fn running(&mut self, seen: &Seen, ms: f64) {
        let (cpu, delay, hidden) = split(seen, ms);
        let source = BudgetSource::Counters;
        self.push("server: on a CPU", "server-cpu", cpu, source);
        self.push("server: waiting for a CPU", "server-cpu", delay, source);
        self.push("server: blocked, unreported", "server-wait", hidden, BudgetSource::Rest);
    }

    fn clock(&mut self, name: &str, cause: &'static str, ms: f64) {
        self.push(name, cause, ms, BudgetSource::Clock);
    }

    fn push(&mut self, name: &str, cause: &'static str, ms: f64, source: BudgetSource) {
        let line = BudgetLine { name: name.to_owned(), ms: ms.max(0.0), error_ms: None, source };
        self.lines.push(Line { line, cause });
    }

    /// The lines' sum ÷ the mean response time.
    pub(crate) fn closure(&self) -> f64 {
        self.lines.iter().fold(0.0, |sum, l| sum + l.line.ms) / self.whole_ms
    }

    /// Parts that add up to more or less than the whole: what the clocks and the samples say cannot
    /// both be true. Lines that were sampled may be off by their error.
    pub(crate) fn check(&self) -> Option<Check> {
        let errors = self.lines.iter().filter_map(|l| l.line.error_ms).map(|e| e * e);
        let error = errors.sum::<f64>().sqrt() / self.whole_ms;
        let off = (self.closure() - 1.0).abs();
        let text = || {
            format!(
                "the parts add up to {:.0} % of the time that an operation takes",
                100.0 * self.closure()
            )
        };
        (off.is_finite() && off > CLOSES + error).then(|| Check::Doubt(text()))
    }

    /// Share of the response time that belongs to a cause.
    pub(crate) fn share(&self, cause: &str) -> f64 {
        let own = self.lines.iter().filter(|l| l.cause == cause).map(|l| l.line.ms);
        (own.sum::<f64>() / self.whole_ms).clamp(0.0, 1.0)
    }

    /// The cause that the largest part of the time belongs to; its gain is that of removing it.
    pub(crate) fn largest(&self, reading: &Reading) -> Option<Suspect> {
        self.largest_of(reading, |_| true)
    }

    /// The same of those causes that are meant.
    pub(crate) fn largest_of(
        &self,
        reading: &Reading,
        meant: impl Fn(&str) -> bool,
    ) -> Option<Suspect> {
        let causes = self.lines.iter().map(|l| (l.cause, self.share(l.cause)));
        let causes = causes.filter(|(cause, share)| *share > 0.0 && meant(cause));
        let (largest, share) = causes.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let gain = reading.gain(share * self.whole_ms, 0.0)[1];
        Some(Suspect { bottleneck: largest.to_owned(), share, gain })
    }

    /// The lines for `result.json`.
    pub(crate) fn into_lines(self) -> Vec<BudgetLine> {
        self.lines.into_iter().map(|l| l.line).collect()
    }
}

/// Time without a wait, as CPU, waiting for a CPU, and neither.
pub(crate) fn split(seen: &Seen, running_ms: f64) -> (f64, f64, f64) {
    let Some(backends) = seen.observation.backends else { return (running_ms, 0.0, 0.0) };
    let cpu = seen.each_ms(backends.cpu_s).min(running_ms);
    let delay = seen.each_ms(backends.run_delay_s).min(running_ms - cpu);
    (cpu, delay, running_ms - cpu - delay)
}

/// A class in a few words.
pub(crate) fn label(class: WaitClass) -> &'static str {
    match class {
        WaitClass::Running => "running",
        WaitClass::WalFlush => "WAL flush",
        WaitClass::WalInsert => "WAL insert",
        WaitClass::LwLock => "lightweight locks",
        WaitClass::RowLock => "row locks",
        WaitClass::ObjectLock => "table and page locks",
        WaitClass::DataRead => "reading data",
        WaitClass::DataWrite => "writing data",
        WaitClass::TempFile => "temporary files",
        WaitClass::ClientRead => "waiting for the client's next bytes",
        WaitClass::ClientWrite => "waiting for the client to read",
        WaitClass::Replica => "replica",
        WaitClass::Process => "another server process",
        WaitClass::Pause => "pause on purpose",
        WaitClass::Other => "other waits",
    }
}

/// The rule that a class belongs to.
pub(crate) fn cause(class: WaitClass) -> &'static str {
    match class {
        WaitClass::Running => "server-cpu",
        WaitClass::WalFlush => "wal-flush",
        WaitClass::WalInsert | WaitClass::LwLock => "lw-lock",
        WaitClass::RowLock => "row-lock",
        WaitClass::ObjectLock => "object-lock",
        WaitClass::DataRead | WaitClass::DataWrite => "data-io",
        WaitClass::TempFile => "temp-files",
        WaitClass::ClientRead => "network",
        WaitClass::ClientWrite => "slow-reader",
        WaitClass::Replica => "replica",
        WaitClass::Process | WaitClass::Pause | WaitClass::Other => "server-wait",
    }
}

/// Whether anything was seen of what answers requests: else our own clock says all that is known.
fn knows_behind(seen: &Seen) -> bool {
    let processes = ["app", "postgres"].iter().any(|name| seen.process(name).is_some());
    processes || seen.samples().is_some() || seen.pooler_wait_ms().is_some()
}
