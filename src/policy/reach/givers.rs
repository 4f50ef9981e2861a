//! Which guardrails a policy may give, and by which attachments.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::models::{Lead, Leads};
use super::{Area, Budget, Index};
use crate::document::Name;
use crate::document::Spanned;
use crate::policy::DraftSet;

/// Grants that are noted for a whole set; with more of them no rule that needs them says anything.
const MAX_GRANTS: usize = 4_000_000;

/// A guardrail that a policy may give: its chain adds it, and nothing that always holds removes it after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    guardrail: u32,
    /// The member of the chain that adds it: one without a condition, if there is one.
    adder: usize,
}

/// Attachments by the guardrails that they may give.
#[derive(Debug)]
pub struct Givers<'a> {
    guardrails: FxHashMap<&'a str, u32>,
    grants: Vec<Vec<Grant>>,
    index: Index,
    leads: FxHashMap<&'a str, OnceLock<Leads>>,
}

/// Two attachments that are both for some request.
#[derive(Debug, Clone, Copy)]
pub struct Meeting<'m> {
    /// The area of the one.
    pub area: &'m Area,
    /// The policy whose own condition must hold there, as an index.
    pub holder: usize,
}

impl<'a> Givers<'a> {
    /// Walks every chain once, ancestors first.
    pub(crate) fn new(draft: &DraftSet<'a>) -> Self {
        let guardrails = number_guardrails(draft);
        let grants = grants(draft, &guardrails).unwrap_or_default();
        let areas = draft.areas();
        let keyed = areas.all().flat_map(|(attachment, area)| {
            let grants = grants.get(area.policy).into_iter().flatten();
            grants.map(move |grant| (grant.guardrail, attachment))
        });
        let index = Index::new(areas, keyed);
        let leads = draft.conditions.keys().map(|text| (*text, OnceLock::new())).collect();
        Self { guardrails, grants, index, leads }
    }

    /// Whether a policy may give a guardrail.
    pub fn gives(&self, policy: usize, guardrail: &str) -> bool {
        self.guardrails.get(guardrail).is_some_and(|number| self.adder(policy, *number).is_some())
    }

    fn adder(&self, policy: usize, guardrail: u32) -> Option<usize> {
        let grants = self.grants.get(policy)?;
        let at = grants.binary_search_by_key(&guardrail, |grant| grant.guardrail).ok()?;
        grants.get(at).map(|grant| grant.adder)
    }

    /// The first attachment that may give the guardrail to a request of this meeting, among those of
    /// policies that `accept` takes.
    pub fn first(
        &self,
        draft: &DraftSet<'a>,
        guardrail: &str,
        meeting: Meeting<'_>,
        budget: &mut Budget,
        mut accept: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let number = *self.guardrails.get(guardrail)?;
        let areas = draft.areas();
        self.index.overlapping(areas, number, meeting.area, budget, |_, area, budget| {
            accept(area.policy)
                && self
                    .adder(area.policy, number)
                    .is_some_and(|adder| self.models_meet(draft, meeting, Meeting { area, holder: adder }, budget))
        })
    }

