//! A LiteLLM proxy config read into documents, every trap of its loading found on the way.
//!
//! LiteLLM takes what it needs from a Python dictionary and leaves the rest unread, so a slip of
//! the hand is no error there. Here it is. What LiteLLM itself refuses at start is refused with the
//! rules of form.

pub(super) mod attachment;
mod catalog;
pub(super) mod policy;
mod reader;

use super::model::{AttachmentDoc, GuardrailDoc, PolicyDoc, Text};
use super::rules;
use crate::document::rules::{duplicate_key, limit_exceeded, wrong_type, yaml_syntax};
use crate::document::{
    Finding, Limits, Node, NodeValue, SourceFile, Span, did_you_mean, find_comments, read_foreign,
};
pub(super) use reader::{ConfigReader, is_null};

/// The keys that are read; everything else in a config is LiteLLM's own business.
const SECTIONS: [&str; 4] = ["policies", "policy_attachments", "guardrails", "model_list"];

/// A config may hold far more than a policy file, and anchors are common in it.
const LIMITS: Limits = Limits {
    file_bytes: 64 << 20,
    alias_nodes: 1_000_000,
    alias_bytes: 64 << 20,
    ..Limits::DEFAULT
};

/// What a config contains.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// The sound policies, in the order of the config.
    pub policies: Vec<PolicyDoc>,
    /// Names of the others: a reference to one of them is no second fault.
    pub broken: Vec<String>,
    /// The sound attachments, in order.
    pub attachments: Vec<AttachmentDoc>,
    /// Guardrails; `None`: the config has no list, so nothing is checked.
    pub guardrails: Option<Vec<GuardrailDoc>>,
    /// Names and patterns of models; `None`: the config has no list.
    pub models: Option<Vec<Text>>,
}

/// Reads a config; what is wrong is added to `findings`.
pub(super) fn read_config(file: &SourceFile, findings: &mut Vec<Finding>) -> Config {
    let Some(root) = parse_tree(file, findings) else {
        return Config::default();
    };
    let mut reader = ConfigReader {
        file,
        findings,
        errors: 0,
        is_json: false,
    };

    if let Some((key, _)) = root.entry("include") {
        reader.push_finding(rules::indirect::report_include(file, key.span));
    }

    mistyped_sections(&mut reader, &root);
    let mut config = Config::default();
    policy::read_all(&mut reader, root.get("policies"), &mut config);
    attachment::read_all(&mut reader, root.get("policy_attachments"), &mut config);
    config.guardrails =
        catalog::read_guardrails(&mut reader, root.get("guardrails"), &config.policies);
    config.models = catalog::read_models(&mut reader, &root, &config.attachments);
    report_comments(&mut reader, &root);
    if config.policies.is_empty() && config.broken.is_empty() {
        let place = root
            .entry("policies")
            .map_or(Span::default(), |(key, _)| key.span);
        reader.push_finding(rules::no_policies::report_absence(
            file,
            place,
            policies_elsewhere(&root),
        ));
    }

    config
}

/// A key of the config under which policies stand, and where.
fn policies_elsewhere(root: &Node) -> Option<(&str, Span)> {
    let NodeValue::Map(entries) = &root.value else {
        return None;
    };

    entries.iter().find_map(|(key, value)| {
        let (policies, _) = value
            .entry("policies")
            .or_else(|| value.entry("policy_attachments"))?;
        Some((key.text()?, policies.span))
    })
}

/// Comments of the sections that become documents. The rest of a config stays LiteLLM's, with its
/// own.
fn report_comments(reader: &mut ConfigReader<'_>, root: &Node) {
    let NodeValue::Map(entries) = &root.value else {
        return;
    };
    let is_ours = |comment: &Span| {
        let above = entries
            .iter()
            .take_while(|(key, _)| key.span.start < comment.start);
        let section = above.last().and_then(|(key, _)| key.text());
        section.is_some_and(|section| matches!(section, "policies" | "policy_attachments"))
    };

    let comments = find_comments(reader.file, &LIMITS);
    let ours: Vec<Span> = comments.into_iter().filter(is_ours).collect();
    if let Some(first) = ours.first() {
        reader.push_finding(rules::comments::report_comments(
            reader.file,
            *first,
            ours.len(),
        ));
    }
}

