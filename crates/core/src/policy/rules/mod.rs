//! The rules of a set: what documents must mean together. One file a rule.
//!
//! A rule reads the [`DraftSet`] and adds findings; it never reads another rule's findings, so the
//! order of this list has no meaning, and they are judged side by side.

pub mod add_and_remove;
pub mod bad_condition;
pub mod bad_expiry;
pub mod bad_invariant;
pub mod bad_scope;
pub mod bad_settings;
pub mod bad_test;
pub mod captured_guardrail;
pub mod chain_too_deep;
pub mod colliding_files;
pub mod condition_matches_nothing;
pub mod covered_attachment;
pub mod dead_default;
pub mod default_on_guardrail;
pub mod duplicate_policy;
pub mod duplicate_test;
pub mod empty_condition;
pub mod empty_pipeline;
pub mod glob_condition;
pub mod guardrail_conflict;
pub mod idle_pipeline;
pub mod idle_setting;
pub mod inheritance_cycle;
pub mod inner_wildcard;
pub mod lookalike_name;
pub mod no_target;
pub mod pipeline_not_inherited;
pub mod remove_not_inherited;
pub mod remove_without_effect;
pub mod renamed_environment;
pub mod scope_with_targets;
pub mod skipped_step;
pub mod step_mode;
pub mod step_not_added;
mod suggestions;
pub mod test_unknown_policy;
#[cfg(test)]
pub(in crate::policy) mod tests;
pub mod unknown_guardrail;
pub mod unknown_name;
pub mod unknown_parent;
pub mod unknown_policy;
pub mod unknown_target;
pub mod unreachable_step;
pub mod unused_guardrail;
pub mod unused_policy;
pub mod version_like_name;
pub mod wildcard_matches_nothing;

use rayon::prelude::*;

use super::{DraftSet, Environment, Levels};
use crate::document::{
    self, Action, Finding, Name, RawEnvironment, RawPolicy, RawRepository, RawStep, Rule, Severity,
    Spanned,
};

/// How much of a set a rule looks at: what tells whether a breach of it can be found, or ruled out,
/// from a change alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One document, beside the catalogs and the settings. (Of tests, and of invariants, all
    /// together: when one changes, all are judged again.) What other documents say makes no
    /// difference.
    Local,
    /// Which policies there are and who inherits from whom, by their names alone. A changed set is
    /// asked for this as a whole, without its documents: `policy::patch` does it.
    Lineage,
    /// The tests and invariants, beside the names that the set has: its policies, the guardrails
    /// that they add, the patterns of its attachments. A name more never makes a breach, so it can
    /// only appear where such a name is gone or a test or invariant changes.
    Names,
    /// Anything else: other attachments, what an ancestor adds, a budget that all documents share.
    Whole,
}

