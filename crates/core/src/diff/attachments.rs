//! Which attachment of BASE became which of HEAD.
//!
//! An attachment has no name. Two are the same if they say the same, wherever they stand: a move,
//! the order of patterns and a pattern given twice are no difference. What is left is paired within
//! each policy, first where all targets are equal (so only `priority` or `default` changed), then
//! by likeness: the pair with the most equal dimensions, then the most patterns in common, then
//! equal priority and default. What finds no partner was added or removed.
//!
//! The order of files decides between attachments that are otherwise equal in order. It changes no
//! guardrail, only which of two policies is listed (and its pipeline run) first; it is no change
//! here.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::document::Dimension;
use crate::policy::{Attachment, Pattern, PolicySet, Targets, attachment_json, ends_earlier};

/// Comparisons made to pair what is left of one policy; where it takes more, nothing is paired.
const PAIRS: usize = 40_000;
/// The fields that say which requests an attachment is for.
fn target_fields() -> impl Iterator<Item = &'static str> {
    std::iter::once("scope").chain(Dimension::WRITTEN.map(Dimension::plural))
}

/// An attachment and what it says.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'a> {
    pub(super) attachment: &'a Attachment,
    pub(super) json: Value,
    /// The targets as text; equal texts are equal targets.
    targets: String,
    text: String,
}

/// What became of the attachments. Each list is sorted by policy and text.
#[derive(Debug, Default)]
pub(super) struct Pairing<'a> {
    pub(super) added: Vec<Leaf<'a>>,
    pub(super) removed: Vec<Leaf<'a>>,
    pub(super) changed: Vec<(Leaf<'a>, Leaf<'a>)>,
}

/// Pairs the attachments of two sets.
pub(super) fn pair_attachments<'a>(base: &'a PolicySet, head: &'a PolicySet) -> Pairing<'a> {
    let (removed, added) = differing_attachments(base, head);
    let mut policies: BTreeMap<&str, [Vec<Leaf<'a>>; 2]> = BTreeMap::new();
    for (side, (set, attachments)) in [(base, removed), (head, added)].into_iter().enumerate() {
        for attachment in attachments {
            let group = policies.entry(policy_name(set, attachment)).or_default();
            if let Some(list) = group.get_mut(side) {
                list.push(Leaf::new(set, attachment));
            }
        }
    }

    let mut pairing = Pairing::default();
    for [removed, added] in policies.into_values() {
        pair_group(removed, added, &mut pairing);
    }

    pairing
}

fn pair_group<'a>(removed: Vec<Leaf<'a>>, added: Vec<Leaf<'a>>, pairing: &mut Pairing<'a>) {
    let (_, removed, added) = merge_leaves(removed, added, |leaf| &leaf.text);
    let (same_targets, removed, added) = merge_leaves(removed, added, |leaf| &leaf.targets);
    let (alike, removed, added) = pair_alike(removed, added);
    let mut changed = same_targets;
    changed.extend(alike);
    changed.sort_by(|a, b| a.1.text.cmp(&b.1.text));
    pairing.changed.extend(changed);
    pairing.removed.extend(removed);

    pairing.added.extend(added);
}

impl<'a> Leaf<'a> {
    fn new(set: &PolicySet, attachment: &'a Attachment) -> Self {
        let json = attachment_json(set, attachment);
        let targets: Vec<&Value> = target_fields()
            .map(|key| json.get(key).unwrap_or(&Value::Null))
            .collect();
        let targets = targets
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");

        Self {
            attachment,
            targets,
            text: json.to_string(),
            json,
        }
    }

    /// How alike two attachments of a policy are.
    fn likeness_to(&self, other: &Self) -> (usize, usize, usize) {
        let is_equal = |key: &&str| self.json.get(*key) == other.json.get(*key);
        let common =
            target_fields().map(|key| common_values(self.json.get(key), other.json.get(key)));
        (
            target_fields().filter(is_equal).count(),
            common.sum(),
            ["priority", "default", "expires", "reason"]
                .iter()
                .copied()
                .filter(is_equal)
                .count(),
        )
    }
}

/// How many elements two lists have in common.
fn common_values(a: Option<&Value>, b: Option<&Value>) -> usize {
    match (a.and_then(Value::as_array), b.and_then(Value::as_array)) {
        (Some(a), Some(b)) => a.iter().filter(|element| b.contains(element)).count(),
        _ => 0,
    }
}

/// Pairs, and what is left of each side.
type Split<'a> = (Vec<(Leaf<'a>, Leaf<'a>)>, Vec<Leaf<'a>>, Vec<Leaf<'a>>);

/// Pairs what has the same key. What is left is sorted by text.
fn merge_leaves<'a>(
    mut base: Vec<Leaf<'a>>,
    mut head: Vec<Leaf<'a>>,
    key: for<'l> fn(&'l Leaf<'a>) -> &'l str,
) -> Split<'a> {
    for side in [&mut base, &mut head] {
        side.sort_by(|a, b| key(a).cmp(key(b)).then_with(|| a.text.cmp(&b.text)));
    }

    let (mut pairs, mut removed, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let mut head = head.into_iter().peekable();
    for leaf in base {
        while let Some(before) = head.next_if(|other| key(other) < key(&leaf)) {
            added.push(before);
        }

        match head.next_if(|other| key(other) == key(&leaf)) {
            Some(other) => pairs.push((leaf, other)),
            None => removed.push(leaf),
        }
    }

    added.extend(head);
    for side in [&mut removed, &mut added] {
        side.sort_by(|a, b| a.text.cmp(&b.text));
    }

    (pairs, removed, added)
}

