//! Findings put together by their cause: one typo in a catalog is one entry, not one a file that
//! uses the name.

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
        let key = (
            finding.rule.code,
            finding.message.as_str(),
            finding.is_error(),
        );
        match known.get(&key).and_then(|at| groups.get_mut(*at)) {
            Some(group) => group.findings.push(finding),
            None => {
                known.insert(key, groups.len());
                groups.push(FindingGroup {
                    first: finding,
                    findings: vec![finding],
                });
            }
        }
    }
    groups
}

/// Errors before warnings, else in the order that they are in.
pub(super) fn worst_first(mut groups: Vec<FindingGroup<'_>>) -> Vec<FindingGroup<'_>> {
    groups.sort_by_key(|group| !group.first.is_error());
    groups
}

/// A line for each cause: the first finding, and how many places more there are.
pub fn finding_lines(findings: &[Finding]) -> Vec<String> {
    let line = |group: &FindingGroup<'_>| match group.findings.len() - 1 {
        0 => group.first.to_string(),
        more => {
            format!(
                "{} (and at {})",
                group.first,
                super::count(more, "more place", "more places")
            )
        }
    };
    group_findings(findings.iter()).iter().map(line).collect()
}

impl FindingGroup<'_> {
    /// How many places there are beyond those that are named.
    pub fn more(&self) -> usize {
        self.findings.len().saturating_sub(PLACES)
    }

    /// Where else it is, in a sentence; `None`: nowhere.
    pub fn other_places(&self) -> Option<String> {
        let others = self
            .findings
            .len()
            .checked_sub(1)
            .filter(|others| *others > 0)?;
        let shown = self
            .findings
            .iter()
            .skip(1)
            .take(PLACES - 1)
            .map(|finding| {
                let place = &finding.location;
                format!("{}:{}:{}", place.file, place.line, place.column)
            });
        let shown = shown.collect::<Vec<_>>().join(", ");
        Some(match self.more() {
            0 => format!("the same at {shown}"),
            more => format!(
                "the same at {shown} and {more} more: {} in all (--format json has each)",
                super::count(others + 1, "place", "places")
            ),
        })
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

#[cfg(test)]
mod tests {
    use refguard_core::document::{SourceFile, Span, rules};

    use super::*;

    #[test]
    fn a_cause_names_its_first_places_and_counts_the_others() {
        let rule = rules::ALL.first().copied().unwrap();
        let at = |file: &str, message: &str| {
            Finding::new(
                rule,
                &SourceFile::new(file, "x".to_owned()),
                Span::new(0, 1),
                message,
            )
        };
        let said: Vec<Finding> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|file| at(file, "typo"))
            .collect();
        let other = at("b", "another");
        let groups = group_findings(said.iter().take(2).chain([&other]).chain(&said[2..]));
        let counts: Vec<usize> = groups.iter().map(|group| group.findings.len()).collect();
        assert_eq!(counts, [5, 1]);
        assert_eq!(groups[0].places(), "a:1, b:1, c:1 and 2 more");
        assert_eq!(
            groups[0].other_places().unwrap(),
            "the same at b:1:1, c:1:1 and 2 more: 5 places in all (--format json has each)"
        );
        assert_eq!(groups[1].other_places(), None);
    }
}
