//! Several trials' surroundings as one.

use std::collections::BTreeMap;

use pinchpoint_measure::{
    BackendCpu, Blocker, Counter, HostFigures, Observation, PoolerFigures, ProcessFigures,
    SessionFigures, SessionSamples, StatementFigures, Trial, WaitFigures,
};

use crate::reading::sound;

/// The observations as one, and the operations in their seconds. `None` when there were none.
pub(super) fn observations(trials: &[&Trial]) -> Option<(Observation, f64)> {
    let all: Vec<(Observation, f64)> = trials.iter().map(|trial| of(trial)).collect();
    let operations: f64 = all.iter().map(|(_, operations)| operations).sum();
    let seen: Vec<&Observation> = all.iter().map(|(observation, _)| observation).collect();
    let seconds: f64 = seen.iter().map(|o| o.seconds).sum();
    if seconds <= 0.0 || operations <= 0.0 {
        return None;
    }
    let mut missing: Vec<_> = seen.iter().flat_map(|o| o.missing.clone()).collect();
    missing.sort_by(|a, b| a.signal.cmp(&b.signal));
    missing.dedup_by(|a, b| a.signal == b.signal);
    let whole = Observation {
        seconds,
        server_version: seen.iter().find_map(|o| o.server_version),
        round_trip_ms: seen.iter().filter_map(|o| o.round_trip_ms).reduce(f64::min).map(sound),
        sessions: sessions_sampled(&seen),
        counters: counters(&seen),
        backends: backends(&seen),
        pooler: None,
        processes: processes(&seen),
        host: host(&seen),
        statements: statements(&seen),
        slow: seen.iter().filter_map(|o| o.slow.clone()).max_by_key(|s| s.operations),
        watcher_cpu_s: seen.iter().map(|o| sound(o.watcher_cpu_s)).sum(),
        watcher_server_cpu_s: seen.iter().map(|o| o.watcher_server_cpu_s.map(sound)).sum(),
        missing,
    };
    Some((whole, operations))
}

/// A trial's observation, with the processes of its stack that the observer did not see; and the
/// operations in its seconds.
fn of(trial: &Trial) -> (Observation, f64) {
    let mut observation = trial.observation.clone().unwrap_or_default();
    observation.seconds = sound(observation.seconds);
    if observation.seconds <= 0.0 {
        observation.seconds = sound(trial.duration_s);
    }
    for process in trial.stack.iter().flat_map(|stack| &stack.processes) {
        if observation.process(&process.name).is_none() {
            observation.processes.push(process.clone());
        }
    }
    let rate = sound((trial.succeeded + trial.failed) as f64 / trial.duration_s);
    let operations = rate * observation.seconds;
    (observation, operations)
}

