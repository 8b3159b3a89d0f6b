use std::time::Instant;

/// A timer for one sleeper at a time, exact to tens of microseconds where the platform allows.
///
/// Tokio's own sleeps end on the next whole millisecond, which would add up to a millisecond to
/// every response time of an open load.
#[derive(Debug)]
pub struct Timer {
    #[cfg(target_os = "linux")]
    fd: Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>,
}

impl Timer {
    /// A timer of the current runtime, which must have its I/O and time enabled; on failure it falls
    /// back to tokio's sleeps.
    #[expect(clippy::new_without_default, reason = "it needs a runtime around it")]
    pub fn new() -> Self {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            #[expect(
                deprecated,
                reason = "sound for an OwnedFd; its successor is an unsafe function"
            )]
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)
                .ok()
                .and_then(|fd| tokio::io::unix::AsyncFd::new(fd).ok());
            Self { fd }
        }
        #[cfg(not(target_os = "linux"))]
        Self {}
    }

    /// Sleeps until the instant; returns at once when it has passed.
    pub async fn sleep_until(&self, deadline: Instant) {
        #[cfg(target_os = "linux")]
        if let Some(fd) = &self.fd
            && linux::sleep_until(fd, deadline).await.is_ok()
        {
            return;
        }
        tokio::time::sleep_until(deadline.into()).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
    use tokio::io::unix::AsyncFd;

    pub(super) async fn sleep_until(fd: &AsyncFd<OwnedFd>, deadline: Instant) -> io::Result<()> {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(fd.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        loop {
            let mut ready = fd.readable().await?;
            let mut expirations = [0_u8; 8];
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?)) {
                // A wake-up left over from an earlier, abandoned sleep is not ours.
                Ok(Ok(_)) if Instant::now() >= deadline => return Ok(()),
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}
