//! Levels of warnings: the one place where a finding's severity changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::document::{Finding, Level, Release, Rule, Severity};

/// Levels by rule name, from refguard.yaml and flags, as of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    named: FxHashMap<&'static str, Level>,
    /// What is only an error since a later release is a warning.
    as_of: Release,
}

impl Default for Levels {
    fn default() -> Self {
        Self::as_of(Release::CURRENT)
    }
}

/// Why a level cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadLevel {
    /// No rule of that name.
    Unknown,
    /// The rule is an error, and errors cannot be lowered.
    Fixed(&'static str),
}

impl Levels {
    /// The rules' own levels, as they were in a release.
    pub fn as_of(release: Release) -> Self {
        Self {
            named: FxHashMap::default(),
            as_of: release.min(Release::CURRENT),
        }
    }

    /// The release whose rules count.
    pub fn release(&self) -> Release {
        self.as_of
    }

    /// Sets the level of a warning, by its rule's name or code.
    ///
    /// # Errors
    /// Where there is no such rule, or its severity is fixed.
    pub fn set_level(
        &mut self,
        rules: &[&'static Rule],
        name: &str,
        level: Level,
    ) -> Result<(), BadLevel> {
        let Some(rule) = rules
            .iter()
            .find(|rule| rule.name == name || rule.code == name)
        else {
            return Err(BadLevel::Unknown);
        };

        match (rule.severity, level) {
            (Severity::Error, Level::Off | Level::Warn) => Err(BadLevel::Fixed(rule.name)),
            (Severity::Error, Level::Error) => Ok(()),
            (Severity::Warning, level) => {
                self.named.insert(rule.name, level);
                Ok(())
            }
        }
    }

    /// What a breach of a rule is, by these levels; one that is off counts as a warning. An error
    /// of a later release is one here, so that it is looked for.
    pub fn severity_of(&self, rule: &Rule) -> Severity {
        match self.named.get(rule.name) {
            Some(Level::Error) => Severity::Error,
            Some(Level::Off | Level::Warn) => Severity::Warning,
            None => rule.severity,
        }
    }

    /// Every level that was set, by the rule's name, in the order of the names.
    pub fn by_name(&self) -> BTreeMap<&'static str, Level> {
        self.named
            .iter()
            .map(|(name, level)| (*name, *level))
            .collect()
    }

    /// These levels with others over them; of the two releases the older counts.
    pub fn overlay_levels(&mut self, over: &Self) {
        self.named
            .extend(over.named.iter().map(|(name, level)| (*name, *level)));
        self.as_of = self.as_of.min(over.as_of);
    }

    /// Applies the levels and puts the findings in the order of reports.
    pub fn apply_levels(&self, findings: &mut Vec<Finding>) {
        findings.retain_mut(|finding| {
            match self.named.get(finding.rule.name) {
                Some(Level::Off) => return false,
                Some(Level::Warn) => finding.severity = Severity::Warning,
                Some(Level::Error) => finding.severity = Severity::Error,
                None => {}
            }

            if finding.since > self.as_of {
                finding.severity = Severity::Warning;
            }

            true
        });
        findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        findings.dedup();

        cap_each_file(findings);
    }
}

/// The most findings of one rule that are reported of a file, the first by place; one more counts
/// the rest. A file of 1 MiB can break a rule some 100,000 times, and nobody reads the
/// last of them.
pub const MOST_OF_A_FILE: usize = 1_000;

/// Leaves out what is too much of one rule in one file. The findings are sorted, and stay so.
fn cap_each_file(findings: &mut Vec<Finding>) {
    if findings.len() <= MOST_OF_A_FILE {
        return;
    }

    let mut seen: FxHashMap<(&'static str, Arc<str>), usize> = FxHashMap::default();
    let mut left_out: BTreeMap<(Arc<str>, &'static str), (usize, Finding)> = BTreeMap::new();

    findings.retain(|finding| {
        let (code, file) = (finding.rule.code, &finding.location.file);
        let count = seen.entry((code, file.clone())).or_default();
        *count += 1;
        if *count <= MOST_OF_A_FILE {
            return true;
        }

        let (rest, first) = left_out
            .entry((file.clone(), code))
            .or_insert_with(|| (0, finding.clone()));
        *rest += 1;
        // What is left out must refuse the set as it would have.
        if finding.is_error() && (!first.is_error() || finding.since < first.since) {
            (first.severity, first.since) = (finding.severity, finding.since);
        }

        false
    });

    for (count, first) in left_out.into_values() {
        let findings_word = if count == 1 { "finding" } else { "findings" };
        let message = format!(
            "{count} more {findings_word} of `{}` in this file are left out",
            first.rule.name
        );
        let help = Some("mend those that are shown and look again".to_owned());
        findings.push(Finding {
            message,
            help,
            related: Vec::new(),
            ..first
        });
    }

    findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, load_file};

    fn found(text: String, as_of: Release) -> Vec<Finding> {
        let loaded = load_file("set.yaml", text.into_bytes(), &Limits::DEFAULT);
        crate::policy::check_findings(loaded, &Levels::as_of(as_of), None).findings
    }

    #[test]
    fn of_each_rule_a_thousand_are_told_of_a_file_and_the_rest_is_counted() {
        let names: Vec<String> = (0..3_000).map(|n| format!("g{n}")).collect();
        let text = format!(
            "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [{}]\n",
            names.join(", ")
        );
        let all = found(text, Release::CURRENT);
        let unused: Vec<_> = all.iter().filter(|it| it.rule.code == "RG211").collect();
        assert_eq!(unused.len(), MOST_OF_A_FILE + 1);
        let rest = unused
            .iter()
            .find(|finding| finding.message.contains("more"))
            .unwrap();
        assert_eq!(
            rest.message,
            "2000 more findings of `unused-guardrail` in this file are left out"
        );

        assert!(!rest.is_error());
    }

    #[test]
    fn what_is_left_out_refuses_a_set_as_it_would_have() {
        let cases = "  - {name: same, context: {team: a}, expect: {action: allow}}\n".repeat(2_500);
        let text = format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{cases}");
        let told = found(text.clone(), Release::CURRENT);
        let rest = told
            .iter()
            .find(|finding| finding.message.contains("more findings"))
            .unwrap();
        assert!(rest.is_error() && rest.since == Release::V0_2, "{rest}");

        assert!(!found(text, Release::FIRST).iter().any(Finding::is_error));
    }
}
