//! File names from policy names: `[a-z0-9-]`, unique, sound on every file system.

use rustc_hash::{FxHashMap, FxHashSet};

/// Longest slug, in bytes.
const LONGEST: usize = 64;

/// Names that Windows keeps for devices, whatever their ending.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Gives each name a slug that no other has. Slugs are lower-case, so unique on any file system.
#[derive(Debug, Default)]
pub(super) struct Slugs {
    taken: FxHashSet<String>,
    /// The next number to try for a slug that was asked for before.
    next: FxHashMap<String, usize>,
}

impl Slugs {
    /// The slug of the next name.
    pub(super) fn next_slug(&mut self, name: &str) -> String {
        let base = slug_of(name);
        let number = self.next.entry(base.clone()).or_insert(1);
        loop {
            let candidate = if *number == 1 {
                base.clone()
            } else {
                format!("{base}-{number}")
            };

            *number += 1;
            if self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

/// A file name for a policy, without its ending; other names may have the same.
pub fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if slug.len() >= LONGEST {
            break;
        }

        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }

    let slug = slug.trim_end_matches('-');
    match slug {
        "" => "policy".to_owned(),
        device if DEVICES.contains(&device) => format!("{device}-policy"),
        slug => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_slugs() {
        let mut slugs = Slugs::default();
        let given = [
            "Global Baseline",
            "global_baseline",
            "../../etc/passwd",
            "CON",
            "日本",
            "日",
            "a-2",
            "a",
            "a",
        ];
        let got: Vec<String> = given.iter().map(|name| slugs.next_slug(name)).collect();
        let want = [
            "global-baseline",
            "global-baseline-2",
            "etc-passwd",
            "con-policy",
            "policy",
            "policy-2",
            "a-2",
            "a",
            "a-3",
        ];

        assert_eq!(got, want);
    }

    proptest! {
        #[test]
        fn slugs_are_plain_and_unique(names in prop::collection::vec(any::<String>(), 0..40)) {
            let mut slugs = Slugs::default();
            let mut seen = FxHashSet::default();
            for name in names {
                let slug = slugs.next_slug(&name);
                prop_assert!(!slug.is_empty() && slug.len() < 100);
                prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(!slug.starts_with('-') && !DEVICES.contains(&slug.as_str()));
                prop_assert!(seen.insert(slug));
            }
        }
    }
}
