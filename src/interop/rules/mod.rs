//! The rules of import: what in a LiteLLM config is a trap or cannot be expressed. One file a rule.
//!
//! Faults of plain form (wrong type, bad value, missing field, YAML) have the codes of `document::rules`;
//! faults of the set (unknown parent, dangling attachment, …) those of `policy::rules`.

pub mod dead_condition;
pub mod empty_condition;
pub mod everywhere;
pub mod ignored;
pub mod indirect;
pub mod no_policies;
pub mod unknown_key;
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
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::interop::import_config;

    #[test]
    fn a_bad_example_breaks_its_rule_and_a_good_one_breaks_none() {
        for rule in ALL {
            let [(path, bad)] = rule.bad else { panic!("{}: one config", rule.code) };
            let found = import_config(path, (*bad).to_owned()).findings;
            assert!(found.iter().any(|f| f.rule == *rule && f.severity == rule.severity), "{}: {found:#?}", rule.code);
            let [(path, good)] = rule.good else { panic!("{}: one config", rule.code) };
            let found = import_config(path, (*good).to_owned()).findings;
            assert!(!found.iter().any(|f| f.is_error() || f.rule.code >= "RG300"), "{}: {found:#?}", rule.code);
        }
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let codes: Vec<_> = ALL.iter().map(|rule| rule.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    }
}
