//! A resolution as the JSON object of the API: one shape for the command line and the daemon.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Near, Resolution, ResolvedPipeline, ResolvedPolicy, Subject};
use crate::policy::{Policy, PolicyId};

/// Where an answer comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The set's name: an environment, `worktree`, `staged`, or a revision.
    pub set: &'a str,
    /// The commit; `None` of a work tree or index.
    pub commit: Option<&'a str>,
    /// The promotion's number, where it is one.
    pub promotion: Option<u64>,
}

/// Which parts of an answer are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// `guardrails`
    pub guardrails: bool,
    /// `policies`
    pub policies: bool,
    /// `pipelines`
    pub pipelines: bool,
    /// `pipeline_guardrails`
    pub pipeline_guardrails: bool,
    /// `unknown`
    pub unknown: bool,
}

impl Fields {
    /// Everything.
    pub const ALL: Self =
        Self { guardrails: true, policies: true, pipelines: true, pipeline_guardrails: true, unknown: true };

    /// From a list such as `guardrails,pipelines`.
    ///
    /// # Errors
    /// The first name that is none of the five.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut fields =
            Self { guardrails: false, policies: false, pipelines: false, pipeline_guardrails: false, unknown: false };
        for name in list.split(',').map(str::trim) {
            match name {
                "guardrails" => fields.guardrails = true,
                "policies" => fields.policies = true,
                "pipelines" => fields.pipelines = true,
                "pipeline_guardrails" => fields.pipeline_guardrails = true,
                "unknown" => fields.unknown = true,
                other => return Err(other.to_owned()),
            }
        }
        Ok(fields)
    }
}

/// What numbers a policy of the set, by its place in it.
pub type Numbering<'a> = &'a dyn Fn(PolicyId, &Policy) -> Option<u64>;

/// An answer, ready to be written as JSON.
pub struct Answer<'a> {
    /// Where it comes from.
    pub origin: Origin<'a>,
    /// What the request gets.
    pub resolution: &'a Resolution<'a>,
    /// The version number of a policy of the set; `None` while unknown.
    pub version: Numbering<'a>,
    /// Which parts are wanted.
    pub fields: Fields,
    /// Why attachments did or did not match, where it was asked for.
    pub explain: Option<&'a [Near]>,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin, resolution, fields, .. } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("set", origin.set)?;
        map.serialize_entry("commit", &origin.commit)?;
        map.serialize_entry("promotion", &origin.promotion)?;
        if fields.guardrails {
            map.serialize_entry("guardrails", &resolution.guardrails)?;
        }
        if fields.policies {
            let policies = resolution.policies.iter().map(|policy| PolicyAnswer { policy, version: self.version });
            map.serialize_entry("policies", &policies.collect::<Vec<_>>())?;
        }
        if fields.pipelines {
            let pipelines: Vec<_> = resolution.pipelines.iter().map(PipelineAnswer).collect();
            map.serialize_entry("pipelines", &pipelines)?;
        }
        if fields.pipeline_guardrails {
            map.serialize_entry("pipeline_guardrails", &resolution.pipeline_guardrails)?;
        }
        if fields.unknown {
            map.serialize_entry("unknown", &resolution.unknown)?;
        }
        if let Some(explain) = self.explain {
            map.serialize_entry("explain", explain)?;
        }
        map.end()
    }
}

struct PolicyAnswer<'a> {
    policy: &'a ResolvedPolicy<'a>,
    version: Numbering<'a>,
}

impl ResolvedPolicy<'_> {
    /// The number of its version.
    pub fn version(&self, numbering: Numbering<'_>) -> Option<u64> {
        match (self.subject, self.id) {
            (Subject::Served(policy), Some(id)) => numbering(id, policy),
            (Subject::Served(_), None) => None,
            (Subject::Pinned(pinned), _) => pinned.version,
        }
    }
}

impl Serialize for PolicyAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subject = self.policy.subject;
        let version = self.policy.version(self.version);
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("name", subject.label())?;
        map.serialize_entry("version", &version)?;
        map.serialize_entry("digest", subject.digest())?;
        map.serialize_entry("matched_via", &self.policy.matched_via)?;
        map.serialize_entry("guardrails", &self.policy.guardrails)?;
        map.serialize_entry("chain", &self.policy.chain)?;
        map.end()
    }
}

struct PipelineAnswer<'a>(&'a ResolvedPipeline<'a>);

impl Serialize for PipelineAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ResolvedPipeline { policy, pipeline, set } = self.0;
        let steps: Vec<_> = pipeline.steps.iter().map(|step| StepAnswer { set, step }).collect();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("policy", policy)?;
        map.serialize_entry("mode", &pipeline.mode)?;
        map.serialize_entry("steps", &steps)?;
        map.end()
    }
}

struct StepAnswer<'a> {
    set: &'a crate::policy::PolicySet,
    step: &'a crate::policy::Step,
}

impl Serialize for StepAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let step = self.step;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("guardrail", self.set.guardrail(step.guardrail))?;
        map.serialize_entry("on_pass", &step.on_pass)?;
        map.serialize_entry("on_fail", &step.on_fail)?;
        map.serialize_entry("on_error", &step.on_error.unwrap_or(step.on_fail))?;
        map.serialize_entry("pass_data", &step.pass_data)?;
        if let Some(message) = &step.modify_response_message {
            map.serialize_entry("modify_response_message", message)?;
        }
        map.end()
    }
}
