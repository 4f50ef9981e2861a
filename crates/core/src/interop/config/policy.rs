//! `policies`: name → policy.

use super::Config;
use super::reader::{ConfigReader, is_null};
use crate::document::rules::missing_field;
use crate::document::{Action, Node, NodeValue, PipelineMode, Spanned};
use crate::interop::model::{PipelineDoc, PolicyDoc, StepDoc, Text};
use crate::interop::python::{self, Scalar};
use crate::interop::rules;

const POLICY: [&str; 5] = [
    "inherit",
    "description",
    "guardrails",
    "condition",
    "pipeline",
];
const STEP: [&str; 6] = [
    "guardrail",
    "on_pass",
    "on_fail",
    "on_error",
    "pass_data",
    "modify_response_message",
];
const MODES: [(&str, PipelineMode); 2] = [
    ("pre_call", PipelineMode::PreCall),
    ("post_call", PipelineMode::PostCall),
];
const ACTIONS: [(&str, Action); 4] = [
    ("allow", Action::Allow),
    ("block", Action::Block),
    ("next", Action::Next),
    ("modify_response", Action::ModifyResponse),
];

pub(super) fn read_all(reader: &mut ConfigReader<'_>, section: Option<&Node>, config: &mut Config) {
    let Some(section) = section.filter(|node| !is_null(node)) else {
        return;
    };
    let NodeValue::Map(entries) = &section.value else {
        return reader.report_wrong(section, "policies", "a mapping of names to policies");
    };

    for (key, body) in entries {
        let before = reader.errors;
        let policy = read_name(reader, key).and_then(|name| read_policy(reader, name, body));
        match policy {
            Some(policy) if reader.errors == before => config.policies.push(policy),
            _ => config.broken.push(key.text().unwrap_or("").to_owned()),
        }
    }
}

/// A key that PyYAML reads as a number or a boolean names a policy that no attachment can reach.
fn read_name(reader: &mut ConfigReader<'_>, key: &Node) -> Option<Text> {
    let Some(Scalar::Text(text)) = python::read_scalar(key) else {
        reader.report_wrong(key, "policies", "text");
        return None;
    };
    let name = Spanned {
        value: text.to_owned(),
        span: key.span,
    };

    reader.is_name(&name).then_some(name)
}

fn read_policy(reader: &mut ConfigReader<'_>, name: Text, body: &Node) -> Option<PolicyDoc> {
    let of = format!(" of the policy `{}`", &*name);
    let get = reader.read_entries(body, &POLICY, &of)?;
    let (add, remove) = get("guardrails")
        .map(|node| read_guardrails(reader, node, &of))
        .unwrap_or_default();

    Some(PolicyDoc {
        description: get("description").and_then(|node| reader.read_text(node, "description")),
        owner: None,
        inherit: get("inherit").and_then(|node| read_parent(reader, node)),
        add,
        remove,
        condition: get("condition").and_then(|node| read_condition(reader, node, &of)),
        pipeline: get("pipeline").and_then(|node| read_pipeline(reader, node, &of)),
        requestable: false,
        name,
    })
}

pub(in crate::interop) fn read_parent(reader: &mut ConfigReader<'_>, node: &Node) -> Option<Text> {
    let parent = reader.read_text(node, "inherit")?;
    if parent.is_empty() {
        reader.push_finding(rules::ignored::report_ignored(
            reader.file,
            node.span,
            "an empty `inherit`",
        ));
        return None;
    }

    Some(parent)
}

/// A mapping of `add` and `remove`, or the old form: a list of what to add.
fn read_guardrails(reader: &mut ConfigReader<'_>, node: &Node, of: &str) -> (Vec<Text>, Vec<Text>) {
    match &node.value {
        NodeValue::Seq(_) => (
            reader.read_names(node, "guardrails").unwrap_or_default(),
            Vec::new(),
        ),
        NodeValue::Map(_) => {
            let Some(get) =
                reader.read_entries(node, &["add", "remove"], &format!(" in `guardrails`{of}"))
            else {
                return (Vec::new(), Vec::new());
            };

            let mut list = |key: &str| {
                get(key).and_then(|node| reader.read_names(node, &format!("guardrails.{key}")))
            };

            (
                list("add").unwrap_or_default(),
                list("remove").unwrap_or_default(),
            )
        }
        NodeValue::Scalar { .. } => {
            reader.report_wrong(node, "guardrails", "a mapping with `add` and `remove`");
            (Vec::new(), Vec::new())
        }
    }
}

