//! Canonical JSON and digests: what a policy and a set *are*, however they are written.
//!
//! Object keys are sorted (as `serde_json` keeps them), lists keep the order that has meaning and
//! sort the ones that have none, defaults are left out. Comments, files, formatting and key order
//! leave no trace.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rayon::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Attachment, ConditionId, GuardrailId, Pattern, Pipeline, Policy, PolicySet, Step};
use crate::document::{Action, Name, PipelineMode, RawPipeline, RawPolicy, RawStep, Spanned};

/// A policy as canonical JSON; also what `compare` and `diff` go through field by field.
pub fn policy_json(set: &PolicySet, policy: &Policy) -> Value {
    to_value(&policy_fields(set, policy))
}

fn policy_fields<'a>(set: &'a PolicySet, policy: &'a Policy) -> PolicyFields<'a> {
    let guardrails = |ids: &[GuardrailId]| ids.iter().map(|id| set.guardrail(*id)).collect();
    let condition = |ids: &Vec<ConditionId>| {
        ids.iter()
            .filter_map(|id| set.conditions.get(id.0 as usize))
            .map(|p| p.text())
            .collect()
    };

    PolicyFields {
        condition: policy
            .condition
            .as_ref()
            .map(|ids| ConditionFields::new(condition(ids))),
        description: policy.description.as_deref(),
        guardrails: GuardrailFields::new(guardrails(&policy.add), guardrails(&policy.remove)),
        inherit: policy
            .parent
            .and_then(|id| set.policy(id))
            .map(|parent| &*parent.name),
        name: &policy.name,
        owner: policy.owner.as_deref(),
        pipeline: policy
            .pipeline
            .as_ref()
            .map(|pipeline| pipeline_fields(set, pipeline)),
        requestable: policy.requestable,
    }
}

/// A policy's document as canonical JSON: the same as [`policy_json`] in a set that holds it.
pub fn raw_policy_json(raw: &RawPolicy) -> Value {
    to_value(&raw_policy_fields(raw))
}

fn raw_policy_fields(raw: &RawPolicy) -> PolicyFields<'_> {
    let own = raw.guardrails.as_ref();
    PolicyFields {
        condition: raw.condition.as_ref().map(|condition| {
            let texts = condition.model.0.iter().map(|text| text.as_str());
            ConditionFields::new(texts.collect())
        }),
        description: raw.description.as_ref().map(|text| text.as_str()),
        guardrails: GuardrailFields::new(
            name_texts(own.and_then(|own| own.add.as_ref())),
            name_texts(own.and_then(|own| own.remove.as_ref())),
        ),
        inherit: raw.inherit.as_ref().map(|text| text.as_str()),
        name: raw.name.as_str(),
        owner: raw.owner.as_ref().map(|text| text.as_str()),
        pipeline: raw
            .pipeline
            .as_ref()
            .map(|pipeline| raw_pipeline_fields(pipeline)),
        requestable: raw.requestable.is_some_and(|flag| flag.value),
    }
}

fn name_texts(names: Option<&Vec<Spanned<Name>>>) -> Vec<&str> {
    names
        .into_iter()
        .flatten()
        .map(|name| name.as_str())
        .collect()
}

/// The digest of a policy's document, as the set that holds it gives it.
pub fn raw_policy_digest(raw: &RawPolicy) -> Arc<str> {
    digest_text(&to_text(&raw_policy_fields(raw)))
}

/// A policy's fields, sorted by their names; defaults are left out.
#[derive(Serialize)]
struct PolicyFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrails: Option<GuardrailFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherit: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<PipelineFields<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    requestable: bool,
}

#[derive(Serialize)]
struct ConditionFields<'a> {
    model: Vec<&'a str>,
}

impl<'a> ConditionFields<'a> {
    fn new(texts: Vec<&'a str>) -> Self {
        Self {
            model: sorted_texts(texts),
        }
    }
}

#[derive(Serialize)]
struct GuardrailFields<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    add: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remove: Vec<&'a str>,
}

impl<'a> GuardrailFields<'a> {
    /// `None` of no guardrails.
    fn new(add: Vec<&'a str>, remove: Vec<&'a str>) -> Option<Self> {
        let (add, remove) = (sorted_texts(add), sorted_texts(remove));
        let is_empty = add.is_empty() && remove.is_empty();
        (!is_empty).then_some(Self { add, remove })
    }
}

#[derive(Serialize)]
struct PipelineFields<'a> {
    mode: PipelineMode,
    steps: Vec<StepFields<'a>>,
}

#[derive(Serialize)]
struct StepFields<'a> {
    guardrail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    modify_response_message: Option<&'a str>,
    on_error: Action,
    on_fail: Action,
    on_pass: Action,
    pass_data: bool,
}

impl<'a> StepFields<'a> {
    fn new(guardrail: &'a str, step: &Step, message: Option<&'a str>) -> Self {
        Self {
            guardrail,
            modify_response_message: message,
            // Absent means "as on_fail": the same step, however it is written.
            on_error: step.on_error.unwrap_or(step.on_fail),
            on_fail: step.on_fail,
            on_pass: step.on_pass,
            pass_data: step.pass_data,
        }
    }
}

