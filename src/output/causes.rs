//! Findings put together by their cause: one typo in a catalog is one entry, not one a file that uses the name.

use std::collections::HashMap;

use refguard_core::document::Finding;

/// Places of a cause that are named.
pub(super) const PLACES: usize = 3;

/// Findings of one rule that say the same.
pub(super) struct FindingGroup<'f> {
    /// The first of them.
    pub first: &'f Finding,
    /// All of them.
    pub findings: Vec<&'f Finding>,
}

/// Findings by rule and message, in the order of the first of each.
pub(super) fn group_findings<'f>(
    findings: impl Iterator<Item = &'f Finding>,
) -> Vec<FindingGroup<'f>> {
    let mut groups: Vec<FindingGroup<'f>> = Vec::new();
    let mut known: HashMap<(&str, &str, bool), usize> = HashMap::new();
    for finding in findings {
        let key = (finding.rule.code, finding.message.as_str(), finding.is_error());
        match known.get(&key).and_then(|at| groups.get_mut(*at)) {
            Some(group) => group.findings.push(finding),
            None => {
                known.insert(key, groups.len());
                groups.push(FindingGroup { first: finding, findings: vec![finding] });
            }
        }
    }
    groups
}

impl FindingGroup<'_> {
    /// How many places there are beyond those that are named.
    pub fn more(&self) -> usize {
        self.findings.len().saturating_sub(PLACES)
    }

    /// The first places, and how many more there are.
    pub fn places(&self) -> String {
        let shown = self
            .findings
            .iter()
            .take(PLACES)
            .map(|finding| format!("{}:{}", finding.location.file, finding.location.line));
        let shown = shown.collect::<Vec<_>>().join(", ");
        match self.more() {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }
}
