//! `list` and `show`: a set as rows and as one policy.

use jiff::Timestamp;
use refguard_core::document::Dimension;
use refguard_core::policy::{Attachment, Pattern, Policy, PolicySet, attachment_json, policy_json};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Rows for a person, objects for a program.
#[derive(Debug)]
pub struct Listing {
    /// Names of the columns.
    pub header: Vec<&'static str>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
    /// What the objects are called in JSON.
    name: &'static str,
    objects: Vec<Value>,
}

impl Serialize for Listing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({ "version": 1, self.name: self.objects }).serialize(serializer)
    }
}

/// When something ends, or that it has.
fn end_text(ends: Option<Timestamp>, now: Timestamp) -> String {
    match ends {
        None => String::new(),
        Some(ends) if ends <= now => format!("expired {ends}"),
        Some(ends) => ends.to_string(),
    }
}

/// When the last attachment of a policy ends; `None`: it has one without an end, or none.
fn attached_until(set: &PolicySet, policy: &Policy) -> Option<Timestamp> {
    let own = own_attachments(set, policy)
        .into_iter()
        .map(|attachment| attachment.expires);
    let ends: Option<Vec<Timestamp>> = own.collect();
    ends?.into_iter().max()
}

fn own_attachments<'s>(set: &'s PolicySet, policy: &Policy) -> Vec<&'s Attachment> {
    let is_own = |attachment: &&Attachment| {
        set.policy(attachment.policy)
            .is_some_and(|attached| attached.name == policy.name)
    };
    set.attachments
        .iter()
        .map(|attachment| &**attachment)
        .filter(is_own)
        .collect()
}

/// The policies, by name. Where an attachment expires, with the instant from which on nothing
/// attaches a policy.
pub fn list_policies(set: &PolicySet, now: Timestamp) -> Listing {
    let any_ends = set
        .attachments
        .iter()
        .any(|attachment| attachment.expires.is_some());
    let row = |policy: &Policy| {
        let names = |ids: &[refguard_core::policy::GuardrailId], sign: &str| {
            ids.iter()
                .map(|id| format!("{sign}{}", set.guardrail(*id)))
                .collect::<Vec<_>>()
        };
        let guardrails = [names(&policy.add, "+"), names(&policy.remove, "-")]
            .concat()
            .join(" ");
        let mut cells = vec![
            policy.name.to_string(),
            parent_name(set, policy).unwrap_or("").to_owned(),
            guardrails,
            condition_text(set, policy),
        ];
        cells.extend(any_ends.then(|| end_text(attached_until(set, policy), now)));
        cells.push(format!("{}:{}", policy.place.file, policy.place.line));
        cells
    };
    let mut header = vec!["policy", "inherits", "guardrails", "for models"];
    header.extend(any_ends.then_some("attached until"));
    header.push("place");
    Listing {
        header,
        rows: set.policies.iter().map(|policy| row(policy)).collect(),
        name: "policies",
        objects: set
            .policies
            .iter()
            .map(|policy| listed_policy(set, policy))
            .collect(),
    }
}

/// A policy as an object: its document's fields, its place, its digest.
pub fn policy_object(set: &PolicySet, policy: &Policy) -> Value {
    place_file(
        policy_json(set, policy),
        &policy.place,
        Some(&policy.digest),
    )
}

/// An attachment as an object: its document's fields and its place.
pub fn attachment_object(set: &PolicySet, attachment: &Attachment) -> Value {
    place_file(attachment_json(set, attachment), &attachment.place, None)
}

/// The attachments, in the order of evaluation.
pub fn list_attachments(set: &PolicySet, now: Timestamp) -> Listing {
    let any_ends = set
        .attachments
        .iter()
        .any(|attachment| attachment.expires.is_some());
    let row = |attachment: &Attachment| {
        let ends = any_ends.then(|| end_text(attachment.expires, now));
        let mut cells = vec![
            set.policy(attachment.policy)
                .map_or("", |policy| &policy.name)
                .to_owned(),
            targets_text(attachment),
            attachment
                .priority
                .map(|p| p.to_string())
                .unwrap_or_default(),
            if attachment.default {
                "yes".to_owned()
            } else {
                String::new()
            },
        ];
        cells.extend(ends);
        cells.push(format!(
            "{}:{}",
            attachment.place.file, attachment.place.line
        ));
        cells
    };
    let mut header = vec!["policy", "for", "priority", "default"];
    header.extend(any_ends.then_some("expires"));
    header.push("place");
    Listing {
        header,
        rows: set
            .attachments
            .iter()
            .map(|attachment| row(attachment))
            .collect(),
        name: "attachments",
        objects: set
            .attachments
            .iter()
            .map(|it| listed_attachment(set, it, now))
            .collect(),
    }
}

