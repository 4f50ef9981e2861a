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
    attachment.everywhere
        || attachment.targets.matches(team.as_deref(), key.as_deref(), model.as_deref(), tags)
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
    patterns.is_none_or(|patterns| tags.iter().any(|tag| asks_for(patterns, tag)))
}

fn asks_for(patterns: &[Pattern], tag: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(Some(tag)))
}

/// Which of a request's tags an attachment matched by: the first that it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TagAt(u16);

impl TagAt {
    /// None, or not looked for.
    pub(super) const NONE: Self = Self(u16::MAX);

    pub(super) fn new(at: usize) -> Self {
        u16::try_from(at).map_or(Self::NONE, Self)
    }

    /// The first tag that a pattern matches.
    fn first(patterns: &[Pattern], tags: &[String]) -> Self {
        tags.iter().position(|tag| asks_for(patterns, tag)).map_or(Self::NONE, Self::new)
    }

    /// Of an attachment for a request that it matches.
    pub(super) fn by(attachment: &Attachment, context: &Context) -> Self {
        attachment
            .targets
            .tags
            .as_deref()
            .map_or(Self::NONE, |patterns| Self::first(patterns, &context.tags))
    }

    fn of(self, context: &Context) -> Option<&str> {
        context.tags.get(usize::from(self.0)).map(String::as_str)
    }
}

impl From<TagAt> for u64 {
    fn from(TagAt(at): TagAt) -> Self {
        at.into()
    }
}

/// Which dimensions an attachment names: what its reason is made of, without looking at the attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(super) tag: TagAt,
    pub(super) context: &'a Context,
}

impl<'a> Reason<'a> {
    pub(super) fn new(attachment: &'a Attachment, context: &'a Context) -> Self {
        Self { names: Names::of(attachment), tag: TagAt::by(attachment, context), context }
    }

    /// Whether it reads the same as another of the same request.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        (self.names, self.tag) == (other.names, other.tag)
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
            ("tag:", self.tag.of(context)),
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
