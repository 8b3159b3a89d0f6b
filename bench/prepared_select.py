"""A prepared SELECT against pgbench: client CPU flat out, and latency at a fixed rate."""

import json
import tempfile
from pathlib import Path

from figures import Comparison, Figure, in_turn, percentile
from server import DRIVER, Session, program, timed_process

SCALE = 10
CONNECTIONS = 16


def prepare(dsn):
    """pgbench's own tables."""
    command = [program("pgbench"), "-i", "-q", "-s", str(SCALE), dsn]
    timed_process(command, stderr=open("/dev/null", "w"))


def remove(dsn):
    with Session(dsn) as session:
        session.run(
            "DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers"
        )


def ours(dsn, seconds, rate=None):
    command = [DRIVER, "select", "--dsn", dsn, "--connections", str(CONNECTIONS)]
    command += ["--threads", "1", "--duration", str(seconds)]
    if rate:
        command += ["--rate", str(rate)]
    output, cpu = timed_process(command)
    result = json.loads(output)
    result["process_cpu_us_per_op"] = cpu / result["ops"] * 1e6
    return result


def pgbench(dsn, seconds, rate=None):
    """-S is the same statement; with a rate, latency is read from the log of all transactions."""
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        command = [program("pgbench"), "-n", "-S", "-M", "prepared", "-c", str(CONNECTIONS)]
        command += ["-j", "1", "-T", str(seconds)]
        if rate:
            command += ["-R", str(rate), "-l", "--log-prefix", f"{directory}/log"]
        output, cpu = timed_process([*command, dsn])
        result = {"ops": figure(output, "number of transactions actually processed:")}
        result["failed"] = figure(output, "number of failed transactions:")
        result["ops_per_s"] = figure(output, "tps =")
        result["process_cpu_us_per_op"] = cpu / result["ops"] * 1e6
        if rate:
            result |= from_log(Path(directory))
        return result


def figure(output, label):
    """The number after a label of pgbench's report."""
    for line in output.splitlines():
        if line.startswith(label):
            return float(line[len(label) :].split()[0].split("/")[0])
    raise SystemExit(f"pgbench printed no {label!r}")


def from_log(directory):
    """The third field is the latency from the scheduled start, in µs: with -R, pgbench takes the
    time since `txn_scheduled`, so the lag (the seventh field) is in it."""
    latencies, lags = [], []
    for log in directory.iterdir():
        for line in log.read_text().splitlines():
            fields = line.split()
            latencies.append(int(fields[2]))
            lags.append(int(fields[6]))
    latencies.sort()
    lags.sort()
    return {
        "logged": len(latencies),
        "p50_us": percentile(latencies, 0.5),
        "p99_us": percentile(latencies, 0.99),
        "lag_p50_us": percentile(lags, 0.5),
    }


def cpu(dsn, trials, seconds):
    """Client CPU for each prepared SELECT, flat out."""
    pairs = [
        in_turn(t, lambda: ours(dsn, seconds), lambda: pgbench(dsn, seconds))
        for t in range(trials)
    ]
    mine, theirs = zip(*pairs)
    return Comparison(
        "Client CPU of a prepared SELECT, 16 connections, one thread",
        "pgbench -S -M prepared",
        [
            column("client CPU", "µs/operation", mine, theirs, "process_cpu_us_per_op", "≤ 1.0"),
            column("throughput", "1/s", mine, theirs, "ops_per_s", "", digits=0),
        ],
        [
            "Both: user and system time of the whole process (`wait4`), start and connecting "
            "included, divided by its transactions.",
            "Ours checks that each answer has one row; pgbench throws the answer away.",
            f"Our own meter says {median_of(mine, 'client_cpu_us_per_op'):.2f} µs an operation.",
        ],
        {"ours": mine, "theirs": theirs},
    )


def fixed_rate(dsn, trials, seconds, rate):
    """Latency from the schedule, at a rate that the server keeps up with."""
    pairs = [
        in_turn(t, lambda: ours(dsn, seconds, rate), lambda: pgbench(dsn, seconds, rate))
        for t in range(trials)
    ]
    mine, theirs = zip(*pairs)
    return Comparison(
        f"Latency from the schedule at {rate:,} SELECT/s",
        "pgbench -R, its log",
        [
            column("p50", "µs", mine, theirs, "p50_us", "1.0", digits=0),
            column("p99", "µs", mine, theirs, "p99_us", "1.0", digits=0),
            column("done", "1/s", mine, theirs, "ops_per_s", "1.0", digits=0),
            column("client CPU", "µs/operation", mine, theirs, "process_cpu_us_per_op", ""),
        ],
        ["Both draw random (Poisson) gaps and count latency from the intended start."],
        {"ours": mine, "theirs": theirs},
    )


def median_of(results, key):
    return percentile(sorted(r[key] for r in results), 0.5)


def column(name, unit, mine, theirs, key, goal, digits=2):
    return Figure(name, unit, [r[key] for r in mine], [r[key] for r in theirs], digits, goal)
