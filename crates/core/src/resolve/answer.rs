//! A resolution as the JSON object of the API: one shape for the command line and the daemon.
//!
//! Written straight into bytes. By way of serde's data model that took as long as finding out what
//! to say: most of an answer are names, and each of their bytes was looked at one by one.

use std::ops::Range;

use super::json::{self, Array, Object};
use super::wording::Words;
use super::{Near, Reason, Resolution, ResolvedPipeline, ResolvedPolicy};
use crate::policy::PolicyId;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    pub const ALL: Self = Self {
        guardrails: true,
        policies: true,
        pipelines: true,
        pipeline_guardrails: true,
        unknown: true,
    };

    /// From a list such as `guardrails,pipelines`.
    ///
    /// # Errors
    /// The first name that is none of the five.
    pub fn parse_list(list: &str) -> Result<Self, String> {
        let mut fields = Self {
            guardrails: false,
            policies: false,
            pipelines: false,
            pipeline_guardrails: false,
            unknown: false,
        };

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
pub type Numbering<'a> = &'a dyn Fn(PolicyId, &ResolvedPolicy<'_>) -> Option<u64>;

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

impl Answer<'_> {
    /// The object, as compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LITTLE);
        self.write_json(&mut bytes);
        bytes
    }

    /// Appends the answer as compact JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let Self {
            origin,
            resolution,
            fields,
            ..
        } = self;
        let mut object = Object::begin_object(out);
        object.add_text("set", origin.set);
        object.add_value("commit", &origin.commit);
        object.add_value("promotion", &origin.promotion);
        object.add_value("valid_until", &resolution.valid_until);
        if fields.guardrails {
            object.add_texts("guardrails", resolution.guardrails.iter().copied());
        }

        if fields.policies {
            object.add_array("policies", |array| self.write_policies(array));
        }

        if fields.pipelines {
            object.add_array("pipelines", |array| {
                resolution
                    .pipelines
                    .iter()
                    .for_each(|piped| write_pipeline(piped, array))
            });
        }

        if fields.pipeline_guardrails {
            object.add_texts(
                "pipeline_guardrails",
                resolution.pipeline_guardrails.iter().copied(),
            );
        }

        if fields.unknown {
            object.add_texts("unknown", resolution.unknown.iter().map(String::as_str));
        }

        if let Some(explain) = self.explain {
            object.add_value("explain", &explain);
        }

        object.end_object();
    }

    /// Looks up the details of all policies before writing any of them: in a large set each look-up
    /// waits for memory, and this way the waits overlap. It also gives the number of bytes.
    fn write_policies(&self, array: &mut Array<'_>) {
        let Resolution {
            policies, wording, ..
        } = self.resolution;
        let parts = policies.iter().map(|policy| {
            (
                policy,
                wording.words_of(policy),
                policy.version_number(self.version),
            )
        });
        let parts: Vec<_> = parts.collect();
        let known = parts
            .iter()
            .filter_map(|(_, words, _)| *words)
            .map(|words| words.len() + REASON)
            .sum::<usize>();

        array.reserve_bytes(known + LITTLE / 4);
        let mut reasons = Reasons::default();
        for (policy, known, version) in parts {
            let fresh;
            let words = match known {
                Some(words) => words,
                None => {
                    fresh = Words::new(policy);
                    &fresh
                }
            };

            let out = array.raw_item();
            out.extend_from_slice(words.before_version());
            json::write_value(out, &version);
            out.extend_from_slice(words.before_reason());
            match policy.matched_via() {
                Some(reason) => reasons.write_reason(reason, out),
                None => json::write_value(out, &None::<&str>),
            }

            out.extend_from_slice(words.rest());
        }
    }
}

/// Bytes of what every answer has.
const LITTLE: usize = 1024;
/// Bytes of a reason and a version, as a rule.
const REASON: usize = 48;

/// The reasons that an answer has given, and where: there are few different ones.
#[derive(Default)]
struct Reasons<'a>(Vec<(Reason<'a>, Range<usize>)>);

impl<'a> Reasons<'a> {
    fn write_reason(&mut self, reason: Reason<'a>, out: &mut Vec<u8>) {
        if let Some((_, place)) = self.0.iter().find(|(known, _)| known.reads_as(&reason)) {
            out.extend_from_within(place.clone());
            return;
        }

        let from = out.len();
        json::write_joined(out, |say| reason.each_part(say));
        self.0.push((reason, from..out.len()));
    }
}

impl ResolvedPolicy<'_> {
    /// The number of its version.
    pub fn version_number(&self, numbering: Numbering<'_>) -> Option<u64> {
        match self.pinned() {
            Some(pinned) => pinned.version,
            None => numbering(self.served_id()?, self),
        }
    }
}

fn write_pipeline(resolved: &ResolvedPipeline<'_>, array: &mut Array<'_>) {
    let ResolvedPipeline {
        policy,
        pipeline,
        set,
    } = resolved;
    let mut object = array.add_object();
    object.add_text("policy", policy);
    object.add_value("mode", &pipeline.mode);
    object.add_array("steps", |array| {
        for step in &pipeline.steps {
            let mut object = array.add_object();
            object.add_text("guardrail", set.guardrail(step.guardrail));
            object.add_value("on_pass", &step.on_pass);
            object.add_value("on_fail", &step.on_fail);
            object.add_value("on_error", &step.on_error.unwrap_or(step.on_fail));
            object.add_value("pass_data", &step.pass_data);
            if let Some(message) = &step.modify_response_message {
                object.add_text("modify_response_message", message);
            }

            object.end_object();
        }
    });

    object.end_object();
}
