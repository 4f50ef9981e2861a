//! A tree against its kind's JSON Schema: every fault at its place, in words.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use rustc_hash::FxHashSet;
use serde_json::Value;

use super::rules::{
    ambiguous_scalar, bad_name, bad_value, missing_field, null_value, unknown_field, wrong_type,
};
use super::work::note_steps;
use super::{Finding, Kind, Node, NodeValue, SourceFile, is_ambiguous, scalar, schema};

/// Every fault of form of one document. One that is `typed`, that is of its kind's type, has none
/// that a schema could tell: a test holds that what the types take is what the schemas take. So the
/// schema is asked only where something is wrong, and then tells every fault and not just the
/// first.
///
/// About `most` findings are made, and at least one where there is any.
pub(super) fn judge_shape(
    file: &SourceFile,
    kind: Kind,
    root: &Node,
    typed: bool,
    most: usize,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut said_at: FxHashSet<u32> = FxHashSet::default();
    if !typed {
        find_faults(file, kind, root, most, &mut findings, &mut said_at);
    }

    said_at.extend(words_of_settings(kind, root));
    said_at.extend(instants_of(kind, root));
    find_traps(file, root, &said_at, most, &mut findings);

    findings
}

fn find_faults(
    file: &SourceFile,
    kind: Kind,
    root: &Node,
    most: usize,
    findings: &mut Vec<Finding>,
    said_at: &mut FxHashSet<u32>,
) {
    let instance = to_json(root);
    match schema::validator_of(kind) {
        Some(validator) => {
            for error in validator.iter_errors(&instance) {
                if findings.len() >= most {
                    break;
                }

                translate_error(file, kind, root, &error, most, findings, said_at);
            }
        }
        None => findings.push(wrong_type::report_type(
            file,
            root.span,
            "",
            "a sound schema",
            "none (a bug of refguard)",
        )),
    }
}

/// Where the settings have a fixed word: `off` may stand there without quotes, since no reader of
/// those fields takes anything but the words.
fn words_of_settings(kind: Kind, root: &Node) -> Vec<u32> {
    if kind != Kind::Repository {
        return Vec::new();
    }

    let levels = match root.get("rules").map(|rules| &rules.value) {
        Some(NodeValue::Map(entries)) => entries.iter().map(|(_, level)| level).collect(),
        _ => Vec::new(),
    };

    let environments = items_of(root.get("environments"));
    let gates = environments
        .iter()
        .filter_map(|environment| environment.get("gates"));
    let gates = gates
        .flat_map(|gates| [gates.get("weaken"), gates.get("safeguards")])
        .flatten();

    levels
        .into_iter()
        .chain(gates)
        .map(|node: &Node| node.span.start)
        .collect()
}

/// Where an instant stands: it may be plain, since it is read by refguard's own rules and never as
/// a number.
fn instants_of(kind: Kind, root: &Node) -> Vec<u32> {
    let found: Vec<&Node> = match kind {
        Kind::Repository => {
            let environments = items_of(root.get("environments")).iter();
            let freezes = environments.flat_map(|environment| items_of(environment.get("freeze")));
            freezes
                .flat_map(|freeze| [freeze.get("from"), freeze.get("to")])
                .flatten()
                .collect()
        }
        Kind::PolicyAttachment => root.get("expires").into_iter().collect(),
        _ => Vec::new(),
    };

    found.into_iter().map(|node| node.span.start).collect()
}

/// The items of a list; of anything else none.
fn items_of(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(NodeValue::Seq(items)) => items,
        _ => &[],
    }
}

/// The tree as JSON, plain scalars by the core schema.
pub(super) fn to_json(node: &Node) -> Value {
    match &node.value {
        NodeValue::Scalar { text, plain: true } => scalar::resolve_scalar(text),
        NodeValue::Scalar { text, plain: false } => Value::String(text.to_string()),
        NodeValue::Seq(items) => Value::Array(items.iter().map(to_json).collect()),
        NodeValue::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(k, v)| (k.text().unwrap_or("").to_owned(), to_json(v)))
                .collect(),
        ),
    }
}

/// Where a fault stands: the node, and the field's name as a person says it (`guardrails.add[2]`).
struct LocatedNode<'a> {
    node: &'a Node,
    /// The key that leads to the node, if a mapping does.
    key: Option<&'a Node>,
    field: String,
}

