//! A request as the engine sees it, and how it is read from JSON.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::object_only::ObjectOnly;
use crate::document::{Dimension, MAX_TAGS, MAX_VALUE};
use crate::policy::{ConditionId, Context, Pipeline};

/// A context and the policies that the request names itself.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Who asks for what.
    pub context: Context,
    /// Policies asked for, in the request's order.
    pub policies: Vec<Requested>,
}

/// A policy that a request names.
#[derive(Debug, Clone)]
pub enum Requested {
    /// By its name: the version that the set holds.
    Named(String),
    /// `NAME@N`: one version, beside the set.
    Pinned(Arc<Pinned>),
    /// `NAME@N` that does not exist.
    Missing(String),
}

/// One version of a policy, held apart from the set: it adds to a request and replaces nothing.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// `NAME@N`, as it is listed.
    pub label: String,
    /// Its version number.
    pub version: Option<u64>,
    /// Its digest.
    pub digest: Arc<str>,
    /// The set of that version's own document, alone: it has one policy.
    pub set: Arc<crate::policy::PolicySet>,
    /// The parent's name, to be found in the served set.
    pub parent: Option<String>,
}

impl Pinned {
    /// Its own document.
    pub fn policy(&self) -> Option<&crate::policy::Policy> {
        self.set.policies.first().map(|policy| &**policy)
    }

    /// Whether its own condition holds.
    pub fn condition_holds(&self, model: Option<&str>) -> bool {
        let condition: Option<&Vec<ConditionId>> =
            self.policy().and_then(|policy| policy.condition.as_ref());
        condition.is_none_or(|condition| self.set.condition_holds(condition, model))
    }

    /// Its own pipeline.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.policy()?.pipeline.as_ref()
    }
}

/// Why a JSON value is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadContext(pub String);

impl std::fmt::Display for BadContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadContext {}

/// As it is written: both spellings, so that two of one dimension can be told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct RawContext {
    team: Option<String>,
    team_alias: Option<String>,
    key: Option<String>,
    key_alias: Option<String>,
    model: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    user: Option<String>,
    tool: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct RawRequest {
    context: ObjectOnly<RawContext>,
    #[serde(default)]
    policies: Vec<String>,
}

impl RawContext {
    /// The values of a dimension, under either of its names.
    fn take_values(&mut self, dimension: Dimension) -> Result<Vec<String>, BadContext> {
        let (value, alias) = match dimension {
            Dimension::Team => (self.team.take(), self.team_alias.take()),
            Dimension::Key => (self.key.take(), self.key_alias.take()),
            Dimension::Model => (self.model.take(), None),
            Dimension::User => (self.user.take(), None),
            Dimension::Tool => (self.tool.take(), None),
            Dimension::Tag => return Ok(self.tags.take().unwrap_or_default()),
        };

        if let (Some(_), Some(_), Some(alias)) = (&value, &alias, dimension.alias()) {
            let name = dimension.singular();
            return Err(BadContext(format!("both `{name}` and `{alias}` are given")));
        }

        Ok(value.or(alias).into_iter().collect())
    }
}

impl Context {
    /// A context from its JSON object; null is absent.
    ///
    /// # Errors
    /// An unknown field, a wrong type, both spellings of one dimension, and those of
    /// [`Self::within_limits`].
    pub fn from_json(value: &Value) -> Result<Self, BadContext> {
        ObjectOnly::<RawContext>::deserialize(value)
            .map_err(|e| BadContext(e.to_string()))
            .and_then(|ObjectOnly(raw)| Self::from_raw(raw))
    }

    fn from_raw(mut raw: RawContext) -> Result<Self, BadContext> {
        let mut context = Self::default();
        for dimension in Dimension::ALL {
            let values = raw.take_values(dimension)?;
            context.extend(values.into_iter().map(|value| (dimension, value)));
        }

        context.within_limits()
    }

