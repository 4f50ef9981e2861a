//! A set in which the documents of some files are others, made from the set before: what did not
//! change is shared, not judged and not built again.
//!
//! What makes it sound is the [`Scope`](super::rules::Scope) of the rules. A rule of scope `Local`
//! says of an unchanged document what it said before, as long as the catalogs and the settings
//! stay; so only the changed documents are judged by those, in a small set of their own. What rules
//! of scope `Lineage` say follows from the names and parents of the policies, which are asked here
//! for the whole new set. One of scope `Names` has nothing new to say of unchanged tests and
//! invariants while no name is lost. There is no error rule of another scope: it would not compile.
//! Everything else is refused here and goes the long way; tests hold the two ways against each
//! other.
//!
//! An example. The set has the policies `a`, `b` (from `a`) and `d`; a change removes the file of
//! `d` and brings one with `c` (from `a`), which adds a guardrail that no policy named before:
//!
//! ```text
//! before   a:0  b:1        d:2      guardrails  log:0         pii:1
//! around   a                        (named by what comes: `c` is judged beside it)
//! after              c
//! new      a:0  b:1  c:2            guardrails  log:0  new:1  pii:2
//! ```
//!
//! `a` and `b` are not judged, but written anew with the numbers that their guardrails have now.

mod numbers;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use self::numbers::{IdMap, Renumbering};
use super::build::check_part;
use super::condition::ModelPattern;
use super::{
    Attachment, Lineage, MAX_CHAIN, Pipeline, Policy, PolicyId, PolicySet, REGEX_TOTAL, Step,
    canonical,
};
use crate::document::{Body, Document, Loaded, RawPolicy};

/// What the files that changed held, and hold now.
#[derive(Debug, Clone, Copy)]
pub struct FileChange<'a> {
    /// Their documents before.
    pub before: &'a [Document],
    /// Their documents now, all of them sound in form.
    pub after: &'a [Document],
    /// The catalogs, the settings, and the policies that [`named_policies`] finds in `after`, with
    /// all above them. Where [`changes_cases`] holds: all other tests and invariants too.
    pub around: &'a [Document],
}

/// A set made from another.
#[derive(Debug)]
pub struct Patched {
    /// The set, the same in every respect as if it had been judged and built whole.
    pub set: PolicySet,
    /// The policies that are others now.
    pub policies: Vec<PolicyId>,
    /// Whether an attachment is another one, or stands at another place in the order.
    pub attachments: bool,
    /// Whether a policy, guardrail or condition has another id than before.
    pub renumbered: bool,
}

/// The policies that documents name: parents, and what is attached.
pub fn named_policies(documents: &[Document]) -> impl Iterator<Item = &str> {
    documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::Policy(raw) => raw.inherit.as_ref().map(|parent| parent.value.as_str()),
            Body::Attachment(raw) => Some(raw.policy.value.as_str()),
            _ => None,
        })
}

/// Whether some of these documents are tests or invariants.
pub fn changes_cases(documents: &[Document]) -> bool {
    documents
        .iter()
        .any(|document| matches!(document.body, Body::Test(_) | Body::Invariant(_)))
}

impl PolicySet {
    /// This set with some files changed; `None` where that cannot be told from the change alone, or
    /// where something is wrong with it: then the whole tree must be judged.
    pub fn with_change(&self, change: FileChange<'_>) -> Option<Patched> {
        let judges_others =
            |document: &Document| matches!(document.body, Body::Catalog(_) | Body::Repository(_));
        if change.before.iter().chain(change.after).any(judges_others) {
            return None;
        }

        let documents = [change.around, change.after].concat();
        let part = Loaded {
            documents,
            ..Loaded::default()
        };
        let part = check_part(part, self)?;
        SetPatch::new(self, &part, change)?.finish_set()
    }
}

fn policies_of(documents: &[Document]) -> impl Iterator<Item = &RawPolicy> {
    documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::Policy(raw) => Some(&**raw),
            _ => None,
        })
}

fn names_of(documents: &[Document]) -> FxHashSet<&str> {
    policies_of(documents)
        .map(|raw| raw.name.as_str())
        .collect()
}

/// A policy of the new set, by where it comes from.
#[derive(Debug, Clone, Copy)]
enum Origin<'a> {
    /// The set before.
    Kept(&'a Arc<Policy>),
    /// The small set in which the change was judged.
    Changed(&'a Policy),
}

impl<'a> Origin<'a> {
    fn policy(self) -> &'a Policy {
        match self {
            Self::Kept(policy) => policy,
            Self::Changed(policy) => policy,
        }
    }
}

