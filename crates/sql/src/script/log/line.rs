use std::io::{self, Write};
use std::time::Duration;

use pinchpoint_load::Ended;
use pinchpoint_measure::{Cause, Outcome};

use super::{Entry, LogLayout};

impl LogLayout {
    /// `client_id transaction_no time script_no time_epoch time_us [schedule_lag] [retries]`.
    pub(super) fn line(
        self,
        out: &mut Vec<u8>,
        entry: Entry,
        ended: &Ended<'_>,
        unix: Duration,
    ) -> io::Result<()> {
        write!(out, "{} {} ", entry.client, entry.number)?;
        match ended.outcome {
            Some(Outcome::Done { .. }) => write!(out, "{}", whole_us(ended.response))?,
            Some(Outcome::Failed { cause, .. }) => write!(out, "{}", self.failure(*cause))?,
            None => write!(out, "skipped")?,
        }
        write!(out, " {} {} {}", ended.label, unix.as_secs(), unix.subsec_micros())?;
        if self.lag {
            // pgbench says it of a transaction that ended well only.
            let done = matches!(ended.outcome, Some(Outcome::Done { .. }));
            write!(out, " {}", if done { whole_us(ended.lag) } else { 0 })?;
        }
        if self.retries {
            write!(out, " {}", entry.retries)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn failure(self, cause: Cause) -> &'static str {
        match cause {
            Cause::SqlState(state) if self.failures && state == *b"40001" => "serialization",
            Cause::SqlState(state) if self.failures && state == *b"40P01" => "deadlock",
            _ => "failed",
        }
    }
}

/// Microseconds, rounded.
pub(super) const fn whole_us(time: Duration) -> u128 {
    (time.as_nanos() + 500) / 1000
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn done(response_us: u64, lag_us: u64) -> Ended<'static> {
        Ended {
            at: Instant::now(),
            response: Duration::from_micros(response_us),
            lag: Duration::from_micros(lag_us),
            label: 2,
            outcome: Some(&Outcome::Done { rows: 1 }),
        }
    }

    #[test]
    fn fields_are_pgbenchs_and_in_its_order() {
        let failed = |state: &[u8; 5]| Outcome::Failed {
            cause: Cause::SqlState(*state),
            rows: 1,
            in_doubt: false,
        };
        let plain = LogLayout::default();
        let all = LogLayout { lag: true, retries: true, failures: true, interval: None };
        let (raced, dead, other) = (failed(b"40001"), failed(b"40P01"), failed(b"23505"));
        let of = |outcome| Ended { outcome, ..done(1234, 56) };
        let skipped = Ended { outcome: None, ..done(0, 9000) };
        let entry = Entry { client: 7, number: 41, retries: 3 };
        let cases = [
            (plain, done(1234, 56), "7 41 1234 2 1700000000 42"),
            (all, done(1234, 56), "7 41 1234 2 1700000000 42 56 3"),
            (plain, of(Some(&raced)), "7 41 failed 2 1700000000 42"),
            (all, of(Some(&raced)), "7 41 serialization 2 1700000000 42 0 3"),
            (all, of(Some(&dead)), "7 41 deadlock 2 1700000000 42 0 3"),
            (all, of(Some(&other)), "7 41 failed 2 1700000000 42 0 3"),
            (LogLayout { lag: true, ..plain }, skipped, "7 41 skipped 2 1700000000 42 0"),
        ];
        let unix = Duration::new(1_700_000_000, 42_900);
        for (layout, ended, expected) in cases {
            let mut line = Vec::new();
            layout.line(&mut line, entry, &ended, unix).expect("written");
            assert_eq!(String::from_utf8(line).expect("text"), format!("{expected}\n"));
        }
    }
}
