use std::fmt::Write;

use pinchpoint_measure::significant;
use serde::Deserialize;

use crate::plant::{Planted, Strength};
use crate::score::{CONFIDENT, Outcome, Score, Scored};
use crate::table::{NOT_REPRODUCED, PLANTS};

/// Where and how a run of the plants took place.
const HEAD: &str = "\
# Plants: bottlenecks made on purpose, and what the verdict says

Each row is a private PostgreSQL in which a bottleneck was planted at one of three strengths, loaded by `pinchpoint sql`
(those of the pooler, the application and the slow reader: by an experiment with an application), whose verdict was
read from its `result.json`; then the plant was removed and the same load measured again. A plant counts when its removal
gives at least 20 % more throughput: else it was no bottleneck on this machine, and there is no truth to hold a verdict
against. Each has a *decoy*, which shows what the bottleneck shows and is none: it is measured with it, without it and with
it again, and once more each way where its removal seems to pay; it counts when the medians differ by less than that. A *forbidden* verdict names with a confidence of 0.5 or more what is not there: the decoy's bottleneck, or a
neighbour that the plant could be mistaken for. Made by `make plants`; how each is planted stands in
`tests/plants/src/table/`. A measurement in which a virtual machine's host takes a tenth of the CPU or more is made again, up to
three times.
";

/// The page for people. `machine` is one line about where it ran.
pub fn page(scored: &[Scored], score: &Score, machine: &str) -> String {
    let mut page = format!("{HEAD}\n{machine}\n\n");
    let _ = writeln!(
        page,
        "At the middle strength **{} of {}** bottlenecks are named first, {} come second, {} times \
         nothing is named; of {} decoys and the like **{}** are not mistaken. Forbidden verdicts given with \
         confidence (≥ {CONFIDENT}), at any strength: **{}**.\n",
        score.right,
        score.middle,
        score.second,
        score.abstained,
        score.decoys[0],
        score.decoys[1],
        score.forbidden
    );
    page.push_str(
        "| plant | strength | with it /s | without /s | × | verdict | confidence | second | outcome |\n\
         |---|---|---:|---:|---:|---|---:|---|---|\n",
    );
    for s in scored {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {:.2} | {} | {} |",
            s.plant,
            s.strength,
            significant(s.planted_per_s, 3),
            significant(s.removed_per_s, 3),
            significant(s.removed_per_s / s.planted_per_s, 3),
            s.verdict,
            s.confidence,
            s.runner_up.as_deref().unwrap_or("–"),
            mark(s),
        );
    }
    calibration(&mut page, score);
    planted(&mut page, scored);
    page.push_str("\n## Not planted\n\n");
    for (what, why) in NOT_REPRODUCED {
        let _ = writeln!(page, "- {what}: {why}.");
    }
    page
}

fn mark(scored: &Scored) -> String {
    match scored.outcome {
        Outcome::Right => "right".to_owned(),
        Outcome::NoBottleneck | Outcome::NoDecoy => scored.outcome.text().to_owned(),
        other if scored.wanted.is_empty() => format!("**{}**", other.text()),
        other => format!("**{}**, wanted {}", other.text(), scored.wanted.join(" or ")),
    }
}

fn calibration(page: &mut String, score: &Score) {
    page.push_str(
        "\n## Confidence\n\nOf the verdicts on plants that count, at all strengths:\n\n\
         | confidence | verdicts | right |\n|---|---:|---:|\n",
    );
    for (from, to, all, right) in &score.calibration {
        let share = if *all == 0 { "–".to_owned() } else { format!("{right} of {all}") };
        let _ = writeln!(page, "| {from} to {to} | {all} | {share} |");
    }
}

fn planted(page: &mut String, scored: &[Scored]) {
    page.push_str("\n## How each was planted, and what spoke for the verdict\n\n");
    let mut last = "";
    for s in scored {
        if s.strength == Planted::Decoy.name() {
            let _ = writeln!(page, "  - *Its decoy*: {}.", s.how);
            continue;
        }
        if s.plant != last {
            let _ = writeln!(page, "- **{}**: {}.", s.plant, s.how);
            last = &s.plant;
        }
        if s.strength == Strength::Middle.name() {
            for line in &s.evidence {
                let _ = writeln!(page, "  - {}", line.replace(['\n', '|'], " "));
            }
        }
    }
}

/// The run for programs.
pub fn json(scored: &[Scored], score: &Score, machine: &str) -> Result<String, String> {
    let value = serde_json::json!({ "machine": machine, "score": score, "plants": scored });
    serde_json::to_string_pretty(&value).map_err(|e| e.to_string())
}

/// Puts the rows of a run into those of an earlier one, which [`json`] wrote: in place of the same
/// plants' and in the order of the table. Gives where that one ran, too, and what was measured apart.
pub fn into_earlier(json: &str, scored: &[Scored]) -> Result<(String, Vec<Scored>), String> {
    #[derive(Deserialize)]
    struct Earlier {
        machine: String,
        plants: Vec<Scored>,
    }
    let earlier: Earlier = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let anew = |row: &Scored| scored.iter().any(|other| other.plant == row.plant);
    let mut all: Vec<Scored> = earlier.plants.into_iter().filter(|row| !anew(row)).collect();
    all.extend(scored.iter().cloned());
    all.sort_by_key(|row| PLANTS.iter().position(|plant| plant.name == row.plant));
    let mut names: Vec<&str> = scored.iter().map(|row| row.plant.as_str()).collect();
    names.dedup();
    Ok((format!("{} Measured apart from that: {}.", earlier.machine, names.join(", ")), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(plant: &str, strength: &str, per_s: f64) -> Scored {
        Scored {
            plant: plant.to_owned(),
            strength: strength.to_owned(),
            no_cause: false,
            how: "somehow".to_owned(),
            wanted: vec!["row-lock".to_owned()],
            planted_per_s: per_s,
            removed_per_s: 2.0 * per_s,
            verdict: "row-lock".to_owned(),
            confidence: 0.9,
            runner_up: None,
            outcome: Outcome::Right,
            evidence: Vec::new(),
            against: Vec::new(),
        }
    }

    #[test]
    fn a_plant_measured_again_takes_the_place_of_its_rows() {
        let earlier = [
            row("cpu-quota", "weak", 1.0),
            row("hot-row", "weak", 1.0),
            row("nothing", "middle", 1.0),
        ];
        let text = json(&earlier, &Score::of(&earlier), "here").unwrap();
        let again = [row("hot-row", "weak", 5.0), row("hot-row", "decoy", 6.0)];
        let (machine, all) = into_earlier(&text, &again).unwrap();
        assert_eq!(machine, "here Measured apart from that: hot-row.");
        let told: Vec<_> = all.iter().map(|r| (r.plant.as_str(), r.planted_per_s)).collect();
        assert_eq!(
            told,
            [("cpu-quota", 1.0), ("hot-row", 5.0), ("hot-row", 6.0), ("nothing", 1.0)]
        );
        assert!(into_earlier("{}", &[]).is_err());
    }
}
