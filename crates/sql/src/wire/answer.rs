use std::fmt::Write as _;

use pinchpoint_measure::Cause;

use crate::SqlError;

/// What an operation's answer has held so far.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// `CommandComplete` messages.
    pub(crate) completions: u64,
    /// Rows that they acknowledge, added up.
    pub(crate) rows: u64,
    /// `DataRow` messages.
    pub(crate) data_rows: u64,
    /// The first error.
    pub(crate) error: Option<SqlError>,
    /// `ParseComplete` messages.
    pub(crate) parsed: u64,
    /// `ReadyForQuery` has come.
    pub(crate) ready: bool,
    /// It came while a transaction was open, or had failed.
    pub(crate) in_transaction: bool,
}

impl Answer {
    /// Takes in one message. What it does not care about it passes over.
    pub(crate) fn take(&mut self, tag: u8, body: &[u8]) -> Result<(), SqlError> {
        match tag {
            b'C' => {
                self.completions += 1;
                self.rows += affected(body).ok_or_else(|| SqlError::wrong("a bad command tag"))?;
            }
            b'D' => self.data_rows += 1,
            b'E' => {
                self.error.get_or_insert_with(|| parse_error(body));
            }
            b'Z' => {
                self.ready = true;
                self.in_transaction = body != b"I";
            }
            b'1' => self.parsed += 1,
            // Bind and Close complete, NoData, ParameterDescription, RowDescription,
            // PortalSuspended, EmptyQuery, CopyIn, Notice, Notification, ParameterStatus.
            b'2' | b'3' | b'n' | b't' | b'T' | b's' | b'I' | b'G' | b'N' | b'A' | b'S' => (),
            other => {
                let shown = other.escape_ascii();
                return Err(SqlError::wrong(format!("an unexpected message '{shown}'")));
            }
        }
        Ok(())
    }
}

/// The count at the end of a command tag: `INSERT 0 5`, `COPY 100`; 0 for a tag without one.
fn affected(body: &[u8]) -> Option<u64> {
    let tag = body.strip_suffix(b"\0")?;
    let last = tag.rsplit(|b| *b == b' ').next()?;
    if !last.first()?.is_ascii_digit() {
        return Some(0);
    }
    last.iter().try_fold(0_u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// An `ErrorResponse`: fields of a letter and a text each.
pub(crate) fn parse_error(body: &[u8]) -> SqlError {
    let (mut state, mut message, mut detail, mut hint) = ([b'?'; 5], None, None, None);
    for field in body.split(|b| *b == 0) {
        let Some((kind, value)) = field.split_first() else { continue };
        let text = || String::from_utf8_lossy(value).into_owned();
        match kind {
            b'C' => {
                if let Ok(code) = <[u8; 5]>::try_from(value) {
                    state = code;
                }
            }
            b'M' => message = Some(text()),
            b'D' => detail = Some(text()),
            b'H' => hint = Some(text()),
            _ => (),
        }
    }
    let mut full = message.unwrap_or_else(|| "the server reported an error".to_owned());
    for more in [detail, hint].into_iter().flatten() {
        full.push_str("; ");
        full.push_str(&more);
    }
    let _ = write!(full, " (SQLSTATE {})", state.escape_ascii());
    SqlError::new(Cause::SqlState(state), full)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn command_tags_are_counted() {
        let mut answer = Answer::default();
        answer.take(b'C', b"INSERT 0 5\0").unwrap();
        answer.take(b'C', b"COPY 100\0").unwrap();
        answer.take(b'C', b"CREATE TABLE\0").unwrap();
        answer.take(b'Z', b"I").unwrap();
        assert_eq!((answer.completions, answer.rows, answer.ready), (3, 105, true));
        assert!(answer.take(b'C', b"COPY 99999999999999999999999\0").is_err());
        assert!(answer.take(b'?', b"").is_err());
    }

    #[test]
    fn errors_carry_their_state_and_what_the_server_said() {
        let error = parse_error(b"SERROR\0C23505\0Mduplicate key\0DKey exists.\0\0");
        assert_eq!(error.cause, Cause::SqlState(*b"23505"));
        assert_eq!(error.message, "duplicate key; Key exists. (SQLSTATE 23505)");
    }

    proptest! {
        #[test]
        fn any_body_is_taken_or_refused(tag: u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::default().take(tag, &body);
        }
    }
}
