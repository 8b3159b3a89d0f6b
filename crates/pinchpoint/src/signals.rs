use std::io;

use pinchpoint_stack::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// Makes Ctrl-C, SIGTERM and SIGHUP ask for an orderly end. A second one changes nothing but the
/// message: the end is already bounded, and leaving early would leave things behind.
pub(crate) fn listen(cancel: Cancel, tell: fn(&str)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => (),
                    _ = terminate.recv() => (),
                    _ = hangup.recv() => (),
                }
                tell(if cancel.is_cancelled() {
                    "\nstill removing what was started…\n"
                } else {
                    "\nstopping: removing what was started, keeping what was measured…\n"
                });
                cancel.cancel();
            }
        });
    })?;
    Ok(())
}
