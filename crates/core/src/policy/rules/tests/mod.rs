//! Every rule on its own examples, and what the tests of single rules share.

mod random;
mod traps;

use std::sync::Arc;

use super::all_rules;
use crate::document::{Finding, Limits, Loaded, Rule, is_read_name, load_file, our_folder, rules};
use crate::policy::{Checked, DraftSet, Levels, check_documents};

/// One policy `p`, attached: a set without a finding.
pub(super) const ATTACHED: &str = "apiVersion: refguard/v1\nkind: Policy\nname: p\n\
    guardrails:\n  add: [g]\n---\n\
    apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\ntags: [t]\n";

fn load(files: &[(&str, &[u8])]) -> Loaded {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        if is_read_name(path) {
            loaded.append_loaded(load_file(Arc::from(*path), text.to_vec(), &Limits::DEFAULT));
        } else if let Some(folder) = our_folder(path) {
            loaded.append_loaded(Loaded::stray_file(Arc::from(*path), folder));
        }
    }

    loaded
}

pub(super) fn check_bytes(files: &[(&str, &[u8])]) -> Checked {
    check_documents(load(files), &Levels::default())
}

fn check_texts(files: &[(&str, &str)]) -> Checked {
    check_bytes(
        &files
            .iter()
            .map(|(path, text)| (*path, text.as_bytes()))
            .collect::<Vec<_>>(),
    )
}

/// The codes of a set's findings, in the order of reports.
pub(super) fn codes(files: &[(&str, &str)]) -> Vec<&'static str> {
    places(files).into_iter().map(|(code, _)| code).collect()
}

/// The codes and lines of a set's findings, in the order of reports.
pub(super) fn places(files: &[(&str, &str)]) -> Vec<(&'static str, u32)> {
    check_texts(files)
        .findings
        .iter()
        .map(|finding| (finding.rule.code, finding.location.line))
        .collect()
}

/// The codes, messages and helps of a set's findings, in the order of reports.
pub(super) fn said_of(files: &[(&str, &str)]) -> Vec<(&'static str, String, Option<String>)> {
    let findings = check_texts(files).findings.into_iter();
    findings
        .map(|finding| (finding.rule.code, finding.message, finding.help))
        .collect()
}

/// Calls a function with the draft of a set that has its form.
pub(in crate::policy) fn draft_of(files: &[(&str, &str)], ask: impl FnOnce(&DraftSet<'_>)) {
    let loaded = load(
        &files
            .iter()
            .map(|(path, text)| (*path, text.as_bytes()))
            .collect::<Vec<_>>(),
    );

    assert_eq!(loaded.findings, []);
    ask(&DraftSet::new(&loaded));
}

fn said(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}

/// The rules whose breaches stand in documents: whoever lists files finds those of the others.
fn all_of_documents() -> impl Iterator<Item = &'static Rule> {
    all_rules()
        .into_iter()
        .filter(|rule| !rules::OF_TREES.contains(rule))
}

#[test]
fn every_rule_finds_its_bad_example_and_nothing_in_its_good_one() {
    for rule in all_of_documents() {
        let bad = check_texts(rule.bad);
        let own: Vec<_> = bad
            .findings
            .iter()
            .filter(|finding| finding.rule == rule)
            .collect();

        assert!(
            !own.is_empty(),
            "{} does not find its bad example: {:?}",
            rule.code,
            said(&bad.findings)
        );
        for finding in own {
            assert_eq!(finding.severity, rule.severity, "{}", rule.code);
        }

        let good = check_texts(rule.good);
        assert!(
            good.findings.is_empty(),
            "{} has a bad good example: {:?}",
            rule.code,
            said(&good.findings)
        );
        assert!(good.set.is_some(), "{}: no set", rule.code);
    }
}

#[test]
fn a_bad_example_shows_its_own_rule_only() {
    for rule in all_of_documents() {
        let others: Vec<_> = check_texts(rule.bad)
            .findings
            .into_iter()
            .filter(|f| f.rule != rule)
            .collect();

        assert!(others.is_empty(), "{}: {:?}", rule.code, said(&others));
    }
}

#[test]
fn codes_and_names_are_unique_and_codes_in_order() {
    let rules = all_rules();
    assert!(rules.windows(2).all(|pair| pair[0].code < pair[1].code));
    let names: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), rules.len());

    for rule in rules {
        assert!(
            rule.name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            rule.name
        );
        assert!(
            rule.summary
                .chars()
                .next()
                .is_some_and(|c| !c.is_uppercase())
                && !rule.summary.ends_with('.')
        );
    }
}

#[test]
fn messages_are_lower_case_without_a_full_stop() {
    for finding in all_rules()
        .into_iter()
        .flat_map(|rule| check_texts(rule.bad).findings)
    {
        for text in [Some(&finding.message), finding.help.as_ref()]
            .into_iter()
            .flatten()
        {
            let name = ["YAML", "LiteLLM"]
                .iter()
                .any(|name| text.starts_with(name));
            assert!(name || !text.starts_with(char::is_uppercase), "{text}");
            assert!(
                !text.ends_with('.') && !text.contains('\n') && !text.is_empty(),
                "{text}"
            );
        }
    }
}