/// A mean weighted by the seconds that each observation covers.
fn weighted<'a, T: 'a>(
    seen: &[&'a Observation],
    part: impl Fn(&'a Observation) -> Option<T>,
    figure: impl Fn(&T) -> Option<f64>,
) -> Option<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for observation in seen {
        let Some(value) = part(observation).as_ref().and_then(&figure) else { continue };
        sum += sound(value) * observation.seconds;
        weight += observation.seconds;
    }
    (weight > 0.0).then(|| sound(sum / weight))
}

fn sessions_sampled(seen: &[&Observation]) -> Option<SessionSamples> {
    let all: Vec<(&SessionSamples, f64)> =
        seen.iter().filter_map(|o| Some((o.sessions.as_ref()?, o.seconds))).collect();
    let seconds: f64 = all.iter().map(|(_, s)| s).sum();
    if all.is_empty() || seconds <= 0.0 {
        return None;
    }
    let mean = |pick: fn(&SessionSamples) -> f64| {
        sound(all.iter().map(|(s, weight)| sound(pick(s)) * weight / seconds).sum())
    };
    let mut waits: Vec<WaitFigures> = Vec::new();
    for (samples, weight) in &all {
        for wait in &samples.waits {
            let part = weight / seconds;
            let (sessions, error) =
                (sound(wait.sessions) * part, wait.error.map(|e| sound(e) * part));
            match waits.iter_mut().find(|w| w.class == wait.class && w.event == wait.event) {
                Some(known) => {
                    known.sessions += sessions;
                    known.error = match (known.error, error) {
                        (Some(a), Some(b)) => Some(a.hypot(b)),
                        (a, b) => a.or(b),
                    };
                }
                None => waits.push(WaitFigures { sessions, error, ..wait.clone() }),
            }
        }
    }
    waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
    Some(SessionSamples {
        looks: all.iter().fold(0, |sum, (s, _)| sum.saturating_add(s.looks)),
        active: mean(|s| s.active),
        idle_in_transaction: mean(|s| s.idle_in_transaction),
        idle: mean(|s| s.idle),
        most: all.iter().map(|(s, _)| s.most).max().unwrap_or(0),
        waits,
        blockers: blockers(&all, seconds),
        autovacuum_workers: mean(|s| s.autovacuum_workers),
    })
}

fn blockers(all: &[(&SessionSamples, f64)], seconds: f64) -> Vec<Blocker> {
    let mut blockers: Vec<Blocker> = Vec::new();
    for (samples, weight) in all {
        for blocker in &samples.blockers {
            let share = (sound(blocker.share) * weight / seconds).min(1.0);
            let same = |b: &&mut Blocker| {
                b.state == blocker.state
                    && b.application == blocker.application
                    && b.query == blocker.query
            };
            match blockers.iter_mut().find(same) {
                Some(known) => known.share = (known.share + share).min(1.0),
                None => blockers.push(Blocker { share, ..blocker.clone() }),
            }
        }
    }
    blockers.sort_by(|a, b| b.share.total_cmp(&a.share));
    blockers
}

/// Sums of the counters that every observation has: one that is missing in a trial would make the
/// figure for an operation too small.
fn counters(seen: &[&Observation]) -> BTreeMap<Counter, f64> {
    let Some(first) = seen.first() else { return BTreeMap::new() };
    let sum = |counter: Counter| -> Option<f64> {
        seen.iter().map(|o| o.counter(counter).map(|value| value.max(0.0))).sum()
    };
    let sums = first.counters.keys().filter_map(|counter| Some((*counter, sound(sum(*counter)?))));
    sums.collect()
}

fn backends(seen: &[&Observation]) -> Option<BackendCpu> {
    let all: Option<Vec<BackendCpu>> = seen.iter().map(|o| o.backends).collect();
    let all = all?;
    let sum = |pick: fn(&BackendCpu) -> f64| all.iter().map(|b| sound(pick(b))).sum::<f64>();
    Some(BackendCpu {
        cpu_s: sum(|b| b.cpu_s),
        run_delay_s: sum(|b| b.run_delay_s),
        preemptions: sum(|b| b.preemptions),
        processes: all.iter().map(|b| b.processes).max().unwrap_or(0),
    })
}

fn processes(seen: &[&Observation]) -> Vec<ProcessFigures> {
    let Some(first) = seen.first() else { return Vec::new() };
    let whole = |name: &str| -> Option<ProcessFigures> {
        let all: Option<Vec<&ProcessFigures>> = seen.iter().map(|o| o.process(name)).collect();
        let all = all?;
        let sum = |pick: fn(&ProcessFigures) -> Option<f64>| -> Option<f64> {
            all.iter().map(|p| pick(p).map(sound)).sum()
        };
        Some(ProcessFigures {
            name: name.to_owned(),
            cpu_s: sum(|p| p.cpu_s),
            cpu_us_per_op: all.last()?.cpu_us_per_op,
            run_delay_s: sum(|p| p.run_delay_s),
            busiest_lane_s: sum(|p| p.busiest_lane_s),
            interpreters: all.iter().filter_map(|p| p.interpreters).max(),
            cpus: all.last()?.cpus.filter(|cpus| cpus.is_finite()),
            throttled_share: weighted(seen, |o| o.process(name), |p| p.throttled_share),
            throttled_s: sum(|p| p.throttled_s),
            memory_peak_bytes: all.iter().filter_map(|p| p.memory_peak_bytes).max(),
            memory_bytes: all.last()?.memory_bytes,
            memory_pushes: all.iter().filter_map(|p| p.memory_pushes).reduce(u64::saturating_add),
            resident_bytes: Vec::new(),
            restarts: all.iter().fold(0, |sum, p| sum.saturating_add(p.restarts)),
        })
    };
    first.processes.iter().filter_map(|p| whole(&p.name)).collect()
}

fn host(seen: &[&Observation]) -> Option<HostFigures> {
    seen.iter().find_map(|o| o.host)?;
    let mean = |pick: fn(&HostFigures) -> Option<f64>| weighted(seen, |o| o.host, pick);
    let sum = |pick: fn(&HostFigures) -> Option<f64>| -> Option<f64> {
        seen.iter().map(|o| o.host.as_ref().and_then(pick).map(sound)).sum()
    };
    Some(HostFigures {
        cpu_share: mean(|h| h.cpu_share),
        steal_share: mean(|h| h.steal_share),
        foreign_cpu_s: sum(|h| h.foreign_cpu_s),
        own_delay_s: sum(|h| h.own_delay_s),
        cpu_pressure: mean(|h| h.cpu_pressure),
        io_pressure: mean(|h| h.io_pressure),
        memory_pressure: mean(|h| h.memory_pressure),
        swapped_pages: sum(|h| h.swapped_pages),
        major_faults: sum(|h| h.major_faults),
        disk_flushes: sum(|h| h.disk_flushes),
        disk_flush_ms: mean(|h| h.disk_flush_ms),
        disk_busy: mean(|h| h.disk_busy),
    })
}

fn statements(seen: &[&Observation]) -> Vec<StatementFigures> {
    let mut all: Vec<StatementFigures> = Vec::new();
    for statement in seen.iter().flat_map(|o| &o.statements) {
        let Some(known) = all.iter_mut().find(|s| s.query == statement.query) else {
            all.push(statement.clone());
            continue;
        };
        let sum = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a + b);
        known.calls_per_op = known.calls_per_op.or(statement.calls_per_op);
        known.calls += sound(statement.calls);
        known.execute_ms += sound(statement.execute_ms);
        known.plan_ms = sum(known.plan_ms, statement.plan_ms);
        known.rows += sound(statement.rows);
        known.blocks += sound(statement.blocks);
        known.rows_read = sum(known.rows_read, statement.rows_read);
    }
    all
}

