//! What a rule is, for `refguard explain` and for `docs/rules.md`. Both come from the rule itself.

use std::fmt::Write as _;

use refguard_core::document::{Example, Rule, Severity};
use serde::Serialize;

use super::escape::{escape_terminal, markdown_block};

/// Columns of running text.
const WIDTH: usize = 80;

/// A rule for a person at a terminal.
pub fn format_rule(rule: &Rule) -> String {
    let mut text = format!(
        "{} {} ({})\n\n",
        rule.code,
        rule.name,
        rule.severity.as_str()
    );
    push_wrapped(&mut text, rule.summary);
    text.push('\n');
    push_wrapped(&mut text, rule.why);
    text.push('\n');
    push_wrapped(&mut text, &level_sentence(rule));
    push_example(&mut text, bad_title(rule), rule.bad);
    push_example(&mut text, "Good", rule.good);
    text
}

fn bad_title(rule: &Rule) -> &'static str {
    match rule.severity {
        Severity::Error => "Refused",
        Severity::Warning => "Warned of",
    }
}

/// What can be done about the rule itself.
fn level_sentence(rule: &Rule) -> String {
    match rule.severity {
        Severity::Error if rule.since > Rule::SINCE_0_1 => format!(
            "This is an error since {}: it cannot be lowered. A set that an older release \
             promoted is served with a warning.",
            rule.since
        ),
        Severity::Error => "This is an error: it cannot be lowered.".to_owned(),
        Severity::Warning => {
            format!(
                "This is a warning: its level is set in refguard.yaml (`rules: \
                 {{{}: off|warn|error}}`).",
                rule.name
            )
        }
    }
}

fn push_wrapped(out: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

fn push_example(out: &mut String, title: &str, example: Example) {
    for (path, text) in example {
        let _ = write!(out, "\n{title}: {path}\n\n");
        for line in text.lines() {
            let _ = writeln!(
                out,
                "{}",
                format!("    {}", escape_terminal(line)).trim_end()
            );
        }
    }
}

/// Rules as a JSON object.
#[derive(Debug, Serialize)]
pub struct RulesObject<'a> {
    version: u32,
    rules: Vec<RuleObject<'a>>,
}

#[derive(Debug, Serialize)]
struct RuleObject<'a> {
    code: &'a str,
    rule: &'a str,
    severity: &'a str,
    since: String,
    summary: &'a str,
    why: &'a str,
    bad: Vec<ExampleFile<'a>>,
    good: Vec<ExampleFile<'a>>,
}

#[derive(Debug, Serialize)]
struct ExampleFile<'a> {
    file: &'a str,
    text: &'a str,
}

/// Rules for programs.
pub fn rules_object<'a>(rules: &[&'a Rule]) -> RulesObject<'a> {
    let files = |example: Example| -> Vec<ExampleFile<'a>> {
        example
            .iter()
            .map(|(file, text)| ExampleFile { file, text })
            .collect()
    };
    let object = |rule: &&'a Rule| RuleObject {
        code: rule.code,
        rule: rule.name,
        severity: rule.severity.as_str(),
        since: rule.since.to_string(),
        summary: rule.summary,
        why: rule.why,
        bad: files(rule.bad),
        good: files(rule.good),
    };
    RulesObject {
        version: 1,
        rules: rules.iter().map(object).collect(),
    }
}

/// Every rule as one page of markdown: a table, then a section a rule.
pub fn rules_markdown(rules: &[&Rule]) -> String {
    let mut page = String::from(
        "# Rules\n\nEvery finding of `refguard validate` has the code of one of these rules. Errors refuse the policy set \
         and cannot be lowered. The level of a warning is set in `refguard.yaml` (`rules: \
         {NAME: off|warn|error}`) or by \
         flag. `refguard explain CODE` prints the same text.\n\n\
         | code | name | severity | rule |\n|---|---|---|---|\n",
    );
    for Rule {
        code,
        name,
        severity,
        summary,
        ..
    } in rules
    {
        let summary = summary.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| [{code}](#{}) | `{name}` | {} | {summary} |",
            heading_anchor(code, name),
            severity.as_str()
        );
    }
    for rule in rules {
        let _ = write!(
            page,
            "\n## {} {}\n\n{}",
            rule.code,
            rule.name,
            markdown_body(rule)
        );
    }
    page
}

/// What forges make of a section's heading.
fn heading_anchor(code: &str, name: &str) -> String {
    format!("{code}-{name}").to_lowercase()
}

/// The section of a rule, without its heading.
pub(super) fn markdown_body(rule: &Rule) -> String {
    let mut body = format!(
        "*{}*: {}.\n\n{}\n",
        rule.severity.as_str(),
        rule.summary,
        rule.why
    );
    for (title, example) in [(bad_title(rule), rule.bad), ("Good", rule.good)] {
        for (path, text) in example {
            let _ = write!(
                body,
                "\n{title}: `{path}`\n\n{}",
                markdown_block("yaml", text)
            );
        }
    }
    body
}
