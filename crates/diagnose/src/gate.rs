use pinchpoint_measure::{Gate, Pace, Trial, human_duration, significant};

/// Largest deviation from Little's law that a long trial may have.
const LITTLE: f64 = 0.05;
/// The same for a trial with few operations.
const LITTLE_SHORT: f64 = 0.10;
/// Largest deviation of the phases' sum from the mean response time.
const PHASES: f64 = 0.02;
/// … or this much, the cost of the clock readings between phases, in milliseconds.
const PHASES_MS: f64 = 0.005;
/// Share of their CPU from which the load threads are the limit.
const HEADROOM: f64 = 0.9;

/// The checks that a trial's figures must pass to be believed. `concurrency` is the number of
/// virtual users, `threads` the number of load threads.
pub fn gates(trial: &Trial, concurrency: u32, threads: u32) -> Vec<Gate> {
    let mut gates = Vec::new();
    if trial.pace == Pace::Closed {
        gates.push(littles_law(trial, concurrency));
    }
    gates.push(phase_sum(trial));
    gates.push(generator_headroom(trial, concurrency, threads));
    gates.push(settled(trial));
    gates
}

/// N = X·R (Little 1961): users that always have one operation under way. Each user has one that
/// begins before or ends after the measured part, so a short trial gets up to twice the tolerance.
fn littles_law(trial: &Trial, concurrency: u32) -> Gate {
    let users = f64::from(concurrency);
    let operations = (trial.succeeded + trial.failed) as f64;
    let in_flight = operations / trial.duration_s * trial.latency_ms.avg / 1000.0;
    let tolerance = (LITTLE + users / operations).min(LITTLE_SHORT);
    Gate {
        name: "littles-law".to_owned(),
        passed: (in_flight - users).abs() <= tolerance * users,
        detail: format!(
            "throughput × mean response time = {} operations in flight, {concurrency} users \
             (tolerance {:.0} %)",
            significant(in_flight, 3),
            tolerance * 100.0
        ),
    }
}

pub(crate) fn phase_sum(trial: &Trial) -> Gate {
    let sum = trial.phase_sum_ms(|_| true);
    let whole = trial.latency_ms.avg;
    Gate {
        name: "phase-sum".to_owned(),
        passed: (sum - whole).abs() <= (PHASES * whole).max(PHASES_MS),
        detail: format!(
            "phases add up to {} ms, mean response time {} ms",
            significant(sum, 3),
            significant(whole, 3)
        ),
    }
}

/// Threads without a user have nothing to do, so they do not count as headroom.
pub(crate) fn generator_headroom(trial: &Trial, concurrency: u32, threads: u32) -> Gate {
    let threads = threads.max(1);
    let loaded = threads.min(concurrency.max(1));
    let share = trial.client_cpu_share * f64::from(threads) / f64::from(loaded);
    Gate {
        name: "generator-headroom".to_owned(),
        passed: share < HEADROOM,
        detail: format!(
            "load threads used {:.0} % of the CPU of {loaded} {} (limit {:.0} %)",
            share * 100.0,
            if loaded == 1 { "thread" } else { "threads" },
            HEADROOM * 100.0
        ),
    }
}

pub(crate) fn settled(trial: &Trial) -> Gate {
    let after = format!("after {} of warm-up", human_duration(trial.warm_up.duration_s));
    let detail = match (&trial.warm_up.note, trial.warm_up.settled) {
        (Some(note), _) => note.clone(),
        (None, true) => format!("steady {after}"),
        (None, false) => format!("still changing {after}; use a longer --warmup"),
    };
    Gate { name: "settled".to_owned(), passed: trial.warm_up.settled, detail }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pinchpoint_measure::Phase;

    use super::*;
    use crate::sample::Sample;

    fn text(gates: &[Gate]) -> String {
        let line =
            |g: &Gate| format!("{} {}: {}", if g.passed { "ok" } else { "NO" }, g.name, g.detail);
        gates.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_sound_trial_passes_and_says_its_figures() {
        let trial = Sample::rung_2b().trial();
        assert_snapshot!(text(&gates(&trial, 50, 2)), @r#"
        ok littles-law: throughput × mean response time = 50.0 operations in flight, 50 users (tolerance 5 %)
        ok phase-sum: phases add up to 1.57 ms, mean response time 1.57 ms
        ok generator-headroom: load threads used 20 % of the CPU of 2 threads (limit 90 %)
        ok settled: steady after 3.0 s of warm-up
        "#);
    }

    #[test]
    fn each_gate_can_fail() {
        let mut trial = Sample::rung_1().trial();
        trial.phases_ms.insert(Phase::Execute, 7.0);
        trial.client_cpu_share = 0.47; // of two threads, of which one has the only user
        trial.warm_up.settled = false;
        assert_snapshot!(text(&gates(&trial, 2, 2)), @r#"
        NO littles-law: throughput × mean response time = 1.01 operations in flight, 2 users (tolerance 5 %)
        NO phase-sum: phases add up to 17.0 ms, mean response time 15.0 ms
        ok generator-headroom: load threads used 47 % of the CPU of 2 threads (limit 90 %)
        NO settled: still changing after 3.0 s of warm-up; use a longer --warmup
        "#);
        assert!(gates(&trial, 1, 2)[0].passed && !gates(&trial, 1, 2)[2].passed);
    }

    #[test]
    fn an_open_load_is_not_held_to_its_users_and_nonsense_fails() {
        let mut trial = Sample::rung_1().trial();
        trial.pace = Pace::Open { target_per_s: 50.0, poisson: true };
        assert!(gates(&trial, 1, 1).iter().all(|g| g.name != "littles-law"));
        trial.pace = Pace::Closed;
        trial.latency_ms.avg = f64::NAN;
        trial.duration_s = 0.0;
        trial.client_cpu_share = f64::NAN;
        trial.warm_up.settled = false;
        assert!(gates(&trial, 0, 0).iter().all(|g| !g.passed));
    }
}
