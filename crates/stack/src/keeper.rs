use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::StackError;

/// A child process and the thread that started it.
///
/// The parent-death signal is sent when the *thread* that started a child ends, so each child has a
/// thread of its own that lives as long as it does.
#[derive(Debug)]
pub(crate) struct Child {
    pid: u32,
    ended: Arc<(Mutex<Option<ExitStatus>>, Condvar)>,
}

impl Child {
    pub(crate) fn start(mut command: Command) -> Result<Self, StackError> {
        let failed = |source| StackError::System { action: "start a process", source };
        let ended = Arc::new((Mutex::new(None), Condvar::new()));
        let (reply, answer) = mpsc::channel();
        let told = ended.clone();
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || match command.spawn() {
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
                Ok(mut child) => {
                    let _ = reply.send(Ok(child.id()));
                    let status = child.wait().unwrap_or_default();
                    *told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    told.1.notify_all();
                }
            })
            .map_err(failed)?;
        let pid = answer
            .recv()
            .map_err(|_| failed(std::io::Error::other("the keeper thread has gone")))?
            .map_err(failed)?;
        Ok(Self { pid, ended })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its end, for this long at most.
    pub(crate) fn wait(&self, at_most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + at_most;
        let mut status = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        while status.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.ended.1.wait_timeout(status, left);
            status = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *status
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.status().is_none()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, signal);
        }
    }
}
