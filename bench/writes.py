"""What the ladder writes, against the server itself and against Python."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Comparison, Figure, in_turn
from server import PINCHPOINT, ROOT, Session, timed_process

HERE = ROOT / "bench"
SCHEMA = "pinchpoint_bench_copy"
COLUMNS = """
    id uuid NOT NULL, user_id integer NOT NULL, merchant_id integer NOT NULL,
    amount numeric(12,2) NOT NULL, currency text NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL, PRIMARY KEY (id)"""
# The ladder's generators in SQL. Zipf with exponent 1 comes close to 1000 ^ random().
ROWS = """
    SELECT gen_random_uuid(), 1 + floor(random() * 10000)::integer,
        least(1000, floor(power(1001, random())))::integer, (1 + random() * 9999)::numeric(12,2),
        (ARRAY['EUR','USD','KRW','JPY','GBP'])[1 + floor(random() * 5)::integer],
        (ARRAY['completed','completed','completed','pending'])[1 + floor(random() * 4)::integer],
        clock_timestamp()
    FROM generate_series(1, {rows})"""


def climb(dsn, experiment, *options):
    """Runs an experiment of one rung and one trial on the server; its result."""
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        command = [PINCHPOINT, "run", experiment, "--dsn", dsn, "--trials", "1", "--quiet"]
        command += ["--json", "--out", f"{directory}/result", *options]
        return json.loads(timed_process(command)[0])


def only_trial(result):
    """The one trial of the one rung, which must have stored what was acknowledged."""
    (variant,) = result["variants"]
    (trial,) = variant["trials"]
    if trial["status"] != "ok" or trial["rows_in_table"] != trial["acknowledged_rows"]:
        raise SystemExit(f"rung {variant['name']}: {trial['status']}: {trial['reason']}")
    return trial


def checkpoint(dsn):
    """Ends what the last trial left to write, so that the next one starts from rest."""
    with Session(dsn) as session:
        session.run("CHECKPOINT")


class ServerSideCopy:
    """`COPY … FROM file (FORMAT binary)` on two sessions: no client, no wire, no generator."""

    SESSIONS = 2

    def __init__(self, dsn, warm_up_rows, rows):
        self.dsn, self.rows = dsn, rows
        with Session(dsn) as session:
            directory = session.value("SHOW data_directory")
            self.files = {
                part: [f"{directory}/pinchpoint-bench-{part}-{n}" for n in range(self.SESSIONS)]
                for part in ("warm-up", "measured")
            }
            for part, count in (("warm-up", warm_up_rows), ("measured", rows)):
                for file in self.files[part]:
                    query = ROWS.format(rows=count)
                    session.run(f"COPY ({query}) TO '{file}' (FORMAT binary)")

    def trial(self):
        """Fills a new table; the warm-up makes it as large as ours is when measuring begins."""
        sessions = [Session(self.dsn) for _ in range(self.SESSIONS)]
        sessions[0].run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        sessions[0].run(f"CREATE SCHEMA {SCHEMA}")
        sessions[0].run(f"CREATE TABLE {SCHEMA}.transactions ({COLUMNS})")
        sessions[0].run("CHECKPOINT")
        warm_up_s = self.copy(sessions, "warm-up")
        before = int(sessions[0].value(f"SELECT count(*) FROM {SCHEMA}.transactions"))
        duration_s = self.copy(sessions, "measured")
        stored = int(sessions[0].value(f"SELECT count(*) FROM {SCHEMA}.transactions"))
        sessions[0].run(f"DROP SCHEMA {SCHEMA} CASCADE")
        for session in sessions:
            session.close()
        rows = self.rows * self.SESSIONS
        if stored - before != rows:
            raise SystemExit(f"server-side COPY: {stored - before} rows stored, {rows} expected")
        return {
            "warm_up_s": warm_up_s,
            "duration_s": duration_s,
            "rows_per_s": rows / duration_s,
            "rows_in_table": stored,
        }

    def copy(self, sessions, part):
        """Both files at once; seconds until both are in."""
        began = time.perf_counter()
        for session, file in zip(sessions, self.files[part]):
            session.send(f"COPY {SCHEMA}.transactions FROM '{file}' (FORMAT binary)")
        for session in sessions:
            session.wait()
        return time.perf_counter() - began


def copy(dsn, trials, seconds):
    """The best durable rung against server-side COPY."""
    batch = 20_000
    with tempfile.TemporaryDirectory(prefix="pinchpoint-bench-") as directory:
        experiment = Path(directory) / "copy.toml"
        experiment.write_text(with_batch("3-B", batch))
        # Enough rows for the time asked for, on a machine like that of BENCHMARKS.md.
        theirs = ServerSideCopy(dsn, warm_up_rows=500_000, rows=int(seconds * 300_000))
        last = theirs.trial()  # not counted; says how long ours should take

        def ours():
            checkpoint(dsn)
            options = ["--rungs", "3-B", "--warmup", f"{last['warm_up_s'] * 1e3:.0f}ms"]
            options += ["--duration", f"{last['duration_s'] * 1e3:.0f}ms"]
            return only_trial(climb(dsn, experiment, *options))

        pairs = []
        for trial in range(trials + 1):
            pairs.append(in_turn(trial, ours, theirs.trial))
            last = pairs[-1][1]
    # In the first pair the server still makes the WAL files that it later only uses again.
    mine, theirs = zip(*pairs[1:])
    cpu = [t["client_cpu_us_per_row"] for t in mine]
    return Comparison(
        f"Binary COPY over the wire (rung 3-B, batches of {batch:,})",
        "COPY FROM file, 2 sessions",
        [throughput(mine, theirs, "≥ 1.0")],
        [
            f"Our client CPU: {sorted(cpu)[len(cpu) // 2]:.3f} µs a row, generating it included "
            "(goal: < 0.3); theirs has no client.",
            proof(mine, theirs),
        ],
        {"ours": mine, "theirs": theirs},
    )


def with_batch(rung, batch):
    """The ladder's file with one batch size for this rung, so that its trials need no sweep."""
    text = subprocess.run(
        [PINCHPOINT, "list", "--show", "ladder"], check=True, capture_output=True, text=True
    ).stdout
    pattern = rf'(name = "{rung}"\n(?:(?!\[\[rung).*\n)*?batch = )\[[^\]]*\]'
    changed, count = re.subn(pattern, rf"\g<1>{batch}", text)
    if count != 1:
        raise SystemExit(f"the ladder's file has no rung {rung} with a list of batch sizes")
    return changed


