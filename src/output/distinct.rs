//! Names that must differ within one report, because its readers know things by their names.

use rustc_hash::{FxHashMap, FxHashSet};

/// The names given so far.
#[derive(Default)]
pub(super) struct DistinctNames {
    given: FxHashSet<String>,
    /// How often each name was asked for.
    asked: FxHashMap<String, u32>,
}

impl DistinctNames {
    /// The name itself, or with the next free number where another thing has it: `all (2)`.
    pub(super) fn distinguish(&mut self, name: String) -> String {
        let asked = self.asked.entry(name.clone()).or_default();
        loop {
            *asked += 1;
            let candidate = if *asked == 1 {
                name.clone()
            } else {
                format!("{name} ({asked})")
            };
            if self.given.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_numbers_that_no_other_has() {
        let mut names = DistinctNames::default();
        let given = ["a", "a (2)", "a", "a", "b"].map(|name| names.distinguish(name.to_owned()));
        assert_eq!(given, ["a", "a (2)", "a (3)", "a (4)", "b"]);
    }
}
