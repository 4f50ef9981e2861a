//! The traps of YAML, each with the code and the line of its finding.

use super::check_bytes;

/// Lines 1 to 3 of a policy.
const POLICY: &str = "apiVersion: refguard/v1\nkind: Policy\nname: p\n";
/// Lines 1 to 3 of an attachment.
const ATTACHMENT: &str = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n";

fn found(path: &str, bytes: &[u8]) -> Vec<(&'static str, u32)> {
    let mut places: Vec<(&str, u32)> = check_bytes(&[(path, bytes)])
        .findings
        .iter()
        // What the rest of the file lacks because of the trap is not asked here.
        .filter(|finding| finding.is_error())
        .map(|finding| (finding.rule.code, finding.location.line))
        .collect();

    places.dedup();
    places
}

#[track_caller]
fn assert_found(path: &str, text: &str, wanted: &[(&str, u32)]) {
    assert_eq!(
        found(path, text.as_bytes()),
        wanted,
        "{path}:\n{}",
        text.get(..600).unwrap_or(text)
    );
}

/// A policy with these lines from line 4 on.
fn policy(lines: &str) -> String {
    format!("{POLICY}{lines}")
}

fn attachment(lines: &str) -> String {
    format!("{ATTACHMENT}{lines}---\n{POLICY}")
}

#[test]
fn null_where_a_value_is_due() {
    for null in ["", " ~", " null", " # soon"] {
        assert_found(
            "policies/p.yaml",
            &attachment(&format!("teams:{null}\nscope: '*'\n")),
            &[("RG006", 4)],
        );
        assert_found(
            "policies/p.yaml",
            &policy(&format!("guardrails:{null}\n")),
            &[("RG006", 4)],
        );
        assert_found(
            "policies/p.yaml",
            &policy(&format!("guardrails:\n  add:{null}\n")),
            &[("RG006", 5)],
        );
        assert_found(
            "policies/p.yaml",
            &policy(&format!("inherit:{null}\n")),
            &[("RG006", 4)],
        );
        assert_found(
            "policies/p.yaml",
            &policy(&format!("condition:\n  model:{null}\n")),
            &[("RG006", 5)],
        );
    }

    assert_found(
        "policies/p.yaml",
        &policy("guardrails:\n  add:\n    - a\n    -\n"),
        &[("RG006", 7)],
    );
    assert_found(
        "p.yaml",
        "apiVersion: refguard/v1\nkind: Policy\nname:\n",
        &[("RG006", 3)],
    );
    assert_found(
        "p.yaml",
        &policy("pipeline:\n  mode:\n  steps: [{guardrail: a}]\n"),
        &[("RG006", 5)],
    );
}

