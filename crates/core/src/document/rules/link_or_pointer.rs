//! RG017 `link-or-pointer`: a link or pointer in place of a file

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG017",
    name: "link-or-pointer",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a file of the set is a plain file in git",
    why: "A symbolic link or a large-file pointer with a YAML name holds no policy itself: read \
        from a commit it would be skipped, and its policy would vanish.",
    bad: &[(
        "policies/baseline.yaml",
        "version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
",
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
scope: "*"
"#,
    )],
};

/// The first line of every git-lfs pointer
/// (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
pub(crate) const LFS_HEADER: &str = "version https://git-lfs.github.com/spec/";

/// A git-lfs pointer in place of the file.
pub(crate) fn report_pointer(file: &SourceFile) -> Finding {
    let end = file.text().lines().next().map_or(0, str::len);
    Finding::new(
        &RULE,
        file,
        Span::new(0, end),
        "this is a git-lfs pointer, not the file itself",
    )
    .with_help("keep policy files out of git-lfs (`git lfs untrack`)")
}

/// A symbolic link, or a thing that cannot be read as a file, with a reason.
pub(crate) fn report_link(file: &SourceFile, said: &str) -> Finding {
    Finding::new(&RULE, file, Span::default(), said)
        .with_help("replace it by the file itself, or leave it out with `exclude` in refguard.yaml")
}
