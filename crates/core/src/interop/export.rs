//! A policy set as the `policies` and `policy_attachments` of a LiteLLM config.

use std::sync::Arc;

use serde_json::Value as Json;

use super::model::{AttachmentDoc, PolicyDoc, Text};
use super::write;
use super::yaml::{Tree, Value, Writer};
use crate::document::{Dimension, Span};
use crate::policy::{Attachment, Place, Policy, PolicySet};

/// A set for LiteLLM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// YAML with the keys `policies` and `policy_attachments`.
    pub text: String,
    /// Where LiteLLM may answer differently, each with file and line.
    pub warnings: Vec<String>,
}

/// Why a set cannot be said in LiteLLM's words: an attachment chooses requests by something that
/// LiteLLM does not look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeyondLitellm {
    /// The attachment's place.
    pub place: Place,
    /// Its policy.
    pub policy: Arc<str>,
    /// What it names.
    pub dimension: Dimension,
}

impl std::fmt::Display for BeyondLitellm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { file, line } = &self.place;
        let (policy, list) = (self.policy.escape_debug(), self.dimension.plural());
        write!(
            f,
            "{file}:{line}: the attachment of `{policy}` names `{list}`, which LiteLLM does not \
                know"
        )
    }
}

impl std::error::Error for BeyondLitellm {}

/// The set as YAML for a LiteLLM config, as it is at the instant that it was made for: attachments
/// in the order of evaluation, which keeps ties as they are. What expires later is there, with a
/// warning. An `owner` has no place there and is left out.
///
/// # Errors
/// Where LiteLLM cannot tell the requests of an attachment from others.
pub fn export_litellm(set: &PolicySet) -> Result<Exported, BeyondLitellm> {
    let mut writer = Writer::default();
    writer.write_document(&set_tree(set)?);
    Ok(Exported {
        text: writer.text,
        warnings: export_warnings(set),
    })
}

/// The same as JSON.
///
/// # Errors
/// As of [`export_litellm`].
pub fn export_json(set: &PolicySet) -> Result<Json, BeyondLitellm> {
    Ok(set_tree(set)?.to_json())
}

/// One policy of a set as it stands in a LiteLLM config.
pub fn policy_for_litellm(set: &PolicySet, policy: &Policy) -> Json {
    write::litellm_policy(&PolicyDoc::from_policy(set, policy)).to_json()
}

/// One attachment of a set as it stands in a LiteLLM config.
///
/// # Errors
/// As of [`export_litellm`].
pub fn attachment_for_litellm(
    set: &PolicySet,
    attachment: &Attachment,
) -> Result<Json, BeyondLitellm> {
    require_litellm(set, attachment)?;
    Ok(write::litellm_attachment(&AttachmentDoc::from_attachment(set, attachment)).to_json())
}

fn require_litellm(set: &PolicySet, attachment: &Attachment) -> Result<(), BeyondLitellm> {
    let named = attachment
        .targets
        .written()
        .filter(|(_, patterns)| patterns.is_some());
    let mut beyond = named
        .map(|(dimension, _)| dimension)
        .filter(|of| !Dimension::LITELLM.contains(of));
    match beyond.next() {
        None => Ok(()),
        Some(dimension) => {
            let policy = set
                .policy(attachment.policy)
                .map_or("".into(), |policy| policy.name.clone());
            Err(BeyondLitellm {
                place: attachment.place.clone(),
                policy,
                dimension,
            })
        }
    }
}

fn set_tree(set: &PolicySet) -> Result<Tree, BeyondLitellm> {
    set.attachments
        .iter()
        .try_for_each(|attachment| require_litellm(set, attachment))?;
    let at = Span::default();
    let policies = set.policies.iter().map(|policy| {
        let tree = write::litellm_policy(&PolicyDoc::from_policy(set, policy));
        (policy.name.to_string(), tree)
    });
    let attachments = set
        .attachments
        .iter()
        .map(|a| write::litellm_attachment(&AttachmentDoc::from_attachment(set, a)));
    let fields = vec![
        (
            "policies".to_owned(),
            Tree::new(Value::Map(policies.collect()), at),
        ),
        (
            "policy_attachments".to_owned(),
            Tree::new(Value::List(attachments.collect()), at),
        ),
    ];

    Ok(Tree::new(Value::Map(fields), at))
}

