//! Which attachment became which.

use super::*;

const POLICIES: &str = "kind: Policy\nname: p\n---\nkind: Policy\nname: q\n---\n";

/// What becomes of the attachments of `p` (or of the policy that a line names) from one list to
/// another.
fn between(base: &[&str], head: &[&str]) -> AttachmentDiff {
    let written = |lines: &[&str]| {
        let documents: Vec<String> = lines
            .iter()
            .map(|line| {
                let policy = if line.contains("policy:") {
                    ""
                } else {
                    "policy: p\n"
                };

                format!(
                    "kind: PolicyAttachment\n{policy}{}\n---\n",
                    line.replace("; ", "\n")
                )
            })
            .collect();

        one(&format!("{POLICIES}{}", documents.concat()))
    };

    diff_sets(&written(base), &written(head)).attachments
}

fn counts(diff: &AttachmentDiff) -> (usize, usize, usize) {
    (diff.added.len(), diff.removed.len(), diff.changed.len())
}

#[test]
fn the_same_targets_with_another_priority_are_one_attachment() {
    let diff = between(
        &["teams: [a]; priority: 1", "teams: [b]"],
        &["teams: [b]", "teams: [a]; priority: 2"],
    );
    assert_eq!(counts(&diff), (0, 0, 1));
    assert_eq!(paths(&diff.changed[0].fields), ["priority"]);

    assert!(!diff.changed[0].may_lose);
}

#[test]
fn the_likest_are_paired() {
    let diff = between(
        &["teams: [a, b]", "teams: [c]; keys: [k]"],
        &["teams: [c]; keys: [l]", "teams: [b]"],
    );
    assert_eq!(counts(&diff), (0, 0, 2));
    let fields: Vec<_> = diff
        .changed
        .iter()
        .map(|change| paths(&change.fields))
        .collect();

    assert!(
        fields.contains(&vec!["keys"]) && fields.contains(&vec!["teams"]),
        "{fields:?}"
    );
}

#[test]
fn patterns_in_common_decide_between_equals() {
    let diff = between(
        &["teams: [a, b]", "teams: [x, w]"],
        &["teams: [x, z]", "teams: [a, c]"],
    );
    let pairs: Vec<_> = diff
        .changed
        .iter()
        .map(|c| (c.fields[0].a.clone(), c.fields[0].b.clone()))
        .collect();

    assert_eq!(
        pairs,
        [
            (json!(["a", "b"]), json!(["a", "c"])),
            (json!(["w", "x"]), json!(["x", "z"]))
        ]
    );
}

#[test]
fn another_policy_is_never_a_partner() {
    assert_eq!(
        counts(&between(&["teams: [a]"], &["policy: q; teams: [a]"])),
        (1, 1, 0)
    );
}

#[test]
fn a_twin_that_goes_is_removed() {
    assert_eq!(
        counts(&between(&["teams: [a]", "teams: [a]"], &["teams: [a]"])),
        (0, 1, 0)
    );
    assert_eq!(
        counts(&between(&["teams: [a]"], &["teams: [a]", "teams: [a]"])),
        (1, 0, 0)
    );
    assert_eq!(
        counts(&between(&["teams: [a, b, a]"], &["teams: [b, a]"])),
        (0, 0, 0)
    );
}

#[test]
fn too_many_to_pair_are_added_and_removed() {
    let list = |from: u32| {
        (from..from + 201)
            .map(|n| format!("teams: [t{n}]"))
            .collect::<Vec<_>>()
    };

    let (base, head) = (list(0), list(1_000));
    let texts = |list: &[String]| {
        list.iter()
            .map(|line| format!("{line}; priority: 1"))
            .collect::<Vec<_>>()
    };

    fn refs(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    assert_eq!(counts(&between(&refs(&base), &refs(&head))), (201, 201, 0));
    assert_eq!(
        counts(&between(&refs(&base), &refs(&texts(&base)))),
        (0, 0, 201)
    );
}

#[test]
fn what_matches_less_may_lose() {
    let cases = [
        ("scope: \"*\"", "teams: [a]", true),
        ("teams: [a]", "scope: \"*\"", false),
        ("teams: [a]", "teams: [\"*\"]", false),
        ("teams: [a, b]", "teams: [a]", true),
        ("teams: [ab]", "teams: [\"a*\"]", false),
        ("teams: [a]", "teams: [a]; keys: [k]", true),
        ("teams: [a]", "teams: [a]; keys: [\"*\"]", false),
        ("teams: [a]", "teams: [a]; tags: [\"*\"]", true),
        ("teams: [a]; tags: [x]", "teams: [a]; tags: [\"*\"]", false),
        ("teams: [a]", "teams: [a]; default: true", true),
        ("teams: [a]; default: true", "teams: [a]", false),
    ];

    for (before, after, expected) in cases {
        let diff = between(&[before], &[after]);
        assert_eq!(diff.changed[0].may_lose, expected, "{before} → {after}");
    }
}
