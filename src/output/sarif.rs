//! SARIF 2.1.0, for code scanning
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use std::collections::BTreeMap;
use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use refguard_core::document::{Finding, Location, Rule};
use serde::Serialize;

use super::escape::{escape_terminal, json_text};
use super::fingerprint::Fingerprints;
use super::rules::markdown_body;
use super::{Report, Style, from_the_top};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name that readers replace by the root of the repository.
const ROOT: &str = "%SRCROOT%";
/// What a relative URI may hold as it is. No `:`: before the first slash it would end a scheme.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    original_uri_base_ids: BTreeMap<&'static str, BaseId>,
    column_kind: &'static str,
    results: Vec<SarifResult<'a>>,
}

#[derive(Serialize)]
struct BaseId {
    description: Text,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    id: &'a str,
    name: &'a str,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [SarifPlace; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<SarifPlace>,
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifPlace {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: Physical,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

pub(super) fn render(report: &Report<'_>, _: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let rules: BTreeMap<&str, &Rule> = report
        .findings
        .iter()
        .map(|f| (f.rule.code, f.rule))
        .collect();
    let index: BTreeMap<&str, usize> = rules
        .keys()
        .enumerate()
        .map(|(index, code)| (*code, index))
        .collect();
    let mut fingerprints = Fingerprints::default();
    let results = report.findings.iter().map(|finding| {
        let rule_index = index.get(finding.rule.code).copied().unwrap_or_default();
        describe_finding(
            finding,
            rule_index,
            fingerprints.next_for(finding),
            report.prefix,
        )
    });
    let run = Run {
        tool: Tool {
            driver: Driver {
                name: "refguard",
                version: env!("CARGO_PKG_VERSION"),
                semantic_version: env!("CARGO_PKG_VERSION"),
                rules: rules.values().map(|rule| describe_rule(rule)).collect(),
            },
        },
        original_uri_base_ids: [(
            ROOT,
            BaseId {
                description: message_text("the root of the git repository"),
            },
        )]
        .into(),
        column_kind: "unicodeCodePoints",
        results: results.collect(),
    };
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [run],
    };
    writeln!(out, "{}", json_text(&log)?)
}

fn describe_rule(rule: &Rule) -> Descriptor<'_> {
    Descriptor {
        id: rule.code,
        name: rule.name,
        short_description: message_text(rule.summary),
        full_description: message_text(rule.why),
        help: Help {
            text: format!("{}\n\n{}", rule.summary, rule.why),
            markdown: markdown_body(rule),
        },
        default_configuration: Configuration {
            level: rule.severity.as_str(),
        },
    }
}

fn describe_finding<'f>(
    finding: &'f Finding,
    rule_index: usize,
    fingerprint: String,
    prefix: &str,
) -> SarifResult<'f> {
    let help = finding
        .help
        .as_ref()
        .map(|help| format!("\nhelp: {}", escape_message(help)))
        .unwrap_or_default();
    let related = finding
        .related
        .iter()
        .enumerate()
        .map(|(id, related)| SarifPlace {
            id: Some(id + 1),
            physical_location: physical_place(&related.location, prefix),
            message: Some(Text {
                text: escape_message(&related.message),
            }),
        });
    SarifResult {
        rule_id: finding.rule.code,
        rule_index,
        level: finding.severity.as_str(),
        message: Text {
            text: format!("{}{help}", escape_message(&finding.message)),
        },
        locations: [SarifPlace {
            id: None,
            physical_location: physical_place(&finding.location, prefix),
            message: None,
        }],
        related_locations: related.collect(),
        partial_fingerprints: [("refguard/v1", fingerprint)].into(),
    }
}

fn physical_place(place: &Location, prefix: &str) -> Physical {
    let uri = utf8_percent_encode(&from_the_top(prefix, &place.file), PATH).to_string();
    let (end_line, end_column) = (place.end_line, place.end_column).max((place.line, place.column));
    Physical {
        artifact_location: Artifact {
            uri,
            uri_base_id: ROOT,
        },
        region: Region {
            start_line: place.line,
            start_column: place.column,
            end_line,
            end_column,
        },
    }
}

fn message_text(text: &str) -> Text {
    Text {
        text: text.to_owned(),
    }
}

/// A message for people, without placeholders (3.11.5) and links (3.11.6): braces are doubled, and
/// brackets take a backslash where they would make a link.
fn escape_message(message: &str) -> String {
    let message = escape_terminal(message)
        .replace('{', "{{")
        .replace('}', "}}");
    if message.contains("](") {
        message.replace('[', "\\[").replace(']', "\\]")
    } else {
        message
    }
}

#[cfg(test)]
mod tests {
    use super::escape_message;

    #[test]
    fn a_message_has_no_placeholder_and_no_link() {
        assert_eq!(escape_message("a{2} {0}"), "a{{2}} {{0}}");
        assert_eq!(
            escape_message("[docs](https://example.com)"),
            "\\[docs\\](https://example.com)"
        );
        assert_eq!(escape_message("add: [x]"), "add: [x]");
    }
}
