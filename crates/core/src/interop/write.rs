//! Our documents as YAML, and the same content as LiteLLM has it.
//!
//! Keys come in the order of the design's examples; what is empty or default is left out.

use serde_json::json;

use super::model::{AttachmentDoc, GuardrailDoc, PipelineDoc, PolicyDoc, StepDoc, Text};
use super::yaml::{Tree, Value, Writer};
use crate::document::{Dimension, Kind, Span};
use crate::policy::{Attachment, Context, Policy, PolicySet, StreamScopes, Targets};

/// A policy of a set as the YAML text of its document, in the canonical order of keys.
pub fn write_policy(set: &PolicySet, policy: &Policy) -> String {
    render_tree(&policy_document(&PolicyDoc::from_policy(set, policy)))
}

/// An attachment of a set as the YAML text of its document, in the canonical order of keys.
pub fn write_attachment(set: &PolicySet, attachment: &Attachment) -> String {
    render_tree(&attachment_document(&AttachmentDoc::from_attachment(
        set, attachment,
    )))
}

fn render_tree(tree: &Tree) -> String {
    let mut writer = Writer::default();
    writer.write_document(tree);
    writer.text
}

/// Builds a mapping, key by key.
pub(super) struct Fields(Vec<(String, Tree)>);

impl Fields {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    fn start_document(kind: Kind) -> Self {
        let mut fields = Self::new();
        fields.put_word("apiVersion", "refguard/v1");
        fields.put_word("kind", kind.as_str());

        fields
    }

    pub(super) fn put_field(&mut self, key: &str, value: Value, origin: Span) {
        self.0.push((key.to_owned(), Tree::new(value, origin)));
    }

    fn put_word(&mut self, key: &str, word: &str) {
        self.put_field(key, Value::Text(word.to_owned()), Span::default());
    }

    fn put_text(&mut self, key: &str, text: &Text) {
        self.put_field(key, Value::Text(text.value.clone()), text.span);
    }

    fn put_optional(&mut self, key: &str, text: Option<&Text>) {
        if let Some(text) = text {
            self.put_text(key, text);
        }
    }

    pub(super) fn put_texts(&mut self, key: &str, texts: &[Text]) {
        let items = texts
            .iter()
            .map(|text| Tree::new(Value::Text(text.value.clone()), text.span))
            .collect();
        self.put_field(
            key,
            Value::List(items),
            texts.first().map_or(Span::default(), |text| text.span),
        );
    }

    pub(super) fn into_tree(self, origin: Span) -> Tree {
        Tree::new(Value::Map(self.0), origin)
    }
}

/// `kind: Policy`.
pub(super) fn policy_document(policy: &PolicyDoc) -> Tree {
    let mut fields = Fields::start_document(Kind::Policy);
    fields.put_text("name", &policy.name);
    fields.put_optional("description", policy.description.as_ref());
    fields.put_optional("owner", policy.owner.as_ref());
    policy_fields(&mut fields, policy);
    if policy.requestable {
        fields.put_field("requestable", Value::Word(json!(true)), Span::default());
    }

    fields.into_tree(policy.name.span)
}

/// A value under `policies` of a LiteLLM config. It has neither an owner nor a word on
/// who may name it.
pub(super) fn litellm_policy(policy: &PolicyDoc) -> Tree {
    let mut fields = Fields::new();
    fields.put_optional("description", policy.description.as_ref());
    policy_fields(&mut fields, policy);

    fields.into_tree(policy.name.span)
}

