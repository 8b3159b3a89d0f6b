use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pinchpoint_sql::{Connection, Dsn, TlsSetup};

use crate::plant::Beside;
use crate::standby::Standby;

/// What happens beside a load; ends when dropped.
#[derive(Debug)]
pub(crate) struct Companion {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _standby: Option<Standby>,
}

impl Companion {
    /// Starts it. A session that breaks ends by itself; the load shows it.
    pub(crate) fn start(beside: &Beside, dsn: &str) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut threads, mut standby) = (Vec::new(), None);
        match beside {
            Beside::Nothing => (),
            Beside::Session(steps) => {
                let (stop, steps, dsn) = (stop.clone(), steps.clone(), dsn.to_owned());
                threads.push(std::thread::spawn(move || {
                    let _ = session(&dsn, &steps, &stop);
                }));
            }
            Beside::Standby(delay) => standby = Some(Standby::start(dsn, *delay)?),
            Beside::Spin(count) => {
                for _ in 0..*count {
                    let stop = stop.clone();
                    threads.push(std::thread::spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            std::hint::black_box((0..10_000_u64).sum::<u64>());
                        }
                    }));
                }
            }
        }
        Ok(Self { stop, threads, _standby: standby })
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn session(dsn: &str, steps: &[(&str, Duration)], stop: &AtomicBool) -> Result<(), String> {
    let dsn = Dsn::parse(dsn).map_err(|e| e.to_string())?.named("another-application");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let explain = |e: pinchpoint_sql::SqlError| e.to_string();
        let tls = TlsSetup::new(&dsn).map_err(explain)?;
        let mut connection = Connection::connect(&dsn, &tls).await.map_err(explain)?;
        loop {
            for (sql, pause) in steps {
                connection.query(sql).await.map_err(explain)?;
                let until = Instant::now() + *pause;
                while Instant::now() < until {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    tokio::time::sleep((*pause).min(Duration::from_millis(20))).await;
                }
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    })
}
