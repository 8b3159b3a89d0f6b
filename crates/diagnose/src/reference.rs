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
   sampled sessions that contradict the server's own clock, a tenth of the CPU given to others by the
   hypervisor, 15 % of a full machine taken by other processes while the server was ready and had no CPU
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
   against it, for missing CPU figures and for a single trial; at most 0.3 when a check failed.

Less than a tenth to gain is not worth a name: the verdict is then `balanced`.
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
