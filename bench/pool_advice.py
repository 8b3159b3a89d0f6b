"""Whether the pool that `pinchpoint pool` advises is as good as the best of all sizes."""

import json
import statistics
import subprocess

from figures import spread
from server import PINCHPOINT

CLIENTS = 64
# Every size that could matter on a few cores, and some beyond.
ALL = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64]
CPUS = [0.5, 1, 2]


def sweep(cpus, *options):
    """A result of `pinchpoint pool` on a private server with so many CPUs."""
    load = ["-b", "tpcb-like", "-s", "20", "-c", CLIENTS, "--cpus", cpus]
    command = [PINCHPOINT, "pool", *load, "--json", "--quiet", *options]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def rates(result):
    """Throughput of each size, round by round."""
    trials = lambda variant: [t["throughput_per_s"] for t in variant["trials"] if t["status"] == "ok"]
    return {variant["factors"]["pool"]: trials(variant) for variant in result["variants"]}


def advice(rounds):
    """The advised size and every size, in two runs for each number of CPUs."""
    lines = [
        f"### What size a pool should have, {CLIENTS} clients, tpcb-like",
        "",
        "| CPUs | advised | best of all | advised ÷ best | goal |",
        "|---|---:|---:|---|---|",
    ]
    raw = {}
    for cpus in CPUS:
        advised = sweep(cpus)["pool"]["size"]
        sizes = ",".join(str(size) for size in sorted({*ALL, advised}))
        # One more second than the advice had, and as many rounds as there are trials.
        every = rates(sweep(cpus, "--sizes", sizes, "--rounds", rounds, "-T", 3, "--max-time", "15min"))
        medians = {size: statistics.median(values) for size, values in every.items() if values}
        best = max(medians, key=medians.get)
        ratio = spread([a / b for a, b in zip(every[advised], every[best])])
        lines.append(f"| {cpus} | {advised} | {best} | {ratio.show(3)} | ≥ 0.95 |")
        raw[str(cpus)] = {"advised": advised, "best": best, "per_s": every}
    return "\n".join(lines) + "\n", raw