/// A list whose order has no meaning.
fn sorted_texts<T: Ord>(mut texts: Vec<T>) -> Vec<T> {
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn pipeline_fields<'a>(set: &'a PolicySet, pipeline: &'a Pipeline) -> PipelineFields<'a> {
    let fields = |step: &'a Step| {
        let message = step.modify_response_message.as_deref();
        StepFields::new(set.guardrail(step.guardrail), step, message)
    };

    PipelineFields {
        mode: pipeline.mode,
        steps: pipeline.steps.iter().map(fields).collect(),
    }
}

fn raw_pipeline_fields(raw: &RawPipeline) -> PipelineFields<'_> {
    PipelineFields {
        mode: raw.mode.value,
        steps: raw.steps.iter().map(|step| raw_step_fields(step)).collect(),
    }
}

fn raw_step_fields(raw: &RawStep) -> StepFields<'_> {
    let message = raw.modify_response_message.as_ref();
    // The step's own guardrail id is not looked at.
    let step = Step::from_raw(raw, GuardrailId(0));
    StepFields::new(raw.guardrail.as_str(), &step, message.map(|it| it.as_str()))
}

/// An attachment as canonical JSON.
pub fn attachment_json(set: &PolicySet, attachment: &Attachment) -> Value {
    to_value(&attachment_fields(set, attachment))
}

/// Fields sorted by their names.
struct SortedFields<'a>(Vec<(&'static str, Field<'a>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    Flag(bool),
    Number(i32),
    Text(Cow<'a, str>),
    Texts(Vec<String>),
}

impl Serialize for SortedFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

fn attachment_fields<'a>(set: &'a PolicySet, attachment: &'a Attachment) -> SortedFields<'a> {
    let policy = set.policy(attachment.policy);
    let policy = policy.map_or("", |policy| &policy.name);
    let text = |text: &'a str| Field::Text(Cow::Borrowed(text));
    let mut fields = vec![("policy", text(policy))];
    if attachment.everywhere {
        fields.push(("scope", text("*")));
    }

    for (dimension, patterns) in attachment.targets.iter() {
        if let Some(patterns) = patterns {
            let texts = patterns.iter().map(Pattern::to_string).collect();
            fields.push((dimension.plural(), Field::Texts(sorted_texts(texts))));
        }
    }

    fields.extend(
        attachment
            .priority
            .map(|it| ("priority", Field::Number(it))),
    );
    if attachment.default {
        fields.push(("default", Field::Flag(true)));
    }

    let expires = attachment.expires.map(|it| it.to_string());
    fields.extend(expires.map(|it| ("expires", Field::Text(Cow::Owned(it)))));
    fields.extend(attachment.reason.as_deref().map(|it| ("reason", text(it))));
    fields.sort_unstable_by_key(|(name, _)| *name);

    SortedFields(fields)
}

/// Fields as JSON. What has only texts, numbers and lists of them always has a form.
fn to_value(fields: &impl Serialize) -> Value {
    serde_json::to_value(fields).unwrap_or_default()
}

fn to_text(fields: &impl Serialize) -> String {
    serde_json::to_string(fields).unwrap_or_default()
}

/// The set as canonical JSON: policies by name, attachments in the order of evaluation.
pub fn set_json(set: &PolicySet) -> Value {
    let policies: Vec<Value> = set
        .policies
        .iter()
        .map(|policy| policy_json(set, policy))
        .collect();
    let attachments: Vec<Value> = set
        .attachments
        .iter()
        .map(|a| attachment_json(set, a))
        .collect();

    json!({ "policies": policies, "attachments": attachments })
}

/// SHA-256 of a canonical JSON, lower-case hex.
fn digest_text(text: &str) -> Arc<str> {
    hex_text(&Sha256::digest(text.as_bytes()))
}

/// Gives every policy and attachment its canonical JSON, and policies and set their digests:
/// SHA-256 of the canonical JSON, lower-case hex.
pub(super) fn seal_digests(set: &mut PolicySet) {
    let policies: Vec<(Box<str>, Arc<str>)> = set
        .policies
        .par_iter()
        .map(|policy| {
            let canonical = to_text(&policy_fields(set, policy)).into_boxed_str();
            let digest = digest_text(&canonical);
            (canonical, digest)
        })
        .collect();
    let attachments: Vec<Box<str>> = set
        .attachments
        .par_iter()
        .map(|a| to_text(&attachment_fields(set, a)).into_boxed_str())
        .collect();

    for (policy, (canonical, digest)) in set.policies.iter_mut().zip(policies) {
        let policy = Arc::make_mut(policy);
        (policy.canonical, policy.digest) = (canonical, digest);
    }

    for (attachment, canonical) in set.attachments.iter_mut().zip(attachments) {
        Arc::make_mut(attachment).canonical = canonical;
    }

    set.digest = set_digest(set);
}