/// The new set while it is put together.
struct SetPatch<'a> {
    old: &'a PolicySet,
    /// The changed documents and their company, judged and built as a set of their own.
    part: &'a PolicySet,
    change: FileChange<'a>,
    /// The policies of the new set, by name.
    policies: Vec<Origin<'a>>,
    by_name: FxHashMap<Arc<str>, PolicyId>,
    /// From the ids of the old set, and of the part, to those of the new one.
    from_old: Renumbering,
    from_part: Renumbering,
    guardrails: Vec<Arc<str>>,
    conditions: Vec<ModelPattern>,
}

impl<'a> SetPatch<'a> {
    /// Finds the policies of the new set and gives them their numbers. `None` where a name stands
    /// twice.
    fn new(old: &'a PolicySet, part: &'a PolicySet, change: FileChange<'a>) -> Option<Self> {
        let (before, after) = (names_of(change.before), names_of(change.after));
        if after
            .iter()
            .any(|name| old.by_name.contains_key(*name) && !before.contains(name))
        {
            return None;
        }

        let kept = old
            .policies
            .iter()
            .filter(|policy| !before.contains(&*policy.name));
        let kept = kept.map(Origin::Kept);
        let changed = part
            .policies
            .iter()
            .filter(|policy| after.contains(&*policy.name));
        let changed = changed.map(|policy| Origin::Changed(policy));
        let mut policies: Vec<Origin<'a>> = kept.chain(changed).collect();
        policies.sort_by(|a, b| a.policy().name.cmp(&b.policy().name));

        let same_names = before == after;
        let by_name = match same_names {
            true => old.by_name.clone(),
            false => number_names(&policies),
        };

        let to_new = |set: &PolicySet| match same_names && std::ptr::eq(set, old) {
            true => IdMap::identity(set.policies.len()),
            false => IdMap::from_numbers(
                set.policies
                    .iter()
                    .map(|p| by_name.get(&p.name).map(|id| id.0)),
            ),
        };

        let (old_ids, part_ids) = (to_new(old), to_new(part));
        let (guardrails, old_guardrails, part_guardrails) =
            numbers::merge_guardrails(old, part, &policies);
        let (conditions, old_conditions, part_conditions) =
            numbers::merge_conditions(old, part, &policies);

        Some(Self {
            old,
            part,
            change,
            policies,
            by_name,
            from_old: Renumbering {
                policies: old_ids,
                guardrails: old_guardrails,
                conditions: old_conditions,
            },
            from_part: Renumbering {
                policies: part_ids,
                guardrails: part_guardrails,
                conditions: part_conditions,
            },
            guardrails,
            conditions,
        })
    }

    fn finish_set(self) -> Option<Patched> {
        // The long way reads patterns in the order of the files and stops at the limit: near it,
        // only it can tell.
        if self
            .conditions
            .iter()
            .map(ModelPattern::compiled_size)
            .sum::<usize>()
            > REGEX_TOTAL
        {
            return None;
        }

        let parents: Vec<Option<PolicyId>> = self
            .policies
            .iter()
            .map(|origin| self.find_parent(*origin))
            .collect::<Option<_>>()?;
        let chains = self.new_chains(&parents)?;
        let renumbered = !self.from_old.is_identity();
        let mut policies = Vec::with_capacity(self.policies.len());
        let mut changed = Vec::new();
        for (at, origin) in self.policies.iter().enumerate() {
            let chain = chains.as_ref().and_then(|chains| chains.get(at));
            let parent = parents.get(at).copied()?;
            let id = PolicyId(u32::try_from(at).ok()?);
            policies.push(match *origin {
                Origin::Kept(policy) if !renumbered && chain.is_none_or(|c| *c == policy.chain) => {
                    policy.clone()
                }
                Origin::Kept(policy) => {
                    let chain = chain.unwrap_or(&policy.chain).clone();
                    Arc::new(self.from_old.renumber_policy(policy, parent, chain)?)
                }
                Origin::Changed(policy) => {
                    changed.push(id);
                    let chain = match (chain, self.old.find_policy(&policy.name)) {
                        (Some(chain), _) => chain.clone(),
                        (None, Some((_, before))) => before.chain.clone(),
                        (None, None) => return None,
                    };

                    Arc::new(self.from_part.renumber_policy(policy, parent, chain)?)
                }
            });
        }

        let (attachments, moved) = self.merge_attachments()?;
        if !self.keeps_names(&attachments) {
            return None;
        }

        let cases = changes_cases(self.change.before) || changes_cases(self.change.after);
        let cases_of = if cases { self.part } else { self.old };
        let mut set = PolicySet {
            settings: self.old.settings.clone(),
            catalog: self.old.catalog.clone(),
            policies,
            attachments,
            tests: cases_of.tests.clone(),
            invariants: cases_of.invariants.clone(),
            guardrails: self.guardrails,
            conditions: self.conditions,
            by_name: self.by_name,
            digest: "".into(),
        };

        set.digest = canonical::set_digest(&set);
        Some(Patched {
            set,
            policies: changed,
            attachments: moved,
            renumbered,
        })
    }