pub(in crate::interop) fn read_condition(
    reader: &mut ConfigReader<'_>,
    node: &Node,
    of: &str,
) -> Option<Vec<Text>> {
    if let NodeValue::Seq(items) = &node.value
        && items.is_empty()
    {
        reader.push_finding(rules::empty_condition::report_condition(
            reader.file,
            node.span,
            of,
        ));
        return None;
    }

    let get = reader.read_entries(node, &["model"], &format!(" in `condition`{of}"))?;
    let Some(model) = get("model") else {
        // With an unknown key there is an error already, and that key is the reason.
        let slipped = matches!(&node.value, NodeValue::Map(entries) if entries.iter().any(|(key, _)| key.text() != Some("model")));
        if !slipped {
            reader.push_finding(rules::empty_condition::report_condition(
                reader.file,
                node.span,
                of,
            ));
        }

        return None;
    };

    match &model.value {
        NodeValue::Seq(items) if items.is_empty() => {
            reader.push_finding(rules::dead_condition::report_condition(
                reader.file,
                model.span,
                of,
            ));
            None
        }
        NodeValue::Seq(_) => reader.read_texts(model, "condition.model"),
        _ => reader
            .read_text(model, "condition.model")
            .map(|text| vec![text]),
    }
}

pub(in crate::interop) fn read_pipeline(
    reader: &mut ConfigReader<'_>,
    node: &Node,
    of: &str,
) -> Option<PipelineDoc> {
    let get = reader.read_entries(node, &["mode", "steps"], &format!(" in `pipeline`{of}"))?;
    let mode = match get("mode") {
        Some(mode) => reader.read_choice(mode, "pipeline.mode", &MODES)?,
        None => Spanned {
            value: PipelineMode::PreCall,
            span: node.span,
        },
    };

    let Some(list) = get("steps") else {
        reader.report_missing(node, "steps", &format!(" in `pipeline`{of}"));
        return None;
    };
    let NodeValue::Seq(items) = &list.value else {
        reader.report_wrong(list, "pipeline.steps", "a list of steps");
        return None;
    };

    if items.is_empty() {
        let said = format!(" in `pipeline.steps`{of}");
        reader.push_finding(missing_field::report_field(
            reader.file,
            list.span,
            "guardrail",
            &said,
        ));
        return None;
    }

    let steps = items
        .iter()
        .map(|item| read_step(reader, item, of))
        .collect::<Vec<_>>();
    Some(PipelineDoc {
        mode,
        steps: steps.into_iter().collect::<Option<_>>()?,
    })
}

fn read_step(reader: &mut ConfigReader<'_>, node: &Node, of: &str) -> Option<StepDoc> {
    let of = format!(" in a pipeline step{of}");
    let get = reader.read_entries(node, &STEP, &of)?;
    let Some(guardrail) = get("guardrail") else {
        reader.report_missing(node, "guardrail", &of);
        return None;
    };
    let guardrail = reader
        .read_text(guardrail, "guardrail")
        .filter(|name| reader.is_name(name))?;
    let mut action = |key: &str| get(key).and_then(|node| reader.read_choice(node, key, &ACTIONS));
    let (on_pass, on_fail, on_error) = (action("on_pass"), action("on_fail"), action("on_error"));

    Some(StepDoc {
        guardrail,
        on_pass,
        on_fail,
        on_error,
        pass_data: get("pass_data").is_some_and(|node| reader.read_boolean(node, "pass_data")),
        modify_response_message: get("modify_response_message")
            .and_then(|node| reader.read_text(node, "modify_response_message")),
    })
}
