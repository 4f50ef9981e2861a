//! The rules of import: what in a LiteLLM config is a trap or cannot be expressed. One file a rule.
//!
//! Faults of plain form (wrong type, bad value, missing field, YAML) have the codes of
//! `document::rules`; faults of the set (unknown parent, dangling attachment, …) those of
//! `policy::rules`.

pub mod comments;
pub mod dead_condition;
pub mod empty_condition;
pub mod everywhere;
pub mod idle_attachment;
pub mod ignored;
pub mod indirect;
pub mod literal_environment;
pub mod mended_row;
pub mod no_policies;
pub mod split_character;
pub mod tagged_modes;
pub mod two_productions;
pub mod unknown_key;
pub mod unlisted_guardrail;
pub mod unlisted_model;

use crate::document::Rule;

/// Every rule of import, by code.
pub const ALL: &[&Rule] = &[
    &unknown_key::RULE,
    &everywhere::RULE,
    &ignored::RULE,
    &empty_condition::RULE,
    &dead_condition::RULE,
    &indirect::RULE,
    &unlisted_model::RULE,
    &no_policies::RULE,
    &idle_attachment::RULE,
    &two_productions::RULE,
    &comments::RULE,
    &unlisted_guardrail::RULE,
    &tagged_modes::RULE,
    &literal_environment::RULE,
    &split_character::RULE,
    &mended_row::RULE,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::document::{Example, Finding};
    use crate::interop::{import_config, import_database};

    /// An example is a config, or the two saved answers of a database.
    fn findings(example: Example) -> Vec<Finding> {
        match example {
            [(path, text)] => import_config(path, (*text).to_owned()).findings,
            [(p, policies), (a, attachments)] => {
                import_database((p, (*policies).to_owned()), (a, (*attachments).to_owned()))
                    .findings
            }
            _ => panic!("{example:?}"),
        }
    }

    #[test]
    fn a_bad_example_breaks_its_rule_and_a_good_one_breaks_none() {
        for rule in ALL {
            let found = findings(rule.bad);
            assert!(
                found
                    .iter()
                    .any(|f| f.rule == *rule && f.severity == rule.severity),
                "{}: {found:#?}",
                rule.code
            );
            let found = findings(rule.good);
            assert!(
                !found.iter().any(|f| f.is_error() || f.rule.code >= "RG300"),
                "{}: {found:#?}",
                rule.code
            );
        }
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let codes: Vec<_> = ALL.iter().map(|rule| rule.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    }
}
