//! Whether one attachment matches one context, dimension by dimension.

use std::fmt;

use super::Context;
use crate::document::{Dimension, PerDimension};
use crate::policy::{Attachment, Pattern, is_asked_for, meets_values};

/// Whether an attachment matches.
pub(super) fn matches_context(attachment: &Attachment, context: &Context) -> bool {
    attachment.everywhere || attachment.targets.matches_context(context)
}

/// Each dimension by itself; one that an attachment does not name matches.
pub(super) fn by_dimension(attachment: &Attachment, context: &Context) -> PerDimension<bool> {
    PerDimension::from_fn(|dimension| {
        let patterns = attachment.targets[dimension].as_deref();
        attachment.everywhere
            || patterns
                .is_none_or(|patterns| meets_values(dimension, patterns, context.values(dimension)))
    })
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
    fn find_first(patterns: &[Pattern], tags: &[String]) -> Self {
        tags.iter()
            .position(|tag| is_asked_for(patterns, tag))
            .map_or(Self::NONE, Self::new)
    }

    /// Of an attachment for a request that it matches.
    pub(super) fn find_match(attachment: &Attachment, context: &Context) -> Self {
        let patterns = attachment.targets[Dimension::Tag].as_deref();
        let tags = context.values(Dimension::Tag);
        patterns.map_or(Self::NONE, |patterns| Self::find_first(patterns, tags))
    }

    fn tag_in(self, context: &Context) -> Option<&str> {
        context
            .values(Dimension::Tag)
            .get(usize::from(self.0))
            .map(String::as_str)
    }
}

impl From<TagAt> for u64 {
    fn from(TagAt(at): TagAt) -> Self {
        at.into()
    }
}

/// Which dimensions an attachment names: what its reason is made of, without looking at the
/// attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedDimensions(u16);

impl NamedDimensions {
    const DEFAULT: u16 = 1;
    const EVERYWHERE: u16 = 2;

    /// The bit of a dimension, after those of the flags.
    const fn dimension_bit(dimension: Dimension) -> u16 {
        4 << dimension as u16
    }

    pub(super) fn from_attachment(attachment: &Attachment) -> Self {
        let flags = [
            (Self::DEFAULT, attachment.default),
            (Self::EVERYWHERE, attachment.everywhere),
        ];
        let named = attachment.targets.iter();
        let named =
            named.map(|(dimension, patterns)| (Self::dimension_bit(dimension), patterns.is_some()));
        let bits = flags.into_iter().chain(named).filter(|(_, is)| *is);

        Self(bits.fold(0, |names, (bit, _)| names | bit))
    }

    fn has_bit(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    pub(super) fn is_default(self) -> bool {
        self.has_bit(Self::DEFAULT)
    }

    pub(super) fn has_tags(self) -> bool {
        self.has_bit(Self::dimension_bit(Dimension::Tag))
    }
}

/// Why an attachment matched a request, in LiteLLM's words: `tag:…+team:…+key:…+model:…`, `scope:*`
/// or `scope:default`, after `default:` where it is a default one.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a> {
    pub(super) names: NamedDimensions,
    pub(super) tag: TagAt,
    pub(super) context: &'a Context,
}

impl<'a> Reason<'a> {
    pub(super) fn new(attachment: &'a Attachment, context: &'a Context) -> Self {
        Self {
            names: NamedDimensions::from_attachment(attachment),
            tag: TagAt::find_match(attachment, context),
            context,
        }
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
    pub(super) fn each_part(&self, mut say: impl FnMut(&'a str)) {
        if self.is_default() {
            say("default:");
        }

        if self.names.has_bit(NamedDimensions::EVERYWHERE) {
            say("scope:*");
            return;
        }

        let context = self.context;
        let mut first = true;
        for dimension in Dimension::REASONED {
            let value = match dimension {
                Dimension::Tag => self.tag.tag_in(context),
                other if self.names.has_bit(NamedDimensions::dimension_bit(other)) => {
                    context.value(other).filter(|value| !value.is_empty())
                }
                _ => None,
            };

            let Some(value) = value else { continue };

            if !first {
                say("+");
            }

            first = false;
            say(dimension.singular());
            say(":");
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
        self.each_part(|piece| result = result.and_then(|()| f.write_str(piece)));
        result
    }
}