fn locate_pointer<'a>(root: &'a Node, pointer: &str) -> LocatedNode<'a> {
    let mut found = LocatedNode {
        node: root,
        key: None,
        field: String::new(),
    };

    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match &found.node.value {
            NodeValue::Map(_) => {
                let Some((key, value)) = found.node.entry(&part) else {
                    break;
                };

                if !found.field.is_empty() {
                    found.field.push('.');
                }

                found.field.push_str(&part);
                (found.node, found.key) = (value, Some(key));
            }
            NodeValue::Seq(items) => {
                let Some(item) = part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                else {
                    break;
                };

                found.field.push_str(&format!("[{part}]"));
                (found.node, found.key) = (item, None);
            }
            NodeValue::Scalar { .. } => break,
        }
    }

    found
}

fn translate_error(
    file: &SourceFile,
    kind: Kind,
    root: &Node,
    error: &ValidationError<'_>,
    most: usize,
    findings: &mut Vec<Finding>,
    said_at: &mut FxHashSet<u32>,
) {
    let found = locate_pointer(root, error.instance_path().as_str());
    let of = if found.field.is_empty() {
        String::new()
    } else {
        format!(" in `{}`", found.field)
    };

    let span = found.node.span;
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_fields(kind, error);
            let unexpected: FxHashSet<&str> = unexpected.iter().map(String::as_str).collect();
            let NodeValue::Map(entries) = &found.node.value else {
                return;
            };
            let unknown = entries
                .iter()
                .filter_map(|(key, _)| Some((key.span, key.text()?)))
                .filter(|(_, field)| unexpected.contains(field));
            for (place, field) in unknown.take(most) {
                findings.push(unknown_field::report_field(file, place, field, &known, &of));
            }
        }
        ValidationErrorKind::Required { property } => {
            let field = property.as_str().unwrap_or("");
            findings.push(missing_field::report_field(
                file,
                first_line(found.node),
                field,
                &of,
            ));
        }
        ValidationErrorKind::Type { kind: expected } => {
            if said_at.insert(span.start) {
                findings.push(type_fault(file, kind, &found, error, expected));
            }
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => {
            // A value of another type breaks the choice as well; it is reported once.
            if said_at.insert(span.start) {
                findings.push(choice_fault(file, &found, error));
            }
        }
        ValidationErrorKind::MinLength { .. }
        | ValidationErrorKind::MaxLength { .. }
        | ValidationErrorKind::Pattern { .. } => {
            // One bad name can break several of the three; it is reported once.
            if said_at.insert(span.start) {
                let name = found.node.text().unwrap_or("");
                let fault =
                    bad_name::name_fault(name).unwrap_or_else(|| "is not a name".to_owned());
                findings.push(bad_name::report_name(file, span, name, &fault));
            }
        }
        _ => {
            if said_at.insert(span.start) {
                findings.push(bad_value::report_other(
                    file,
                    span,
                    &found.field,
                    &error.to_string(),
                ));
            }
        }
    }
}

/// A mapping is named by its first line, not by all its lines.
fn first_line(node: &Node) -> super::Span {
    match &node.value {
        NodeValue::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        NodeValue::Scalar { .. } | NodeValue::Seq(_) => node.span,
    }
}