    /// A policy's parent in the new set; the outer `None`: it has one that is gone.
    fn find_parent(&self, origin: Origin<'_>) -> Option<Option<PolicyId>> {
        let renumbering = match origin {
            Origin::Kept(..) => &self.from_old,
            Origin::Changed(_) => &self.from_part,
        };

        match origin.policy().parent {
            None => Some(None),
            Some(parent) => renumbering.policy_number(parent).map(Some),
        }
    }

    /// Every chain of the new set; `Some(None)` where each is what it was. `None` where one is a
    /// cycle or too long.
    fn new_chains(&self, parents: &[Option<PolicyId>]) -> Option<Option<Vec<Arc<[PolicyId]>>>> {
        let same_parent = |(parent, origin): (&Option<PolicyId>, &Origin<'_>)| match origin {
            Origin::Kept(..) => true,
            Origin::Changed(policy) => self
                .old
                .find_policy(&policy.name)
                .is_some_and(|(_, before)| before.parent == *parent),
        };

        let same_ids = self.from_old.policies.is_identity();
        if same_ids && parents.iter().zip(&self.policies).all(same_parent) {
            return Some(None);
        }

        let indexes: Vec<Option<usize>> = parents
            .iter()
            .map(|parent| parent.map(|id| id.0 as usize))
            .collect();
        let lineage = Lineage::new(&indexes);
        let is_sound = |depth: &Option<usize>| depth.is_some_and(|depth| depth <= MAX_CHAIN);
        if !lineage.depths.iter().all(is_sound) {
            return None;
        }

        Some(Some(
            (0..parents.len())
                .map(|at| chain_of(at, &indexes))
                .collect(),
        ))
    }

    /// The attachments of the new set; with whether the order of evaluation is another one now.
    fn merge_attachments(&self) -> Option<(Vec<Arc<Attachment>>, bool)> {
        let documents = self.change.before.iter().chain(self.change.after);
        let files: BTreeSet<&str> = documents.map(|document| &**document.file.path()).collect();
        let is_own = |attachment: &&Arc<Attachment>| files.contains(&*attachment.place.file);

        let fresh: Vec<Arc<Attachment>> = self
            .part
            .attachments
            .iter()
            .filter(is_own)
            .map(|attachment| self.from_part.apply_to_attachment(attachment))
            .collect::<Option<_>>()?;
        let kept = |attachment: &Arc<Attachment>| self.from_old.apply_to_attachment(attachment);
        let stale: Vec<&Arc<Attachment>> = self.old.attachments.iter().filter(is_own).collect();

        if say_the_same(&stale, &fresh) {
            let mut fresh = fresh.into_iter();
            let in_place =
                self.old
                    .attachments
                    .iter()
                    .map(|attachment| match is_own(&attachment) {
                        true => fresh.next(),
                        false => kept(attachment),
                    });
            return Some((in_place.collect::<Option<_>>()?, false));
        }

        let others = self
            .old
            .attachments
            .iter()
            .filter(|attachment| !is_own(attachment));
        let mut attachments: Vec<Arc<Attachment>> = others.map(kept).collect::<Option<_>>()?;
        attachments.extend(fresh);
        attachments.sort_by(|a, b| evaluation_key(a).cmp(&evaluation_key(b)));

        Some((attachments, true))
    }
}

// What rules of scope `Names` look at.
impl SetPatch<'_> {
    /// Whether every name is still there that an unchanged test or invariant may speak of.
    fn keeps_names(&self, attachments: &[Arc<Attachment>]) -> bool {
        let nobody_speaks = self.old.tests.is_empty() && self.old.invariants.is_empty();
        nobody_speaks
            || (self.keeps_policies()
                && self.keeps_guardrails()
                && self.keeps_patterns(attachments))
    }

    fn keeps_policies(&self) -> bool {
        names_of(self.change.before)
            .iter()
            .all(|name| self.by_name.contains_key(*name))
    }

    fn keeps_guardrails(&self) -> bool {
        // What a catalog lists can be named whether a policy adds it or not.
        if self.old.catalog.guardrails.is_some() {
            return true;
        }

        let mut lost: FxHashSet<&str> = FxHashSet::default();
        for name in names_of(self.change.before) {
            let policy = self.old.find_policy(name);
            lost.extend(
                policy
                    .iter()
                    .flat_map(|(_, policy)| added_names(self.old, policy)),
            );
        }

        for origin in &self.policies {
            let set = match origin {
                Origin::Kept(_) => self.old,
                Origin::Changed(_) => self.part,
            };

            if lost.is_empty() {
                break;
            }

            for name in added_names(set, origin.policy()) {
                lost.remove(name);
            }
        }

        lost.is_empty()
    }

    fn keeps_patterns(&self, attachments: &[Arc<Attachment>]) -> bool {
        let files: BTreeSet<&str> = self
            .change
            .before
            .iter()
            .map(|document| &**document.file.path())
            .collect();
        let stale = self
            .old
            .attachments
            .iter()
            .filter(|a| files.contains(&*a.place.file));
        let mut lost: FxHashSet<(String, String)> = stale.flat_map(|a| patterns_of(a)).collect();
        // Most likely the changed files still have them.
        let (own, others): (Vec<_>, Vec<_>) = attachments
            .iter()
            .partition(|a| files.contains(&*a.place.file));
        for attachment in own.into_iter().chain(others) {
            if lost.is_empty() {
                break;
            }

            for pattern in patterns_of(attachment) {
                lost.remove(&pattern);
            }
        }

        lost.is_empty()
    }
}

