"""What a hit costs, and what a cache gives the service: ratios in one run."""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from figures import spread
from server import PINCHPOINT, ROOT

CRATE = ROOT / "bench/cache"
# Ours, theirs, the goal.
HITS = [
    ("memory hit, #[cached]", "quick_cache get, user", 1.5),
    ("memory hit, #[cached]", "quick_cache get, user, key made", 1.5),
    ("redis hit", "redis GET + decode", 1.15),
    ("redis hit", "cached redis hit", 1.0),
    ("redis hit, 32 at once", "redis GET + decode, 32 at once", 1.15),
    ("redis hit, 32 at once", "cached redis hit, 32 at once", 1.0),
]


def hits(trials):
    """Nanoseconds of a hit, from the driver in bench/cache, on a private Redis."""
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=CRATE, check=True)
    redis = subprocess.Popen(
        [PINCHPOINT, "redis", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        url = redis.stdout.readline().strip()
        program = CRATE / "target/release/pinchpoint-bench-cache"
        output = subprocess.run([program, url, str(trials)], capture_output=True, text=True, check=True)
    finally:
        redis.stdin.close()
        redis.wait()
    rounds = [json.loads(line) for line in output.stdout.splitlines()]
    lines = ["| a hit | ns, median |", "|---|---:|"]
    lines += [f"| {name} | {statistics.median(r[name] for r in rounds):,.0f} |" for name in rounds[0]]
    lines += ["", "| ours ÷ theirs | ratio | goal at most |", "|---|---|---|"]
    for ours, theirs, goal in HITS:
        ratio = spread([r[ours] / r[theirs] for r in rounds])
        lines.append(f"| {ours} ÷ {theirs} | {ratio.show(3)} | {goal} |")
    return "\n".join(lines), rounds


def run(experiment, only, trials):
    """An experiment's trials by variant, from the command's own result."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "result"
        command = [PINCHPOINT, "run", experiment, "--quiet", "--trials", str(trials), "--duration", "5s"]
        subprocess.run([*command, "--out", out, *only], check=True, stdout=subprocess.DEVNULL)
        result = json.loads((out / "result.json").read_text())
    return {variant["name"]: variant["trials"] for variant in result["variants"]}


def pairs(ours, theirs, figure):
    return [figure(a) / figure(b) for a, b in zip(ours, theirs, strict=True)]


def service(trials):
    """Throughput and database load of the service, warm against off; its CPU against FastAPI's."""
    cache = run("cache", ["--only", "app=off,warm", "--only", "users=100"], trials)
    warm, off = cache["warm-direct-100"], cache["off-direct-100"]
    gain = pairs(warm, off, lambda t: t["throughput_per_s"])

    def load(trial):
        return trial["stack"]["sessions"]["transactions"] / trial["succeeded"]

    left = pairs(warm, off, load)
    apps = run(
        "frameworks",
        ["--only", "app=axum,fastapi", "--only", "users=100", "--only", "connection=direct", "--only", "profile=tuned"],
        trials,
    )

    def cpu(trial):
        return next(p["cpu_us_per_op"] for p in trial["stack"]["processes"] if p["name"] == "app")

    names = sorted(apps)
    axum = next(apps[name] for name in names if name.startswith("axum"))
    fastapi = next(apps[name] for name in names if name.startswith("fastapi"))
    cheaper = pairs(fastapi, axum, cpu)
    lines = ["| the service, 100 users, PostgreSQL at 0.5 CPU | ratio | goal |", "|---|---|---|"]
    for title, values, goal in [
        ("requests/s, warm ÷ off", gain, "at least 5"),
        ("transactions a request, warm ÷ off", left, "at most 0.3"),
        ("/benchmark/db-test a CPU-second, axum ÷ FastAPI (`tuned`)", cheaper, "at least 5"),
    ]:
        lines.append(f"| {title} | {spread(values).show(3)} | {goal} |")
    return "\n".join(lines), {"gain": gain, "left": left, "cheaper": cheaper}
