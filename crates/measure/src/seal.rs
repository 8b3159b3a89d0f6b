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
    /// `["1","pool",150.0,307.0,"why","2026-02-04T08:40:59.661721Z"]`.
    fn digest(&self) -> String {
        let [lo, hi] = self.range_per_s;
        let stated = serde_json::json!([self.from, self.lever, lo, hi, self.basis, self.stated_at]);
        let bytes = Sha256::digest(stated.to_string());
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Judgement;

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
        let changes: [fn(&mut Prediction); 6] = [
            |p| p.from = "2".to_owned(),
            |p| p.lever = "batch".to_owned(),
            |p| p.range_per_s[0] = 149.0,
            |p| p.range_per_s[1] = 308.0,
            |p| p.basis.push('!'),
            |p| p.stated_at = None,
        ];
        for change in changes {
            let mut changed = sealed();
            change(&mut changed);
            assert_eq!(changed.seal_holds(), Some(false), "{changed:?}");
        }
    }
}
