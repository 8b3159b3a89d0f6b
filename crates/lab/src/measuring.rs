use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use pinchpoint_load::{Harvest, HistogramLog, Histograms, SLICE, Session, Totals, serializer};
use pinchpoint_measure::{Cause, Event, Interval, Phase, Second};
use pinchpoint_observe::{CpuSampler, memory_percent};
use pinchpoint_stack::Cancel;
use pinchpoint_stats::{BatchMeans, mean};

use crate::clock;
use crate::error::LabError;

/// What a measured part gave.
pub(crate) struct Measured {
    pub(crate) started: SystemTime,
    pub(crate) elapsed: Duration,
    pub(crate) histograms: Histograms,
    pub(crate) totals: Totals,
    pub(crate) cpu: Duration,
    pub(crate) errors: BTreeMap<Cause, u64>,
    /// Failures before the measured part.
    pub(crate) warm_up_errors: BTreeMap<Cause, u64>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) rates: BatchMeans,
    pub(crate) seconds: Vec<Second>,
    pub(crate) cancelled: bool,
    pub(crate) server_died: Option<String>,
}

/// What the onlooker is told while the measured part runs.
pub(crate) enum Sight<'a> {
    /// A few times a second.
    Tick { elapsed: Duration, rows_per_s: f64, p95_ms: Option<f64>, failed: u64 },
    /// At the end of each interval.
    Interval(&'a EndedInterval),
}

/// An interval, and what is told of it as it ends and kept nowhere.
pub(crate) struct EndedInterval {
    pub(crate) interval: Interval,
    pub(crate) stddev_ms: f64,
    pub(crate) lag_ms: f64,
    pub(crate) skipped: u64,
}

impl EndedInterval {
    pub(crate) fn event(&self, variant: &str, trial: u32) -> Event {
        Event::Interval {
            variant: variant.to_owned(),
            trial,
            interval: self.interval.clone(),
            stddev_ms: self.stddev_ms,
            lag_ms: self.lag_ms,
            skipped: self.skipped,
        }
    }
}

/// How a measured part is to be run.
pub(crate) struct Measuring<'a> {
    pub(crate) duration: Duration,
    pub(crate) interval: Duration,
    pub(crate) cancel: &'a Cancel,
    /// Operations, ended well or not, after which nothing more comes. The load is started here
    /// then, so that the first of them counts too.
    pub(crate) enough: Option<u64>,
    /// Says why the server has gone, if it has.
    pub(crate) obituary: &'a mut dyn FnMut() -> Option<String>,
    pub(crate) log: std::fs::File,
}

/// Rotated this often, so that the live view has a fresh percentile.
const LIVE: Duration = Duration::from_secs(1);
/// A last interval shorter than this part of a whole one gets no line of its own.
const SHORTEST_INTERVAL: f64 = 0.1;

impl Measuring<'_> {
    /// Runs the measured part on load that is already under way.
    pub(crate) async fn run(
        self,
        session: &mut Session,
        mut onlooker: impl FnMut(Sight<'_>),
    ) -> Result<Measured, LabError> {
        // What was recorded while warming up is let go.
        let mut warm_up = session.empty();
        session.keep_log(true);
        let before = session.rotate(&mut warm_up).await?;
        let mut book = Book::open(before.errors, warm_up);
        if self.enough.is_some() {
            session.start();
        }
        let mut log = std::io::BufWriter::new(self.log);
        let mut format = serializer();
        let mut hlog = HistogramLog::begin(&mut log, &mut format, book.started)?;
        let (mut last, mut last_rows) = (book.began, session.totals().rows);
        let (mut next_live, mut next_interval) = (LIVE, self.interval);
        loop {
            // An end that comes by itself is looked for more often, as its time is the divisor.
            let slice = if self.enough.is_some() { SLICE / 100 } else { SLICE };
            let ahead = self.duration.saturating_sub(book.began.elapsed()).min(slice);
            tokio::time::sleep(ahead).await;
            let (now, totals) = (Instant::now(), session.totals());
            let seconds = now.duration_since(last).as_secs_f64();
            let rate = (totals.rows - last_rows) as f64 / seconds.max(1e-9);
            let whole_slice = seconds >= SLICE.as_secs_f64() / 2.0;
            if whole_slice {
                book.rates.push(rate);
                (last, last_rows) = (now, totals.rows);
            }
            let elapsed = book.began.elapsed();
            let cancelled = self.cancel.is_cancelled();
            let server_died =
                if elapsed >= next_live || cancelled { (self.obituary)() } else { None };
            let enough = self.enough.is_some_and(|n| totals.operations + totals.failed >= n);
            let over = elapsed >= self.duration || enough || cancelled || server_died.is_some();
            if elapsed >= next_live || over {
                next_live += LIVE;
                session.keep_log(!over);
                book.harvest(session).await?;
            }
            if whole_slice || over {
                onlooker(Sight::Tick {
                    elapsed,
                    rows_per_s: rate,
                    p95_ms: book.live_p95_ms,
                    failed: book.totals.failed,
                });
            }
            if elapsed >= next_interval || over {
                next_interval += self.interval;
                let whole = self.interval.as_secs_f64();
                if let Some(ended) = book.close_interval(&mut hlog, whole * SHORTEST_INTERVAL)? {
                    onlooker(Sight::Interval(&ended));
                    book.intervals.push(ended.interval);
                }
            }
            if over {
                return Ok(book.close(cancelled, server_died));
            }
        }
    }
}

