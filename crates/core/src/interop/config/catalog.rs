//! `guardrails` and `model_list`: what exists. Leniently read, for most of it is not ours.

use rustc_hash::FxHashSet;

use super::reader::{ConfigReader, is_null};
use crate::document::{Dimension, GuardrailMode, Node, NodeValue, Spanned, StreamScope};
use crate::interop::model::{AttachmentDoc, GuardrailDoc, PolicyDoc, Text};
use crate::interop::{python, rules};
use crate::policy::StreamScopes;

/// The config's guardrails, and those that policies name beyond them, each with a warning; `None`
/// where it has no list or an empty one, as LiteLLM then checks nothing.
pub(super) fn read_guardrails(
    reader: &mut ConfigReader<'_>,
    section: Option<&Node>,
    policies: &[PolicyDoc],
) -> Option<Vec<GuardrailDoc>> {
    let mut list: Vec<GuardrailDoc> = Vec::new();
    let NodeValue::Seq(items) = &section?.value else {
        return None;
    };

    for item in items {
        let Some(name) = item.get("guardrail_name").and_then(read_text) else {
            continue;
        };

        if !reader.is_name(&name) {
            continue;
        }

        let read = read_guardrail(reader, name, item.get("litellm_params"));
        match list
            .iter_mut()
            .find(|known| known.name.value == read.name.value)
        {
            Some(known) => known.join_entry(read),
            None => list.push(read),
        }
    }

    if list.is_empty() {
        return None;
    }

    let steps = policies
        .iter()
        .flat_map(|policy| &policy.pipeline)
        .flat_map(|p| &p.steps);
    let named: Vec<Text> = policies
        .iter()
        .flat_map(|policy| &policy.add)
        .chain(steps.map(|step| &step.guardrail))
        .cloned()
        .collect();

    for name in named {
        if list.iter().any(|known| known.name.value == name.value) {
            continue;
        }

        let known = list.iter().map(|known| known.name.as_str());
        let said =
            rules::unlisted_guardrail::report_guardrail(reader.file, name.span, &name, known);
        reader.push_finding(said);
        list.push(GuardrailDoc {
            name,
            modes: None,
            default_on: None,
            stream_scope: None,
        });
    }

    Some(list)
}

/// How LiteLLM runs a guardrail. What it fills from the environment, or does not know, stays
/// unknown.
fn read_guardrail(
    reader: &mut ConfigReader<'_>,
    name: Text,
    params: Option<&Node>,
) -> GuardrailDoc {
    let get = |key: &str| {
        params
            .and_then(|params| params.get(key))
            .filter(|node| !is_null(node))
    };

    let modes = get("mode").and_then(|node| {
        if matches!(node.value, NodeValue::Map(_)) {
            reader.push_finding(rules::tagged_modes::report_modes(
                reader.file,
                node.span,
                &name,
            ));
        }

        let mut modes = words_of(node)
            .into_iter()
            .map(GuardrailMode::parse)
            .collect::<Option<Vec<GuardrailMode>>>()?;
        modes.sort_unstable();
        modes.dedup();
        (!modes.is_empty()).then_some(modes)
    });
    let default_on = get("default_on")
        .and_then(|node| python::lax_bool(&python::read_scalar(node)?))
        .filter(|on| *on);
    GuardrailDoc {
        name,
        modes,
        default_on,
        stream_scope: get("stream_scope").and_then(read_scopes),
    }
}

impl GuardrailDoc {
    /// Another deployment of the same name: LiteLLM takes one of them for each call.
    fn join_entry(&mut self, other: Self) {
        self.modes = self.modes.take().zip(other.modes).map(|(mut own, more)| {
            own.extend(more);
            own.sort_unstable();
            own.dedup();
            own
        });
        self.default_on = self.default_on.or(other.default_on);
        if self.stream_scope != other.stream_scope {
            self.stream_scope = None;
        }
    }
}

