use pinchpoint_measure::{ProcessFigures, StackFigures, Trial, Verdict, significant};

/// Share of its CPUs from which a process counts as at its limit.
const FULL: f64 = 0.85;
/// Share of scheduler periods from which a CPU limit counts as the brake.
const THROTTLED: f64 = 0.5;
/// Sessions opened for each request from which setting them up is what the server does.
const SESSION_EACH: f64 = 0.5;
/// Share of failures that is worth a name of its own.
const MANY_FAILURES: f64 = 0.01;

/// What limited an application under load, as far as its figures show it. `None` without figures.
pub fn case_verdict(trial: &Trial) -> Option<Verdict> {
    let stack = trial.stack.as_ref()?;
    if trial.succeeded == 0 {
        return None;
    }
    let case = Case { trial, stack };
    let rules = [
        Case::failures,
        Case::connection_setup,
        Case::server_cpu,
        Case::app_cpu,
        Case::pooler_cpu,
        Case::generator,
        Case::machine,
        Case::pooler_slots,
        Case::pool,
    ];
    let mut verdict = rules.iter().find_map(|rule| rule(&case)).unwrap_or_else(|| case.users());
    verdict.against = case.against(&verdict.bottleneck);
    Some(verdict)
}

struct Case<'a> {
    trial: &'a Trial,
    stack: &'a StackFigures,
}

fn verdict(bottleneck: &str, share: f64, confidence: f64, evidence: Vec<String>) -> Verdict {
    Verdict {
        bottleneck: bottleneck.to_owned(),
        share: share.clamp(0.0, 1.0),
        confidence,
        evidence,
        ..Verdict::default()
    }
}

