//! RG203 `inner-wildcard`: a star that is no wildcard

use super::Scope;
use crate::document::{Dimension, Finding, Rule, Severity, SourceFile, Spanned};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG203",
    name: "inner-wildcard",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a `*` stands only at the end of a pattern",
    why: "Only a final `*` matches any rest; any other is the character itself. `*-prod` matches \
        nothing but the text `*-prod`. Conditions on the model take regular expressions; for teams \
        and keys, name them or use a tag.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: ["*-prod"]
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: ["prod-*"]
"#,
    )],
};

/// Whether a pattern has a star before its last character.
fn has_inner_star(text: &str) -> bool {
    text.strip_suffix('*').unwrap_or(text).contains('*')
}

/// Every pattern of an attachment, an invariant or a catalog with a star elsewhere than at its end.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut comparisons = MOST_COMPARISONS;
    let mut look = |file: &SourceFile, list: &[Spanned<String>], dimension: Dimension| {
        for text in list.iter().filter(|text| has_inner_star(text)) {
            let (message, help) = wording_for(draft, dimension, text, &mut comparisons);
            findings.push(Finding::new(&RULE, file, text.span, message).with_help(help));
        }
    };

    for dimension in Dimension::ALL {
        let starred = draft
            .areas()
            .distinct_patterns(dimension)
            .any(|(text, _)| text.contains('*'));
        for item in draft.attachments.iter().filter(|_| starred) {
            look(
                item.file,
                item.raw
                    .patterns(dimension)
                    .map(|list| list.as_slice())
                    .unwrap_or_default(),
                dimension,
            );
        }

        for item in &draft.invariants {
            for raw in item.raw.for_.iter().chain(&item.raw.except) {
                look(
                    item.file,
                    raw.patterns(dimension)
                        .map(|list| list.as_slice())
                        .unwrap_or_default(),
                    dimension,
                );
            }
        }

        for item in &draft.catalogs {
            look(
                item.file,
                item.raw.values(dimension).unwrap_or_default(),
                dimension,
            );
        }
    }
}

/// The message and the help for a pattern with an inner star. Where the catalog lists the
/// dimension, the names are told that its author may have meant, as long as there are
/// `comparisons` left.
fn wording_for(
    draft: &DraftSet<'_>,
    dimension: Dimension,
    text: &str,
    comparisons: &mut usize,
) -> (String, String) {
    let written = text.escape_debug();
    let known = draft.catalog.values_of(dimension);
    let Some(known) = known.filter(|known| !text.ends_with('*') && !known.has_value(text)) else {
        let message = format!("only a final `*` is a wildcard: `{written}` matches no rest there");
        return (
            message,
            "name the values, or use a prefix with a final `*`".to_owned(),
        );
    };

    let names = known.names();
    let looked_at = names.len().min(*comparisons);
    *comparisons -= looked_at;
    let meant: Vec<String> = names
        .iter()
        .take(looked_at)
        .filter(|name| !has_inner_star(name) && is_like(name, text))
        .take(MOST_NAMES)
        .map(|name| format!("`{}`", name.escape_debug()))
        .collect();

    let singular = dimension.singular();
    let message = format!(
        "`{written}` matches no {singular} of the catalog: a `*` before the end is no wildcard"
    );
    let help = match meant.as_slice() {
        [] => format!("name a {singular} of the catalog, or use a prefix with a final `*`"),
        names => format!("name those that are meant, such as {}", names.join(", ")),
    };

    (message, help)
}

/// Names that are held against patterns, all findings together.
const MOST_COMPARISONS: usize = 1_000_000;

/// Names that a message tells.
const MOST_NAMES: usize = 3;

/// Whether a name is what the pattern would match if each star were a wildcard.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };

        rest = rest.get(at + part.len()..).unwrap_or_default();
        last = part;
    }

    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::is_like;
    use crate::policy::rules::tests::{ATTACHED, said_of};

    #[test]
    fn names_that_may_be_meant_are_told() {
        let set = format!(
            "{ATTACHED}---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n\
             teams: ['heal*care']\n\
             ---\napiVersion: refguard/v1\nkind: Catalog\nteams: [healthcare, finance]\n"
        );
        assert_eq!(
            said_of(&[("p.yaml", &set)]),
            [(
                "RG203",
                "`heal*care` matches no team of the catalog: a `*` before the end is no wildcard",
                Some("name those that are meant, such as `healthcare`")
            )]
            .map(|(code, message, help)| (
                code,
                message.to_owned(),
                help.map(str::to_owned)
            ))
        );
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        assert!(is_like("healthcare", "heal*care") && is_like("eu-prod", "*-prod"));
        assert!(!is_like("finance", "heal*care") && !is_like("healthcare-eu", "heal*care"));
    }
}
