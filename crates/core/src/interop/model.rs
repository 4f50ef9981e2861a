//! Policies and attachments as documents to be written, wherever they come from.
//!
//! Text read from a config keeps its place there; text from a set has none (an empty span).

use crate::document::{Action, GuardrailMode, PerDimension, PipelineMode, Span, Spanned};
use crate::policy::{Attachment, Pattern, Pipeline, Policy, PolicySet, StreamScopes};

/// A text and the place it was read at.
pub(super) type Text = Spanned<String>;

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PolicyDoc {
    pub name: Text,
    pub description: Option<Text>,
    pub owner: Option<Text>,
    pub inherit: Option<Text>,
    pub add: Vec<Text>,
    pub remove: Vec<Text>,
    pub condition: Option<Vec<Text>>,
    pub pipeline: Option<PipelineDoc>,
    pub requestable: bool,
}

/// A guardrail of a catalog; what is `None` is not written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GuardrailDoc {
    pub name: Text,
    pub modes: Option<Vec<GuardrailMode>>,
    pub default_on: Option<bool>,
    pub stream_scope: Option<StreamScopes>,
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PipelineDoc {
    pub mode: Spanned<PipelineMode>,
    pub steps: Vec<StepDoc>,
}

/// A step; what is `None` is left to its default.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepDoc {
    pub guardrail: Text,
    pub on_pass: Option<Spanned<Action>>,
    pub on_fail: Option<Spanned<Action>>,
    pub on_error: Option<Spanned<Action>>,
    pub pass_data: bool,
    pub modify_response_message: Option<Text>,
}

/// An attachment document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AttachmentDoc {
    pub policy: Text,
    /// `scope: "*"`: the place that says so.
    pub everywhere: Option<Span>,
    pub targets: PerDimension<Option<Vec<Text>>>,
    pub priority: Option<Spanned<i32>>,
    pub default: bool,
    /// The whole entry.
    pub span: Span,
}

/// A value that no file gave.
fn bare_value<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        span: Span::default(),
    }
}

fn bare_text(value: &str) -> Text {
    bare_value(value.to_owned())
}

impl PolicyDoc {
    /// The document of a policy of a set.
    pub(super) fn from_policy(set: &PolicySet, policy: &Policy) -> Self {
        let names = |ids: &[crate::policy::GuardrailId]| {
            ids.iter().map(|id| bare_text(set.guardrail(*id))).collect()
        };
        let pattern = |id: &crate::policy::ConditionId| {
            set.conditions
                .get(id.0 as usize)
                .map(|p| bare_text(p.text()))
        };

        Self {
            name: bare_text(&policy.name),
            description: policy.description.as_deref().map(bare_text),
            owner: policy.owner.as_deref().map(bare_text),
            inherit: policy
                .parent
                .and_then(|id| set.policy(id))
                .map(|parent| bare_text(&parent.name)),
            add: names(&policy.add),
            remove: names(&policy.remove),
            condition: policy
                .condition
                .as_ref()
                .map(|ids| ids.iter().filter_map(pattern).collect()),
            pipeline: policy
                .pipeline
                .as_ref()
                .map(|pipeline| PipelineDoc::from_pipeline(set, pipeline)),
            requestable: policy.requestable,
        }
    }
}

impl PipelineDoc {
    fn from_pipeline(set: &PolicySet, pipeline: &Pipeline) -> Self {
        let steps = pipeline.steps.iter().map(|step| StepDoc {
            guardrail: bare_text(set.guardrail(step.guardrail)),
            on_pass: Some(bare_value(step.on_pass)),
            on_fail: Some(bare_value(step.on_fail)),
            on_error: step.on_error.map(bare_value),
            pass_data: step.pass_data,
            modify_response_message: step.modify_response_message.as_deref().map(bare_text),
        });

        Self {
            mode: bare_value(pipeline.mode),
            steps: steps.collect(),
        }
    }
}

impl AttachmentDoc {
    /// The document of an attachment of a set.
    pub(super) fn from_attachment(set: &PolicySet, attachment: &Attachment) -> Self {
        let patterns = |list: &Option<Vec<Pattern>>| {
            list.as_ref().map(|list| {
                list.iter()
                    .map(|pattern| bare_value(pattern.to_string()))
                    .collect()
            })
        };

        Self {
            policy: bare_text(
                set.policy(attachment.policy)
                    .map_or("", |policy| &policy.name),
            ),
            everywhere: attachment.everywhere.then(Span::default),
            targets: attachment.targets.as_ref().map(|_, list| patterns(list)),
            priority: attachment.priority.map(bare_value),
            default: attachment.default,
            span: Span::default(),
        }
    }
}
