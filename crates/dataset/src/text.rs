use std::convert::Infallible;

use fake::Fake;
use fake::faker::internet::raw::FreeEmailProvider;
use fake::faker::lorem::raw::{Sentence, Words};
use fake::faker::name::raw::{FirstName, LastName};
use fake::locales::EN;

/// Sentences, names and words that texts are composed of.
pub(crate) struct Texts {
    pub(crate) sentences: Vec<String>,
    pub(crate) titles: Vec<String>,
    pub(crate) first_names: Vec<String>,
    pub(crate) last_names: Vec<String>,
    pub(crate) providers: Vec<String>,
}

pub(crate) const CATEGORIES: [&str; 8] =
    ["database", "web", "cloud", "security", "career", "tools", "data", "travel"];

impl Texts {
    /// The texts of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Source(fastrand::Rng::with_seed(seed));
        Self {
            sentences: (0..2000).map(|_| Sentence(EN, 6..18).fake_with_rng(&mut rng)).collect(),
            titles: (0..1000)
                .map(|_| title(&Words(EN, 3..8).fake_with_rng::<Vec<String>, _>(&mut rng)))
                .collect(),
            first_names: (0..400).map(|_| FirstName(EN).fake_with_rng(&mut rng)).collect(),
            last_names: (0..400).map(|_| LastName(EN).fake_with_rng(&mut rng)).collect(),
            providers: (0..8).map(|_| FreeEmailProvider(EN).fake_with_rng(&mut rng)).collect(),
        }
    }
}

fn title(words: &[String]) -> String {
    let mut text = words.join(" ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// One generator for everything, so that a seed is one number.
struct Source(fastrand::Rng);

impl rand::TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.u32(..))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.u64(..))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
