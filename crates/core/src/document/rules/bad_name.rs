//! RG013 `bad-name`: a name that cannot be one

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG013",
    name: "bad-name",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a name has 1 to 128 characters, none of them a control character, an invisible \
        character or `@`, and no space at either end",
    why: "`@` separates a name from its version (`baseline@3`); spaces, control characters and \
        characters that nobody can see (zero-width spaces, joiners, bidirectional controls and \
        whatever else Unicode lets a display ignore) make two names that look the same.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline@2
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline@2
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

/// Characters that a display may leave out: Unicode 17's `Default_Ignorable_Code_Point`, which
/// includes every `Bidi_Control`. Sorted ranges, both ends included.
pub(crate) const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The first character of a text that a display may leave out.
pub(crate) fn invisible_character(text: &str) -> Option<char> {
    let is_invisible = |c: &char| {
        INVISIBLE
            .iter()
            .any(|(first, last)| (first..=last).contains(&c))
    };

    if text.is_ascii() {
        None
    } else {
        text.chars().find(is_invisible)
    }
}

/// Why `name` is no name, if it is none.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    grave_fault(name).or_else(|| invisible_fault(name))
}

/// The fault of a name that 0.1 took: nobody can see all of it.
pub(crate) fn invisible_fault(name: &str) -> Option<String> {
    let hidden = invisible_character(name)?;
    Some(format!(
        "has the character U+{:04X}, which cannot be seen",
        u32::from(hidden)
    ))
}

/// Why `name` was never a name.
pub(crate) fn grave_fault(name: &str) -> Option<String> {
    let fault = if name.is_empty() {
        "is empty".to_owned()
    } else if name.chars().count() > 128 {
        format!("has {} characters; 128 are allowed", name.chars().count())
    } else if name.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else if name.contains('@') {
        "has an `@`, which separates a name from its version".to_owned()
    } else if name.trim() != name {
        "begins or ends with a space".to_owned()
    } else {
        return None;
    };

    Some(fault)
}

/// A name that is none.
pub(crate) fn report_name(file: &SourceFile, span: Span, name: &str, fault: &str) -> Finding {
    let help = "use 1 to 128 characters without control or invisible characters, without `@`, and \
        without a space at either end";
    let shown: String = name.chars().take(128).collect();
    let since = match grave_fault(name) {
        Some(_) => RULE.since,
        None => Rule::SINCE_0_2,
    };

    Finding::new(
        &RULE,
        file,
        span,
        format!("the name `{}` {fault}", shown.escape_debug()),
    )
    .since_release(since)
    .with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_property_of_unicode() {
        let property = r"[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]";
        let property = regex::Regex::new(property).expect("a pattern");
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            assert_eq!(
                invisible_character(&text).is_some(),
                property.is_match(&text),
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_name_says_what_is_wrong_with_it() {
        let said = name_fault("base\u{200b}line").unwrap_or_default();
        assert_eq!(said, "has the character U+200B, which cannot be seen");
        assert!(name_fault("base\u{202e}line").is_some() && name_fault("b\u{e0041}").is_some());

        assert_eq!(name_fault("caf\u{e9}-\u{4e2d}\u{6587}"), None);
    }
}