/// A rule and the function that looks for breaches of it.
pub struct SetRule {
    /// What it is.
    pub rule: &'static Rule,
    /// How much of the set `check` looks at.
    pub scope: Scope,
    /// Adds a finding for each breach.
    pub check: fn(&DraftSet<'_>, &mut Vec<Finding>),
}

macro_rules! table {
    ($($module:ident),* $(,)?) => { &[$(SetRule { rule: &$module::RULE, scope: $module::SCOPE, check: $module::check_draft }),*] };
}

/// Every rule of the set, by code.
pub const ALL: &[SetRule] = table![
    duplicate_policy,
    unknown_parent,
    inheritance_cycle,
    chain_too_deep,
    unknown_guardrail,
    empty_pipeline,
    step_not_added,
    unreachable_step,
    unknown_policy,
    no_target,
    bad_scope,
    scope_with_targets,
    unknown_target,
    bad_condition,
    empty_condition,
    bad_settings,
    bad_invariant,
    bad_test,
    unknown_name,
    duplicate_test,
    guardrail_conflict,
    step_mode,
    renamed_environment,
    bad_expiry,
    unused_policy,
    covered_attachment,
    inner_wildcard,
    glob_condition,
    condition_matches_nothing,
    wildcard_matches_nothing,
    add_and_remove,
    remove_not_inherited,
    remove_without_effect,
    dead_default,
    unused_guardrail,
    pipeline_not_inherited,
    skipped_step,
    captured_guardrail,
    version_like_name,
    test_unknown_policy,
    lookalike_name,
    idle_pipeline,
    default_on_guardrail,
    idle_setting,
    colliding_files,
];

// A changed set is judged by what changed. An error that only the whole set shows would go unseen
// there, so a rule of that kind does not compile: it has to be a warning, or `patch` has to learn
// it first.
const _: () = assert!(
    errors_show_in_changes(ALL),
    "an error rule with `Scope::Whole`"
);

const fn errors_show_in_changes(mut rules: &[SetRule]) -> bool {
    while let Some((first, rest)) = rules.split_first() {
        if matches!(
            (first.rule.severity, first.scope),
            (Severity::Error, Scope::Whole)
        ) {
            return false;
        }

        rules = rest;
    }

    true
}

/// Whether some rule that looks at the whole set is an error by these levels.
pub(super) fn raises_whole_rule(levels: &Levels) -> bool {
    let is_error = |rule: &SetRule| levels.severity_of(rule.rule) == Severity::Error;
    ALL.iter()
        .any(|rule| rule.scope == Scope::Whole && is_error(rule))
}

/// Judges a draft by every rule that is wanted.
pub(super) fn judge_draft(
    draft: &DraftSet<'_>,
    wanted: &(dyn Fn(&SetRule) -> bool + Sync),
    findings: &mut Vec<Finding>,
) {
    let found: Vec<Vec<Finding>> = ALL
        .par_iter()
        .filter(|rule| wanted(rule))
        .map(|rule| {
            let mut findings = Vec::new();
            (rule.check)(draft, &mut findings);
            findings
        })
        .collect();

    findings.extend(found.into_iter().flatten());
}

/// Every rule that a finding of `validate` can have, of form, of the set and of the tree, by code.
pub fn all_rules() -> Vec<&'static Rule> {
    let of_form = document::rules::ALL
        .iter()
        .chain(document::rules::OF_TREES)
        .copied();
    let mut rules: Vec<&'static Rule> = of_form.chain(ALL.iter().map(|rule| rule.rule)).collect();
    rules.sort_by_key(|rule| rule.code);

    rules
}

/// The levels that refguard.yaml sets; what cannot be set is left to the rule `bad-settings`.
pub(super) fn settings_levels(draft: &DraftSet<'_>) -> Levels {
    draft
        .repository
        .first()
        .map(|item| levels_of(item.raw))
        .unwrap_or_default()
}

/// The levels that a Repository document sets. A name or level that cannot be is reported by its
/// own rule.
pub(super) fn levels_of(raw: &RawRepository) -> Levels {
    let rules = all_rules();
    let mut levels = Levels::default();
    for (name, level) in raw.rules.iter().flat_map(|rules| &rules.0) {
        let _ = levels.set_level(&rules, name, level.value);
    }

    levels
}

/// A ref that settings give to an environment.
struct StatedRef<'a> {
    environment: &'a RawEnvironment,
    reference: &'a Spanned<String>,
    /// Whether it is the one of the environment's name.
    is_usual: bool,
}

/// Every ref that settings give.
fn stated_refs(settings: &RawRepository) -> impl Iterator<Item = StatedRef<'_>> {
    settings
        .environments
        .iter()
        .flatten()
        .filter_map(|environment| {
            let reference = environment.reference.as_ref()?;
            let is_usual = reference.value == Environment::named(&environment.name).reference;
            Some(StatedRef {
                environment: &environment.value,
                reference,
                is_usual,
            })
        })
}

/// What a policy adds itself.
fn added_guardrails(raw: &RawPolicy) -> &[Spanned<Name>] {
    raw.guardrails
        .as_ref()
        .and_then(|own| own.add.as_deref())
        .unwrap_or_default()
}

/// What a policy removes itself.
fn removed_guardrails(raw: &RawPolicy) -> &[Spanned<Name>] {
    raw.guardrails
        .as_ref()
        .and_then(|own| own.remove.as_deref())
        .unwrap_or_default()
}

/// What a step does on a pass, on a fail and on an error, defaults filled in.
fn step_actions(step: &RawStep) -> [Action; 3] {
    let on_fail = step.on_fail.map_or(Action::Block, |action| action.value);
    [
        step.on_pass.map_or(Action::Allow, |action| action.value),
        on_fail,
        step.on_error.map_or(on_fail, |action| action.value),
    ]
}
