//! RG123 `bad-expiry`: an expiry that is no instant

use super::Scope;
use crate::document::{DayEdge, Finding, INSTANT_HELP, Rule, Severity, parse_instant};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG123",
    name: "bad-expiry",
    severity: Severity::Error,
    // 0.1 knows no such field, so no set of its time has one that could stay in service.
    since: Rule::SINCE_0_1,
    summary: "`expires` is a date or an RFC 3339 time",
    why: "An exemption that was to end and does not is a hole that nobody looks at. A date means \
        the end of that day in UTC; a time names its offset, as nobody could tell which hour is \
        meant without one.",
    bad: &[(
        "attachments/support.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [support]
expires: 31.12.2026
"#,
    )],
    good: &[(
        "attachments/support.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [support]
expires: 2026-12-31
reason: until the new masker is there
"#,
    )],
};

/// Every expiry that cannot be read.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.attachments {
        let Some(expires) = &item.raw.expires else {
            continue;
        };

        if let Err(fault) = parse_instant(expires, DayEdge::End) {
            let message = format!(
                "`expires` cannot be `{}`: it {fault}",
                expires.escape_debug()
            );
            findings.push(
                item.make_finding(&RULE, expires.span, message)
                    .with_help(INSTANT_HELP),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    fn found(expires: &str) -> Vec<String> {
        let text = format!(
            "--- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g]}}}}\n\
             ---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nscope: \"*\"\n\
             expires: {expires}\n"
        );
        codes(&[("p.yaml", &text)])
            .into_iter()
            .map(|code| code.to_string())
            .collect()
    }

    #[test]
    fn an_instant_may_be_plain_or_quoted_and_nothing_else_is_one() {
        for good in [
            "2026-12-31",
            "\"2026-12-31\"",
            "2026-12-31T18:00:00Z",
            "'2026-12-31T18:00:00+01:00'",
        ] {
            assert_eq!(found(good), [""; 0], "{good}");
        }

        for bad in ["soon", "2026-02-30", "2026-12-31T18:00:00", "\"\""] {
            assert_eq!(found(bad), ["RG123"], "{bad}");
        }

        assert_eq!(found("20261231"), ["RG007"]);
        assert!(
            found("[2026-12-31]").contains(&"RG008".to_owned()),
            "a list is none"
        );
    }
}