/// Poolers' totals added, queues averaged over their samples.
pub(super) fn poolers<'a>(all: impl Iterator<Item = &'a PoolerFigures>) -> Option<PoolerFigures> {
    let all: Vec<&PoolerFigures> = all.collect();
    let mut whole = (*all.last()?).clone();
    let samples = all.iter().map(|p| p.samples as f64).sum::<f64>();
    if samples > 0.0 {
        let mean = |pick: fn(&PoolerFigures) -> f64| {
            all.iter().map(|p| sound(pick(p)) * p.samples as f64).sum::<f64>() / samples
        };
        whole.clients_waiting_mean = mean(|p| p.clients_waiting_mean);
        whole.servers_active_mean = mean(|p| p.servers_active_mean);
        whole.servers_idle_mean =
            whole.servers_idle_mean.map(|_| mean(|p| p.servers_idle_mean.unwrap_or(0.0)));
        whole.clients_active_mean =
            whole.clients_active_mean.map(|_| mean(|p| p.clients_active_mean.unwrap_or(0.0)));
    }
    whole.totals.clear();
    for (name, value) in all.iter().flat_map(|p| &p.totals) {
        let total = whole.totals.entry(name.clone()).or_default();
        *total = total.saturating_add(*value);
    }
    for pooler in &all {
        whole.clients_waiting_most = whole.clients_waiting_most.max(pooler.clients_waiting_most);
        whole.longest_wait_ms = whole.longest_wait_ms.max(sound(pooler.longest_wait_ms));
        whole.servers_active_most = whole.servers_active_most.max(pooler.servers_active_most);
    }
    Some(whole)
}

/// Most sessions of any trial; those opened, added.
pub(super) fn sessions<'a>(
    all: impl Iterator<Item = &'a SessionFigures>,
) -> Option<SessionFigures> {
    all.cloned().reduce(|mut whole, other| {
        whole.most = whole.most.max(other.most);
        whole.opened = whole.opened.saturating_add(other.opened);
        whole.samples = whole.samples.saturating_add(other.samples);
        whole.allowed = whole.allowed.or(other.allowed);
        whole
    })
}
