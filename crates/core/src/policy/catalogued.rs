//! What the catalogs know of a guardrail: when the gateway runs it, and for which calls.
//!
//! Several catalogs may speak of one guardrail. What they say is put together field by field; where
//! two of them say different things of one field, the rule `guardrail-conflict` refuses the set.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::draft::Item;
use crate::document::{
    GuardrailMode, PipelineMode, RawCatalog, RawGuardrail, RawStreamScope, SourceFile, Span,
    StreamScope,
};

/// A guardrail of the catalog. What no catalog mentions is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGuardrail {
    /// Its name.
    pub name: Arc<str>,
    /// When the gateway runs it, sorted.
    pub modes: Option<Vec<GuardrailMode>>,
    /// Whether the gateway runs it for every call.
    pub default_on: Option<bool>,
    /// Which calls it looks at in each mode: one scope for all modes, or one a mode.
    pub stream_scope: Option<StreamScopes>,
}

/// Which calls a guardrail looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamScopes {
    /// The same in every mode.
    All(StreamScope),
    /// By mode; `both` in a mode that is not named.
    ByMode(BTreeMap<GuardrailMode, StreamScope>),
}

impl StreamScopes {
    fn from_raw(raw: &RawStreamScope) -> Self {
        match raw {
            RawStreamScope::All(scope) => Self::All(*scope),
            RawStreamScope::ByMode(entries) => {
                let entries = entries.0.iter();
                let parsed =
                    entries.filter_map(|(mode, scope)| Some((GuardrailMode::parse(mode)?, *scope)));
                Self::ByMode(parsed.collect())
            }
        }
    }

    /// The scope in a mode.
    pub fn scope_in(&self, mode: GuardrailMode) -> StreamScope {
        match self {
            Self::All(scope) => *scope,
            Self::ByMode(scopes) => scopes.get(&mode).copied().unwrap_or(StreamScope::Both),
        }
    }
}

impl KnownGuardrail {
    /// One of which nothing but the name is known.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            modes: None,
            default_on: None,
            stream_scope: None,
        }
    }

    /// Whether the gateway runs it in a mode; `None`: not known.
    pub fn runs_in(&self, mode: GuardrailMode) -> Option<bool> {
        self.modes.as_ref().map(|modes| modes.contains(&mode))
    }

    /// Whether some calls pass it by in a mode because of how they are streamed.
    pub fn may_be_skipped(&self, mode: GuardrailMode) -> bool {
        self.stream_scope
            .as_ref()
            .is_some_and(|scopes| scopes.scope_in(mode) != StreamScope::Both)
    }

    /// As JSON: the name, and everything else that is known.
    pub fn to_json(&self) -> serde_json::Value {
        let mut fields = serde_json::Map::new();
        fields.insert("name".to_owned(), (*self.name).into());
        if let Some(modes) = &self.modes {
            fields.insert("modes".to_owned(), serde_json::json!(modes));
        }

        if let Some(default_on) = self.default_on {
            fields.insert("default_on".to_owned(), default_on.into());
        }

        match &self.stream_scope {
            None => {}
            Some(StreamScopes::All(scope)) => {
                fields.insert("stream_scope".to_owned(), serde_json::json!(scope));
            }
            Some(StreamScopes::ByMode(scopes)) => {
                fields.insert("stream_scope".to_owned(), serde_json::json!(scopes));
            }
        }

        serde_json::Value::Object(fields)
    }
}

impl PipelineMode {
    /// The mode in which a guardrail has to run to be a step.
    pub fn guardrail_mode(self) -> GuardrailMode {
        match self {
            Self::PreCall => GuardrailMode::PreCall,
            Self::PostCall => GuardrailMode::PostCall,
        }
    }
}

/// Two places of catalogs that say different things of one guardrail.
#[derive(Debug, Clone, Copy)]
pub struct Conflict<'a> {
    /// The guardrail.
    pub name: &'a str,
    /// What they differ in.
    pub field: &'static str,
    /// The first place.
    pub first: (&'a SourceFile, Span),
    /// The other one.
    pub second: (&'a SourceFile, Span),
}

/// A guardrail, with the places that its facts come from.
#[derive(Debug)]
struct Merged<'a> {
    known: KnownGuardrail,
    modes_at: Option<(&'a SourceFile, Span)>,
    default_on_at: Option<(&'a SourceFile, Span)>,
    stream_scope_at: Option<(&'a SourceFile, Span)>,
}

/// The guardrails of all catalogs by name, `None` where no catalog lists any; and what they
/// disagree in.
pub(super) fn merge_catalogs<'a>(
    catalogs: &[Item<'a, RawCatalog>],
) -> (Option<BTreeMap<&'a str, KnownGuardrail>>, Vec<Conflict<'a>>) {
    let mut merged: BTreeMap<&str, Merged<'_>> = BTreeMap::new();
    let mut conflicts = Vec::new();
    let mut is_listed = false;
    for item in catalogs {
        is_listed |= item.raw.guardrails.is_some();
        for raw in item.raw.guardrails.iter().flatten() {
            let name = raw.name.as_str();
            let into = merged.entry(name).or_insert_with(|| Merged::named(name));
            into.add_entry(name, raw, item.file, &mut conflicts);
        }
    }

    let known = merged
        .into_iter()
        .map(|(name, merged)| (name, merged.known))
        .collect();
    (is_listed.then_some(known), conflicts)
}

impl<'a> Merged<'a> {
    fn named(name: &str) -> Self {
        Self {
            known: KnownGuardrail::named(name),
            modes_at: None,
            default_on_at: None,
            stream_scope_at: None,
        }
    }

    fn add_entry(
        &mut self,
        name: &'a str,
        raw: &RawGuardrail,
        file: &'a SourceFile,
        conflicts: &mut Vec<Conflict<'a>>,
    ) {
        let mut conflict = |field, first: Option<(&'a SourceFile, Span)>, span| {
            let first = first.unwrap_or((file, span));
            conflicts.push(Conflict {
                name,
                field,
                first,
                second: (file, span),
            });
        };

        if let Some(modes) = &raw.modes {
            let mut own: Vec<GuardrailMode> = modes.0.iter().map(|mode| mode.value).collect();
            own.sort_unstable();
            own.dedup();
            match &self.known.modes {
                Some(known) if *known != own => conflict("modes", self.modes_at, modes.span),
                Some(_) => {}
                None => {
                    (self.known.modes, self.modes_at) = (Some(own), Some((file, modes.span)));
                }
            }
        }

        if let Some(default_on) = &raw.default_on {
            match self.known.default_on {
                Some(known) if known != default_on.value => {
                    conflict("default_on", self.default_on_at, default_on.span);
                }
                Some(_) => {}
                None => {
                    self.known.default_on = Some(default_on.value);
                    self.default_on_at = Some((file, default_on.span));
                }
            }
        }

        if let Some(scope) = &raw.stream_scope {
            let own = StreamScopes::from_raw(scope);
            match &self.known.stream_scope {
                Some(known) if *known != own => {
                    conflict("stream_scope", self.stream_scope_at, scope.span);
                }
                Some(_) => {}
                None => {
                    self.known.stream_scope = Some(own);
                    self.stream_scope_at = Some((file, scope.span));
                }
            }
        }
    }
}
