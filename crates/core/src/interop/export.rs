//! A policy set as the `policies` and `policy_attachments` of a LiteLLM config.

use serde_json::Value as Json;

use super::model::{AttachmentDoc, PolicyDoc, Text};
use super::write;
use super::yaml::{Tree, Value, Writer};
use crate::document::Span;
use crate::policy::PolicySet;

/// A set for LiteLLM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// YAML with the keys `policies` and `policy_attachments`.
    pub text: String,
    /// Where LiteLLM may answer differently, each with file and line.
    pub warnings: Vec<String>,
}

/// The set as YAML for a LiteLLM config: attachments in the order of evaluation, which keeps ties as
/// they are. An `owner` has no place there and is left out.
pub fn export_litellm(set: &PolicySet) -> Exported {
    let mut writer = Writer::default();
    writer.document(&tree(set));
    Exported { text: writer.text, warnings: warnings(set) }
}

/// The same as JSON.
pub fn export_json(set: &PolicySet) -> Json {
    tree(set).to_json()
}

fn tree(set: &PolicySet) -> Tree {
    let at = Span::default();
    let policies = set.policies.iter().map(|policy| {
        let tree = write::litellm_policy(&PolicyDoc::of(set, policy));
        (policy.name.to_string(), tree)
    });
    let attachments =
        set.attachments.iter().map(|a| write::litellm_attachment(&AttachmentDoc::of(set, a)));
    let fields = vec![
        ("policies".to_owned(), Tree::new(Value::Map(policies.collect()), at)),
        ("policy_attachments".to_owned(), Tree::new(Value::List(attachments.collect()), at)),
    ];
    Tree::new(Value::Map(fields), at)
}

/// LiteLLM takes a requested name with this prefix for the id of a version.
const VERSION_PREFIX: &str = "policy_";

/// LiteLLM replaces a value with this prefix by a variable of its environment.
const ENVIRONMENT_PREFIX: &str = "os.environ/";

fn warnings(set: &PolicySet) -> Vec<String> {
    let mut warnings = Vec::new();
    for policy in &set.policies {
        let name = &policy.name;
        let mut say = |said: String| {
            warnings.push(format!("{}:{}: {said}", policy.place.file, policy.place.line))
        };
        if name.starts_with(VERSION_PREFIX) {
            say(format!(
                "a request that names `{name}` gets nothing from LiteLLM, which takes the name for a version id"
            ));
        }
        for text in replaceable(&PolicyDoc::of(set, policy))
            .filter(|text| text.starts_with(ENVIRONMENT_PREFIX))
        {
            say(format!(
                "LiteLLM replaces `{}` in the policy `{name}` by a variable of its environment",
                text.value
            ));
        }
    }
    warnings
}

/// The texts of a policy that LiteLLM looks at for variables: values of keys, not items of lists.
fn replaceable(policy: &PolicyDoc) -> impl Iterator<Item = Text> + use<> {
    let steps = policy.pipeline.clone().map(|pipeline| pipeline.steps).unwrap_or_default();
    let of_steps =
        steps.into_iter().flat_map(|step| [Some(step.guardrail), step.modify_response_message]);
    let own = [Some(policy.name.clone()), policy.description.clone(), policy.inherit.clone()];
    own.into_iter().chain(of_steps).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::import_config;

    #[test]
    fn what_litellm_would_read_otherwise_is_said() {
        let config = "policies:\n  policy_a: {guardrails: [g], condition: {model: [os.environ/M]}}\npolicy_attachments:\n- {policy: policy_a, scope: '*'}\n";
        let imported = import_config("config.yaml", config.to_owned());
        let exported = export_litellm(&imported.set.expect("a set"));
        let want = "policies:\n  policy_a:\n    guardrails:\n      add:\n        - g\n    condition:\n      model:\n        - os.environ/M\npolicy_attachments:\n  - policy: policy_a\n    scope: \"*\"\n";
        assert_eq!(exported.text, want);
        let [warning] = exported.warnings.as_slice() else { panic!("{:?}", exported.warnings) };
        assert!(
            warning.starts_with("policies/policy-a.yaml:1: a request that names `policy_a`"),
            "{warning}"
        );
    }
}