/// The figures as they come in.
struct Book {
    started: SystemTime,
    began: Instant,
    cpu_sampler: CpuSampler,
    live: Histograms,
    interval: Histograms,
    all: Histograms,
    interval_sum: Harvest,
    interval_began: Duration,
    totals: Totals,
    elapsed: Duration,
    cpu: Duration,
    errors: BTreeMap<Cause, u64>,
    warm_up_errors: BTreeMap<Cause, u64>,
    intervals: Vec<Interval>,
    rates: BatchMeans,
    seconds: Vec<Second>,
    live_p95_ms: Option<f64>,
}

impl Book {
    /// `empty` is what the warm-up recorded; it is emptied and used.
    fn open(warm_up_errors: BTreeMap<Cause, u64>, mut empty: Histograms) -> Self {
        empty.reset();
        let mut cpu_sampler = CpuSampler::new();
        cpu_sampler.sample();
        Self {
            started: SystemTime::now(),
            began: Instant::now(),
            cpu_sampler,
            live: empty.clone(),
            interval: empty.clone(),
            all: empty,
            interval_sum: Harvest::default(),
            interval_began: Duration::ZERO,
            totals: Totals::default(),
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            errors: BTreeMap::new(),
            warm_up_errors,
            intervals: Vec::new(),
            rates: BatchMeans::new(),
            seconds: Vec::new(),
            live_p95_ms: None,
        }
    }

    async fn harvest(&mut self, session: &mut Session) -> Result<(), LabError> {
        self.live.reset();
        let harvest = session.rotate(&mut self.live).await?;
        if self.live.operations() > 0 {
            self.live_p95_ms = Some(self.live.response_ms().p95);
        }
        self.interval.add(&self.live);
        self.seconds.push(Second {
            unix_s: clock::unix_seconds(SystemTime::now()),
            users: harvest.users,
            succeeded: harvest.totals.operations,
            failed: harvest.totals.failed,
            latency_ms: self.live.response_ms(),
        });
        self.totals.add(&harvest.totals);
        self.elapsed += harvest.elapsed;
        self.cpu += harvest.cpu;
        for (cause, count) in &harvest.errors {
            *self.errors.entry(*cause).or_default() += count;
        }
        self.interval_sum.elapsed += harvest.elapsed;
        self.interval_sum.totals.add(&harvest.totals);
        self.interval_sum.backlog = harvest.backlog;
        Ok(())
    }

    /// Ends the interval, unless it is a mere rest: that stays out of the intervals, and counts in
    /// the trial all the same.
    fn close_interval<W: std::io::Write>(
        &mut self,
        hlog: &mut HistogramLog<'_, W>,
        shortest_s: f64,
    ) -> Result<Option<EndedInterval>, LabError> {
        let sum = std::mem::take(&mut self.interval_sum);
        let seconds = sum.elapsed.as_secs_f64();
        hlog.interval(self.interval_began, sum.elapsed, &self.interval)?;
        self.interval_began += sum.elapsed;
        self.all.add(&self.interval);
        let latency_ms = self.interval.response_ms();
        let stddev_ms = self.interval.response_stddev_ms();
        let lag_ms = self.interval.phase_mean_ms(Phase::Schedule);
        self.interval.reset();
        if seconds <= 0.0 || (seconds < shortest_s && !self.intervals.is_empty()) {
            return Ok(None);
        }
        let interval = Interval {
            timestamp: clock::timestamp(SystemTime::now()),
            duration_s: seconds,
            tps: sum.totals.rows as f64 / seconds,
            success_count: sum.totals.rows,
            error_count: sum.totals.failed_rows,
            latency_ms,
            cpu_percent: self.cpu_sampler.sample().map(|cpu| cpu.busy_percent),
            memory_percent: memory_percent(),
            queue_length: sum.backlog,
        };
        Ok(Some(EndedInterval { interval, stddev_ms, lag_ms, skipped: sum.totals.skipped }))
    }

    fn close(self, cancelled: bool, server_died: Option<String>) -> Measured {
        Measured {
            started: self.started,
            elapsed: self.elapsed,
            histograms: self.all,
            totals: self.totals,
            cpu: self.cpu,
            errors: self.errors,
            warm_up_errors: self.warm_up_errors,
            intervals: self.intervals,
            rates: self.rates,
            seconds: self.seconds,
            cancelled,
            server_died,
        }
    }
}

impl Measured {
    /// Mean CPU of the machine over the intervals.
    pub(crate) fn cpu_percent(&self) -> Option<f64> {
        mean(&self.intervals.iter().filter_map(|i| i.cpu_percent).collect::<Vec<_>>())
    }

    /// Mean memory in use over the intervals.
    pub(crate) fn memory_percent(&self) -> Option<f64> {
        mean(&self.intervals.iter().filter_map(|i| i.memory_percent).collect::<Vec<_>>())
    }
}