/// The words of a mode: one, a list, or those of `tags` and `default`.
fn words_of(node: &Node) -> Vec<&str> {
    match &node.value {
        NodeValue::Scalar { .. } => node.text().into_iter().collect(),
        NodeValue::Seq(items) => items.iter().map(|item| item.text().unwrap_or("")).collect(),
        NodeValue::Map(_) => {
            let of_tags = match node.get("tags").map(|tags| &tags.value) {
                Some(NodeValue::Map(entries)) => entries.iter().map(|(_, value)| value).collect(),
                _ => Vec::new(),
            };

            let default = node.get("default").filter(|node| !is_null(node));
            of_tags
                .into_iter()
                .chain(default)
                .flat_map(words_of)
                .collect()
        }
    }
}

/// A stream scope: one word, or one a mode.
fn read_scopes(node: &Node) -> Option<StreamScopes> {
    let scope = |node: &Node| StreamScope::parse(&node.text()?.to_ascii_lowercase());
    match &node.value {
        NodeValue::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| {
                Some((
                    GuardrailMode::parse(&key.text()?.to_ascii_lowercase())?,
                    scope(value)?,
                ))
            };

            entries
                .iter()
                .map(entry)
                .collect::<Option<_>>()
                .map(StreamScopes::ByMode)
        }
        NodeValue::Scalar { .. } => scope(node).map(StreamScopes::All),
        NodeValue::Seq(_) => None,
    }
}

/// The models that requests can name: `model_list`, the router's aliases, and what attachments name
/// beyond them, each with a warning; `None` where the config has no list.
pub(super) fn read_models(
    reader: &mut ConfigReader<'_>,
    root: &Node,
    attachments: &[AttachmentDoc],
) -> Option<Vec<Text>> {
    let listed = read_names(root.get("model_list")?, "model_name");
    if listed.is_empty() {
        return None;
    }

    let aliases = match root
        .get("router_settings")
        .and_then(|s| s.get("model_group_alias"))
        .map(|a| &a.value)
    {
        Some(NodeValue::Map(entries)) => entries
            .iter()
            .filter_map(|(key, _)| read_text(key))
            .collect(),
        _ => Vec::new(),
    };

    let mut models = distinct_texts(listed.into_iter().chain(aliases).map(up_to_star).collect());
    let exact: FxHashSet<String> = models.iter().map(|model| model.value.clone()).collect();
    let prefixes: Vec<String> = exact
        .iter()
        .filter_map(|model| model.strip_suffix('*').map(str::to_owned))
        .collect();
    let known = |model: &str| {
        exact.contains(model)
            || prefixes
                .iter()
                .any(|prefix| model.starts_with(prefix.as_str()))
    };

    let mut added: FxHashSet<&str> = FxHashSet::default();
    for model in attachments
        .iter()
        .flat_map(|attachment| attachment.targets[Dimension::Model].iter().flatten())
    {
        if !model.ends_with('*') && !known(model) && added.insert(model.as_str()) {
            reader.push_finding(rules::unlisted_model::report_model(
                reader.file,
                model.span,
                model,
            ));
            models.push(model.clone());
        }
    }

    Some(models)
}

/// LiteLLM's models may have a star anywhere, ours only at the end: what comes after the first is
/// left off, so that the entry covers at least as much.
fn up_to_star(mut model: Text) -> Text {
    if let Some(star) = model.value.find('*') {
        model.value.truncate(star + 1);
    }

    model
}

fn read_names(section: &Node, key: &str) -> Vec<Text> {
    match &section.value {
        NodeValue::Seq(items) => items
            .iter()
            .filter_map(|item| read_text(item.get(key)?))
            .collect(),
        NodeValue::Map(_) | NodeValue::Scalar { .. } => Vec::new(),
    }
}

fn read_text(node: &Node) -> Option<Text> {
    let text = node.text().filter(|text| !text.is_empty())?;
    Some(Spanned {
        value: text.to_owned(),
        span: node.span,
    })
}

/// Deployments share names; each counts once.
fn distinct_texts(texts: Vec<Text>) -> Vec<Text> {
    let mut seen = FxHashSet::default();
    texts
        .into_iter()
        .filter(|text| seen.insert(text.value.clone()))
        .collect()
}
