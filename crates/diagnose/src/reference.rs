//! The page about verdicts, made from the rules.

use crate::rule::RULES;

/// `docs/verdicts.md`: every cause with its signature, evidence, counter-evidence, what to do about
/// it and how it is planted in tests; and the formulas, with their sources.
pub fn verdicts_reference() -> String {
    let mut text = String::from(OPENING);
    text.push_str("\n## The causes\n\n| name | what people call it |\n|---|---|\n");
    for rule in RULES {
        text.push_str(&format!("| [`{0}`](#{0}) | {1} |\n", rule.bottleneck, rule.cause));
    }
    text.push_str(OTHER_VERDICTS);
    for rule in RULES {
        let page = &rule.page;
        text.push_str(&format!("\n### {}\n\n", rule.bottleneck));
        text.push_str(&format!("{}.\n\n", capital(rule.cause)));
        text.push_str(&format!("- **Signature.** {}\n", page.signature));
        text.push_str(&format!("- **Evidence.** {}\n", page.evidence));
        text.push_str(&format!("- **Against it.** {}\n", page.counter_evidence));
        if !rule.shows_as.is_empty() {
            let names: Vec<String> = rule.shows_as.iter().map(|n| format!("`{n}`")).collect();
            text.push_str(&format!("- **Also shows as** {}.\n", names.join(", ")));
        }
        text.push_str(&format!("- **Planted in tests by.** {}\n", page.plant));
        text.push_str("- **What to do**, the cheapest first:\n");
        for advice in page.advice {
            text.push_str(&format!("  1. {advice}\n"));
        }
    }
    text.push_str(PROBES);
    text.push_str(PREDICTIONS);
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

const OPENING: &str = "\
# Verdicts

Made from the rules in `crates/diagnose/src/rule/`; `UPDATE_REFERENCE=1 cargo nextest run -p \
pinchpoint-tests reference` makes it anew.

After each variant pinchpoint says what limited it. It looks at every cause below; of those that could
limit, the one wins whose removal could raise throughput most. *Where the time goes* and *what limits*
are two answers: a wait may take most of an operation's time and yet give nothing when it is gone,
because CPU is used up behind it.

## How a verdict comes about

1. **Is the measurement sound?** A failed check of Little's law or of the phases' sum in most trials,
   sampled sessions that contradict the server's own clock and the load's, a tenth of the CPU given to others
   by the hypervisor, 15 % of a full machine taken by other processes while the server was ready and had no CPU
   for 15 % of an operation's time, or throughput that doubles within a trial or between trials: then the verdict
   is `inconclusive`, with the reason. Lesser disturbances are held against the verdict.
2. **Time of an operation, line by line.** A mean number of sessions in a class of waits ÷ throughput is
   the mean time of an operation in that class (Little 1961). Client phases are measured by our clock;
   time without a wait is split by the kernel's accounts of the server's processes (`schedstat`) into on a
   CPU, waiting for one, and neither; what no session accounts for is network and driver. The sum is held
   against the mean response time.
3. **Gain.** With N users, a cycle of C = R + Z, a part W removed and a demand D for the busiest processor,
   throughput afterwards is at most min(N ÷ (C − W), 1 ÷ D) (asymptotic bounds) and at least
   N ÷ (C − W + (N − 1)·D) (balanced job bound without its gain from delays; Zahorjan, Sevcik, Eager &
   Galler 1982; Lazowska et al., *Quantitative System Performance*, chapter 5). Where users wait for
   connections, X ≤ m ÷ hold, so a shorter hold shortens that wait in proportion. A flush of the WAL is
   shared by a group of commits: a commit waits for one to two flushes, and a busy disk does not cap
   throughput.
4. **Symptoms are folded.** A process that is held back by a CPU limit while it has a lock looks like a
   lock that is fought for, so the limit is named and the lock is not; *also shows as* lists what each
   cause hides.
5. **Confidence.** The lead of the winner's gain over the runner-up's, in standard errors: those of the
   sampled shares, and 20 % for the model. At most 0.6 with a single source; 0.1 less for each figure
   against it, for missing CPU figures and for a single trial; at most 0.3 when a check failed. Where
   another part of the time is at least half as large (CPU, WAL flush, data, locks), its lead counts too:
   two that are equal are a draw of 0.45, since removing the queue at one moves it to the other.

Less than a tenth to gain is not worth a name: the verdict is then `balanced`.
";

const PROBES: &str = "
## Probes

With `--prove` (`pinchpoint run`, `pinchpoint sql`) verdicts are put to the test once the trials are
over: one demand after the other is made larger on purpose, and throughput says whether it is what limits. A
slow-down can be had where a speed-up cannot, and the slope is that of both (causal profiling; Curtsinger & Berger,
\"Coz\", SOSP 2015).

| demand | made larger by | for whom |
|---|---|---|
| `server-cpu` | a CPU quota of the server that is a fifth smaller | a server of pinchpoint's own, where control groups can be written |
| `app-cpu` | a CPU quota of the application that is a fifth smaller; of what its interpreter can use, where that is less | an application that pinchpoint started |
| `round-trip` | a proxy that every byte crosses later, in both directions; in a matrix it stands between the application and what that connects to, server or pooler | any server, unless `sslmode=verify-full` forbids it |
| `wal-flush` | `commit_delay`, with `commit_siblings` = 0 | a server of pinchpoint's own, when something is written |
| `hold` | connections that go back to the pool later | a pool of pinchpoint's own with fewer connections than there are users |

A load of users who always have something to do goes on meanwhile, in six pairs of slices in the order ABBA, one
as it was and one slowed, each a quarter of a trial and a second at most; one in which nothing ends goes on for up to
three times as long. In a matrix each probe has a stack of its
own, started and warmed up anew. With the cycle C = N ÷ X, the demand D of an operation (all its round trips, all its
flushes) and ΔD added to it, slope = ΔC ÷ ΔD and criticality = slope × D ÷ C. A demand limits when the 95 % interval
of its criticality is above 0.5, and is hidden behind something else when it is below 0.2; round trips limit one at a
time from a slope of 0.8. All is put back as it was.

Nothing can be read from a load on a schedule, from counted transactions, from a cache that is to be cold, or from an
application that somebody else runs. A quota says nothing of a process without a limit that shares a full machine with
others: any that is below what it uses is felt.

In `result.json` a verdict has `probes`, each with `demand`, `means`, and either `figures` (`demand_ms`, `added_ms`,
`cycle_ms`, `slowed_cycle_ms`, `slope`, `criticality`, `ci95`, `pairs`) and a `finding` (`confirmed`, `refuted`,
`undecided`) or a `reason`; and `proof`: the `claim`, which is the verdict's name before the probes, and what
was found of it. A verdict that a probe refutes is replaced by the demand that a probe confirms.
";

const PREDICTIONS: &str = "
## Predictions

Before a step is taken for the first time pinchpoint says what it should give, as a range, and what should
limit then. Range, basis and limit are sealed by a SHA-256 in `result.json` and cannot be changed afterwards;
whether they came is judged at the end of the run, and kept in the ledger. Where nothing is said, the report and
`--explain` say why.

| lever | from | how |
|---|---|---|
| `pool`, `concurrency`, `batch`, `unnest`, `copy`, `synchronous_commit` of a ladder | the rung before | its measured demands; where a statement, its rows or its users change, the rung's own statement is tried before, on kept connections, with fewer users and rows |
| `concurrency` of a matrix, and of `pinchpoint http --next` | the same stack with other users | its measured demands |
| `concurrency`, `pool` of `pinchpoint sql --next` | the load as given | its measured demands, and how many waited for locks |
| `synchronous_commit`, `protocol`, `connect` of `pinchpoint sql --next`, and `pool` from `-C` | the load as given | the changed load is tried for a second (a slow one for up to three) by a third of the clients; of one client that waits for flushes, what is left of its time without them |
| `cache`, `index`, `join`, `pooler`, `pool`, `client`, `cpu`, or the name of the one environment variable that differs | the first case with as many users that differs in this one thing | the changed stack is tried for a second (a slow one for up to three) by a third of the users, 4 at most |

A trial of a changed stack is no run of the case: it has fewer users, and its throughput is not what is
carried over. What is taken from it is the CPU that an operation takes of each process and of the load, and the
time in which operations are in nobody's way: whatever makes the bounds below hold for what the few users got.
With all users an operation takes 0.8 to 1.3 times as much CPU: wake-ups are shared, or caches and locks contend.

- With N users, demands whose sum is D, the largest of them Dmax and their mean Davg, and a delay Z,
  throughput is at least N ÷ (D + Z + (N − 1)·Dmax ÷ (1 + Z ÷ (N·D))) and at most
  min(1 ÷ Dmax, N ÷ (D + Z + (N − 1)·Davg ÷ (1 + Z ÷ D))) (balanced job bounds; Zahorjan, Sevcik, Eager & Galler
  1982). A process with a limit of less than one CPU takes longer by that factor. The machine's cores bound all
  processes and the load together: that demand takes the place of Dmax where it is larger.
- **Users.** With more of them an operation takes 0.92 to 1.3 times as much CPU, with fewer 0.8 to 1.1 times; from
  0.5 times on where less than half of each process's CPU and of the machine's was in use, or there were no more
  users than cores: each found the others asleep.
- **Cache.** The hits that were seen are the least. CPU that an operation took more before, for each hit
  that there were fewer, is what a miss costs; without the misses that were left, but with 30 % of each demand
  at least, is the most.
- **Pool.** As many operations as there are connections are served at a time, which is the least that it gives.
- **Locks** of a load of scripts. How many wait for a row or an object is sampled. The least is that of one queue, whose
  holder is at work for the share U of the time, with U² + L·U = L·n ÷ (n − 1) where L of n wait (Schweitzer
  1979), and holds it for longer the more there are, as it waits for a CPU too: (n′ ÷ n)^0.63. The most is that of as many
  equal rows as make this queue of clients that do nothing else: N ÷ (1 + (N − 1)·L ÷ ((n − L)·(n − 1))).
- **Clients** of a load of scripts. With all of them a transaction takes 0.8 to 1.3 times the CPU of those that tried it,
  with more clients 0.92 to 1.3 times, with fewer 0.8 to 1.1 times; 0.5 to 1.2 times where less than half of
  the machine was in use. `synchronous_commit=off` and `connect=off` only take something away: they promise no
  less than there was. Processes outside the run may go on to take the CPU that they took: the least is what is left of it.
- **What limits** is what is nearest to being full in the middle of the range: a process (85 % of what it may
  use), or the machine (93 %); `users` where nothing is used by 70 %, of scripts `pool-wait` where clients are more than
  connections and `wal-flush` where that takes most of the time. It is held against the verdict, where
  `server-cpu` and `cpu-throttling` count as one, and a cause that also shows as the CPU that was expected, such as a
  missing index, counts as that CPU. On a ladder it is the cores, or that there is one operation
  at a time; else nothing is said of it.
- Ranges are widened by what past misses of the lever teach (split conformal prediction; Romano, Patterson & Candès
  2019), so that eight in ten would have held; by 1.075 while there are fewer than nine. Where nothing was tried
  before, the sampling error of the measurement that it starts from widens them too.

Not predicted: a case whose load follows a schedule, one that differs in more than one thing or is another program,
one with a single user (fewer could not try it; of scripts `synchronous_commit=off` is), and one whose server or
application somebody else runs where their CPU cannot be seen.
";

const OTHER_VERDICTS: &str = "
Beside these there are:

| name | meaning |
|---|---|
| `none` | an open load reached its target: nothing limits at this rate |
| `users` | nothing is near its limit: throughput is what so many users ask for |
| `balanced` | no cause could give a tenth more by itself |
| `inconclusive` | the measurement does not carry a verdict; the reason stands beside it |
";
