#!/usr/bin/env python3
"""The comparisons of BENCHMARKS.md, in one run: ratios from interleaved trials on one server.

Prints Markdown tables and keeps the raw figures as JSON. Linux only: it reads /proc.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import cached
import http_load
import memory
import observe
import pool_advice
import prepared_select
import writes
from server import ROOT, Session, server

# Above this share of foreign CPU use, figures come with a warning.
BUSY = 0.1
COMPARISONS = ["select-cpu", "copy", "documents", "latency", "memory", "http", "http-memory", "cache-hits", "cache-service", "observe", "pool"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=7, help="pairs of trials [default: 7]")
    parser.add_argument("--seconds", type=int, default=5, help="of each trial [default: 5]")
    parser.add_argument("--only", metavar="NAME,…", help=f"some of {', '.join(COMPARISONS)}")
    parser.add_argument("--rate", type=int, help="of `latency` [default: 3 in 10 of capacity]")
    parser.add_argument("--dsn", help="a superuser on an empty server, instead of a private one")
    parser.add_argument("--out", type=Path, help="raw figures [default: results/bench-<time>.json]")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else COMPARISONS
    unknown = set(chosen) - set(COMPARISONS)
    if unknown:
        parser.error(f"no comparison {', '.join(sorted(unknown))}; there are {', '.join(COMPARISONS)}")
    return options, chosen


def machine(dsn):
    with Session(dsn) as session:
        version = session.value("SHOW server_version")
        durable = [f"{s}={session.value(f'SHOW {s}')}" for s in ("fsync", "synchronous_commit")]
    return f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, PostgreSQL {version}, {', '.join(durable)}"


def busy_share(seconds=1.0):
    """The share of all cores that others use while nothing is measured."""

    def ticks():
        fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(fields), fields[3] + fields[4]  # idle and waiting for the disk

    (all_before, idle_before), _, (total, idle) = ticks(), time.sleep(seconds), ticks()
    return 1 - (idle - idle_before) / max(1, total - all_before)


def compare(name, dsn, options):
    """One comparison: its Markdown and its raw figures."""
    trials, seconds = options.trials, options.seconds
    if name == "memory":
        return memory.climb_memory(trials=3, seconds=3)
    if name == "http":
        return http_load.cpu(trials, seconds)
    if name == "http-memory":
        return http_load.memory()
    if name == "cache-hits":
        return cached.hits(trials)
    if name == "pool":
        return pool_advice.advice(min(trials, 5))
    if name == "cache-service":
        return cached.service(min(trials, 5))
    if name == "copy":
        comparison = writes.copy(dsn, trials, seconds)
    elif name == "documents":
        comparison = writes.documents(dsn, trials, seconds)
    else:
        prepared_select.prepare(dsn)
        if name == "observe":
            result = observe.cost(dsn, trials, seconds)
            prepared_select.remove(dsn)
            return result
        if name == "select-cpu":
            comparison = prepared_select.cpu(dsn, trials, seconds)
        else:
            rate = options.rate or three_tenths(prepared_select.pgbench(dsn, 2)["operations_per_s"])
            comparison = prepared_select.fixed_rate(dsn, trials, seconds, rate)
        prepared_select.remove(dsn)
    return comparison.text, comparison.raw


def three_tenths(capacity):
    """A rate well below capacity, in round figures."""
    return max(100, int(round(capacity * 0.3, -3 if capacity > 10_000 else -2)))


def main():
    options, chosen = arguments()
    raw = {}
    with server(options.dsn) as dsn:
        raw["machine"] = machine(dsn)
        print(f"{raw['machine']}; {options.trials} interleaved trials of {options.seconds} s a side")
        print("Medians with 95 % intervals; a ratio is the median over pairs of trials.\n", flush=True)
        for name in chosen:
            raw[f"busy before {name}"] = busy = busy_share()
            print(f"measuring: {name}", file=sys.stderr)
            if busy > BUSY:
                print(f"**Others use {busy:.0%} of the CPUs: these figures are doubtful.**\n")
            text, raw[name] = compare(name, dsn, options)
            print(text, flush=True)
    out = options.out or ROOT / "results" / time.strftime("bench-%Y%m%dT%H%M%SZ.json", time.gmtime())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1, default=list) + "\n")
    print(f"raw figures: {out}")


if __name__ == "__main__":
    main()
