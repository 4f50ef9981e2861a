//! From a context to the attachments that may match it, without looking at the others.
//!
//! Each attachment is filed under one dimension only: the one whose patterns it shares with the fewest
//! others. Exact values are found by hash; prefixes by hash too, one table a length. What is found is a
//! superset of what matches; the engine looks at each.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Context;
use crate::policy::{Attachment, Pattern, PolicyId};

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// What the engine looks at of every candidate, side by side in memory: most need no more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub policy: PolicyId,
    pub default: bool,
    /// A context that finds the attachment here matches it: no dimension narrows it but the one it is filed under.
    pub decided: bool,
}

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Of each attachment, by its rank.
    entries: Vec<Entry>,
    /// Attachments that no dimension narrows.
    always: Vec<Rank>,
    teams: Dimension,
    keys: Dimension,
    models: Dimension,
    tags: Dimension,
}

/// The attachments filed under each text.
type Table = FxHashMap<Arc<str>, Vec<Rank>>;

#[derive(Debug, Default)]
struct Dimension {
    exact: Table,
    /// One table for each length of prefix, in bytes.
    prefixes: Vec<(usize, Table)>,
}

impl Index {
    /// Files every attachment; they come in the order of evaluation.
    pub(super) fn new(attachments: &[Arc<Attachment>]) -> Self {
        let crowd = Crowd::new(attachments);
        let mut index = Self::default();
        for (rank, attachment) in (0..).zip(attachments) {
            let decided = dimensions(attachment).len() < 2;
            index.entries.push(Entry { policy: attachment.policy, default: attachment.default, decided });
            match crowd.narrowest(attachment) {
                None => index.always.push(rank),
                Some((dimension, patterns)) => index.dimension(dimension).file(patterns, rank),
            }
        }
        for dimension in [&mut index.teams, &mut index.keys, &mut index.models, &mut index.tags] {
            dimension.prefixes.sort_by_key(|(length, _)| *length);
        }
        index
    }

    fn dimension(&mut self, name: Name) -> &mut Dimension {
        match name {
            Name::Teams => &mut self.teams,
            Name::Keys => &mut self.keys,
            Name::Models => &mut self.models,
            Name::Tags => &mut self.tags,
        }
    }

    pub(super) fn entry(&self, rank: Rank) -> Option<Entry> {
        self.entries.get(rank as usize).copied()
    }

    /// The attachments that may match, in the order of evaluation, each once.
    pub(super) fn candidates(&self, context: &Context, found: &mut Vec<Rank>) {
        found.extend_from_slice(&self.always);
        for (dimension, value) in
            [(&self.teams, &context.team), (&self.keys, &context.key), (&self.models, &context.model)]
        {
            if let Some(value) = value {
                dimension.find(value, found);
            }
        }
        for tag in &context.tags {
            self.tags.find(tag, found);
        }
        found.sort_unstable();
        found.dedup();
    }
}

impl Dimension {
    fn file(&mut self, patterns: &[Pattern], rank: Rank) {
        for pattern in patterns {
            let (table, text) = match pattern {
                Pattern::Exact(text) => (&mut self.exact, text),
                Pattern::Prefix(text) => (self.table(text.len()), text),
            };
            let ranks = table.entry(text.clone()).or_default();
            if ranks.last() != Some(&rank) {
                ranks.push(rank);
            }
        }
    }

    fn table(&mut self, length: usize) -> &mut Table {
        let at = match self.prefixes.iter().position(|(l, _)| *l == length) {
            Some(at) => at,
            None => {
                self.prefixes.push((length, FxHashMap::default()));
                self.prefixes.len() - 1
            }
        };
        // `at` was found or made just now; the exact table is never reached.
        self.prefixes.get_mut(at).map_or(&mut self.exact, |(_, table)| table)
    }

    fn find(&self, value: &str, found: &mut Vec<Rank>) {
        if let Some(ranks) = self.exact.get(value) {
            found.extend_from_slice(ranks);
        }
        for (length, table) in &self.prefixes {
            // Not a boundary of characters: no prefix of that length is a prefix of the value.
            match value.get(..*length) {
                Some(prefix) => found.extend(table.get(prefix).into_iter().flatten()),
                None if *length > value.len() => break,
                None => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Keys,
    Teams,
    Tags,
    Models,
}

/// How many attachments share each pattern.
struct Crowd<'a>(FxHashMap<(Name, &'a Pattern), u32>);

impl<'a> Crowd<'a> {
    fn new(attachments: &'a [Arc<Attachment>]) -> Self {
        let mut counts = FxHashMap::default();
        for attachment in attachments {
            for (name, patterns) in dimensions(attachment) {
                for pattern in patterns {
                    *counts.entry((name, pattern)).or_insert(0) += 1;
                }
            }
        }
        Self(counts)
    }

    /// The dimension whose patterns the fewest others share; `None` where none narrows.
    fn narrowest(&self, attachment: &'a Attachment) -> Option<(Name, &'a [Pattern])> {
        let crowd = |(name, patterns): &(Name, &'a [Pattern])| {
            let count: u32 = patterns.iter().map(|p| self.0.get(&(*name, p)).copied().unwrap_or(0)).sum();
            let wide = patterns.iter().any(|p| matches!(p, Pattern::Prefix(_)));
            (count, wide)
        };
        dimensions(attachment).into_iter().min_by_key(crowd)
    }
}

/// The dimensions that narrow an attachment. One with `*` matches also an absent value: it does not;
/// but of tags it asks for some tag.
fn dimensions(attachment: &Attachment) -> Vec<(Name, &[Pattern])> {
    if attachment.everywhere {
        return Vec::new();
    }
    let targets = &attachment.targets;
    let named = [
        (Name::Keys, &targets.keys),
        (Name::Teams, &targets.teams),
        (Name::Tags, &targets.tags),
        (Name::Models, &targets.models),
    ];
    named
        .into_iter()
        .filter_map(|(name, patterns)| Some((name, patterns.as_deref()?)))
        .filter(|(name, patterns)| *name == Name::Tags || !patterns.iter().any(Pattern::is_any))
        .collect()
}
