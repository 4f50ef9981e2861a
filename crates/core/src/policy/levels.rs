//! Levels of warnings: the one place where a finding's severity changes.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::document::{Finding, Level, Release, Rule, Severity, did_you_mean};

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
    /// No rule of that name; the nearest one, if one is near.
    Unknown(Option<&'static str>),
    /// The rule is an error, and errors cannot be lowered.
    Fixed(&'static str),
}

impl Levels {
    /// The rules' own levels, as they were in a release.
    pub fn as_of(release: Release) -> Self {
        Self { named: FxHashMap::default(), as_of: release.min(Release::CURRENT) }
    }

    /// The release whose rules count.
    pub fn release(&self) -> Release {
        self.as_of
    }

    /// Sets the level of a warning, by its rule's name or code.
    ///
    /// # Errors
    /// Where there is no such rule, or its severity is fixed.
    pub fn set(
        &mut self,
        rules: &[&'static Rule],
        name: &str,
        level: Level,
    ) -> Result<(), BadLevel> {
        let Some(rule) = rules.iter().find(|rule| rule.name == name || rule.code == name) else {
            return Err(BadLevel::Unknown(did_you_mean(name, rules.iter().map(|rule| rule.name))));
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

    /// What a breach of a rule is, by these levels; one that is off counts as a warning. An error of a later release is
    /// one here, so that it is looked for.
    pub fn of(&self, rule: &Rule) -> Severity {
        match self.named.get(rule.name) {
            Some(Level::Error) => Severity::Error,
            Some(Level::Off | Level::Warn) => Severity::Warning,
            None => rule.severity,
        }
    }

    /// Every level that was set, by the rule's name, in the order of the names.
    pub fn by_name(&self) -> BTreeMap<&'static str, Level> {
        self.named.iter().map(|(name, level)| (*name, *level)).collect()
    }

    /// These levels with others over them; of the two releases the older counts.
    pub fn overlay(&mut self, over: &Self) {
        self.named.extend(over.named.iter().map(|(name, level)| (*name, *level)));
        self.as_of = self.as_of.min(over.as_of);
    }

    /// Applies the levels and puts the findings in the order of reports.
    pub fn apply(&self, findings: &mut Vec<Finding>) {
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
    }
}