    /// The context itself, if it does not pass a limit.
    ///
    /// # Errors
    /// More than 256 tags, or a value of more than 1,024 bytes.
    pub fn within_limits(self) -> Result<Self, BadContext> {
        let long = Dimension::ALL.into_iter().find_map(|dimension| {
            let values = self.values(dimension).iter();
            Some((
                dimension,
                values.map(String::len).find(|length| *length > MAX_VALUE)?,
            ))
        });

        if let Some((dimension, bytes)) = long {
            return Err(BadContext(format!(
                "a value of `{}` has {bytes} bytes: the limit `request-value` is {MAX_VALUE}",
                dimension.context_field()
            )));
        }

        match self.values(Dimension::Tag).len() {
            0..=MAX_TAGS => Ok(self),
            tags => Err(BadContext(format!(
                "{tags} tags: the limit `request-tags` is {MAX_TAGS}"
            ))),
        }
    }
}

/// What the API is asked: one request, or many at once. Policies are named as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives on the stack while a request is answered"
)]
pub enum Asked {
    /// `{"context":{…},"policies":[…]}`
    One(Context, Vec<String>),
    /// `{"requests":[…]}`
    Batch(Vec<(Context, Vec<String>)>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct RawAsked {
    context: Option<ObjectOnly<RawContext>>,
    policies: Option<Vec<String>>,
    requests: Option<Vec<ObjectOnly<RawRequest>>>,
}

impl Asked {
    /// From the bytes of a body.
    ///
    /// # Errors
    /// As of [`Context::from_json`], and where it is no JSON, is neither of the two, or is both.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BadContext> {
        let ObjectOnly(raw): ObjectOnly<RawAsked> =
            serde_json::from_slice(bytes).map_err(|e| BadContext(e.to_string()))?;
        match raw {
            RawAsked {
                context: Some(ObjectOnly(context)),
                policies,
                requests: None,
            } => Ok(Self::One(
                Context::from_raw(context)?,
                policies.unwrap_or_default(),
            )),
            RawAsked {
                context: None,
                policies: None,
                requests: Some(requests),
            } => {
                let one = |(number, ObjectOnly(raw)): (usize, ObjectOnly<RawRequest>)| {
                    match Context::from_raw(raw.context.0) {
                        Ok(context) => Ok((context, raw.policies)),
                        Err(BadContext(fault)) => {
                            Err(BadContext(format!("request {number}: {fault}")))
                        }
                    }
                };

                requests
                    .into_iter()
                    .enumerate()
                    .map(one)
                    .collect::<Result<_, _>>()
                    .map(Self::Batch)
            }
            RawAsked {
                requests: Some(_), ..
            } => Err(BadContext(
                "`requests` stands beside another field".to_owned(),
            )),
            RawAsked { context: None, .. } => Err(BadContext(
                "missing field `context` (or `requests`)".to_owned(),
            )),
        }
    }
}

impl Request {
    /// `{"context":{…},"policies":[…]}`: the context, and the names as they were written.
    ///
    /// # Errors
    /// As of [`Context::from_json`].
    pub fn parts_from_json(value: &Value) -> Result<(Context, Vec<String>), BadContext> {
        let ObjectOnly(raw) =
            ObjectOnly::<RawRequest>::deserialize(value).map_err(|e| BadContext(e.to_string()))?;
        Ok((Context::from_raw(raw.context.0)?, raw.policies))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_beyond_a_limit_is_none() {
        let fits = json!({"team_alias": "x".repeat(1024), "tags": vec!["t"; 256]});
        assert!(Context::from_json(&fits).is_ok());
        for (dimension, value) in [
            ("team", json!({"team": "é".repeat(513)})),
            ("key", json!({"key_alias": "é".repeat(513)})),
            ("model", json!({"model": "é".repeat(513)})),
            ("tags", json!({"tags": ["short", "é".repeat(513)]})),
            ("user", json!({"user": "é".repeat(513)})),
            ("tool", json!({"tool": "é".repeat(513)})),
        ] {
            let want = format!(
                "a value of `{dimension}` has 1026 bytes: the limit `request-value` is 1024"
            );
            assert_eq!(Context::from_json(&value), Err(BadContext(want)));
        }

        let many = json!({"tags": vec!["t"; 257]});
        let want = "257 tags: the limit `request-tags` is 256".to_owned();
        assert_eq!(Context::from_json(&many), Err(BadContext(want)));
    }
}
