"""What observing costs the observed: pgbench alone, and with `pinchpoint watch` beside it."""

import json
import subprocess

import prepared_select
from figures import Figure, in_turn, percentile, spread, table
from server import PINCHPOINT, program, timed_process

CONNECTIONS = 50
# The samplers of a trial and of `watch` are the same; `watch` reads the counters every two seconds too.
LOADS = {"writes": ["-N"], "reads": ["-S"]}


def load(dsn, kind, seconds):
    """Throughput of pgbench: prepared statements, one thread."""
    command = [program("pgbench"), "-n", *LOADS[kind], "-M", "prepared", "-c", str(CONNECTIONS)]
    output, _ = timed_process([*command, "-j", "1", "-T", str(seconds), dsn])
    return {"per_s": prepared_select.figure(output, "tps =")}


def watched(dsn, kind, seconds):
    """The same, observed; and what that took."""
    command = [PINCHPOINT, "watch", "--json", "--dsn", dsn]
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        result = load(dsn, kind, seconds)
    finally:
        watch.terminate()
        lines = watch.communicate()[0].splitlines()
    seen = [json.loads(line)["observation"] for line in lines]
    # The first and the last second have less of the load in them.
    seen = seen[1:-1] or seen
    whole = sum(o["seconds"] for o in seen)
    ours = sum(o["watcher_cpu_s"] for o in seen) / whole
    servers = sum(o.get("watcher_server_cpu_s", 0) for o in seen) / whole
    looks = sum(o["sessions"]["looks"] for o in seen if "sessions" in o) / whole
    return result | {"ours": 100 * ours, "server's": 100 * servers, "looks": looks}


def cost(dsn, trials, seconds):
    """Both loads, as Markdown and raw figures."""
    figures, notes, raw = [], [], {}
    for kind in LOADS:
        pairs = [
            in_turn(t, lambda: watched(dsn, kind, seconds), lambda: load(dsn, kind, seconds))
            for t in range(trials)
        ]
        on, off = zip(*pairs)
        name = f"{kind}, {CONNECTIONS} connections"
        rates = [[r["per_s"] for r in side] for side in (on, off)]
        figures.append(Figure(name, "1/s", *rates, digits=0, goal="≥ 0.99"))
        cpu = spread([r["ours"] + r["server's"] for r in on]).show(2)
        own = percentile(sorted(r["ours"] for r in on), 0.5)
        looks = percentile(sorted(r["looks"] for r in on), 0.5)
        notes.append(
            f"Watching {kind} took {cpu} % of a core (goal: ≤ 1), of it {own:.2f} on our side and the "
            f"rest in the server, at {looks:.0f} looks a second and with all counters read every two seconds."
        )
        raw[kind] = {"watched": on, "alone": off}
    return table("What observing costs", "alone", figures, notes), raw
