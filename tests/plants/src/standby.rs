use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pinchpoint_proxy::{Proxy, Shape, Upstream};
use pinchpoint_sql::Dsn;
use pinchpoint_stack::{Search, SearchInput, find_postgres};

/// A receiver of the WAL that confirms each flush, at the end of a slow way: to the server it is a
/// synchronous standby. It ends when dropped, or when the server does.
#[derive(Debug)]
pub(crate) struct Standby {
    receiver: Child,
    _way: Proxy,
    _directory: tempfile::TempDir,
}

impl Standby {
    /// Starts `pg_receivewal`, so much delay in each direction away from the server.
    pub(crate) fn start(dsn: &str, delay: Duration) -> Result<Self, String> {
        let dsn = Dsn::parse(dsn).map_err(|e| e.to_string())?;
        let upstream = Upstream::Tcp(dsn.host.clone(), dsn.port);
        let way = Proxy::start(upstream, Shape { delay, bytes_per_s: None });
        let way = way.map_err(|e| e.to_string())?;
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        let installation = find_postgres(&SearchInput::from_env())
            .and_then(Search::newest)
            .map_err(|e| e.to_string())?;
        let program = installation.bin_dir.join("pg_receivewal");
        let receiver = Command::new(&program)
            .args(["--synchronous", "--no-loop", "--no-password", "--directory"])
            .arg(directory.path())
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", way.port().to_string())
            .env("PGUSER", &dsn.user)
            .env("PGPASSWORD", dsn.password.as_deref().unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("failed to run {}: {e}", program.display()))?;
        Ok(Self { receiver, _way: way, _directory: directory })
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = self.receiver.kill();
        let _ = self.receiver.wait();
    }
}
