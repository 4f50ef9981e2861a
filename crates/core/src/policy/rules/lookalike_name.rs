//! RG217 `lookalike-name`: a name that reads as another one

use rustc_hash::FxHashMap;
use unicode_security::confusable_detection::skeleton;

use super::Scope;
use crate::document::rules::bad_name;
use crate::document::{Dimension, Finding, Rule, Severity, SourceFile, Span};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG217",
    name: "lookalike-name",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "no name looks like another one, or holds a character that cannot be seen",
    why: "A policy `bаseline` with a Cyrillic `а` reads as `baseline` in every review and is \
        another policy: who attaches or inherits it gets other guardrails. Names are compared by \
        the skeletons of Unicode's security report (UTS #39); two names of ASCII letters only are \
        never taken for each other. In the lists of a catalog and an attachment, which name teams, \
        keys, models and tags that others chose, a character that cannot be seen is a warning too; \
        in names that are refguard's own it is an error.",
    bad: &[(
        "policies/baseline.yaml",
        "apiVersion: refguard/v1
kind: Catalog
guardrails: [pii_blocker]
teams: [finance, fin\u{430}nce]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: \"*\"
",
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails: [pii_blocker]
teams: [finance]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every name that looks like another one of its kind, and every invisible character in the lists
/// of catalogs and attachments.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    find_lookalikes("policy", policy_names(draft).collect(), findings);
    find_lookalikes("guardrail", guardrail_names(draft).collect(), findings);
    for dimension in Dimension::ALL {
        let names: Vec<WrittenName<'_>> = dimension_values(draft, dimension).collect();
        find_invisible(dimension.singular(), &names, findings);
        find_lookalikes(dimension.singular(), names, findings);
    }
}

/// A name where it is written.
#[derive(Clone, Copy)]
struct WrittenName<'a> {
    file: &'a SourceFile,
    span: Span,
    text: &'a str,
}

impl WrittenName<'_> {
    fn make_finding(&self, message: String) -> Finding {
        Finding::new(&RULE, self.file, self.span, message)
    }
}

/// Every policy's name.
fn policy_names<'d>(draft: &'d DraftSet<'_>) -> impl Iterator<Item = WrittenName<'d>> {
    draft.policies.iter().map(|item| WrittenName {
        file: item.file,
        span: item.raw.name.span,
        text: item.raw.name.as_str(),
    })
}

/// Every place where a catalog lists or a policy adds a guardrail.
fn guardrail_names<'d>(draft: &'d DraftSet<'_>) -> impl Iterator<Item = WrittenName<'d>> {
    let listed = draft.catalogs.iter().flat_map(|item| {
        let names = item
            .raw
            .guardrails
            .iter()
            .flatten()
            .map(|guardrail| &guardrail.name);

        names.map(|name| WrittenName {
            file: item.file,
            span: name.span,
            text: name.as_str(),
        })
    });
    let added = draft.policies.iter().flat_map(|item| {
        let names = super::added_guardrails(item.raw).iter();
        names.map(|name| WrittenName {
            file: item.file,
            span: name.span,
            text: name.as_str(),
        })
    });

    listed.chain(added)
}

/// Every place where a catalog or an attachment names a value of a dimension.
fn dimension_values<'d>(
    draft: &'d DraftSet<'_>,
    dimension: Dimension,
) -> impl Iterator<Item = WrittenName<'d>> {
    let listed = draft.catalogs.iter().flat_map(move |item| {
        let names = item.raw.values(dimension).into_iter().flatten();
        names.map(|name| WrittenName {
            file: item.file,
            span: name.span,
            text: name.as_str(),
        })
    });
    let targets = draft.attachments.iter().flat_map(move |item| {
        let names = item
            .raw
            .patterns(dimension)
            .into_iter()
            .flat_map(|list| list.iter());

        names.map(|name| WrittenName {
            file: item.file,
            span: name.span,
            text: name.as_str(),
        })
    });

    listed.chain(targets)
}

/// Names of which one is not plain ASCII and that have one skeleton: found at the one that is not
/// ASCII; of two such at the later.
fn find_lookalikes(what: &str, names: Vec<WrittenName<'_>>, findings: &mut Vec<Finding>) {
    if names.iter().all(|name| name.text.is_ascii()) {
        return;
    }

    // Plain names come first, so that a strange one is found beside them wherever it stands.
    let (plain, strange): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.text.is_ascii());
    let mut seen: FxHashMap<String, WrittenName<'_>> = FxHashMap::default();

    for name in plain.into_iter().chain(strange) {
        let first = *seen.entry(skeleton(name.text).collect()).or_insert(name);
        if first.text != name.text && !name.text.is_ascii() {
            let message = format!(
                "the {what} `{}` looks like `{}` and is another one",
                show_code_points(name.text),
                show_code_points(first.text)
            );
            let finding = name
                .make_finding(message)
                .with_help("write one of them with other letters");
            findings.push(finding.with_related(first.file, first.span, "it looks like this one"));
        }
    }
}

fn find_invisible(what: &str, names: &[WrittenName<'_>], findings: &mut Vec<Finding>) {
    for name in names {
        if let Some(hidden) = bad_name::invisible_character(name.text) {
            let code = u32::from(hidden);
            let message = format!(
                "the {what} `{}` holds U+{code:04X}, which cannot be seen",
                name.text.escape_debug()
            );
            findings.push(
                name.make_finding(message)
                    .with_help("remove the character, if no such name exists"),
            );
        }
    }
}

/// A text in which every character outside of ASCII is shown by its code point.
fn show_code_points(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_control() {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }

    shown
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::places;

    fn of(first: &str, second: &str) -> Vec<(&'static str, u32)> {
        let policy = |name: &str| {
            format!(
                "apiVersion: refguard/v1\nkind: Policy\nname: {name}\nguardrails: {{add: \
                    [g]}}\n---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: \
                    {name}\nscope: '*'\n"
            )
        };

        places(&[("a.yaml", &policy(first)), ("b.yaml", &policy(second))])
    }

    #[test]
    fn another_script_is_found_and_other_letters_are_not() {
        // A Cyrillic `а` and `е`; a full-width letter; `é` as one and as two code points.
        for name in ["b\u{430}seline", "bas\u{435}line", "\u{ff42}aseline"] {
            assert_eq!(of("baseline", name), [("RG217", 3)], "{name}");
        }

        assert_eq!(of("caf\u{e9}", "cafe\u{301}"), [("RG217", 3)]);
        for (first, second) in [
            ("l1", "ll"),
            ("rn", "m"),
            ("gesundheit-\u{e4}", "gesundheit-a"),
        ] {
            assert_eq!(of(first, second), [], "{first} {second}");
        }
    }

    #[test]
    fn the_strange_name_is_named_even_where_it_stands_first() {
        let found = of("b\u{430}seline", "baseline");
        assert_eq!(found, [("RG217", 3)]);
    }

    #[test]
    fn an_invisible_character_in_a_target_is_found() {
        let text = "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n---\n\
            apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nteams:\n\
            - finance\u{200b}\n";
        assert_eq!(places(&[("a.yaml", text)]), [("RG217", 10)]);
    }
}
