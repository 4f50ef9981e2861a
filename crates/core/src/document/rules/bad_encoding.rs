//! RG002 `bad-encoding`: bytes or characters that readers disagree on

use crate::document::{Finding, Release, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG002",
    name: "bad-encoding",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a file must be UTF-8 without control characters",
    why: "A NUL ends the text for some readers and not for others; U+0085, U+2028 and U+2029 are \
        line breaks for some. What a reviewer sees must be what every reader loads.",
    bad: &[(
        "policies/baseline.yaml",
        "apiVersion: refguard/v1\nkind: Policy\nname: baseline\ndescription: \"bell \x07\"\n\
         guardrails:\n  add: [pii_blocker]\n---\napiVersion: refguard/v1\nkind: PolicyAttachment\n\
         policy: baseline\nscope: \"*\"\n",
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
description: bell
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

/// Bytes that are no UTF-8.
pub(crate) fn not_utf8(file: &SourceFile, at: usize) -> Finding {
    let end = file.text().ceil_char_boundary(at + 1);
    Finding::new(&RULE, file, Span::new(at, end), "this is not UTF-8 text")
        .with_help("save the file as UTF-8")
}

/// UTF-16 or UTF-32.
pub(crate) fn report_wide(file: &SourceFile, encoding: &str, since: Release) -> Finding {
    Finding::new(
        &RULE,
        file,
        Span::default(),
        format!("this file is {encoding}, not UTF-8"),
    )
    .since_release(since)
    .with_help(format!(
        "save it as UTF-8, for example by `iconv -f {encoding} -t UTF-8`"
    ))
}

/// A character that a policy file must not hold.
pub(crate) fn report_character(file: &SourceFile, at: usize, found: char) -> Finding {
    let code = u32::from(found);
    Finding::new(
        &RULE,
        file,
        Span::new(at, at + found.len_utf8()),
        format!("the character U+{code:04X} is not allowed in a policy file"),
    )
    .with_help("remove it, or write it as an escape in double quotes where a text really needs it")
}