fn policy_fields(fields: &mut Fields, policy: &PolicyDoc) {
    fields.put_optional("inherit", policy.inherit.as_ref());
    let mut guardrails = Fields::new();
    for (key, names) in [("add", &policy.add), ("remove", &policy.remove)] {
        if !names.is_empty() {
            guardrails.put_texts(key, names);
        }
    }

    if !guardrails.0.is_empty() {
        fields.put_field("guardrails", Value::Map(guardrails.0), Span::default());
    }

    if let Some(patterns) = &policy.condition {
        let mut condition = Fields::new();
        match patterns.as_slice() {
            // LiteLLM fills `os.environ/…` from the environment, but not in a list.
            [only] if !only.starts_with("os.environ/") => condition.put_text("model", only),
            several => condition.put_texts("model", several),
        }

        fields.put_field("condition", Value::Map(condition.0), Span::default());
    }

    if let Some(pipeline) = &policy.pipeline {
        fields.put_field("pipeline", pipeline_fields(pipeline), pipeline.mode.span);
    }
}

fn pipeline_fields(pipeline: &PipelineDoc) -> Value {
    let mut fields = Fields::new();
    fields.put_field(
        "mode",
        Value::Text(enum_word(&pipeline.mode.value)),
        pipeline.mode.span,
    );
    fields.put_field(
        "steps",
        Value::List(pipeline.steps.iter().map(step_tree).collect()),
        Span::default(),
    );

    Value::Map(fields.0)
}

fn step_tree(step: &StepDoc) -> Tree {
    let mut fields = Fields::new();
    fields.put_text("guardrail", &step.guardrail);
    for (key, action) in [
        ("on_pass", step.on_pass),
        ("on_fail", step.on_fail),
        ("on_error", step.on_error),
    ] {
        if let Some(action) = action {
            fields.put_field(key, Value::Text(enum_word(&action.value)), action.span);
        }
    }

    if step.pass_data {
        fields.put_field("pass_data", Value::Word(json!(true)), Span::default());
    }

    fields.put_optional(
        "modify_response_message",
        step.modify_response_message.as_ref(),
    );
    fields.into_tree(step.guardrail.span)
}

/// The word of an enum that is written as one.
fn enum_word(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

/// `kind: PolicyAttachment`.
pub(super) fn attachment_document(attachment: &AttachmentDoc) -> Tree {
    let mut fields = Fields::start_document(Kind::PolicyAttachment);
    attachment_fields(&mut fields, attachment);
    fields.into_tree(attachment.span)
}

/// An entry of `policy_attachments` of a LiteLLM config.
pub(super) fn litellm_attachment(attachment: &AttachmentDoc) -> Tree {
    let mut fields = Fields::new();
    attachment_fields(&mut fields, attachment);
    fields.into_tree(attachment.span)
}

fn attachment_fields(fields: &mut Fields, attachment: &AttachmentDoc) {
    fields.put_text("policy", &attachment.policy);
    if let Some(place) = attachment.everywhere {
        fields.put_field("scope", Value::Text("*".to_owned()), place);
    }

    for (dimension, patterns) in attachment.targets.written() {
        if let Some(patterns) = patterns {
            fields.put_texts(dimension.plural(), patterns);
        }
    }

    if let Some(priority) = attachment.priority {
        fields.put_field(
            "priority",
            Value::Word(json!(priority.value)),
            priority.span,
        );
    }

    if attachment.default {
        fields.put_field("default", Value::Word(json!(true)), Span::default());
    }
}

/// `kind: Catalog`; `None` where nothing is known.
pub(super) fn catalog_document(
    guardrails: Option<&[GuardrailDoc]>,
    models: Option<&[Text]>,
) -> Option<Tree> {
    if guardrails.is_none() && models.is_none() {
        return None;
    }

    let mut fields = Fields::start_document(Kind::Catalog);
    if let Some(list) = guardrails {
        let place = list
            .first()
            .map_or(Span::default(), |first| first.name.span);
        fields.put_field(
            "guardrails",
            Value::List(list.iter().map(guardrail_tree).collect()),
            place,
        );
    }

    if let Some(names) = models {
        fields.put_texts("models", names);
    }

    Some(fields.into_tree(Span::default()))
}

/// A guardrail of a catalog: a plain name where nothing else is known.
fn guardrail_tree(doc: &GuardrailDoc) -> Tree {
    let place = doc.name.span;
    if doc.modes.is_none() && doc.default_on.is_none() && doc.stream_scope.is_none() {
        return Tree::new(Value::Text(doc.name.value.clone()), place);
    }

    let text = |word: &str| Tree::new(Value::Text(word.to_owned()), place);
    let mut fields = Fields::new();
    fields.put_text("name", &doc.name);
    if let Some(modes) = &doc.modes {
        let modes = modes.iter().map(|mode| text(mode.as_str())).collect();
        fields.put_field("modes", Value::List(modes), place);
    }

    if let Some(default_on) = doc.default_on {
        fields.put_field("default_on", Value::Word(json!(default_on)), place);
    }

    match &doc.stream_scope {
        None => {}
        Some(StreamScopes::All(scope)) => {
            fields.put_field("stream_scope", text(scope.as_str()).value, place);
        }
        Some(StreamScopes::ByMode(scopes)) => {
            let entries = scopes.iter();
            let entries = entries.map(|(mode, s)| (mode.as_str().to_owned(), text(s.as_str())));
            fields.put_field("stream_scope", Value::Map(entries.collect()), place);
        }
    }

    fields.into_tree(place)
}

/// `kind: Repository`, every setting at its default.
pub(super) fn repository_document() -> Tree {
    Fields::start_document(Kind::Repository).into_tree(Span::default())
}

/// A case that holds what a request gets today.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldCase {
    /// Its name.
    pub name: String,
    /// The request.
    pub context: Context,
    /// Exactly what it gets.
    pub guardrails: Vec<String>,
}