/// The digest of a set whose policies and attachments have their canonical JSON. It is hashed piece
/// by piece; of a large set it is never held whole.
pub(super) fn set_digest(set: &PolicySet) -> Arc<str> {
    let mut whole = Sha256::new();
    let attachments = set
        .attachments
        .iter()
        .map(|attachment| &attachment.canonical);
    let policies = set.policies.iter().map(|policy| &policy.canonical);
    whole.update("{\"attachments\":[");
    update_hash(&mut whole, attachments);
    whole.update("],\"policies\":[");
    update_hash(&mut whole, policies);
    whole.update("]}");

    hex_text(&whole.finalize())
}

fn update_hash<'a>(whole: &mut Sha256, items: impl Iterator<Item = &'a Box<str>>) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            whole.update(",");
        }

        whole.update(item.as_bytes());
    }
}

fn hex_text(bytes: &[u8]) -> Arc<str> {
    HEXLOWER.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{Body, Limits, load_file};
    use crate::policy::{Levels, check_documents};

    /// A list in flow style, with repetitions.
    fn list(of: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(of, 1..4).prop_map(|names| format!("[{}]", names.join(", ")))
    }

    fn step() -> impl Strategy<Value = String> {
        let action = || proptest::sample::select(vec!["", "next", "block"]);
        (action(), action(), action(), any::<bool>()).prop_map(|(pass, fail, error, data)| {
            let field = |key: &str, word: &str| {
                if word.is_empty() {
                    String::new()
                } else {
                    format!(", {key}: {word}")
                }
            };

            let on = [
                field("on_pass", pass),
                field("on_fail", fail),
                field("on_error", error),
            ]
            .concat();

            format!("{{guardrail: g1{on}, pass_data: {data}, modify_response_message: sorry}}")
        })
    }

    fn fields() -> impl Strategy<Value = String> {
        let some = |name: &'static str, values: BoxedStrategy<String>| {
            proptest::option::of(values)
                .prop_map(move |v| v.map(|v| format!("{name}: {v}\n")).unwrap_or_default())
        };

        let pipeline = (
            step(),
            proptest::sample::select(vec!["pre_call", "post_call"]),
        );
        (
            some("description", "text [a-z]{1,9}".boxed()),
            some("owner", "team-[a-z]{1,9}".boxed()),
            some("inherit", Just("root".to_owned()).boxed()),
            (list("g[1-3]"), proptest::option::of(list("g[4-6]")))
                .prop_map(|(add, remove)| {
                    remove
                        .map(|r| format!("add: {add}, remove: {r}"))
                        .unwrap_or(format!("add: {add}"))
                })
                .prop_map(|both| {
                    format!("guardrails: {{{}}}\n", both.replace("add: [", "add: [g1, "))
                }),
            some(
                "condition",
                list("m[1-3]")
                    .prop_map(|models| format!("{{model: {models}}}"))
                    .boxed(),
            ),
            some(
                "pipeline",
                pipeline
                    .prop_map(|(s, mode)| format!("{{mode: {mode}, steps: [{s}]}}"))
                    .boxed(),
            ),
        )
            .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_document_alone_has_the_digest_that_the_set_gives_it(fields in fields()) {
            let header = "apiVersion: refguard/v1\nkind: Policy\nname:";
            let text = format!("{header} p\n{fields}---\n{header} root\n\
                guardrails: {{add: [g4, g5, g6]}}\n");
            let loaded = load_file("p.yaml", text.clone().into_bytes(), &Limits::DEFAULT);
            let raw = loaded.documents.iter().find_map(|document| match &document.body {
                Body::Policy(raw) if raw.name.as_str() == "p" => Some(raw.clone()),
                _ => None,
            });
            let checked = check_documents(loaded, &Levels::default());
            prop_assert!(checked.set.is_some(), "{text}{:?}", checked.findings);
            let set = checked.set.unwrap();
            let (_, policy) = set.find_policy("p").unwrap();
            let raw = raw.unwrap();
            prop_assert_eq!(raw_policy_json(&raw), policy_json(&set, policy));
            prop_assert_eq!(raw_policy_digest(&raw), policy.digest.clone());

            prop_assert_eq!(&set.digest, &digest_text(&set_json(&set).to_string()));
        }
    }

    #[test]
    fn digests_are_of_the_canonical_json() {
        let header = "---\napiVersion: refguard/v1\nkind:";
        let text = format!(
            "{header} Policy\nname: base\nguardrails: {{add: [b, a]}}\n{header} Policy\n\
             name: child\ninherit: base\n\
             {header} PolicyAttachment\npolicy: base\nscope: \"*\"\n{header} PolicyAttachment\n\
             policy: child\nteams: [t]\n"
        );
        let set = check_documents(
            load_file("f.yaml", text.into_bytes(), &Limits::DEFAULT),
            &Levels::default(),
        )
        .set
        .unwrap();

        assert_eq!(set.digest, digest_text(&set_json(&set).to_string()));
        let own: Vec<Arc<str>> = set
            .policies
            .iter()
            .map(|policy| digest_text(&policy_json(&set, policy).to_string()))
            .collect();

        assert_eq!(
            set.policies
                .iter()
                .map(|policy| policy.digest.clone())
                .collect::<Vec<_>>(),
            own
        );
    }
}