/// The properties beside the `additionalProperties` that refused a key, from the schema itself.
fn known_fields(kind: Kind, error: &ValidationError<'_>) -> Vec<&'static str> {
    let path = error.schema_path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema::cached_schema(kind)
        .pointer(&format!("{parent}/properties"))
        .and_then(Value::as_object);

    properties
        .map(|p| p.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn type_fault(
    file: &SourceFile,
    kind: Kind,
    found: &LocatedNode<'_>,
    error: &ValidationError<'_>,
    expected: &TypeKind,
) -> Finding {
    let expected = expected_words(expected);
    let fields = (expected == "a mapping").then(|| fields_help(&known_fields(kind, error)));
    let field = if found.field.is_empty() {
        "document"
    } else {
        &found.field
    };

    let span = found.node.span;
    match &found.node.value {
        NodeValue::Scalar { text, plain: true } => match scalar::resolve_scalar(text) {
            Value::Null => null_value::report_null(file, null_place(found), field, &expected),
            Value::Number(_) | Value::Bool(_) if expected.starts_with("a string") => {
                let reading = match scalar::resolve_scalar(text) {
                    _ if is_ambiguous(text) => "is read differently by YAML 1.1 and YAML 1.2",
                    Value::Bool(_) => "is read as a boolean",
                    _ => "is read as a number",
                };

                ambiguous_scalar::report_reading(file, span, text, reading)
            }
            value => {
                let finding =
                    wrong_type::report_type(file, span, field, &expected, &found_words(&value));
                finding
                    .maybe_help(fields.flatten())
                    .maybe_help(boolean_help(&expected, text))
            }
        },
        NodeValue::Scalar { text, plain: false } => {
            let finding = wrong_type::report_type(file, span, field, &expected, "a string");
            let list = expected == "a list";
            let list = list.then(|| format!("write a list: [\"{text}\"]"));
            finding.maybe_help(fields.flatten()).maybe_help(list)
        }
        NodeValue::Seq(_) => {
            let finding = wrong_type::report_type(file, span, field, &expected, "a list");
            let single = (expected == "a string").then(|| "write one value".to_owned());
            finding.maybe_help(fields.flatten()).maybe_help(single)
        }
        NodeValue::Map(_) => {
            wrong_type::report_type(file, first_line(found.node), field, &expected, "a mapping")
        }
    }
}

/// What a mapping that is due may hold, such as `add` and `remove` for `guardrails: [x]`.
fn fields_help(fields: &[&str]) -> Option<String> {
    let [first, ..] = fields else { return None };
    let list: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    Some(format!(
        "write `{first}: …` below it; its fields are {}",
        list.join(", ")
    ))
}

fn is_null(node: &Node, text: &str) -> bool {
    matches!(node.value, NodeValue::Scalar { plain: true, .. })
        && scalar::resolve_scalar(text) == Value::Null
}

/// Where nothing is written, the key is the place.
fn null_place(found: &LocatedNode<'_>) -> super::Span {
    let span = found.node.span;
    if span.end > span.start {
        span
    } else {
        found.key.map_or(span, |key| key.span)
    }
}

fn boolean_help(expected: &str, text: &str) -> Option<String> {
    match (expected, text.to_lowercase().as_str()) {
        ("true or false", "yes" | "on" | "y" | "1") => Some("write `true`".to_owned()),
        ("true or false", "no" | "off" | "n" | "0") => Some("write `false`".to_owned()),
        ("a list", _) => Some(format!("write a list: [{text}]")),
        _ => None,
    }
}

fn expected_words(kind: &TypeKind) -> String {
    let word = |t: &str| match t {
        "string" => "a string",
        "array" => "a list",
        "object" => "a mapping",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "a value",
    };

    match kind {
        TypeKind::Single(single) => word(&single.to_string()).to_owned(),
        TypeKind::Multiple(set) => {
            let mut words: Vec<String> = set
                .iter()
                .map(|t| word(&t.to_string()).to_owned())
                .collect();
            words.sort_by_key(|w| w != "a string");
            words.join(" or ")
        }
    }
}

fn found_words(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("the boolean `{b}`"),
        Value::Number(n) => format!("the number `{n}`"),
        Value::String(s) => format!("the string `{s}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn choice_fault(
    file: &SourceFile,
    found: &LocatedNode<'_>,
    error: &ValidationError<'_>,
) -> Finding {
    let allowed: Vec<String> = match error.kind() {
        ValidationErrorKind::Enum { options } => options
            .as_array()
            .map(|a| {
                a.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
        ValidationErrorKind::Constant { expected_value } => expected_value
            .as_str()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        _ => Vec::new(),
    };

    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let field = if found.field.is_empty() {
        "document"
    } else {
        &found.field
    };

    match found.node.text() {
        Some(text) if is_null(found.node, text) => null_value::report_null(
            file,
            null_place(found),
            field,
            &format!("one of {}", allowed.join(", ")),
        ),
        Some(text) => bad_value::report_value(file, found.node.span, field, text, &allowed),
        None => wrong_type::report_type(
            file,
            first_line(found.node),
            field,
            "one word",
            "a collection",
        ),
    }
}

/// Scalars that two YAML versions read differently, where the schema had nothing to say.
fn find_traps(
    file: &SourceFile,
    node: &Node,
    said_at: &FxHashSet<u32>,
    most: usize,
    findings: &mut Vec<Finding>,
) {
    note_steps(1);
    match &node.value {
        NodeValue::Scalar { text, plain: true }
            if findings.len() < most
                && is_ambiguous(text)
                && !said_at.contains(&node.span.start) =>
        {
            findings.push(match scalar::resolve_scalar(text) {
                Value::Number(_) => ambiguous_scalar::report_number(file, node.span, text),
                _ => ambiguous_scalar::report_reading(
                    file,
                    node.span,
                    text,
                    "is read differently by YAML 1.1 and YAML 1.2",
                ),
            });
        }
        NodeValue::Scalar { .. } => {}
        NodeValue::Seq(items) => {
            items
                .iter()
                .for_each(|item| find_traps(file, item, said_at, most, findings));
        }
        NodeValue::Map(entries) => {
            for (key, value) in entries {
                find_traps(file, key, said_at, most, findings);
                find_traps(file, value, said_at, most, findings);
            }
        }
    }
}
