"""HTTP load against wrk and oha: client CPU for each request, and memory of many users."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Comparison, Figure, in_turn
from server import PINCHPOINT, timed_process

CONNECTIONS = 100
BODY = '{"id":1,"name":"pinchpoint","tags":["a","b"],"status":"ok"}'
USERS = 10_000
NGINX = """
daemon off; master_process off; error_log {directory}/error.log warn; pid {directory}/nginx.pid;
worker_rlimit_nofile 30000;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{
    listen 127.0.0.1:{port} backlog=16384 reuseport;
    location / {{ default_type application/json; return 200 '{body}'; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx():
    """A server with one process that answers a small JSON; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        os.chmod(directory, 0o755)
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(NGINX.format(directory=directory, port=port, body=BODY))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        process = subprocess.Popen([program, "-c", configuration, "-e", f"{directory}/error.log"])
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def ours(url, seconds, *options):
    """CPU of the whole process for each request, start and end included."""
    command = [PINCHPOINT, "http", url, "-u", str(CONNECTIONS), "--threads", "1", "-t", f"{seconds}s"]
    command += ["--warmup", "0s", "--quiet", *options]
    text, cpu = timed_process(command)
    requests = int(re.search(r"^requests +([\d,]+)", text, re.M)[1].replace(",", ""))
    return {"cpu_us": cpu * 1e6 / requests, "requests_per_s": requests / seconds}


def wrk(url, seconds):
    text, cpu = timed_process(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url])
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return {"cpu_us": cpu * 1e6 / requests, "requests_per_s": requests / seconds}


def oha(program, url, seconds):
    environment = os.environ | {"TOKIO_WORKER_THREADS": "1"}
    command = [program, "-c", str(CONNECTIONS), "-z", f"{seconds}s", "--no-tui", url]
    text, cpu = timed_process(["taskset", "-c", "0", *command], env=environment)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return {"cpu_us": cpu * 1e6 / (rate * seconds), "requests_per_s": rate}


def cpu(trials, seconds):
    """Client CPU for each request, against wrk and, where it is installed, oha."""
    other = shutil.which("oha") or os.environ.get("OHA")
    comparisons, raw = [], {}
    with nginx() as url:
        ours(url, 1), wrk(url, 1)  # not counted
        sides = [("wrk", lambda: wrk(url, seconds), "≤ 1.25")]
        if other:
            sides.append(("oha", lambda: oha(other, url, seconds), "≤ 0.8"))
        for name, theirs, goal in sides:
            pairs = [in_turn(t, lambda: ours(url, seconds), theirs) for t in range(trials)]
            raw[name] = pairs
            mine, others = zip(*pairs)
            figure = Figure("client CPU", "µs/request", *columns(mine, others, "cpu_us"), 2, goal)
            rate = Figure("requests", "1/s", *columns(mine, others, "requests_per_s"), 0)
            title = f"HTTP, {CONNECTIONS} connections, one thread, small JSON from nginx: {name}"
            comparisons.append(Comparison(title, name, [figure, rate], [], pairs).text)
        check = ["--check-status", "200", "--check-json", "/status=ok"]
        pairs = [in_turn(t, lambda: ours(url, seconds, *check), lambda: ours(url, seconds)) for t in range(trials)]
        raw["checks"] = pairs
        mine, plain = zip(*pairs)
        figure = Figure("client CPU", "µs/request", *columns(mine, plain, "cpu_us"), 2)
        title = "The price of checking a value in each JSON body"
        comparisons.append(Comparison(title, "status alone", [figure], [], pairs).text)
    if not other:
        comparisons.append("oha is not installed (`cargo install oha`, or OHA=its path): not compared.\n")
    return "\n".join(comparisons), raw


def columns(mine, others, key):
    return [m[key] for m in mine], [o[key] for o in others]


def memory(trials=3, seconds=5):
    """The largest resident memory of the command with many users open at once."""
    peaks = []
    with nginx() as url:
        for _ in range(trials):
            command = [PINCHPOINT, "http", url, "-u", str(USERS), "-t", f"{seconds}s", "--warmup", "0s", "--quiet"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            text = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            opened = int(re.search(r"([\d,]+) connections opened", text)[1].replace(",", ""))
            if process.returncode != 0 or opened < USERS:
                raise SystemExit(f"{opened} of {USERS} connections were opened:\n{text}")
            peaks.append(usage.ru_maxrss / 1024)
    lines = [f"### Memory of {USERS:,} users", ""]
    lines.append(f"Peak resident memory: {', '.join(f'{p:.0f}' for p in peaks)} MB (goal: < 300).\n")
    return "\n".join(lines), peaks