def documents(dsn, trials, seconds):
    """Rung 2-D against the same rung in Python with asyncpg."""
    python = python_with_asyncpg()
    timing = [f"--warmup={2}s", f"--duration={seconds}s"]

    def ours():
        checkpoint(dsn)
        return only_trial(climb(dsn, "ladder", "--rungs", "2-D", *timing))

    def asyncpg(rows):
        checkpoint(dsn)
        command = [python, HERE / "asyncpg_ladder.py", "--dsn", dsn, "--rows", rows]
        command += ["--warmup", "2", "--duration", str(seconds)]
        result = json.loads(timed_process(command)[0])
        if result["rows_in_table"] != result["acknowledged_rows"]:
            raise SystemExit(f"asyncpg: rows do not balance: {result}")
        return result

    def both():
        return asyncpg("plain"), asyncpg("tuned")

    mine, theirs = zip(*[in_turn(t, ours, both) for t in range(trials)])
    plain, tuned = zip(*theirs)
    figures = []
    for name, side in (("plain", plain), ("tuned", tuned)):
        cpu = [[t["client_cpu_us_per_row"] for t in each] for each in (mine, side)]
        figures.append(throughput(mine, side, "≥ 1.5", f"throughput against {name} rows"))
        figures.append(Figure(f"client CPU against {name} rows", "µs/row", *cpu, 3))
    return Comparison(
        "The documents' rung 2-D: 50 at once, batches of 500, pipelined",
        "Python, asyncpg",
        figures,
        [
            "Python makes its rows value by value (plain), or column by column (tuned).",
            proof(mine, [*plain, *tuned]),
        ],
        {"ours": mine, "theirs, plain": plain, "theirs, tuned": tuned},
    )


def throughput(mine, theirs, goal, name="throughput"):
    ours = [t["throughput_per_s"] for t in mine]
    return Figure(name, "rows/s", ours, [t["rows_per_s"] for t in theirs], 0, goal)


def proof(mine, theirs):
    """How many rows lay in the tables: each trial has counted its own."""
    ours, other = (sum(t["rows_in_table"] for t in side) for side in (mine, theirs))
    return (
        f"Rows counted in the tables after the trials: ours {ours:,}, theirs {other:,}; in each "
        "trial as many as were acknowledged."
    )


def python_with_asyncpg():
    """The interpreter of an environment of its own, made when it is not there."""
    environment = HERE / ".venv"
    python = environment / "bin/python"
    wanted = (HERE / "requirements.txt").read_text()
    installed = environment / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        print("installing asyncpg into bench/.venv", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", HERE / "requirements.txt"], check=True)
        installed.write_text(wanted)
    return python
