//! From a context to the attachments that match it, without looking at the others.
//!
//! Each attachment is filed under one dimension only: the one whose patterns it shares with the fewest
//! others. Exact values are found by hash; prefixes by hash too, one table a length. What is filed says all
//! that is needed to go on, so that attachments and policies themselves are not touched; what the other
//! dimensions ask is kept once for all the attachments that ask the same.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Context;
use super::candidates::{Names, TagAt};
use super::memo::Memo;
use crate::policy::{Attachment, Pattern, PolicyId, Targets};

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// An attachment that matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub rank: Rank,
    pub policy: PolicyId,
    pub names: Names,
    /// The tag that it matched by, where it was found by its tags.
    pub tag: TagAt,
}

/// An attachment as it is filed: side by side in memory with those of the same pattern.
#[derive(Debug, Clone, Copy)]
struct Filed {
    /// Its tag is not known before a request comes.
    found: Found,
    /// What the dimensions ask that it is not filed under: an index of [`Index::rests`].
    rest: u32,
}

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Attachments that no dimension narrows.
    always: Vec<Found>,
    teams: Dimension,
    keys: Dimension,
    models: Dimension,
    tags: Dimension,
    /// Each distinct rest; the first asks nothing.
    rests: Vec<Targets>,
}

/// The attachments filed under each text.
type Table = FxHashMap<Arc<str>, Vec<Filed>>;

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
        let mut index = Self { rests: vec![Targets::default()], ..Self::default() };
        let mut known: FxHashMap<Targets, u32> = FxHashMap::default();
        for (rank, attachment) in (0..).zip(attachments) {
            let found = Found {
                rank,
                policy: attachment.policy,
                names: Names::of(attachment),
                tag: TagAt::NONE,
            };
            match crowd.narrowest(attachment) {
                None => index.always.push(found),
                Some((dimension, patterns)) => {
                    let rest = index.rest(attachment, dimension, &mut known);
                    index.dimension(dimension).file(patterns, Filed { found, rest });
                }
            }
        }
        for dimension in [&mut index.teams, &mut index.keys, &mut index.models, &mut index.tags] {
            dimension.prefixes.sort_by_key(|(length, _)| *length);
        }
        index
    }

    fn rest(
        &mut self,
        attachment: &Attachment,
        filed: DimensionName,
        known: &mut FxHashMap<Targets, u32>,
    ) -> u32 {
        let mut rest = Targets::default();
        for (name, patterns) in
            dimensions(attachment).into_iter().filter(|(name, _)| *name != filed)
        {
            *name.of(&mut rest) = Some(patterns.to_vec());
        }
        if rest == Targets::default() {
            return 0;
        }
        if let Some(number) = known.get(&rest) {
            return *number;
        }
        let number = u32::try_from(self.rests.len()).unwrap_or(u32::MAX);
        self.rests.push(rest.clone());
        known.insert(rest, number);
        number
    }

    fn dimension(&mut self, name: DimensionName) -> &mut Dimension {
        match name {
            DimensionName::Teams => &mut self.teams,
            DimensionName::Keys => &mut self.keys,
            DimensionName::Models => &mut self.models,
            DimensionName::Tags => &mut self.tags,
        }
    }

    /// The attachments that match, in the order of evaluation, each once.
    pub(super) fn matching(&self, context: &Context) -> Vec<Found> {
        let mut found = Vec::with_capacity(64);
        let mut rests = Memo::of(self.rests.len());
        found.extend_from_slice(&self.always);
        for (dimension, value) in [
            (&self.teams, &context.team),
            (&self.keys, &context.key),
            (&self.models, &context.model),
        ] {
            if let Some(value) = value {
                dimension.find(value, |filed| self.check(filed, context, &mut rests, &mut found));
            }
        }
        for (at, tag) in context.tags.iter().enumerate() {
            let before = found.len();
            self.tags.find(tag, |filed| self.check(filed, context, &mut rests, &mut found));
            found.iter_mut().skip(before).for_each(|found| found.tag = TagAt::new(at));
        }
        // Of several tags that an attachment asks for, the first.
        found.sort_unstable_by_key(|found| u64::from(found.rank) << 16 | u64::from(found.tag));
        found.dedup_by_key(|found| found.rank);
        found
    }

    /// Takes those of a list whose other dimensions match too.
    fn check(&self, list: &[Filed], context: &Context, rests: &mut Memo, found: &mut Vec<Found>) {
        let Context { team, key, model, tags } = context;
        let holds = |rest: u32| {
            let rest = self.rests.get(rest as usize);
            rest.is_some_and(|rest| {
                rest.matches(team.as_deref(), key.as_deref(), model.as_deref(), tags)
            })
        };
        for filed in list {
            if filed.rest == 0 || rests.answer(filed.rest as usize, || holds(filed.rest)) {
                found.push(filed.found);
            }
        }
    }
}

