use postgres_protocol::message::frontend;

use crate::wire::Answer;
use crate::{Connection, SqlError};

/// A `COPY … FROM STDIN` under way. Dropping it leaves a connection that cannot be used.
#[derive(Debug)]
pub struct CopyIn<'a> {
    connection: &'a mut Connection,
}

impl Connection {
    /// Begins a `COPY … FROM STDIN`.
    pub async fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>, SqlError> {
        frontend::query(sql, &mut self.out).map_err(|e| SqlError::wrong(e.to_string()))?;
        self.send().await?;
        let mut refused = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'G' => return Ok(CopyIn { connection: self }),
                b'E' => refused = refused.or(error(&body)?),
                b'Z' => {
                    let not_copy = || SqlError::wrong("the statement is no COPY FROM STDIN");
                    return Err(refused.unwrap_or_else(not_copy));
                }
                _ => (),
            }
        }
    }
}

impl CopyIn<'_> {
    /// Sends a part of the data, cut anywhere.
    pub async fn send(&mut self, data: &[u8]) -> Result<(), SqlError> {
        frontend::CopyData::new(data)
            .map_err(|e| SqlError::wrong(e.to_string()))?
            .write(&mut self.connection.out);
        self.connection.send().await
    }

    /// Ends the data; all of it is stored then, or nothing.
    pub async fn finish(self) -> Result<(), SqlError> {
        frontend::copy_done(&mut self.connection.out);
        self.end().await
    }

    /// Gives up: the server forgets what came.
    pub async fn abort(self, reason: &str) {
        if frontend::copy_fail(reason, &mut self.connection.out).is_ok() {
            let _ = self.end().await;
        }
    }

    async fn end(self) -> Result<(), SqlError> {
        self.connection.send().await?;
        let mut refused = None;
        loop {
            let (tag, body) = self.connection.message().await?;
            match tag {
                b'E' => refused = refused.or(error(&body)?),
                b'Z' => return refused.map_or(Ok(()), Err),
                _ => (),
            }
        }
    }
}

fn error(body: &[u8]) -> Result<Option<SqlError>, SqlError> {
    let mut answer = Answer::default();
    answer.take(b'E', body)?;
    Ok(answer.error)
}
