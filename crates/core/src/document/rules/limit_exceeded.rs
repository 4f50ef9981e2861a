//! RG004 `limit-exceeded`: too much of something

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG004",
    name: "limit-exceeded",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "files and sets stay within the limits",
    why: "Limits keep one bad file from stopping a hook or a daemon: a file has at most 1 MiB, \
        1,000 documents, 64 levels of nesting and 10,000 nodes by aliases; a set has at most \
        500,000 files and 1 GiB; the tests of a set make at most 100,000 cases; a request has at \
        most 256 tags, and no value of more than 1,024 bytes; a condition's compiled form has at \
        most 1 MiB, and those of a set together 256 MiB; a pipeline has at most 1,024 steps, and \
        a chain of \
        policies adds at most 4,096 guardrails.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[pii_blocker]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
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
scope: "*"
"#,
    )],
};

use crate::document::Limits;

/// A limit that is passed, by name and value.
pub(crate) fn report_limit(
    file: &SourceFile,
    span: Span,
    name: &str,
    limit: impl std::fmt::Display,
    what: &str,
) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("{what}: the limit `{name}` is {limit}"),
    )
}

/// More bytes than a file may have.
pub(crate) fn file_bytes(file: &SourceFile, bytes: u64, limits: &Limits) -> Finding {
    report_limit(
        file,
        Span::default(),
        "file-bytes",
        limits.file_bytes,
        &format!("this file has {bytes} bytes"),
    )
    .with_help(
        "split it into several files; a file may hold any number of our documents up to the limit",
    )
}

/// Deeper than a document may be.
pub(crate) fn report_depth(file: &SourceFile, span: Span, limits: &Limits) -> Finding {
    report_limit(
        file,
        span,
        "yaml-depth",
        limits.yaml_depth,
        "nested too deeply",
    )
    .with_help("no policy document needs more than six levels")
}

/// More by aliases than a file may have.
pub(crate) fn report_aliases(file: &SourceFile, span: Span, limits: &Limits) -> Finding {
    let Limits {
        alias_nodes,
        alias_bytes,
        ..
    } = limits;
    let message = format!(
        "aliases expand to too much: the limits are {alias_nodes} values (`alias-nodes`) and \
            {alias_bytes} bytes (`alias-bytes`)"
    );
    Finding::new(&RULE, file, span, message)
        .with_help("write the values out instead of repeating them by alias")
}

/// More findings than are reported of a file.
pub(crate) fn report_findings(file: &SourceFile, span: Span, limits: &Limits) -> Finding {
    let limit = limits.findings_per_file;
    report_limit(
        file,
        span,
        "findings-per-file",
        limit,
        "this file has more faults than are shown",
    )
    .with_help("mend those that are shown and look again")
}

/// More documents than a file may have.
pub(crate) fn report_documents(file: &SourceFile, span: Span, limits: &Limits) -> Finding {
    report_limit(
        file,
        span,
        "documents-per-file",
        limits.documents_per_file,
        "too many documents in this file",
    )
    .with_help("split it into several files")
}
