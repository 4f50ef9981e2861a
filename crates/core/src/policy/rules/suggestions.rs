//! "Did you mean" for names of the set, asked often.

use rustc_hash::FxHashMap;

use crate::document::did_you_mean;

/// Suggestions are worked out for so many words; a set with more unknown names has another trouble.
const MOST: usize = 20;

/// The known names of a kind, and what was suggested before.
pub(super) struct Suggestions<'a> {
    known: Vec<&'a str>,
    said: FxHashMap<String, Option<String>>,
}

impl<'a> Suggestions<'a> {
    pub(super) fn new(known: impl Iterator<Item = &'a str>) -> Self {
        Self {
            known: known.collect(),
            said: FxHashMap::default(),
        }
    }

    /// "did you mean `x`?", if a known name is near.
    pub(super) fn suggest_help(&mut self, word: &str) -> Option<String> {
        if let Some(said) = self.said.get(word) {
            return said.clone();
        }

        if self.said.len() >= MOST {
            return None;
        }

        let near = did_you_mean(word, self.known.iter().copied())
            .map(|near| format!("did you mean `{near}`?"));
        self.said.insert(word.to_owned(), near.clone());
        near
    }
}