impl Case<'_> {
    fn process(&self, name: &str) -> Option<&ProcessFigures> {
        self.stack.process(name)
    }

    /// CPU used ÷ CPU allowed.
    fn fullness(&self, name: &str) -> Option<f64> {
        let process = self.process(name)?;
        Some(process.cpu_s? / (process.cpus? * self.trial.duration_s))
    }

    fn sessions_each(&self) -> f64 {
        let opened = self.stack.sessions.as_ref().map_or(0, |s| s.opened);
        opened as f64 / self.trial.succeeded.max(1) as f64
    }

    fn cpu_text(&self, name: &str) -> String {
        let Some(process) = self.process(name) else { return String::new() };
        let mut text = format!(
            "{name} used {} of its {} CPUs",
            significant(process.cpu_s.unwrap_or(0.0) / self.trial.duration_s, 2),
            process.cpus.map_or("unlimited".to_owned(), |c| significant(c, 2))
        );
        if let Some(each) = process.cpu_us_per_op {
            text.push_str(&format!(", {} ms a request", significant(each / 1000.0, 2)));
        }
        if let Some(share) = process.throttled_share {
            text.push_str(&format!(", and was held back in {:.0} % of periods", share * 100.0));
        }
        text
    }

    fn server_is_full(&self) -> bool {
        self.fullness("postgres").is_some_and(|f| f >= FULL)
            || self.process("postgres").and_then(|p| p.throttled_share).unwrap_or(0.0) >= THROTTLED
    }

    fn failures(&self) -> Option<Verdict> {
        let rate = self.trial.error_rate();
        if rate < MANY_FAILURES {
            return None;
        }
        let causes: Vec<_> =
            self.trial.errors.iter().map(|(cause, n)| format!("{cause} × {n}")).collect();
        let sessions = self.stack.sessions.as_ref().map_or(0, |s| s.most);
        let evidence = vec![
            format!("{:.1} % of requests failed: {}", rate * 100.0, causes.join(", ")),
            format!("{sessions} sessions on the server at most"),
        ];
        Some(verdict("failures", rate, 0.7, evidence))
    }

    fn connection_setup(&self) -> Option<Verdict> {
        if !self.server_is_full() || self.sessions_each() < SESSION_EACH {
            return None;
        }
        let opened =
            format!("{} sessions opened for a request", significant(self.sessions_each(), 2));
        let share = self.fullness("postgres").unwrap_or(1.0);
        Some(verdict("connection-setup", share, 0.9, vec![self.cpu_text("postgres"), opened]))
    }

    fn server_cpu(&self) -> Option<Verdict> {
        if !self.server_is_full() {
            return None;
        }
        let share = self.fullness("postgres").unwrap_or(1.0);
        Some(verdict("postgres-cpu", share, 0.9, vec![self.cpu_text("postgres")]))
    }

    fn app_cpu(&self) -> Option<Verdict> {
        let share = self.fullness("app")?;
        let held = self.process("app").and_then(|p| p.throttled_share).unwrap_or(0.0);
        if share < FULL && held < THROTTLED {
            return None;
        }
        Some(verdict("app-cpu", share, 0.9, vec![self.cpu_text("app")]))
    }

    /// PgBouncer has one thread: a whole CPU is all that it can use, and a limit may leave it less.
    fn pooler_cpu(&self) -> Option<Verdict> {
        let pooler = self.process("pgbouncer")?;
        let used = pooler.cpu_s? / self.trial.duration_s;
        let allowed = pooler.cpus.unwrap_or(1.0).min(1.0);
        let held = pooler.throttled_share.unwrap_or(0.0);
        if used / allowed < FULL && held < THROTTLED {
            return None;
        }
        let text = format!(
            "its one thread used {} of {} CPU",
            significant(used, 2),
            significant(allowed, 2)
        );
        Some(verdict("pooler-cpu", used / allowed, 0.8, vec![text]))
    }

    fn generator(&self) -> Option<Verdict> {
        if self.trial.client_cpu_share < 0.9 {
            return None;
        }
        let text =
            format!("load threads used {:.0} % of their CPU", self.trial.client_cpu_share * 100.0);
        Some(verdict("generator", self.trial.client_cpu_share, 0.8, vec![text]))
    }

    /// Nobody is at a limit of its own, and the machine has nothing left.
    fn machine(&self) -> Option<Verdict> {
        let used = self.trial.cpu_percent? / 100.0;
        if used < 0.93 {
            return None;
        }
        let text = format!("the whole machine was at {:.0} % of its CPU", used * 100.0);
        Some(verdict("machine-cpu", used, 0.7, vec![text]))
    }

    fn pooler_slots(&self) -> Option<Verdict> {
        let pooler = self.stack.pooler.as_ref()?;
        if pooler.clients_waiting_mean < 1.0 {
            return None;
        }
        let text = format!(
            "{} clients waited for a server connection on average (longest wait seen {} ms) while \
             {} were in use, and nobody was short of CPU",
            significant(pooler.clients_waiting_mean, 2),
            significant(pooler.longest_wait_ms, 2),
            significant(pooler.servers_active_mean, 2)
        );
        Some(verdict("pooler-slots", 0.5, 0.7, vec![text]))
    }

    fn pool(&self) -> Option<Verdict> {
        let sessions = self.stack.sessions.as_ref()?;
        let allowed = sessions.allowed?;
        if sessions.most < allowed {
            return None;
        }
        let text = format!(
            "all {allowed} connections of its pools were open, and nobody was short of CPU"
        );
        Some(verdict("pool", 0.5, 0.5, vec![text]))
    }

    /// Nothing is full: throughput is what so many users ask for, one request at a time.
    fn users(&self) -> Verdict {
        let text = format!(
            "nothing was at its limit: each user waited {} ms for an answer",
            significant(self.trial.latency_ms.avg, 3)
        );
        verdict("users", 1.0, 0.5, vec![text])
    }

    /// What else was busy.
    fn against(&self, bottleneck: &str) -> Vec<String> {
        let mut against = Vec::new();
        let others = [("postgres", "postgres-cpu"), ("app", "app-cpu")];
        for (name, own) in others {
            let full = self.fullness(name).is_some_and(|f| f >= FULL);
            let setup = bottleneck == "connection-setup" && name == "postgres";
            if full && bottleneck != own && !setup {
                against.push(self.cpu_text(name));
            }
        }
        against
    }
}
