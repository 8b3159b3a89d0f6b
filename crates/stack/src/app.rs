use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pinchpoint_measure::Limit;
use rustix::process::Signal;

use crate::cancel::Cancel;
use crate::cgroup::Asked;
use crate::error::StackError;
use crate::exec::Helper;
use crate::programs::find;
use crate::supervised::{Exited, Supervised, free_port};

/// How to start an application.
#[derive(Debug, Clone)]
pub struct AppOptions {
    /// Its name, for messages.
    pub name: String,
    /// Where it is started; its own private directory when absent.
    pub directory: Option<PathBuf>,
    /// Program and arguments; `{host}`, `{port}` and `{venv}` are filled in.
    pub command: Vec<String>,
    /// Environment, beside a bare one, `HOST` and `PORT`.
    pub env: Vec<(String, String)>,
    /// Its virtual environment of Python packages.
    pub venv: Option<PathBuf>,
    /// The path that answers 200 when it is ready.
    pub health: String,
    /// How long it may take.
    pub ready_within: Duration,
    /// CPUs that it may use. Infinity limits nothing, and prepares what [`App::set_cpus`] needs.
    pub cpus: Option<f64>,
    /// Memory that it may use.
    pub memory_bytes: Option<u64>,
}

/// An application under test: started, watched and removed by us. It runs as the caller.
pub struct App {
    process: Supervised,
    port: u16,
    ready: Duration,
}

const HOST: &str = "127.0.0.1";
const LOG: &str = "app.log";
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("port", &self.port).finish_non_exhaustive()
    }
}

impl App {
    /// Starts an application and waits until it says that it is ready.
    pub fn start(
        helper: &Helper,
        options: &AppOptions,
        cancel: &Cancel,
    ) -> Result<Self, StackError> {
        let mut process = Supervised::new(helper, &options.name, None, None, LOG)?;
        // A web server takes this as the wish to end; a quit may leave a core behind.
        process.stop_with(Signal::TERM);
        let asked = Asked { cpus: options.cpus, memory_bytes: options.memory_bytes };
        process.limit(&options.name, asked);
        let began = Instant::now();
        let mut app = Self { process, port: free_port()?, ready: Duration::ZERO };
        app.launch(options)?;
        app.wait_until_ready(options, cancel)?;
        app.ready = began.elapsed();
        Ok(app)
    }

    fn launch(&mut self, options: &AppOptions) -> Result<(), StackError> {
        let venv = options.venv.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
        let port = self.port.to_string();
        let fill = |text: &str| {
            text.replace("{host}", HOST).replace("{port}", &port).replace("{venv}", &venv)
        };
        let (program, arguments) = options.command.split_first().ok_or_else(|| {
            let looked = "as its command is empty".to_owned();
            StackError::NoProgram { app: options.name.clone(), program: String::new(), looked }
        })?;
        let program = locate(&fill(program), &options.name)?;
        let mut command = self.process.command(&program);
        command.args(arguments.iter().map(|a| fill(a)));
        self.process.tidy(&mut command, LOG)?;
        command.env("HOST", HOST).env("PORT", &port);
        command.envs(options.env.iter().map(|(name, value)| (name, fill(value))));
        if let Some(directory) = &options.directory {
            command.current_dir(directory);
        }
        self.process.start(command)
    }

    fn wait_until_ready(&self, options: &AppOptions, cancel: &Cancel) -> Result<(), StackError> {
        let began = Instant::now();
        loop {
            if let Err(Exited { name, status, log }) = self.alive() {
                return Err(StackError::Ended { name, status, log });
            }
            if cancel.is_cancelled() {
                return Err(StackError::Cancelled);
            }
            if healthy(self.port, &options.health) {
                return Ok(());
            }
            if began.elapsed() > options.ready_within {
                return Err(StackError::Silent {
                    name: options.name.clone(),
                    seconds: options.ready_within.as_secs(),
                    log: self.process.log_tail(12),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The TCP port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it answers: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.port)
    }

    /// How long it took until it was ready.
    pub const fn ready_after(&self) -> Duration {
        self.ready
    }

    /// Its first process.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Control groups that it is in.
    pub fn groups(&self) -> &[PathBuf] {
        &self.process.limits.groups
    }

    /// Changes how many CPUs its processes may use, from now on; infinity lifts the limit. Only
    /// where it was started with [`AppOptions::cpus`] and control groups carry that.
    pub fn set_cpus(&self, cpus: f64) -> Result<(), StackError> {
        self.process.limits.set_cpus(cpus)
    }

    /// Limits asked for, and whether they are in force.
    pub fn limits(&self) -> Vec<Limit> {
        self.process.report()
    }

    /// Whether it still runs; if not, how it ended.
    pub fn alive(&self) -> Result<(), Exited> {
        self.process.alive()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }
}

/// A program by its path, beside our own, or in the search path.
fn locate(program: &str, app: &str) -> Result<PathBuf, StackError> {
    let missing = |looked: &str| StackError::NoProgram {
        app: app.to_owned(),
        program: program.to_owned(),
        looked: looked.to_owned(),
    };
    if program.contains('/') {
        let path = Path::new(program);
        return if path.is_file() { Ok(path.to_owned()) } else { Err(missing("at that path")) };
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(program)));
    beside
        .filter(|file| file.is_file())
        .or_else(|| find(program))
        .ok_or_else(|| missing("beside pinchpoint or in PATH"))
}

/// Whether a `GET` of the path is answered with 200.
fn healthy(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((HOST, port))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