/// Pairs by likeness, the most alike first. Either side may be called the base: the pairs are the
/// same.
fn pair_alike<'a>(base: Vec<Leaf<'a>>, head: Vec<Leaf<'a>>) -> Split<'a> {
    if base.len().saturating_mul(head.len()) > PAIRS {
        return (Vec::new(), base, head);
    }

    let mut scores: Vec<_> = base
        .iter()
        .enumerate()
        .flat_map(|(i, a)| {
            head.iter()
                .enumerate()
                .map(move |(j, b)| (a.likeness_to(b), i, j))
        })
        .collect();

    scores.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut base: Vec<Option<Leaf<'a>>> = base.into_iter().map(Some).collect();
    let mut head: Vec<Option<Leaf<'a>>> = head.into_iter().map(Some).collect();
    let mut pairs = Vec::new();
    for (_, i, j) in scores {
        if let (Some(a), Some(b)) = (base.get_mut(i), head.get_mut(j))
            && a.is_some()
            && b.is_some()
        {
            pairs.extend(a.take().zip(b.take()));
        }
    }

    (
        pairs,
        base.into_iter().flatten().collect(),
        head.into_iter().flatten().collect(),
    )
}

/// An attachment as it is written, to be found among thousands of others.
struct WrittenAttachment<'a>(&'a str, &'a Attachment);

/// Policy, scope, targets, priority, default, and when it ends and why it is there.
type WrittenParts<'s, 'a> = (
    &'s str,
    bool,
    &'a Targets,
    Option<i32>,
    bool,
    (Option<Timestamp>, Option<&'a str>),
);

impl<'a> WrittenAttachment<'a> {
    fn parts_of(&self) -> WrittenParts<'_, 'a> {
        let Self(policy, attachment) = *self;
        let targets = &attachment.targets;
        let ends = (attachment.expires, attachment.reason.as_deref());

        (
            policy,
            attachment.everywhere,
            targets,
            attachment.priority,
            attachment.default,
            ends,
        )
    }
}

impl PartialEq for WrittenAttachment<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts_of() == other.parts_of()
    }
}

impl Eq for WrittenAttachment<'_> {}

impl Hash for WrittenAttachment<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts_of().hash(state);
    }
}

/// The attachments of each side that the other has not, as written. Most are equal to the letter;
/// this leaves only the others to be looked at closely.
fn differing_attachments<'a>(
    base: &'a PolicySet,
    head: &'a PolicySet,
) -> (Vec<&'a Attachment>, Vec<&'a Attachment>) {
    let same = |(a, b): &(&'a Attachment, &'a Attachment)| {
        WrittenAttachment(policy_name(base, a), a) == WrittenAttachment(policy_name(head, b), b)
    };
    let all = |set: &'a PolicySet| set.attachments.iter().map(|attachment| &**attachment);
    let front = all(base).zip(all(head)).take_while(same).count();
    let (base_rest, head_rest) = (all(base).skip(front), all(head).skip(front));
    let mut counts: FxHashMap<WrittenAttachment<'a>, usize> = FxHashMap::default();
    for attachment in base_rest.clone() {
        *counts
            .entry(WrittenAttachment(policy_name(base, attachment), attachment))
            .or_default() += 1;
    }

    let mut take = |set: &'a PolicySet, attachment: &'a Attachment| {
        let count = counts.get_mut(&WrittenAttachment(policy_name(set, attachment), attachment));
        count.is_some_and(|count| {
            let some = *count > 0;
            *count = count.saturating_sub(1);
            some
        })
    };

    let added = head_rest
        .filter(|attachment| !take(head, attachment))
        .collect();
    let removed = base_rest
        .filter(|attachment| take(base, attachment))
        .collect();
    (removed, added)
}

fn policy_name<'a>(set: &'a PolicySet, attachment: &Attachment) -> &'a str {
    set.policy(attachment.policy)
        .map_or("", |policy| &policy.name)
}

/// Whether some request that the one matches is not matched by the other, or only where nothing
/// else is.
pub(super) fn may_lose(before: &Attachment, after: &Attachment) -> bool {
    let pairs = before.targets.as_ref().zip(after.targets.as_ref());
    let whole = pairs.into_iter().all(|(dimension, pair)| match pair {
        (_, None) => true,
        // A request without tags matches no pattern of tags, not even `*`.
        (None, Some(b)) => !dimension.is_set() && b.iter().any(Pattern::is_any),
        (Some(a), Some(b)) => patterns_covered(a, b),
    });
    let is_cut = ends_earlier(after.expires, before.expires);

    (!before.default && after.default) || is_cut || !(after.everywhere || whole)
}

fn patterns_covered(patterns: &[Pattern], by: &[Pattern]) -> bool {
    patterns
        .iter()
        .all(|pattern| by.iter().any(|wide| wide.covers(pattern)))
}