/// LiteLLM takes a requested name with this prefix for the id of a version.
const VERSION_PREFIX: &str = "policy_";

/// LiteLLM replaces a value with this prefix by a variable of its environment.
const ENVIRONMENT_PREFIX: &str = "os.environ/";

fn export_warnings(set: &PolicySet) -> Vec<String> {
    let mut warnings = Vec::new();
    for policy in &set.policies {
        let name = &policy.name;
        let mut say = |said: String| {
            warnings.push(format!(
                "{}:{}: {said}",
                policy.place.file, policy.place.line
            ))
        };

        if name.starts_with(VERSION_PREFIX) {
            say(format!(
                "a request that names `{name}` gets nothing from LiteLLM, which takes the name for \
                    a version id"
            ));
        }

        for text in replaceable_names(&PolicyDoc::from_policy(set, policy))
            .filter(|text| text.starts_with(ENVIRONMENT_PREFIX))
        {
            say(format!(
                "LiteLLM replaces `{}` in the policy `{name}` by a variable of its environment",
                text.value
            ));
        }
    }

    for attachment in &set.attachments {
        let Some(expires) = attachment.expires else {
            continue;
        };
        let policy = set
            .policy(attachment.policy)
            .map_or("", |policy| &policy.name);
        let Place { file, line } = &attachment.place;
        warnings.push(format!(
            "{file}:{line}: the attachment of `{policy}` expires at {expires}, and LiteLLM keeps \
                it beyond: export again then"
        ));
    }

    warnings
}

/// The texts of a policy that LiteLLM looks at for variables: values of keys, not items of lists.
fn replaceable_names(policy: &PolicyDoc) -> impl Iterator<Item = Text> + use<> {
    let steps = policy
        .pipeline
        .clone()
        .map(|pipeline| pipeline.steps)
        .unwrap_or_default();
    let of_steps = steps
        .into_iter()
        .flat_map(|step| [Some(step.guardrail), step.modify_response_message]);
    let own = [
        Some(policy.name.clone()),
        policy.description.clone(),
        policy.inherit.clone(),
    ];

    own.into_iter().chain(of_steps).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, load_file};
    use crate::interop::import_config;
    use crate::policy::{Levels, check_documents};

    #[test]
    fn what_litellm_would_read_otherwise_is_said() {
        let config = "policies:\n  policy_a: {guardrails: [g], condition: {model: [os.environ/M]}}\npolicy_attachments:\n- {policy: policy_a, scope: '*'}\n";
        let imported = import_config("config.yaml", config.to_owned());
        let exported = export_litellm(&imported.set.expect("a set")).expect("LiteLLM's words");
        let want = "policies:\n  policy_a:\n    guardrails:\n      add:\n        - g\n    condition:\n      model:\n        - os.environ/M\npolicy_attachments:\n  - policy: policy_a\n    scope: \"*\"\n";
        assert_eq!(exported.text, want);
        let [warning] = exported.warnings.as_slice() else {
            panic!("{:?}", exported.warnings)
        };

        assert!(
            warning.starts_with("policies/policy-a.yaml:1: a request that names `policy_a`"),
            "{warning}"
        );
    }

    #[test]
    fn a_set_that_looks_at_users_or_tools_is_refused_with_the_place() {
        for field in ["users", "tools"] {
            let text = format!(
                "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {{add: [g]}}\n---\n\
                 apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nteams: [t]\n\
                 {field}: ['*']\n"
            );
            let loaded = load_file("x.yaml", text.into_bytes(), &Limits::DEFAULT);
            let set = check_documents(loaded, &Levels::default())
                .set
                .expect("a set");
            let refused = export_litellm(&set).expect_err("LiteLLM has no such list");
            assert_eq!(export_json(&set), Err(refused.clone()));
            let want = format!(
                "x.yaml:6: the attachment of `p` names `{field}`, which LiteLLM does not know"
            );
            assert_eq!(refused.to_string(), want);
        }
    }
}
