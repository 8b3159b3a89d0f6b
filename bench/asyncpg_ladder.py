"""Rung 2-D of the write ladder in Python with asyncpg, as the ladder's experiment file describes it.

A pool of 50 to 200 connections, 50 tasks, and on each a batch of 500 rows by `executemany`, which
asyncpg sends as a pipeline in one transaction. Same table, same distributions of the values.
Rows are made in the `plain` way, value by value, or in a `tuned` way, which costs a quarter of it.
Prints one JSON line.
"""

import argparse
import asyncio
import itertools
import json
import random
import resource
import time
import uuid
from datetime import datetime, timezone
from decimal import Decimal

import asyncpg
from asyncpg.pgproto.pgproto import UUID

TABLE = "pinchpoint_bench_asyncpg.transactions"
CREATE = f"""
CREATE TABLE {TABLE} (
    id uuid NOT NULL, user_id integer NOT NULL, merchant_id integer NOT NULL,
    amount numeric(12,2) NOT NULL, currency text NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL, PRIMARY KEY (id))
"""
INSERT = f"""
INSERT INTO {TABLE} (id, user_id, merchant_id, amount, currency, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
CURRENCIES = ("EUR", "USD", "KRW", "JPY", "GBP")
STATUSES = ("completed", "completed", "completed", "pending")
MERCHANTS = range(1, 1001)
# Zipf with exponent 1: the share of the n-th merchant goes with 1/n.
MERCHANT_WEIGHTS = list(itertools.accumulate(1 / n for n in MERCHANTS))


def plain_batch(size):
    """The rows of one batch as one writes them at first."""
    return [
        (
            uuid.uuid4(),
            random.randint(1, 10000),
            random.choices(MERCHANTS, cum_weights=MERCHANT_WEIGHTS)[0],
            Decimal(random.randint(100, 1000000)).scaleb(-2),
            random.choice(CURRENCIES),
            random.choice(STATUSES),
            datetime.now(timezone.utc),
        )
        for _ in range(size)
    ]


def tuned_batch(size):
    """The rows of one batch, column by column: the quickest way that plain Python has."""
    draw = random.random
    noise = random.randbytes(16 * size)
    ids = []
    for start in range(0, 16 * size, 16):
        pattern = bytearray(noise[start : start + 16])
        pattern[6] = pattern[6] & 0x0F | 0x40  # version 4
        pattern[8] = pattern[8] & 0x3F | 0x80  # the variant of RFC 9562
        ids.append(UUID(bytes(pattern)))
    users = [int(draw() * 10000) + 1 for _ in range(size)]
    merchants = random.choices(MERCHANTS, cum_weights=MERCHANT_WEIGHTS, k=size)
    amounts = [Decimal(100 + int(draw() * 999901)).scaleb(-2) for _ in range(size)]
    currencies = random.choices(CURRENCIES, k=size)
    statuses = random.choices(STATUSES, k=size)
    now = itertools.repeat(datetime.now(timezone.utc), size)
    return list(zip(ids, users, merchants, amounts, currencies, statuses, now))


GENERATORS = {"plain": plain_batch, "tuned": tuned_batch}


class Tally:
    """What was acknowledged: over all, and in the measured part."""

    def __init__(self):
        self.rows = 0
        self.latencies = []

    def acknowledge(self, rows, seconds):
        self.rows += rows
        self.latencies.append(seconds)


async def write(pool, make_batch, batch, tally, until):
    """One task: a batch after the other until the time is up."""
    while time.perf_counter() < until:
        rows = make_batch(batch)
        async with pool.acquire() as connection:
            began = time.perf_counter()
            await connection.executemany(INSERT, rows)
            tally.acknowledge(batch, time.perf_counter() - began)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(options):
    pool = await asyncpg.create_pool(options.dsn, min_size=50, max_size=200)
    try:
        await pool.execute("DROP SCHEMA IF EXISTS pinchpoint_bench_asyncpg CASCADE")
        await pool.execute("CREATE SCHEMA pinchpoint_bench_asyncpg")
        await pool.execute(CREATE)
        tally = Tally()
        began = time.perf_counter()
        until = began + options.warmup + options.duration
        tasks = [
            asyncio.create_task(write(pool, GENERATORS[options.rows], options.batch, tally, until))
            for _ in range(options.concurrency)
        ]
        await asyncio.sleep(options.warmup)
        before, cpu, since = tally.rows, cpu_seconds(), time.perf_counter()
        tally.latencies.clear()
        await asyncio.sleep(until - time.perf_counter())
        rows, elapsed = tally.rows - before, time.perf_counter() - since
        cpu, latencies = cpu_seconds() - cpu, sorted(tally.latencies)
        await asyncio.gather(*tasks)
        stored = await pool.fetchval(f"SELECT count(*) FROM {TABLE}")
        await pool.execute("DROP SCHEMA pinchpoint_bench_asyncpg CASCADE")
    finally:
        await pool.close()
    return {
        "rows": rows,
        "rows_per_s": rows / elapsed,
        "client_cpu_us_per_row": cpu / max(rows, 1) * 1e6,
        "statement_p50_ms": latencies[len(latencies) // 2] * 1e3 if latencies else None,
        "acknowledged_rows": tally.rows,
        "rows_in_table": stored,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True, help="the server to write to")
    parser.add_argument("--warmup", type=float, default=2, help="seconds that are not measured")
    parser.add_argument("--duration", type=float, default=5, help="measured seconds")
    parser.add_argument("--concurrency", type=int, default=50, help="tasks")
    parser.add_argument("--batch", type=int, default=500, help="rows in a batch")
    parser.add_argument("--rows", choices=GENERATORS, default="plain", help="how they are made")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options))))


if __name__ == "__main__":
    main()
