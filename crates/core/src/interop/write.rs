//! Our documents as YAML, and the same content as LiteLLM has it.
//!
//! Keys come in the order of the design's examples; what is empty or default is left out.

use serde_json::json;

use super::model::{AttachmentDoc, PipelineDoc, PolicyDoc, StepDoc, Text};
use super::yaml::{Tree, Value, Writer};
use crate::document::{Kind, Span};
use crate::policy::{Attachment, Policy, PolicySet};

/// A policy of a set as the YAML text of its document, in the canonical order of keys.
pub fn write_policy(set: &PolicySet, policy: &Policy) -> String {
    one(&policy_document(&PolicyDoc::of(set, policy)))
}

/// An attachment of a set as the YAML text of its document, in the canonical order of keys.
pub fn write_attachment(set: &PolicySet, attachment: &Attachment) -> String {
    one(&attachment_document(&AttachmentDoc::of(set, attachment)))
}

fn one(tree: &Tree) -> String {
    let mut writer = Writer::default();
    writer.document(tree);
    writer.text
}

/// Builds a mapping, key by key.
pub(super) struct Fields(Vec<(String, Tree)>);

impl Fields {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    fn document(kind: Kind) -> Self {
        let mut fields = Self::new();
        fields.word("apiVersion", "refguard/v1");
        fields.word("kind", kind.as_str());
        fields
    }

    pub(super) fn put(&mut self, key: &str, value: Value, origin: Span) {
        self.0.push((key.to_owned(), Tree::new(value, origin)));
    }

    fn word(&mut self, key: &str, word: &str) {
        self.put(key, Value::Text(word.to_owned()), Span::default());
    }

    fn text(&mut self, key: &str, text: &Text) {
        self.put(key, Value::Text(text.value.clone()), text.span);
    }

    fn maybe(&mut self, key: &str, text: Option<&Text>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[Text]) {
        let items = texts
            .iter()
            .map(|text| Tree::new(Value::Text(text.value.clone()), text.span))
            .collect();
        self.put(key, Value::List(items), texts.first().map_or(Span::default(), |text| text.span));
    }

    pub(super) fn tree(self, origin: Span) -> Tree {
        Tree::new(Value::Map(self.0), origin)
    }
}

/// `kind: Policy`.
pub(super) fn policy_document(policy: &PolicyDoc) -> Tree {
    let mut fields = Fields::document(Kind::Policy);
    fields.text("name", &policy.name);
    fields.maybe("description", policy.description.as_ref());
    fields.maybe("owner", policy.owner.as_ref());
    policy_fields(&mut fields, policy);
    fields.tree(policy.name.span)
}

/// A value under `policies` of a LiteLLM config. It has no owner.
pub(super) fn litellm_policy(policy: &PolicyDoc) -> Tree {
    let mut fields = Fields::new();
    fields.maybe("description", policy.description.as_ref());
    policy_fields(&mut fields, policy);
    fields.tree(policy.name.span)
}

fn policy_fields(fields: &mut Fields, policy: &PolicyDoc) {
    fields.maybe("inherit", policy.inherit.as_ref());
    let mut guardrails = Fields::new();
    for (key, names) in [("add", &policy.add), ("remove", &policy.remove)] {
        if !names.is_empty() {
            guardrails.texts(key, names);
        }
    }
    if !guardrails.0.is_empty() {
        fields.put("guardrails", Value::Map(guardrails.0), Span::default());
    }
    if let Some(patterns) = &policy.condition {
        let mut condition = Fields::new();
        match patterns.as_slice() {
            // LiteLLM fills `os.environ/…` from the environment, but not in a list.
            [only] if !only.starts_with("os.environ/") => condition.text("model", only),
            several => condition.texts("model", several),
        }
        fields.put("condition", Value::Map(condition.0), Span::default());
    }
    if let Some(pipeline) = &policy.pipeline {
        fields.put("pipeline", pipeline_fields(pipeline), pipeline.mode.span);
    }
}

fn pipeline_fields(pipeline: &PipelineDoc) -> Value {
    let mut fields = Fields::new();
    fields.put("mode", Value::Text(word(&pipeline.mode.value)), pipeline.mode.span);
    fields.put("steps", Value::List(pipeline.steps.iter().map(step).collect()), Span::default());
    Value::Map(fields.0)
}

fn step(step: &StepDoc) -> Tree {
    let mut fields = Fields::new();
    fields.text("guardrail", &step.guardrail);
    for (key, action) in
        [("on_pass", step.on_pass), ("on_fail", step.on_fail), ("on_error", step.on_error)]
    {
        if let Some(action) = action {
            fields.put(key, Value::Text(word(&action.value)), action.span);
        }
    }
    if step.pass_data {
        fields.put("pass_data", Value::Word(json!(true)), Span::default());
    }
    fields.maybe("modify_response_message", step.modify_response_message.as_ref());
    fields.tree(step.guardrail.span)
}

/// The word of an enum that is written as one.
fn word(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

/// `kind: PolicyAttachment`.
pub(super) fn attachment_document(attachment: &AttachmentDoc) -> Tree {
    let mut fields = Fields::document(Kind::PolicyAttachment);
    attachment_fields(&mut fields, attachment);
    fields.tree(attachment.span)
}

/// An entry of `policy_attachments` of a LiteLLM config.
pub(super) fn litellm_attachment(attachment: &AttachmentDoc) -> Tree {
    let mut fields = Fields::new();
    attachment_fields(&mut fields, attachment);
    fields.tree(attachment.span)
}

fn attachment_fields(fields: &mut Fields, attachment: &AttachmentDoc) {
    fields.text("policy", &attachment.policy);
    if let Some(place) = attachment.everywhere {
        fields.put("scope", Value::Text("*".to_owned()), place);
    }
    for (dimension, patterns) in attachment.targets.written() {
        if let Some(patterns) = patterns {
            fields.texts(dimension.plural(), patterns);
        }
    }
    if let Some(priority) = attachment.priority {
        fields.put("priority", Value::Word(json!(priority.value)), priority.span);
    }
    if attachment.default {
        fields.put("default", Value::Word(json!(true)), Span::default());
    }
}

/// `kind: Catalog`; `None` where nothing is known.
pub(super) fn catalog_document(
    guardrails: Option<&[Text]>,
    models: Option<&[Text]>,
) -> Option<Tree> {
    if guardrails.is_none() && models.is_none() {
        return None;
    }
    let mut fields = Fields::document(Kind::Catalog);
    for (key, names) in [("guardrails", guardrails), ("models", models)] {
        if let Some(names) = names {
            fields.texts(key, names);
        }
    }
    Some(fields.tree(Span::default()))
}

/// `kind: Repository`, every setting at its default.
pub(super) fn repository_document() -> Tree {
    Fields::document(Kind::Repository).tree(Span::default())
}