/// `policy_attachment:`, or `attachments:` as a comment in LiteLLM's own code has it, is read by
/// nobody: the policies would apply to no request.
fn mistyped_sections(reader: &mut ConfigReader<'_>, root: &Node) {
    const OURS: [&str; 2] = ["policies", "policy_attachments"];
    let NodeValue::Map(entries) = &root.value else {
        return;
    };

    for (key, _) in entries {
        let name = key.text().unwrap_or("");
        if !OURS.contains(&name) && (name == "attachments" || did_you_mean(name, OURS).is_some()) {
            reader.push_finding(rules::unknown_key::report_key(
                reader.file,
                key.span,
                name,
                &OURS,
                " of the config",
            ));
        }
    }
}

/// The config's tree, with the YAML faults that concern us.
fn parse_tree(file: &SourceFile, findings: &mut Vec<Finding>) -> Option<Node> {
    let (root, faults) = parse_document(file, findings)?;
    if !matches!(root.value, NodeValue::Map(_)) {
        findings.push(wrong_type::report_type(
            file,
            root.span,
            "",
            "a mapping",
            reader::node_kind(&root),
        ));
        return None;
    }

    let places = other_places(&root);
    findings.extend(
        faults
            .into_iter()
            .filter(|finding| concerns_us(finding, file, &places)),
    );
    Some(root)
}

/// The only document of a file, and the faults in it that left a tree.
pub(super) fn parse_document(
    file: &SourceFile,
    findings: &mut Vec<Finding>,
) -> Option<(Node, Vec<Finding>)> {
    if file.text().len() > LIMITS.file_bytes {
        findings.push(limit_exceeded::file_bytes(
            file,
            file.text().len() as u64,
            &LIMITS,
        ));
        return None;
    }

    let mut documents = read_foreign(file, &LIMITS).into_iter();
    let Some(first) = documents.next() else {
        findings.push(wrong_type::report_type(
            file,
            Span::default(),
            "",
            "a mapping",
            "nothing",
        ));
        return None;
    };

    if let Some(second) = documents.next() {
        let place = second.root.map_or(Span::default(), |root| root.span);
        findings.push(yaml_syntax::report_syntax(
            file,
            place,
            "a second document; LiteLLM reads a config of one document",
        ));
    }

    match first.root {
        Some(root) => Some((root, first.findings)),
        None => {
            findings.extend(first.findings);
            None
        }
    }
}

/// The spans of the sections, and of what aliases bring into them from elsewhere.
fn other_places(root: &Node) -> Vec<Span> {
    let mut places = Vec::new();
    for section in SECTIONS {
        if let Some((key, value)) = root.entry(section) {
            places.push(Span {
                start: key.span.start,
                end: value.span.end.max(key.span.end),
            });
            find_elsewhere(value, value.span, &mut places);
        }
    }

    places
}

fn find_elsewhere(node: &Node, around: Span, places: &mut Vec<Span>) {
    let inside = around.start <= node.span.start && node.span.end <= around.end;
    if !inside {
        places.push(node.span);
    }

    match &node.value {
        NodeValue::Scalar { .. } => {}
        NodeValue::Seq(items) => items
            .iter()
            .for_each(|item| find_elsewhere(item, node.span, places)),
        NodeValue::Map(entries) => {
            for (key, value) in entries {
                find_elsewhere(key, node.span, places);
                find_elsewhere(value, node.span, places);
            }
        }
    }
}

/// A fault of YAML concerns us where it stands in a section, or gives a section twice.
fn concerns_us(finding: &Finding, file: &SourceFile, places: &[Span]) -> bool {
    let at = finding.location.span;
    let text = file
        .text()
        .get(at.start as usize..at.end as usize)
        .unwrap_or("");
    let section = SECTIONS.contains(&text.trim_matches(['"', '\'']));

    (finding.rule == &duplicate_key::RULE && section)
        || places
            .iter()
            .any(|place| place.start <= at.start && at.start < place.end)
}