impl Dimension {
    fn file(&mut self, patterns: &[Pattern], filed: Filed) {
        for pattern in patterns {
            let (table, text) = match pattern {
                Pattern::Exact(text) => (&mut self.exact, text),
                Pattern::Prefix(text) => (self.table(text.len()), text),
            };
            let list = table.entry(text.clone()).or_default();
            if list.last().is_none_or(|last| last.found.rank != filed.found.rank) {
                list.push(filed);
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

    /// Says every list that is filed under the value itself or a prefix of it.
    fn find<'a>(&'a self, value: &str, mut say: impl FnMut(&'a [Filed])) {
        if let Some(filed) = self.exact.get(value) {
            say(filed);
        }
        for (length, table) in &self.prefixes {
            // Not a boundary of characters: no prefix of that length is a prefix of the value.
            match value.get(..*length) {
                Some(prefix) => table.get(prefix).into_iter().for_each(|filed| say(filed)),
                None if *length > value.len() => break,
                None => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum DimensionName {
    Keys,
    Teams,
    Tags,
    Models,
}

impl DimensionName {
    fn of(self, targets: &mut Targets) -> &mut Option<Vec<Pattern>> {
        match self {
            Self::Keys => &mut targets.keys,
            Self::Teams => &mut targets.teams,
            Self::Tags => &mut targets.tags,
            Self::Models => &mut targets.models,
        }
    }
}

/// How many attachments share each pattern.
struct Crowd<'a>(FxHashMap<(DimensionName, &'a Pattern), u32>);

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
    fn narrowest(&self, attachment: &'a Attachment) -> Option<(DimensionName, &'a [Pattern])> {
        let crowd = |(name, patterns): &(DimensionName, &'a [Pattern])| {
            let count: u32 =
                patterns.iter().map(|p| self.0.get(&(*name, p)).copied().unwrap_or(0)).sum();
            let wide = patterns.iter().any(|p| matches!(p, Pattern::Prefix(_)));
            (count, wide)
        };
        dimensions(attachment).into_iter().min_by_key(crowd)
    }
}

/// The dimensions that narrow an attachment. One with `*` matches also an absent value: it does not;
/// but of tags it asks for some tag.
fn dimensions(attachment: &Attachment) -> Vec<(DimensionName, &[Pattern])> {
    if attachment.everywhere {
        return Vec::new();
    }
    let targets = &attachment.targets;
    let named = [
        (DimensionName::Keys, &targets.keys),
        (DimensionName::Teams, &targets.teams),
        (DimensionName::Tags, &targets.tags),
        (DimensionName::Models, &targets.models),
    ];
    named
        .into_iter()
        .filter_map(|(name, patterns)| Some((name, patterns.as_deref()?)))
        .filter(|(name, patterns)| {
            *name == DimensionName::Tags || !patterns.iter().any(Pattern::is_any)
        })
        .collect()
}
