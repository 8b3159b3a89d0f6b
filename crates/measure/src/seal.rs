use serde_json::json;
use sha2::{Digest, Sha256};

use crate::Prediction;

impl Prediction {
    /// Fixes what is stated, and when (RFC 3339): whoever changes it afterwards breaks the hash.
    pub fn seal(&mut self, stated_at: String) {
        self.stated_at = Some(stated_at);
        self.hash = Some(self.digest());
    }

    /// Whether it is still what was stated; `None` for one that was never sealed.
    pub fn seal_holds(&self) -> Option<bool> {
        self.hash.as_ref().map(|hash| *hash == self.digest())
    }

    /// SHA-256 of the stated part, as a compact JSON array that anybody can write down again:
    /// `["1","pool",150.0,307.0,"why","2026-02-04T08:40:59.661721Z"]`; with what is expected to limit
    /// at the end, where that was said.
    fn digest(&self) -> String {
        let [lo, hi] = self.range_per_s;
        let mut stated =
            vec![json!(self.from), json!(self.lever), json!(lo), json!(hi), json!(self.basis)];
        stated.push(json!(self.stated_at));
        stated.extend(self.limit.as_ref().map(|limit| json!(limit)));
        let stated = serde_json::Value::Array(stated);
        let bytes = Sha256::digest(stated.to_string());
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Judgement, Verdict};

    fn sealed() -> Prediction {
        let mut prediction = Prediction {
            from: "1".to_owned(),
            lever: "pool".to_owned(),
            range_per_s: [150.0, 307.25],
            basis: "why".to_owned(),
            ..Prediction::default()
        };
        assert_eq!(prediction.seal_holds(), None);
        prediction.seal("2026-02-04T08:40:59.661721Z".to_owned());
        prediction
    }

    #[test]
    fn the_hash_is_that_of_the_text_in_the_documentation() {
        // printf '%s' '["1","pool",150.0,307.25,"why","2026-02-04T08:40:59.661721Z"]' | sha256sum
        let expected = "32732f4319ae736909143abd6e320272c96a39f5336034a1f6f682a130015ce9";
        assert_eq!(sealed().hash.as_deref(), Some(expected));
        // printf '%s' '["1","pool",150.0,307.25,"why","2026-02-04T08:40:59.661721Z","app-cpu"]' | sha256sum
        let mut limited = Prediction { limit: Some("app-cpu".to_owned()), ..sealed() };
        limited.seal("2026-02-04T08:40:59.661721Z".to_owned());
        let expected = "b446c7f9d5c3492734c33c49b3babf0f8344867cdbbc5b11a9e59e5ea78c22d7";
        assert_eq!(limited.hash.as_deref(), Some(expected));
    }

    #[test]
    fn what_limits_is_held_against_what_a_verdict_found() {
        let shows = |limit: Option<&str>, bottleneck: &str, shows_as: &[&str], void: bool| {
            let limit = limit.map(str::to_owned);
            let verdict = Verdict {
                bottleneck: bottleneck.to_owned(),
                shows_as: shows_as.iter().map(|name| (*name).to_owned()).collect(),
                inconclusive: void.then(|| "noise".to_owned()),
                ..Verdict::default()
            };
            Prediction { limit, ..Prediction::default() }.limit_came(&verdict)
        };
        let expected =
            |limit: Option<&str>, bottleneck: &str, void: bool| shows(limit, bottleneck, &[], void);
        assert_eq!(expected(Some("app-cpu"), "app-cpu", false), Some(true));
        assert_eq!(expected(Some("cpu-throttling"), "server-cpu", false), Some(true));
        assert_eq!(expected(Some("app-cpu"), "server-cpu", false), Some(false));
        assert_eq!(expected(Some("app-cpu"), "inconclusive", true), None);
        assert_eq!(expected(None, "app-cpu", false), None);
        // What uses the CPU up is named instead of it; what only queues for it is not foreseen by that,
        // and a limit that holds the server back says that the machine is not full.
        let index = ["server-cpu", "machine-cpu", "pool-wait"];
        for (limit, found, shows_as, came) in [
            ("server-cpu", "missing-index", &index[..], true),
            ("cpu-throttling", "missing-index", &index[..], true),
            ("machine-cpu", "missing-index", &index[..], true),
            ("app-cpu", "missing-index", &index[..], false),
            ("pool-wait", "missing-index", &index[..], false),
            ("machine-cpu", "cpu-throttling", &index[..], false),
            ("server-cpu", "wal-flush", &[], false),
            ("missing-index", "server-cpu", &["pool-wait"], false),
        ] {
            let seen = shows(Some(limit), found, shows_as, false);
            assert_eq!(seen, Some(came), "{limit} expected, {found} found");
        }
        assert_eq!(shows(Some("server-cpu"), "missing-index", &index, true), None);
    }

    #[test]
    fn a_judgement_keeps_the_seal_and_any_change_of_what_was_stated_breaks_it() {
        let mut judged = sealed();
        judged.measured_per_s = Some(200.0);
        judged.judgement = Some(Judgement::Held);
        assert_eq!(judged.seal_holds(), Some(true));
        let text = serde_json::to_string(&judged).unwrap();
        let read: Prediction = serde_json::from_str(&text).unwrap();
        assert_eq!(read.seal_holds(), Some(true));
        let changes: [fn(&mut Prediction); 7] = [
            |p| p.from = "2".to_owned(),
            |p| p.lever = "batch".to_owned(),
            |p| p.range_per_s[0] = 149.0,
            |p| p.range_per_s[1] = 308.0,
            |p| p.basis.push('!'),
            |p| p.stated_at = None,
            |p| p.limit = Some("app-cpu".to_owned()),
        ];
        for change in changes {
            let mut changed = sealed();
            change(&mut changed);
            assert_eq!(changed.seal_holds(), Some(false), "{changed:?}");
        }
    }
}
