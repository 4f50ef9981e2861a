//! `policy_attachments`: a list; its order decides where nothing else does.

use super::Config;
use super::reader::{ConfigReader, is_null};
use crate::document::rules::bad_value;
use crate::document::{Dimension, Node, NodeValue, PerDimension, Span, Spanned};
use crate::interop::model::{AttachmentDoc, Text};
use crate::interop::python;
use crate::interop::rules::{everywhere, ignored};

const ATTACHMENT: [&str; 8] = [
    "policy", "scope", "teams", "keys", "models", "tags", "priority", "default",
];

/// The lists of patterns of an entry or row, each with its place.
pub(in crate::interop) type Lists = PerDimension<Option<Spanned<Vec<Text>>>>;

pub(super) fn read_all(reader: &mut ConfigReader<'_>, section: Option<&Node>, config: &mut Config) {
    let Some(section) = section.filter(|node| !is_null(node)) else {
        return;
    };
    let NodeValue::Seq(items) = &section.value else {
        return reader.report_wrong(section, "policy_attachments", "a list of attachments");
    };

    for item in items {
        let before = reader.errors;
        let attachment = read_attachment(reader, item);
        if reader.errors == before {
            config.attachments.extend(attachment);
        }
    }
}

fn read_attachment(reader: &mut ConfigReader<'_>, node: &Node) -> Option<AttachmentDoc> {
    let before = reader.errors;
    let get = reader.read_entries(node, &ATTACHMENT, " of an attachment")?;
    let policy = match get("policy") {
        Some(policy) => reader.read_text(policy, "policy"),
        None => {
            reader.report_missing(node, "policy", " of an attachment");
            None
        }
    };

    let mut lists = Lists::default();
    for dimension in Dimension::LITELLM {
        let key = dimension.plural();
        lists[dimension] = get(key).and_then(|node| {
            Some(Spanned {
                value: reader.read_texts(node, key)?,
                span: node.span,
            })
        });
    }

    // A key at fault may be the target that seems to be missing.
    if reader.errors > before {
        None
    } else {
        assemble_document(reader, node, policy?, lists)
    }
}

/// The attachment of an entry or row whose lists have been read.
pub(in crate::interop) fn assemble_document(
    reader: &mut ConfigReader<'_>,
    node: &Node,
    policy: Text,
    mut lists: Lists,
) -> Option<AttachmentDoc> {
    let get = |key: &str| node.get(key).filter(|value| !is_null(value));
    let before = reader.errors;
    let scope = get("scope").and_then(|node| reader.read_text(node, "scope"));
    let everywhere = if reader.errors == before {
        read_targets(reader, node, scope.as_ref(), &mut lists)
    } else {
        None
    };

    Some(AttachmentDoc {
        policy,
        everywhere,
        targets: lists.map(|_, list| Some(list?.value)),
        priority: get("priority").and_then(|node| read_priority(reader, node)),
        default: get("default").is_some_and(|node| reader.read_boolean(node, "default")),
        span: node.span,
    })
}

/// What the attachment is for, as LiteLLM reads it: `scope` counts only as `*`, and then nothing
/// else does; an empty list is no list; without any list it is for every request. Gives the place
/// that says "every request", if it is that.
fn read_targets(
    reader: &mut ConfigReader<'_>,
    node: &Node,
    scope: Option<&Text>,
    lists: &mut Lists,
) -> Option<Span> {
    let file = reader.file;
    let named = lists
        .written()
        .flat_map(|(_, list)| list)
        .any(|list| !list.value.is_empty());
    let empty = lists
        .written()
        .flat_map(|(_, list)| list)
        .find(|list| list.value.is_empty())
        .map(|list| list.span);

    match scope {
        Some(scope) if scope.as_str() == "*" => {
            for list in lists.iter_mut().filter_map(|(_, list)| list.take()) {
                reader.push_finding(ignored::report_ignored(
                    file,
                    list.span,
                    "a list beside `scope: \"*\"`",
                ));
            }

            return Some(scope.span);
        }
        Some(scope) if named => {
            reader.push_finding(ignored::report_ignored(
                file,
                scope.span,
                &format!("the scope `{}`", scope.escape_debug()),
            ));
        }
        Some(scope) => reader.push_finding(everywhere::report_scope(file, scope.span, scope)),
        None if named => {}
        None => match empty {
            Some(place) => reader.push_finding(everywhere::empty_list(file, place)),
            None => reader.push_finding(everywhere::no_target(file, first_key(node))),
        },
    }

    for (_, list) in lists.iter_mut() {
        if let Some(empty) = list.take_if(|list| list.value.is_empty())
            && named
        {
            reader.push_finding(ignored::report_ignored(file, empty.span, "an empty list"));
        }
    }

    (!named).then(|| scope.map_or(node.span, |scope| scope.span))
}

fn first_key(node: &Node) -> Span {
    match &node.value {
        NodeValue::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        NodeValue::Scalar { .. } | NodeValue::Seq(_) => node.span,
    }
}

fn read_priority(reader: &mut ConfigReader<'_>, node: &Node) -> Option<Spanned<i32>> {
    let Some(number) = python::read_scalar(node).and_then(|scalar| python::lax_int(&scalar)) else {
        reader.report_wrong(node, "priority", "a whole number");
        return None;
    };

    match i32::try_from(number) {
        Ok(value) => Some(Spanned {
            value,
            span: node.span,
        }),
        Err(_) => {
            let said = format!("{number} is not within {} and {}", i32::MIN, i32::MAX);
            reader.push_finding(bad_value::report_other(
                reader.file,
                node.span,
                "priority",
                &said,
            ));
            None
        }
    }
}
