//! Whether one attachment matches one context, dimension by dimension.

use std::fmt;

use super::Context;
use crate::policy::{Attachment, Pattern, Targets};

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

/// Which dimensions an attachment names: what its reason is made of, without looking at the attachment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names(u8);

impl Names {
    const DEFAULT: u8 = 1;
    const EVERYWHERE: u8 = 2;
    const TEAMS: u8 = 4;
    const KEYS: u8 = 8;
    const MODELS: u8 = 16;
    const TAGS: u8 = 32;

    pub(super) fn of(attachment: &Attachment) -> Self {
        let Targets { teams, keys, models, tags } = &attachment.targets;
        let all = [
            (Self::DEFAULT, attachment.default),
            (Self::EVERYWHERE, attachment.everywhere),
            (Self::TEAMS, teams.is_some()),
            (Self::KEYS, keys.is_some()),
            (Self::MODELS, models.is_some()),
            (Self::TAGS, tags.is_some()),
        ];
        Self(all.into_iter().filter(|(_, is)| *is).fold(0, |names, (name, _)| names | name))
    }

    fn has(self, name: u8) -> bool {
        self.0 & name != 0
    }

    pub(super) fn is_default(self) -> bool {
        self.has(Self::DEFAULT)
    }

    pub(super) fn has_tags(self) -> bool {
        self.has(Self::TAGS)
    }
}

/// Why an attachment matched a request, in LiteLLM's words: `tag:…+team:…+key:…+model:…`, `scope:*` or
/// `scope:default`, after `default:` where it is a default one.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a> {
    pub(super) names: Names,
    /// The patterns of tags, where the attachment has any.
    pub(super) tags: Option<&'a [Pattern]>,
    pub(super) context: &'a Context,
}

impl<'a> Reason<'a> {
    pub(super) fn new(attachment: &'a Attachment, context: &'a Context) -> Self {
        Self { names: Names::of(attachment), tags: attachment.targets.tags.as_deref(), context }
    }

    /// Whether the attachment counted only because no other matched.
    pub fn is_default(&self) -> bool {
        self.names.is_default()
    }

    /// Its text, piece by piece.
    pub(super) fn say(&self, mut say: impl FnMut(&'a str)) {
        if self.is_default() {
            say("default:");
        }
        if self.names.has(Names::EVERYWHERE) {
            say("scope:*");
            return;
        }
        let context = self.context;
        let named = |name: u8, value: &'a Option<String>| {
            value.as_deref().filter(|value| self.names.has(name) && !value.is_empty())
        };
        let parts = [
            ("tag:", self.tags.and_then(|patterns| first_tag(patterns, &context.tags))),
            ("team:", named(Names::TEAMS, &context.team)),
            ("key:", named(Names::KEYS, &context.key)),
            ("model:", named(Names::MODELS, &context.model)),
        ];
        let mut first = true;
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if !first {
                say("+");
            }
            first = false;
            say(name);
            say(value);
        }
        if first {
            say("scope:default");
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.say(|piece| result = result.and_then(|()| f.write_str(piece)));
        result
    }
}