#[test]
fn scalars_that_two_yamls_read_differently() {
    for scalar in [
        "no",
        "Yes",
        "on",
        "OFF",
        "y",
        "012",
        "0755",
        "1e3",
        "1_000",
        "0o17",
        "12:30:45",
        "2026-11-22",
        "0x_f",
    ] {
        assert_found(
            "p.yaml",
            &policy(&format!("owner: {scalar}\n")),
            &[("RG007", 4)],
        );
        assert_found("p.yaml", &policy(&format!("owner: \"{scalar}\"\n")), &[]);
        assert_found(
            "p.yaml",
            &attachment(&format!("teams:\n  - a\n  - {scalar}\n")),
            &[("RG007", 6)],
        );
    }

    for scalar in ["1", "1.5", "true", "False", "-3", "0x1f"] {
        assert_found(
            "p.yaml",
            &policy(&format!("owner: {scalar}\n")),
            &[("RG007", 4)],
        );
    }

    assert_found(
        "p.yaml",
        "apiVersion: refguard/v1\nkind: Policy\nname: 2026-11-22\n",
        &[("RG007", 3)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: 010\n"),
        &[("RG007", 5)],
    );
}

#[test]
fn types_and_choices() {
    let cases = [
        ("guardrails: a\n", "RG008", 4),
        ("guardrails: [a]\n", "RG008", 4),
        ("guardrails:\n  add: a\n", "RG008", 5),
        ("guardrails:\n  add: {a: b}\n", "RG008", 5),
        ("description: [a]\n", "RG008", 4),
        ("condition:\n  model: {a: b}\n", "RG008", 5),
        ("condition: gpt-4\n", "RG008", 4),
        (
            "pipeline:\n  mode: during\n  steps: [{guardrail: a}]\n",
            "RG011",
            5,
        ),
        (
            "pipeline:\n  mode: pre_call\n  steps:\n    - guardrail: a\n      on_fail: stop\n",
            "RG011",
            8,
        ),
        (
            "pipeline:\n  mode: pre_call\n  steps:\n    - guardrail: a\n      pass_data: 1\n",
            "RG008",
            8,
        ),
        ("pipeline:\n  mode: pre_call\n", "RG010", 5),
        ("condition: {}\n", "RG010", 4),
        ("inherits: q\n", "RG012", 4),
        ("guardrails:\n  added: [a]\n", "RG012", 5),
    ];

    for (lines, code, line) in cases {
        assert_found("p.yaml", &policy(lines), &[(code, line)]);
    }

    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: high\n"),
        &[("RG008", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: 1.5\n"),
        &[("RG008", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: 1.0\n"),
        &[("RG008", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: 2147483648\n"),
        &[("RG011", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\npriority: 99999999999999999999\n"),
        &[("RG011", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\ndefault: \"true\"\n"),
        &[("RG008", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("scope: '*'\ndefault: yes\n"),
        &[("RG008", 5)],
    );
    assert_found(
        "p.yaml",
        &attachment("team: [a]\nscope: '*'\n"),
        &[("RG012", 4)],
    );

    assert_found(
        "p.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\nscope: '*'\n",
        &[("RG010", 1)],
    );
}

#[test]
fn names() {
    for name in ["a@1", "\" a\"", "\"a \"", "\"\"", "\"a\\u0007\""] {
        let text = format!("apiVersion: refguard/v1\nkind: Policy\nname: {name}\n");
        assert_found("p.yaml", &text, &[("RG013", 3)]);
        assert_found(
            "p.yaml",
            &policy(&format!("guardrails:\n  add:\n    - {name}\n")),
            &[("RG013", 6)],
        );
    }

    let long = "é".repeat(129);
    assert_found(
        "p.yaml",
        &format!("apiVersion: refguard/v1\nkind: Policy\nname: {long}\n"),
        &[("RG013", 3)],
    );
    assert_found(
        "p.yaml",
        &format!(
            "apiVersion: refguard/v1\nkind: Policy\nname: {}\n",
            "é".repeat(128)
        ),
        &[],
    );
}

#[test]
fn yaml_that_is_not_used() {
    assert_found(
        "p.yaml",
        &policy("guardrails: !!map {add: [a]}\n"),
        &[("RG003", 4)],
    );
    assert_found("p.yaml", &policy("owner: !include x\n"), &[("RG003", 4)]);
    assert_found("p.yaml", &policy("owner: !!str x\n"), &[("RG003", 4)]);
    assert_found(
        "p.yaml",
        &policy("guardrails:\n  <<: {add: [a]}\n"),
        &[("RG003", 5)],
    );
    assert_found(
        "p.yaml",
        &format!("%YAML 1.2\n---\n{POLICY}"),
        &[("RG003", 1)],
    );
    assert_found(
        "p.yaml",
        &format!("%TAG ! tag:x,2026:\n---\n{POLICY}"),
        &[("RG003", 1)],
    );
    assert_found("p.yaml", &policy("? [a, b]\n: c\n"), &[("RG003", 4)]);
    assert_found("p.yaml", &policy("owner: a\nowner: b\n"), &[("RG009", 5)]);
    assert_found(
        "p.yaml",
        &policy("guardrails:\n  add: [a]\n  \"add\": [b]\n"),
        &[("RG009", 6)],
    );
    assert_found(
        "p.yaml",
        &policy("guardrails:\n\tadd: [a]\n"),
        &[("RG001", 5)],
    );
    assert_found(
        "p.yaml",
        &policy("guardrails: {add: [a}\n"),
        &[("RG001", 4)],
    );
    assert_found("p.yaml", &policy("owner: 'a\n"), &[("RG001", 4)]);
    assert_found("p.yaml", &policy("owner: *a\n"), &[("RG001", 4)]);
    assert_found("p.yaml", &policy("owner:\ta\n"), &[]);

    assert_found(
        "p.yaml",
        &policy(
            "guardrails: &g {add: [a]}\n---\n{kind: Policy, apiVersion: refguard/v1, name: q}\n",
        ),
        &[],
    );
}

#[test]
fn bombs_end_quickly_at_their_place() {
    let mut laughs = policy("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let item = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [item.as_str(); 9].join(", "));
    }

    assert_found("p.yaml", &laughs, &[("RG004", 8)]);
    let list = ["x"; 5_000].join(", ");
    assert_found(
        "p.yaml",
        &policy(&format!(
            "a: &a [{list}]\nb: [{}]\n",
            ["*a"; 5_000].join(", ")
        )),
        &[("RG004", 5)],
    );
    assert_found(
        "p.yaml",
        &policy(&format!(
            "a: {}{}\n",
            "[".repeat(10_000),
            "]".repeat(10_000)
        )),
        &[("RG004", 4)],
    );
    assert_found(
        "p.yaml",
        &policy(&format!("a: {}\n", "[".repeat(10_000))),
        &[("RG004", 4)],
    );
    assert_found(
        "p.yaml",
        &policy(&format!("a: {}\n", "{a: ".repeat(10_000))),
        &[("RG004", 4)],
    );
    assert_found("p.yaml", &policy(&"? ".repeat(10_000)), &[("RG004", 4)]);
    assert_found(
        "p.yaml",
        &policy(&format!("a:\n{}", "- ".repeat(10_000))),
        &[("RG004", 5)],
    );
    let stairs: String = (0..100)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    assert_found("p.yaml", &format!("{POLICY}{stairs}"), &[("RG004", 67)]);
    let many: String = (0..1_001)
        .map(|n| format!("--- {{apiVersion: refguard/v1, kind: Policy, name: p{n}}}\n"))
        .collect();
    assert_found("p.yaml", &many, &[("RG004", 1_001)]);
    let big = policy(&format!("description: {}\n", "a".repeat(1 << 20)));

    assert_found("p.yaml", &big, &[("RG004", 1)]);
}

#[test]
fn characters() {
    let cases: [(&[u8], u32); 9] = [
        (b"owner: a\0b\n", 4),
        (b"owner: a\x07\n", 4),
        (b"description: |\n  a\n  \xef\xbb\xbfb\n", 6),
        ("owner: a\u{2028}b\n".as_bytes(), 4),
        ("owner: a\u{85}b\n".as_bytes(), 4),
        (b"owner: caf\xe9\n", 4),
        (b"owner: a\n# \xff\n", 5),
        (b"owner: \x1b[31m\n", 4),
        (b"owner: \x7f\n", 4),
    ];

    for (lines, line) in cases {
        assert_eq!(
            found("p.yaml", &[POLICY.as_bytes(), lines].concat()),
            [("RG002", line)],
            "{}",
            lines.escape_ascii()
        );
    }

    assert_found(
        "p.yaml",
        &format!("\u{feff}{}", policy("owner: no\n")),
        &[("RG007", 4)],
    );
    assert_found(
        "p.yaml",
        &policy("owner: no\n").replace('\n', "\r\n"),
        &[("RG007", 4)],
    );
    assert_found(
        "p.yaml",
        &policy("owner: no\n").replace('\n', "\r"),
        &[("RG007", 4)],
    );
    let sixteen: Vec<u8> = policy("")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();

    assert_eq!(found("policies/p.yaml", &sixteen), [("RG002", 1)]);
}

#[test]
fn nothing_of_ours_vanishes_by_its_header() {
    let body = "kind: Policy\nname: p\n";
    for version in [
        "refguard/v2",
        "refguard",
        "refgaurd/v1",
        "Refguard/v1",
        "refguard/v1 ",
        "refguard.io/v1",
        "refguard/V1",
    ] {
        assert_found(
            "x/p.yaml",
            &format!("apiVersion: \"{version}\"\n{body}"),
            &[("RG014", 1)],
        );
    }

    assert_found("x/p.yaml", body, &[("RG014", 1)]);
    assert_found(
        "x/p.yaml",
        &format!("name: p\n{body}"),
        &[("RG014", 2), ("RG009", 3)],
    );
    assert_found(
        "x/p.yaml",
        &format!("apiversion: refguard/v1\n{body}"),
        &[("RG014", 2)],
    );
    assert_found(
        "x/p.yaml",
        "api: refguard/v1\ntype: Policy\n",
        &[("RG014", 1)],
    );
    assert_found(
        "x/p.yaml",
        "apiVersion: refguard/v1\nname: p\n",
        &[("RG014", 1)],
    );
    for kind in [
        "Polcy",
        "policy",
        "Policies",
        "ClusterPolicy",
        "[Policy]",
        "~",
    ] {
        assert_found(
            "x/p.yaml",
            &format!("apiVersion: refguard/v1\nkind: {kind}\nname: p\n"),
            &[("RG014", 2)],
        );
    }

    assert_found(
        "x/p.yaml",
        &format!("apiVersion: [refguard/v1]\n{body}"),
        &[("RG014", 1)],
    );
    assert_found(
        "x/p.yaml",
        "- apiVersion: refguard/v1\n  kind: Policy\n",
        &[("RG014", 1)],
    );
}

#[test]
fn what_is_foreign_is_left_alone_elsewhere_only() {
    let kyverno = "apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: x}\nspec: {a: no}\n";
    assert_found("deploy/p.yaml", kyverno, &[]);
    assert_found("policies/p.yaml", kyverno, &[("RG015", 1)]);
    for text in ["a: b\n", "- a\n", "just text\n", "!foo\na: b\n"] {
        assert_found("deploy/p.yaml", text, &[]);
        assert_eq!(
            found("tests/a/p.yaml", text.as_bytes()).last(),
            Some(&("RG015", 1 + u32::from(text.starts_with('!'))))
        );
    }

    assert_found("deploy/p.yaml", "{{ template }}\n- [\n", &[]);
    assert_eq!(found("deploy/p.yaml", b"a: caf\xe9\n"), []);
    assert_found("refguard.yaml", "a: b\n", &[("RG015", 1)]);
    for empty in [
        "",
        "# nothing\n",
        "---\n",
        "---\n---\n...\n",
        "~\n",
        "\u{feff}",
    ] {
        assert_found("policies/p.yaml", empty, &[]);
    }

    assert_found(
        "policies/p.yaml",
        &format!("---\n# nothing\n---\n{POLICY}---\n"),
        &[],
    );
}

#[test]
fn a_fault_in_one_document_hides_no_other() {
    let text = format!(
        "{POLICY}owner: [a\n---\n{ATTACHMENT}teams: []\nscoop: a\n---\n{ATTACHMENT}scope: prod\n"
    );
    assert_found(
        "p.yaml",
        &text,
        &[("RG001", 4), ("RG012", 10), ("RG111", 15)],
    );
    let text =
        format!("{POLICY}owner: no\nowner: yes\ncolour: red\n---\n{ATTACHMENT}scope: prod\n");

    assert_found(
        "p.yaml",
        &text,
        &[("RG007", 4), ("RG009", 5), ("RG012", 6), ("RG111", 11)],
    );
}
