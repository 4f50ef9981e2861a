//! `guardrails` and `model_list`: what exists. Leniently read, for most of it is not ours.

use rustc_hash::FxHashSet;

use super::reader::Reader;
use crate::document::{Dimension, Node, NodeValue, Spanned};
use crate::interop::model::{AttachmentDoc, Text};
use crate::interop::rules;

/// The names of the config's guardrails; `None` where it has no list or an empty one, as LiteLLM then
/// checks nothing.
pub(super) fn guardrails(reader: &mut Reader<'_>, section: Option<&Node>) -> Option<Vec<Text>> {
    let mut names = distinct(names(section?, "guardrail_name"));
    names.retain(|name| reader.is_name(name));
    (!names.is_empty()).then_some(names)
}

/// The models that requests can name: `model_list`, the router's aliases, and what attachments name
/// beyond them, each with a warning; `None` where the config has no list.
pub(super) fn models(
    reader: &mut Reader<'_>,
    root: &Node,
    attachments: &[AttachmentDoc],
) -> Option<Vec<Text>> {
    let listed = names(root.get("model_list")?, "model_name");
    if listed.is_empty() {
        return None;
    }
    let aliases = match root
        .get("router_settings")
        .and_then(|s| s.get("model_group_alias"))
        .map(|a| &a.value)
    {
        Some(NodeValue::Map(entries)) => entries.iter().filter_map(|(key, _)| text(key)).collect(),
        _ => Vec::new(),
    };
    let mut models = distinct(listed.into_iter().chain(aliases).map(up_to_star).collect());
    let exact: FxHashSet<String> = models.iter().map(|model| model.value.clone()).collect();
    let prefixes: Vec<String> =
        exact.iter().filter_map(|model| model.strip_suffix('*').map(str::to_owned)).collect();
    let known = |model: &str| {
        exact.contains(model) || prefixes.iter().any(|prefix| model.starts_with(prefix.as_str()))
    };
    let mut added: FxHashSet<&str> = FxHashSet::default();
    for model in attachments
        .iter()
        .flat_map(|attachment| attachment.targets[Dimension::Model].iter().flatten())
    {
        if !model.ends_with('*') && !known(model) && added.insert(model.as_str()) {
            reader.push(rules::unlisted_model::finding(reader.file, model.span, model));
            models.push(model.clone());
        }
    }
    Some(models)
}

/// LiteLLM's models may have a star anywhere, ours only at the end: what comes after the first is left
/// off, so that the entry covers at least as much.
fn up_to_star(mut model: Text) -> Text {
    if let Some(star) = model.value.find('*') {
        model.value.truncate(star + 1);
    }
    model
}

fn names(section: &Node, key: &str) -> Vec<Text> {
    match &section.value {
        NodeValue::Seq(items) => items.iter().filter_map(|item| text(item.get(key)?)).collect(),
        NodeValue::Map(_) | NodeValue::Scalar { .. } => Vec::new(),
    }
}

fn text(node: &Node) -> Option<Text> {
    let text = node.text().filter(|text| !text.is_empty())?;
    Some(Spanned { value: text.to_owned(), span: node.span })
}

/// Deployments share names; each counts once.
fn distinct(texts: Vec<Text>) -> Vec<Text> {
    let mut seen = FxHashSet::default();
    texts.into_iter().filter(|text| seen.insert(text.value.clone())).collect()
}
