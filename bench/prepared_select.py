"""A prepared SELECT against pgbench: client CPU flat out, and latency at a fixed rate."""

import ctypes
import json
import tempfile
from pathlib import Path

from figures import Comparison, Figure, in_turn, percentile
from server import DRIVER, Session, program, timed_process

SCALE = 10
CONNECTIONS = 16
WARM_UP = 1  # seconds; both sides run them, and neither counts their latencies


def prepare(dsn):
    """pgbench's own tables."""
    command = [program("pgbench"), "-i", "-q", "-s", str(SCALE), dsn]
    timed_process(command, stderr=open("/dev/null", "w"))


def remove(dsn):
    with Session(dsn) as session:
        session.run(
            "DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers"
        )


def exact_timers():
    """Runs in the child: sleeps end within a nanosecond of their time instead of the 50 µs that
    Linux allows itself by default, by which pgbench would start each transaction late."""
    set_timer_slack = 29
    ctypes.CDLL(None).prctl(set_timer_slack, 1, 0, 0, 0)


def ours(dsn, seconds, rate=None, seed=1):
    command = [DRIVER, "select", "--dsn", dsn, "--connections", str(CONNECTIONS)]
    command += ["--seed", str(seed)]
    command += ["--threads", "1", "--warmup", str(WARM_UP), "--duration", str(seconds)]
    if rate:
        command += ["--rate", str(rate)]
    output, cpu = timed_process(command)
    result = json.loads(output)
    if result["failed"]:
        raise SystemExit(f"{result['failed']} of our operations failed")
    result["process_cpu_us_per_op"] = cpu / result["all_operations"] * 1e6
    return result


def pgbench(dsn, seconds, rate=None, **options):
    """-S is the same statement; with a rate, latency is read from the log of all transactions."""
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        command = [program("pgbench"), "-n", "-S", "-M", "prepared", "-c", str(CONNECTIONS)]
        command += ["-j", "1", "-T", str(WARM_UP + seconds)]
        if rate:
            command += ["-R", str(rate), "-l", "--log-prefix", f"{directory}/log"]
        output, cpu = timed_process([*command, dsn], **options)
        operations = figure(output, "number of transactions actually processed:")
        result = {"all_operations": operations, "operations_per_s": figure(output, "tps =")}
        result["process_cpu_us_per_op"] = cpu / operations * 1e6
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
    """The third field is the latency in µs from the *scheduled* start: with -R, pgbench's
    processXactStats takes the time since `txn_scheduled`, so the lag (the seventh field) is in
    it. The fifth and sixth are the time of completion."""
    rows = [
        [int(field) for field in line.split()[2:7]]
        for log in directory.iterdir()
        for line in log.read_text().splitlines()
    ]
    ends = [row[2] * 1_000_000 + row[3] for row in rows]
    counted_from = min(ends) + WARM_UP * 1_000_000
    counted = [row for row, end in zip(rows, ends) if end >= counted_from]
    latencies, lags = sorted(row[0] for row in counted), sorted(row[4] for row in counted)
    return {
        "operations": len(counted),
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
            column("throughput", "1/s", mine, theirs, "operations_per_s", "", digits=0),
        ],
        [
            "Both: user and system time of the whole process (`wait4`), start, connecting and "
            "warm-up included, divided by all its transactions.",
            "Ours checks that each answer has one row; pgbench throws the answer away.",
            f"Our own meter says {median_of(mine, 'client_cpu_us_per_op'):.2f} µs an operation.",
        ],
        {"ours": mine, "theirs": theirs},
    )


def fixed_rate(dsn, trials, seconds, rate):
    """Latency from the schedule, at a rate that the server keeps up with."""
    def theirs():
        exact = pgbench(dsn, seconds, rate, preexec_fn=exact_timers)
        return exact, pgbench(dsn, seconds, rate)

    pairs = [in_turn(t, lambda: ours(dsn, seconds, rate, t), theirs) for t in range(trials)]
    mine, theirs = zip(*pairs)
    exact, plain = zip(*theirs)
    late = [median_of(side, "lag_p50_us") for side in (plain, exact)]
    return Comparison(
        f"Latency from the schedule at {rate:,} SELECT/s",
        "pgbench -R, its log, exact timers",
        [
            column("p50", "µs", mine, exact, "p50_us", "1.0", digits=0),
            column("p99", "µs", mine, exact, "p99_us", "1.0", digits=0),
            column("done", "1/s", mine, exact, "operations_per_s", "1.0", digits=0),
            column("client CPU", "µs/operation", mine, exact, "process_cpu_us_per_op", ""),
        ],
        [
            "Both draw random (Poisson) gaps and count latency from the intended start.",
            "pgbench sleeps by `ppoll`, which Linux may end 50 µs late; ours by a timerfd, which "
            f"ends on time. As it comes, pgbench starts {late[0]:.0f} µs late (median) and its p50 "
            f"is {median_of(plain, 'p50_us'):.0f} µs (p99 {median_of(plain, 'p99_us'):.0f}); with "
            f"the timer slack of its process set to 1 ns, as in the table, {late[1]:.0f} µs late.",
        ],
        {"ours": mine, "theirs": exact, "theirs as it comes": plain},
    )


def median_of(results, key):
    return percentile(sorted(r[key] for r in results), 0.5)


def column(name, unit, mine, theirs, key, goal, digits=2):
    return Figure(name, unit, [r[key] for r in mine], [r[key] for r in theirs], digits, goal)