/// An attachment that ends says whether it has.
fn listed_attachment(set: &PolicySet, attachment: &Attachment, now: Timestamp) -> Value {
    let mut object = attachment_object(set, attachment);
    if let (Some(expires), Some(fields)) = (attachment.expires, object.as_object_mut()) {
        fields.insert("expired".to_owned(), json!(expires <= now));
    }
    object
}

/// A policy all of whose attachments end says when the last one does.
fn listed_policy(set: &PolicySet, policy: &Policy) -> Value {
    let mut object = policy_object(set, policy);
    if let (Some(until), Some(fields)) = (attached_until(set, policy), object.as_object_mut()) {
        fields.insert("attached_until".to_owned(), json!(until.to_string()));
    }
    object
}

/// One policy with what belongs to it.
#[derive(Debug, Serialize)]
pub struct ShownPolicy {
    /// Version of this format.
    pub version: u32,
    /// Its document's fields.
    pub policy: Value,
    /// Itself and its ancestors, root first.
    pub chain: Vec<String>,
    /// What it gives where every condition of its chain holds.
    pub guardrails: Vec<String>,
    /// Policies that inherit from it.
    pub children: Vec<String>,
    /// Its attachments, in the order of evaluation.
    pub attachments: Vec<Value>,
    /// Each attachment in words.
    #[serde(skip)]
    pub attached: Vec<String>,
}

/// One policy, with its chain, children and attachments.
pub fn show_policy(set: &PolicySet, policy: &Policy, now: Timestamp) -> ShownPolicy {
    let members = || policy.chain.iter().filter_map(|id| set.policy(*id));
    let own = own_attachments(set, policy);
    let mut held: Vec<&str> = Vec::new();
    for member in members() {
        held.extend(member.add.iter().map(|id| set.guardrail(*id)));
        held.retain(|name| !member.remove.iter().any(|id| set.guardrail(*id) == *name));
    }
    held.sort_unstable();
    held.dedup();
    let is_child = |child: &Policy| parent_name(set, child) == Some(&policy.name);
    let words = |attachment: &&Attachment| {
        let default = if attachment.default {
            ", where nothing else matches"
        } else {
            ""
        };
        let priority = attachment
            .priority
            .map(|p| format!(", priority {p}"))
            .unwrap_or_default();
        let ends = match attachment.expires {
            None => String::new(),
            Some(expires) if expires <= now => format!(", expired {expires}"),
            Some(expires) => format!(", until {expires}"),
        };
        format!(
            "{}{priority}{default}{ends} ({}:{})",
            targets_text(attachment),
            attachment.place.file,
            attachment.place.line
        )
    };
    ShownPolicy {
        version: 1,
        policy: policy_object(set, policy),
        chain: members().map(|member| member.name.to_string()).collect(),
        guardrails: held.into_iter().map(str::to_owned).collect(),
        children: set
            .policies
            .iter()
            .filter(|child| is_child(child))
            .map(|child| child.name.to_string())
            .collect(),
        attachments: own.iter().map(|a| attachment_object(set, a)).collect(),
        attached: own.iter().map(words).collect(),
    }
}

fn place_file(fields: Value, place: &refguard_core::policy::Place, digest: Option<&str>) -> Value {
    let mut object = match fields {
        Value::Object(object) => object,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    object.insert("file".to_owned(), json!(place.file));
    object.insert("line".to_owned(), json!(place.line));
    if let Some(digest) = digest {
        object.insert("digest".to_owned(), json!(digest));
    }
    Value::Object(object)
}

fn parent_name<'a>(set: &'a PolicySet, policy: &Policy) -> Option<&'a str> {
    policy
        .parent
        .and_then(|id| set.policy(id))
        .map(|parent| &*parent.name)
}

fn condition_text(set: &PolicySet, policy: &Policy) -> String {
    let patterns = policy
        .condition
        .iter()
        .flatten()
        .filter_map(|id| set.conditions.get(id.0 as usize));
    patterns
        .map(|pattern| pattern.text())
        .collect::<Vec<_>>()
        .join(" | ")
}

/// An attachment's box in words: `teams health-*, models gpt-4`.
fn targets_text(attachment: &Attachment) -> String {
    if attachment.everywhere {
        return "every request".to_owned();
    }
    let part = |(dimension, patterns): (Dimension, &Option<Vec<Pattern>>)| {
        let texts: Vec<String> = patterns.as_ref()?.iter().map(Pattern::to_string).collect();
        Some(format!("{} {}", dimension.plural(), texts.join(" ")))
    };
    attachment
        .targets
        .written()
        .filter_map(part)
        .collect::<Vec<_>>()
        .join(", ")
}
