//! The rules of form: what a text must be to become a typed document. One file a rule.

pub mod ambiguous_scalar;
pub mod bad_encoding;
pub mod bad_name;
pub mod bad_value;
pub mod duplicate_key;
pub mod empty_set;
pub mod forbidden_yaml;
pub mod foreign_document;
pub mod foreign_file;
pub mod idle_glob;
pub mod limit_exceeded;
pub mod link_or_pointer;
pub mod misnamed_file;
pub mod missing_field;
pub mod mistyped_header;
pub mod null_value;
pub mod unknown_field;
pub mod wrong_type;
pub mod yaml_syntax;

use super::{Release, Severity};

/// A small policy repository that shows a rule: paths and texts.
pub type Example = &'static [(&'static str, &'static str)];

/// What a rule is. The same source feeds `explain`, `docs/rules.md`, SARIF and the tests.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable code, `RG` and three digits. Never used again for another rule.
    pub code: &'static str,
    /// Stable name, as in `rules:` of refguard.yaml.
    pub name: &'static str,
    /// Errors cannot be lowered; the level of a warning can be set.
    pub severity: Severity,
    /// The first release that reports it. A single finding may be newer:
    /// [`Finding::since_release`](super::Finding::since).
    pub since: Release,
    /// The rule in one sentence.
    pub summary: &'static str,
    /// Why it is a rule, and what to do.
    pub why: &'static str,
    /// A repository that breaks it.
    pub bad: Example,
    /// The same one, mended.
    pub good: Example,
}

impl Rule {
    /// `since` of the rules that there always were.
    pub const SINCE_0_1: Release = Release::FIRST;
    /// `since` of the rules that came with 0.2.
    pub const SINCE_0_2: Release = Release::V0_2;
}

/// Every rule of form, by code.
pub const ALL: &[&Rule] = &[
    &yaml_syntax::RULE,
    &bad_encoding::RULE,
    &forbidden_yaml::RULE,
    &limit_exceeded::RULE,
    &null_value::RULE,
    &ambiguous_scalar::RULE,
    &wrong_type::RULE,
    &duplicate_key::RULE,
    &missing_field::RULE,
    &bad_value::RULE,
    &unknown_field::RULE,
    &bad_name::RULE,
    &mistyped_header::RULE,
    &foreign_document::RULE,
    &foreign_file::RULE,
    &link_or_pointer::RULE,
    &misnamed_file::RULE,
];

/// Every rule about which files a tree has, by code: their breaches are found where files are
/// listed.
pub const OF_TREES: &[&Rule] = &[&empty_set::RULE, &idle_glob::RULE];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_and_names_are_unique_and_in_order() {
        let codes: Vec<_> = ALL.iter().map(|r| r.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();

        assert_eq!(codes, sorted);
    }
}
