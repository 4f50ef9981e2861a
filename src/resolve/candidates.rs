//! Whether one attachment matches one context, dimension by dimension.

use super::Context;
use crate::policy::{Attachment, Pattern};

/// One dimension of an attachment against a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    pub teams: bool,
    pub keys: bool,
    pub models: bool,
    pub tags: bool,
}

impl Match {
    pub(super) fn all(self) -> bool {
        self.teams && self.keys && self.models && self.tags
    }
}

/// Whether an attachment matches.
pub(super) fn matches(attachment: &Attachment, context: &Context) -> bool {
    let Context { team, key, model, tags } = context;
    attachment.everywhere || attachment.targets.matches(team.as_deref(), key.as_deref(), model.as_deref(), tags)
}

/// Each dimension by itself.
pub(super) fn by_dimension(attachment: &Attachment, context: &Context) -> Match {
    let targets = &attachment.targets;
    let free = attachment.everywhere;
    Match {
        teams: free || value_matches(targets.teams.as_deref(), context.team.as_deref()),
        keys: free || value_matches(targets.keys.as_deref(), context.key.as_deref()),
        models: free || value_matches(targets.models.as_deref(), context.model.as_deref()),
        tags: free || tags_match(targets.tags.as_deref(), &context.tags),
    }
}

fn value_matches(patterns: Option<&[Pattern]>, value: Option<&str>) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(value)))
}

fn tags_match(patterns: Option<&[Pattern]>, tags: &[String]) -> bool {
    patterns.is_none_or(|patterns| first_tag(patterns, tags).is_some())
}

/// The first tag of the context that a pattern matches.
pub(super) fn first_tag<'c>(patterns: &[Pattern], tags: &'c [String]) -> Option<&'c str> {
    tags.iter().map(String::as_str).find(|tag| patterns.iter().any(|pattern| pattern.matches(Some(tag))))
}

/// Why it matched, in LiteLLM's words: `tag:…+team:…+key:…+model:…`, `scope:*` or `scope:default`.
pub(super) fn reason(attachment: &Attachment, context: &Context) -> String {
    let mut reason = String::new();
    if attachment.default {
        reason.push_str("default:");
    }
    if attachment.everywhere {
        reason.push_str("scope:*");
        return reason;
    }
    let targets = &attachment.targets;
    let tag = targets.tags.as_deref().and_then(|patterns| first_tag(patterns, &context.tags));
    let named = |patterns: &Option<Vec<Pattern>>, value: &'_ Option<String>| {
        value.clone().filter(|value| patterns.is_some() && !value.is_empty())
    };
    let parts = [
        ("tag", tag.map(str::to_owned)),
        ("team", named(&targets.teams, &context.team)),
        ("key", named(&targets.keys, &context.key)),
        ("model", named(&targets.models, &context.model)),
    ];
    let start = reason.len();
    for (name, value) in parts {
        if let Some(value) = value {
            if reason.len() > start {
                reason.push('+');
            }
            reason.push_str(name);
            reason.push(':');
            reason.push_str(&value);
        }
    }
    if reason.len() == start {
        reason.push_str("scope:default");
    }
    reason
}
