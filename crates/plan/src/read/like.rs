use crate::fields::Fields;
use crate::key::nearest;
use crate::place::quote;
use crate::read::rung::{BATCH, Draft, LIKE, METHOD};
use crate::value;
use crate::{Batch, Like, Rung};

/// The word that stands for the fastest durable rung; no rung may have it for a name.
pub(super) const BEST: &str = "best";

pub(super) fn read(fields: &Fields<'_, '_>) -> Option<Like> {
    let found = fields.get(&LIKE)?;
    match found.get_ref().as_str() {
        Some(BEST) => Some(Like::Best),
        Some(name) => Some(Like::Rung(name.to_owned())),
        None => {
            value::refuse(fields.sink, &LIKE, found);
            None
        }
    }
}

/// Fills in what rungs take from others.
pub(super) fn resolve(drafts: &mut [Draft<'_, '_>]) {
    let resolved: Vec<Option<Rung>> = (0..drafts.len())
        .map(|at| match drafts[at].0.like {
            None => None,
            Some(Like::Best) => best_so_far(drafts, at),
            Some(Like::Rung(_)) => follow(drafts, at),
        })
        .collect();
    for (draft, resolved) in drafts.iter_mut().zip(resolved) {
        if let Some(rung) = resolved {
            draft.0 = rung;
        }
    }
    // Only now do the others have what a rung like the best stands in with.
    for at in 0..drafts.len() {
        if drafts[at].0.like == Some(Like::Best)
            && let Some((other, _)) = drafts[..at].iter().rev().find(|(r, _)| r.is_durable())
        {
            drafts[at].0 = drafts[at].0.taking(other);
        }
    }
}

/// Checks a rung that is like the best one.
fn best_so_far(drafts: &[Draft<'_, '_>], at: usize) -> Option<Rung> {
    let (rung, fields) = &drafts[at];
    if !drafts[..at].iter().any(|(r, _)| r.is_durable()) {
        let message = "no rung before this one can be the best";
        let help = "the best is a rung that writes with `synchronous_commit` on; put one before";
        fields.report_at(&LIKE, message, help);
    }
    for (stated, key, other) in [
        (rung.stated.method.is_some() && rung.stated.batch.is_none(), &METHOD, "batch"),
        (rung.stated.batch.is_some() && rung.stated.method.is_none(), &BATCH, "method"),
    ] {
        if stated {
            let message = format!("`{}` without `{other}` in a rung like the best", key.name);
            let help = "which rung is the best is not known yet: state both, or neither";
            fields.report_at(key, message, help);
        }
    }
    None
}

/// The rung with what it takes from the one it names, which may take it from a third.
fn follow(drafts: &[Draft<'_, '_>], at: usize) -> Option<Rung> {
    let (rung, fields) = &drafts[at];
    let chain = chain(drafts, at, fields)?;
    let mut all = rung.stated.clone();
    let mut batch_owner = at;
    for next in chain {
        let (other, _) = &drafts[next];
        if all.batch.is_none() {
            batch_owner = next;
        }
        all.connection = all.connection.or(other.stated.connection);
        all.concurrency = all.concurrency.or(other.stated.concurrency);
        all.method = all.method.or(other.stated.method);
        all.batch = all.batch.or_else(|| other.stated.batch.clone());
        if other.like.is_none() {
            // Its defaults hold for what nobody states.
            let taken = Rung { stated: all, ..rung.clone() }.taking(other);
            let swept = batch_owner != at && matches!(taken.batch, Batch::Sweep(_));
            let batch_of = swept.then(|| drafts[batch_owner].0.name.clone());
            return Some(Rung { stated: rung.stated.clone(), batch_of, ..taken });
        }
    }
    None
}

/// The rungs that this one is like, one after the other, up to one that is like no other.
fn chain(drafts: &[Draft<'_, '_>], at: usize, fields: &Fields<'_, '_>) -> Option<Vec<usize>> {
    let mut chain = Vec::new();
    let mut here = at;
    loop {
        let name = match &drafts[here].0.like {
            None => return Some(chain),
            Some(Like::Rung(name)) => name,
            Some(Like::Best) => {
                let message =
                    format!("rung {} is like the best itself", quote(&drafts[here].0.name));
                let help = "what it will be is not known yet: write `like = \"best\"` here as well";
                fields.report_at(&LIKE, message, help);
                return None;
            }
        };
        let Some(next) = drafts.iter().position(|(r, _)| r.name == *name) else {
            // A rung further on that names an unknown one says so itself.
            if here == at {
                report_unknown(drafts, fields, name);
            }
            return None;
        };
        if next == at || chain.contains(&next) {
            if next == at {
                let names = chain.iter().chain([&next]).map(|i| drafts[*i].0.name.as_str());
                let names = [drafts[at].0.name.as_str()].into_iter().chain(names);
                let circle = quote(&names.collect::<Vec<_>>().join(" → "));
                let help = "one of these rungs must be like no other";
                fields.report_at(&LIKE, format!("`like` goes in a circle: {circle}"), help);
            }
            return None;
        }
        chain.push(next);
        here = next;
    }
}

fn report_unknown(drafts: &[Draft<'_, '_>], fields: &Fields<'_, '_>, name: &str) {
    let names = drafts.iter().map(|(r, _)| r.name.as_str()).chain([BEST]);
    let help = nearest(name, names).map_or_else(
        || "it is the name of another rung, or `best`".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    fields.report_at(&LIKE, format!("there is no rung {}", quote(name)), help);
}