/// An invariant that holds what the requests of a box have today.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldInvariant {
    /// Its name.
    pub name: String,
    /// The requests.
    pub applies: Targets,
    /// What all of them have.
    pub require: Vec<String>,
}

/// One case as a tree.
fn held_case_tree(case: &HeldCase) -> Tree {
    let mut context = Fields::new();
    for dimension in Dimension::ALL {
        let values = case.context.values(dimension);
        match values {
            [] => {}
            values if dimension.is_set() => {
                context.put_texts(dimension.plural(), &bare_texts(values))
            }
            [value, ..] => context.put_word(dimension.singular(), value),
        }
    }

    let mut expect = Fields::new();
    expect.put_texts("guardrails", &bare_texts(&case.guardrails));
    let mut fields = Fields::new();
    fields.put_word("name", &case.name);
    if !context.0.is_empty() {
        fields.put_field("context", Value::Map(context.0), Span::default());
    }

    fields.put_field("expect", Value::Map(expect.0), Span::default());
    fields.into_tree(Span::default())
}

/// Cases as the text of a PolicyTest document.
pub fn write_held_cases(name: &str, cases: &[HeldCase]) -> String {
    let mut fields = Fields::start_document(Kind::PolicyTest);
    fields.put_word("name", name);
    fields.put_field(
        "cases",
        Value::List(cases.iter().map(held_case_tree).collect()),
        Span::default(),
    );

    render_tree(&fields.into_tree(Span::default()))
}

/// Invariants as the text of their documents.
pub fn write_held_invariants(invariants: &[HeldInvariant]) -> String {
    let mut writer = Writer::default();
    for invariant in invariants {
        let mut fields = Fields::start_document(Kind::Invariant);
        fields.put_word("name", &invariant.name);
        let mut applies = Fields::new();
        for (dimension, patterns) in invariant.applies.iter() {
            let texts: Vec<String> = patterns.iter().flatten().map(ToString::to_string).collect();
            if !texts.is_empty() {
                applies.put_texts(dimension.plural(), &bare_texts(&texts));
            }
        }

        if !applies.0.is_empty() {
            fields.put_field("for", Value::Map(applies.0), Span::default());
        }

        fields.put_texts("require", &bare_texts(&invariant.require));
        writer.write_document(&fields.into_tree(Span::default()));
    }

    writer.text
}

/// Texts that no file gave.
fn bare_texts(texts: &[String]) -> Vec<Text> {
    texts
        .iter()
        .map(|text| Text {
            value: text.clone(),
            span: Span::default(),
        })
        .collect()
}
