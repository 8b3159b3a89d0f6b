"""The server that both sides are held against, and a session on it."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINCHPOINT = ROOT / "target/release/pinchpoint"
DRIVER = ROOT / "target/release/pinchpoint-bench"
SETTINGS = ["max_connections=250", "shared_buffers=256MB", "max_wal_size=4GB"]


@contextlib.contextmanager
def server(dsn=None):
    """Yields the DSN of a private server with the ladder's settings, or the one given."""
    if dsn:
        yield dsn
        return
    command = [PINCHPOINT, "postgres", "--until-eof"]
    for setting in SETTINGS:
        command += ["--set", setting]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise SystemExit("the server did not start; see above")
        yield line
    finally:
        process.stdin.close()
        process.wait()


def program(name):
    """The path of one of PostgreSQL's client programs."""
    found = shutil.which(name)
    if found:
        return found
    # Debian keeps what belongs to one version there; the newest serves.
    known = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=version_of)
    if not known:
        raise SystemExit(f"{name} is missing; scripts/install-deps.sh bench installs it")
    return str(known[-1])


def version_of(path):
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0


class Session:
    """A psql that stays connected, for statements and for work that two sessions do at once."""

    MARK = "pinchpoint-bench-done"

    def __init__(self, dsn):
        command = [program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PGOPTIONS": "-c client_min_messages=warning"},
        )
        self.run("SELECT 1")

    def send(self, sql):
        """Starts a statement."""
        self.process.stdin.write(f"{sql};\n\\echo {self.MARK}\n")
        self.process.stdin.flush()

    def wait(self):
        """Waits for its end; its rows as lines."""
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == self.MARK:
                return lines
            lines.append(line.rstrip("\n"))
        raise SystemExit("a statement failed on the server; see above")

    def run(self, sql):
        self.send(sql)
        return self.wait()

    def value(self, sql):
        return self.run(sql)[0]

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def timed_process(command, **options):
    """Runs a command; its standard output and the CPU seconds that it took, user and system."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command[:2]))} … failed: exit {process.returncode}")
    return output, usage.ru_utime + usage.ru_stime
