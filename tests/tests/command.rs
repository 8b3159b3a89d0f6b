//! The built command, run as a user would.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pinchpoint_measure::RunResult;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) pid: u32,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command beside the test's own binary.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let binary = test.ancestors().nth(2).expect("the profile's directory").join("pinchpoint");
    assert!(binary.is_file(), "{} is missing: run `cargo build -p pinchpoint`", binary.display());
    binary
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments);
    isolated(command)
}

/// With nothing of the tester's own settings.
fn isolated(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in
        ["COLUMNS", "NO_COLOR", "PINCHPOINT_PG_BIN", "PGPASSWORD", "PGUSER", "RUST_BACKTRACE"]
    {
        command.env_remove(variable);
    }
    // Tests leave the tester's own ledger alone, and do not learn from it.
    command.env("PINCHPOINT_LEDGER", "off");
    command
}

/// Runs it to its end.
pub(crate) fn pinchpoint(arguments: &[&str]) -> Run {
    Running::start(command(arguments)).wait()
}

/// Runs it with one more variable in its environment.
pub(crate) fn pinchpoint_with(variable: (&str, &str), arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.env(variable.0, variable.1);
    Running::start(command).wait()
}

/// Runs it with more variables in its environment.
pub(crate) fn pinchpoint_with_all(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    Running::start(command).wait()
}

/// Runs it in a directory.
pub(crate) fn pinchpoint_in(directory: &Path, arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.current_dir(directory);
    Running::start(command).wait()
}

/// Runs it after a shell has prepared mounts that nobody else sees, and that end with it. `None`
/// where mounts are not permitted.
pub(crate) fn pinchpoint_after(mounts: &str, arguments: &[&str]) -> Option<Run> {
    let probe = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "t", "/mnt"]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        return None;
    }
    let mut inside = Command::new("unshare");
    inside.args(["-m", "sh", "-e", "-c", &format!("{mounts}\nexec \"$@\""), "sh"]);
    inside.arg(binary()).args(arguments);
    Some(Running::start(isolated(inside)).wait())
}

/// A command under way; killed when the test ends before it.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
    stdout: Option<std::thread::JoinHandle<String>>,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Running {
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::start(command(arguments))
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the command starts");
        let stderr = child.stderr.take().expect("its standard error");
        let mut stdout = child.stdout.take().expect("its standard output");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        Self { child, lines, seen: String::new(), stdout: Some(stdout) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?} came; what came:\n{}", self.seen);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        crate::processes::signal(self.pid(), signal);
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Run {
        let deadline = Instant::now() + PATIENCE * 2;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; what it said:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        };
        let stdout = self.stdout.take().expect("once").join().expect("a reader");
        let mut stderr = std::mem::take(&mut self.seen);
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(500)) {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        Run { pid: self.child.id(), code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes an experiment file of the given rungs into a directory.
pub(crate) fn experiment(directory: &Path, head: &str, rungs: &str) -> String {
    let path = directory.join("experiment.toml");
    let text = format!(
        "experiment = \"test\"\n{head}\n[table]\nname = \"t\"\n[[table.columns]]\nname = \"a\"\n\
         type = \"bigint\"\ngenerator = {{ kind = \"integer\", min = 1, max = 1000000 }}\n{rungs}"
    );
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    path.display().to_string()
}

/// The result in a directory.
pub(crate) fn result(directory: &Path) -> RunResult {
    let text = std::fs::read_to_string(directory.join("result.json")).expect("result.json");
    RunResult::from_json(&text).expect("a result that can be read")
}
