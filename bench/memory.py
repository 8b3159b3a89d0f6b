"""Resident memory of the command over a whole climb."""

import subprocess
import tempfile
import time
from pathlib import Path

from server import PINCHPOINT

GOAL_MB = 60


def peak_over_climb(seconds, trials):
    """Climbs the whole ladder on a private server; the high-water mark in bytes, report included."""
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        command = [PINCHPOINT, "run", "ladder", "--quiet", "--trials", str(trials)]
        command += ["--duration", f"{seconds}s", "--out", f"{directory}/result"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = 0
        # The kernel keeps the mark as long as the process lives: only what is reached in the last
        # few milliseconds can be missed.
        while process.poll() is None:
            peak = max(peak, high_water_mark(process.pid))
            time.sleep(0.005)
        if process.returncode != 0:
            raise SystemExit(f"the climb failed: exit {process.returncode}")
    return peak


def high_water_mark(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def climb_memory(trials, seconds):
    peak = peak_over_climb(seconds, trials) / 1e6
    text = (
        "### Resident memory of the command over a whole climb\n\n"
        "| | ours | goal |\n|---|---|---|\n"
        f"| peak (VmHWM), MB | {peak:.1f} | < {GOAL_MB} |\n\n"
        f"- {trials} trials of {seconds} s on each rung, sweeps, report and plot included; the "
        "server's processes are not.\n"
    )
    return text, {"peak_mb": peak}