    /// Whether some model is one of both, as far as conditions show it.
    fn models_meet(&self, draft: &DraftSet<'a>, a: Meeting<'_>, b: Meeting<'_>, budget: &mut Budget) -> bool {
        let named = |meeting: Meeting<'_>| {
            let models = draft.areas().models(meeting.area)?;
            Some(models.map(|(text, exact)| Lead { text: text.as_bytes(), exact }).collect::<Vec<_>>())
        };
        let (held_a, held_b) = (self.condition_leads(draft, a.holder), self.condition_leads(draft, b.holder));
        if held_a.is_none() && held_b.is_none() {
            return true;
        }
        let mut meet = |a: &Option<Vec<Lead<'_>>>, b: &Option<Vec<Lead<'_>>>| match (a, b) {
            (Some(a), Some(b)) => {
                budget.spend(a.len() * b.len() / 8);
                a.iter().any(|x| b.iter().any(|y| x.meets(y)))
            }
            _ => true,
        };
        meet(&held_a, &held_b) && meet(&held_a, &named(b)) && meet(&named(a), &held_b)
    }

    /// `None`: no condition, or one that tells nothing.
    fn condition_leads(&self, draft: &DraftSet<'a>, policy: usize) -> Option<Vec<Lead<'_>>> {
        let condition = draft.policies.get(policy)?.raw.condition.as_ref()?;
        let mut all = Vec::new();
        for text in &condition.model.0 {
            let pattern = draft.conditions.get(text.as_str())?.as_ref().ok()?;
            let leads = self.leads.get(text.as_str())?.get_or_init(|| Leads::of(pattern));
            all.extend(leads.iter());
        }
        Some(all)
    }
}

fn own_lists<'a>(draft: &DraftSet<'a>, policy: usize) -> (&'a [Spanned<Name>], &'a [Spanned<Name>]) {
    let own = draft.policies.get(policy).and_then(|item| item.raw.guardrails.as_ref());
    let list = |list: Option<&'a Vec<Spanned<Name>>>| list.map(Vec::as_slice).unwrap_or_default();
    (list(own.and_then(|own| own.add.as_ref())), list(own.and_then(|own| own.remove.as_ref())))
}

fn number_guardrails<'a>(draft: &DraftSet<'a>) -> FxHashMap<&'a str, u32> {
    let mut numbers = FxHashMap::default();
    for policy in 0..draft.policies.len() {
        for name in own_lists(draft, policy).0 {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            numbers.entry(name.as_str()).or_insert(next);
        }
    }
    numbers
}

/// What each policy may give, sorted; `None`: too much to note.
fn grants<'a>(draft: &DraftSet<'a>, numbers: &FxHashMap<&'a str, u32>) -> Option<Vec<Vec<Grant>>> {
    let mut grants: Vec<Vec<Grant>> = vec![Vec::new(); draft.policies.len()];
    let depth = |policy: &usize| draft.lineage.depths.get(*policy).copied().flatten();
    let mut order: Vec<usize> = (0..draft.policies.len()).filter(|policy| depth(policy).is_some()).collect();
    order.sort_by_key(depth);
    let mut total = 0;
    for policy in order {
        let parent = draft.parents.get(policy).copied().flatten();
        let inherited = parent.and_then(|parent| grants.get(parent)).map(Vec::as_slice).unwrap_or_default();
        let own = own_grants(draft, numbers, policy, inherited);
        total += own.len();
        if total > MAX_GRANTS {
            return None;
        }
        if let Some(slot) = grants.get_mut(policy) {
            *slot = own;
        }
    }
    Some(grants)
}

fn own_grants<'a>(
    draft: &DraftSet<'a>,
    numbers: &FxHashMap<&'a str, u32>,
    policy: usize,
    inherited: &[Grant],
) -> Vec<Grant> {
    let always = |policy: usize| draft.policies.get(policy).is_some_and(|item| item.raw.condition.is_none());
    let (add, remove) = own_lists(draft, policy);
    let mut removed: Vec<u32> = remove.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect();
    removed.sort_unstable();
    let stays = |grant: &Grant| removed.binary_search(&grant.guardrail).is_err();
    let added =
        add.iter().filter_map(|name| numbers.get(name.as_str())).map(|n| Grant { guardrail: *n, adder: policy });
    // A condition may fail, and then its policy removes nothing of what it inherits.
    let kept = inherited.iter().copied().filter(|grant| !always(policy) || stays(grant));
    let mut all: Vec<Grant> = kept.chain(added.filter(stays)).collect();
    all.sort_unstable_by_key(|grant| (grant.guardrail, !always(grant.adder), grant.adder));
    all.dedup_by_key(|grant| grant.guardrail);
    all
}