fn added_names<'a>(set: &'a PolicySet, policy: &'a Policy) -> impl Iterator<Item = &'a str> {
    policy.add.iter().map(|id| set.guardrail(*id))
}

/// The patterns of an attachment, each with the name of its list.
fn patterns_of(attachment: &Attachment) -> Vec<(String, String)> {
    let fields: Map<String, Value> =
        serde_json::from_str(&attachment.canonical).unwrap_or_default();
    let mut patterns = Vec::new();
    for (list, texts) in fields {
        let texts = texts
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);

        patterns.extend(texts.map(|text| (list.clone(), text.to_owned())));
    }

    patterns
}

fn number_names(policies: &[Origin<'_>]) -> FxHashMap<Arc<str>, PolicyId> {
    let names = policies.iter().map(|origin| origin.policy().name.clone());
    names.zip((0..).map(PolicyId)).collect()
}

/// A policy and its ancestors, root first, where no line is a cycle.
fn chain_of(policy: usize, parents: &[Option<usize>]) -> Arc<[PolicyId]> {
    let above = |at: &usize| parents.get(*at).copied().flatten();
    let line = std::iter::successors(Some(policy), above).take(MAX_CHAIN);
    let mut chain: Vec<PolicyId> = line
        .map(|at| PolicyId(u32::try_from(at).unwrap_or(u32::MAX)))
        .collect();
    chain.reverse();

    chain.into()
}

/// Whether attachments say the same and stand in the same files: then their order is the same too.
fn say_the_same(stale: &[&Arc<Attachment>], fresh: &[Arc<Attachment>]) -> bool {
    let same = |(a, b): (&&Arc<Attachment>, &Arc<Attachment>)| {
        a.canonical == b.canonical && a.place.file == b.place.file
    };

    stale.len() == fresh.len() && stale.iter().zip(fresh).all(same)
}

/// The order of evaluation, to the last.
fn evaluation_key(attachment: &Attachment) -> ((bool, i32, u8, u8), &str, u32) {
    (
        attachment.evaluation_order(),
        &attachment.place.file,
        attachment.place.line,
    )
}

impl Renumbering {
    /// A policy with the numbers of the new set.
    fn renumber_policy(
        &self,
        policy: &Policy,
        parent: Option<PolicyId>,
        chain: Arc<[PolicyId]>,
    ) -> Option<Policy> {
        let guardrails = |ids: &[_]| {
            ids.iter()
                .map(|id| self.guardrail_number(*id))
                .collect::<Option<_>>()
        };

        let condition = match &policy.condition {
            None => None,
            Some(ids) => Some(
                ids.iter()
                    .map(|id| self.condition_number(*id))
                    .collect::<Option<_>>()?,
            ),
        };

        let pipeline = match &policy.pipeline {
            None => None,
            Some(pipeline) => Some(self.apply_to_pipeline(pipeline)?),
        };

        Some(Policy {
            parent,
            chain,
            add: guardrails(&policy.add)?,
            remove: guardrails(&policy.remove)?,
            condition,
            pipeline,
            ..policy.clone()
        })
    }

    fn apply_to_pipeline(&self, pipeline: &Pipeline) -> Option<Pipeline> {
        let step = |step: &Step| {
            Some(Step {
                guardrail: self.guardrail_number(step.guardrail)?,
                ..step.clone()
            })
        };

        Some(Pipeline {
            mode: pipeline.mode,
            steps: pipeline.steps.iter().map(step).collect::<Option<_>>()?,
        })
    }

    /// An attachment of the new set; `None` where its policy is gone.
    fn apply_to_attachment(&self, attachment: &Arc<Attachment>) -> Option<Arc<Attachment>> {
        let policy = self.policy_number(attachment.policy)?;
        Some(match policy == attachment.policy {
            true => attachment.clone(),
            false => Arc::new(Attachment {
                policy,
                ..(**attachment).clone()
            }),
        })
    }
}
