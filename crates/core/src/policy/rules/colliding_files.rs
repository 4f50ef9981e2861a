//! RG223 `colliding-files`: two files that are one on some machines

use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization;

use super::Scope;
use crate::document::{Finding, Rule, Severity, SourceFile, Span};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG223",
    name: "colliding-files",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "no two files have names that differ only in case, or in how Unicode writes a letter",
    why: "On macOS and Windows `policies/Baseline.yaml` and `policies/baseline.yaml` are one file: \
        git checks out one of them, the other is gone from the work tree, and the next `git commit \
        -a` there deletes or overwrites it. What is promoted and served is read from commits, \
        which hold both, so this is a warning; where authors use such machines, `rules: \
        {colliding-files: error}` makes it an error.",
    bad: &[
        (
            "policies/Baseline.yaml",
            "apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
",
        ),
        (
            "policies/baseline.yaml",
            "apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: \"*\"
",
        ),
    ],
    good: &[(
        "policies/baseline.yaml",
        "apiVersion: refguard/v1
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
};

/// Every file whose name collides with that of an earlier one.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut seen: FxHashMap<String, (&SourceFile, Span)> = FxHashMap::default();
    for (file, span) in first_documents(draft) {
        let (first, first_span) = *seen.entry(fold_path(file.path())).or_insert((file, span));
        if first.path() == file.path() {
            continue;
        }
        let message = format!(
            "`{}` and `{}` are one file on systems that do not tell upper from lower case",
            file.path(),
            first.path()
        );
        let finding = Finding::new(&RULE, file, span, message)
            .with_help("give one of them another name: `git mv` in a checkout that has both")
            .with_related(first, first_span, "the other file");
        findings.push(finding);
    }
}

/// Every file with the place of its first document, in the order of the paths.
fn first_documents<'d>(draft: &'d DraftSet<'_>) -> Vec<(&'d SourceFile, Span)> {
    let mut places: Vec<(&SourceFile, Span)> = Vec::new();
    places.extend(
        draft
            .repository
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.extend(
        draft
            .catalogs
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.extend(
        draft
            .policies
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.extend(
        draft
            .attachments
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.extend(
        draft
            .tests
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.extend(
        draft
            .invariants
            .iter()
            .map(|item| (item.file, item.first_line())),
    );
    places.sort_by(|(one, at), (other, there)| {
        one.path()
            .cmp(other.path())
            .then(at.start.cmp(&there.start))
    });
    places.dedup_by(|(later, _), (first, _)| later.path() == first.path());
    places
}

/// What a file system that knows neither case nor forms of letters makes of a path.
fn fold_path(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    // Upper case first: it takes `ß` apart into two letters, and final from other sigmas nothing
    // apart.
    let folded: String = path
        .nfd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    folded.nfd().collect()
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::places;

    const POLICY: &str = "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n";
    const ATTACHED: &str =
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nscope: '*'\n";

    fn of(first: &str, second: &str) -> Vec<(&'static str, u32)> {
        places(&[(first, POLICY), (second, ATTACHED)])
    }

    #[test]
    fn names_that_differ_in_case_or_form_collide_also_by_their_folders() {
        let colliding = [
            ("policies/A.yaml", "policies/a.yaml"),
            ("Policies/a.yaml", "policies/a.yaml"),
            ("policies/caf\u{e9}.yaml", "policies/cafe\u{301}.yaml"),
            ("policies/CAF\u{c9}.yaml", "policies/cafe\u{301}.yaml"),
            ("policies/strasse.yaml", "policies/stra\u{df}e.yaml"),
            ("policies/\u{3a3}.yaml", "policies/\u{3c2}.yaml"),
        ];
        for (first, second) in colliding {
            assert_eq!(of(first, second), [("RG223", 1)], "{first} {second}");
        }
        for (first, second) in [
            ("policies/a.yaml", "policies/b.yaml"),
            ("policies/a.yaml", "teams/a.yaml"),
        ] {
            assert_eq!(of(first, second), [], "{first} {second}");
        }
    }

    #[test]
    fn each_file_is_named_once_whatever_it_holds() {
        let two = format!("{POLICY}---\n{ATTACHED}");
        let found = places(&[
            ("a/X.yaml", &two),
            (
                "a/x.yaml",
                "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [g]\n---\napiVersion: \
                    refguard/v1\nkind: Catalog\nteams: [t]\n",
            ),
        ]);
        assert_eq!(
            found.iter().filter(|(code, _)| *code == "RG223").count(),
            1,
            "{found:?}"
        );
    }
}
