//! Which guardrails a policy may give, and by which attachments.
//!
//! An example:
//!
//! ```text
//! base:   add [pii, log]                       grants: pii and log, added by base
//! child:  inherit base, remove [log]           grants: pii, added by base
//! (child with a condition: log too, because nothing is removed where the condition fails)
//!
//! attachment 0: base, teams [eu]               lists: log [0]
//! attachment 1: child, scope "*"                      pii [0, 1]
//! ```
//!
//! Which attachment may give `pii` to requests of an attachment for the team `us`? Of the list of
//! `pii`, 0 is apart from it and 1 overlaps it, so the answer is 1. Long lists are searched by an
//! [`AreaIndex`] instead of one by one.
//!
//! This is not the filing of `policy::filing`: there a value or a pattern is looked up, here an
//! area that overlaps another is, also through patterns below its own, and per guardrail.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::models::{Lead, Leads};
use super::{Area, AreaIndex, Areas, SearchBudget};
use crate::policy::DraftSet;

/// The most grants kept for a set. With more of them, the rules that need them report nothing.
const MAX_GRANTS: usize = 4_000_000;

/// A guardrail that a policy may give: its chain adds it, and no member without a condition removes
/// it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    guardrail: u32,
    /// The member of the chain that adds it; one without a condition is preferred.
    adder: usize,
}

/// Attachments by the guardrails that they may give.
#[derive(Debug)]
pub struct Givers<'a> {
    grants: Vec<Vec<Grant>>,
    /// The attachments that may give each guardrail, by its number.
    lists: Vec<Vec<u32>>,
    /// The same by their patterns; built when the first entries of a list do not decide.
    index: OnceLock<AreaIndex>,
    leads: FxHashMap<&'a str, OnceLock<Leads>>,
}

/// How many attachments of a list are tried one by one, before the index is used.
const FEW: usize = 48;

/// Two attachments that are both for some request.
#[derive(Debug, Clone, Copy)]
pub struct Meeting<'m> {
    /// The area of one of them.
    pub area: &'m Area,
    /// The policy whose own condition must hold there, as an index.
    pub holder: usize,
}

impl<'a> Givers<'a> {
    /// Collects the grants of every policy, ancestors first.
    pub(crate) fn new(draft: &DraftSet<'a>) -> Self {
        let grants = collect_grants(draft).unwrap_or_default();
        let mut lists = Vec::new();
        for (at, area) in draft.areas().all_areas() {
            for grant in grants.get(area.policy).into_iter().flatten() {
                let number = grant.guardrail as usize;
                if lists.len() <= number {
                    lists.resize(number + 1, Vec::new());
                }

                if let (Some(list), Ok(at)) = (lists.get_mut(number), u32::try_from(at)) {
                    list.push(at);
                }
            }
        }

        let leads = draft
            .conditions
            .keys()
            .map(|text| (*text, OnceLock::new()))
            .collect();

        Self {
            grants,
            lists,
            index: OnceLock::new(),
            leads,
        }
    }

    /// Whether a policy may give a guardrail.
    pub fn policy_gives(&self, draft: &DraftSet<'a>, policy: usize, guardrail: &str) -> bool {
        draft
            .guardrails()
            .number_of(guardrail)
            .is_some_and(|number| self.adding_policy(policy, number).is_some())
    }

    fn adding_policy(&self, policy: usize, guardrail: u32) -> Option<usize> {
        let grants = self.grants.get(policy)?;
        let at = grants
            .binary_search_by_key(&guardrail, |grant| grant.guardrail)
            .ok()?;
        grants.get(at).map(|grant| grant.adder)
    }

    /// An attachment that may give the guardrail to a request of this meeting, among those of
    /// policies that `accept` takes: the first of them, if they are few.
    pub fn find_first(
        &self,
        draft: &DraftSet<'a>,
        guardrail: &str,
        meeting: Meeting<'_>,
        budget: &mut SearchBudget,
        mut accept: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let number = draft.guardrails().number_of(guardrail)?;
        let areas = draft.areas();
        let mut takes = |area: &Area, budget: &mut SearchBudget| {
            accept(area.policy)
                && self
                    .adding_policy(area.policy, number)
                    .is_some_and(|adder| {
                        self.models_meet(
                            draft,
                            meeting,
                            Meeting {
                                area,
                                holder: adder,
                            },
                            budget,
                        )
                    })
        };

        let list = self.lists.get(number as usize)?;
        for at in list.iter().take(FEW) {
            let area = areas.area_of(*at as usize)?;
            if areas.areas_overlap(area, meeting.area) && takes(area, budget) {
                return Some(*at as usize);
            }
        }

        if list.len() <= FEW {
            return None;
        }

        let index = self.index.get_or_init(|| self.build_index(areas));
        index.find_overlapping(areas, number, meeting.area, budget, |_, area, budget| {
            takes(area, budget)
        })
    }

    fn build_index(&self, areas: &Areas<'a>) -> AreaIndex {
        let numbered = (0u32..).zip(&self.lists);
        AreaIndex::new(
            areas,
            numbered.flat_map(|(number, list)| list.iter().map(move |at| (number, *at as usize))),
        )
    }

    /// Whether some model may be in both, judged by how the conditions' matches begin.
    fn models_meet(
        &self,
        draft: &DraftSet<'a>,
        a: Meeting<'_>,
        b: Meeting<'_>,
        budget: &mut SearchBudget,
    ) -> bool {
        let (held_a, held_b) = (
            self.condition_leads(draft, a.holder),
            self.condition_leads(draft, b.holder),
        );
        if held_a.is_none() && held_b.is_none() {
            return true;
        }

        let mut meet = |a: &Option<Vec<Lead<'_>>>, b: &Option<Vec<Lead<'_>>>| match (a, b) {
            (Some(a), Some(b)) => {
                budget.spend(a.len() * b.len() / 8);
                a.iter().any(|x| b.iter().any(|y| x.meets_lead(y)))
            }
            _ => true,
        };

        meet(&held_a, &held_b)
            && meet(&held_a, &named_leads(draft, b.area))
            && meet(&named_leads(draft, a.area), &held_b)
    }

    /// How the models of a policy's condition begin. `None`: no condition, or an unreadable one.
    fn condition_leads(&self, draft: &DraftSet<'a>, policy: usize) -> Option<Vec<Lead<'_>>> {
        let condition = draft.policies.get(policy)?.raw.condition.as_ref()?;
        let mut all = Vec::new();
        for text in &condition.model.0 {
            let pattern = draft.conditions.get(text.as_str())?.as_ref().ok()?;
            let leads = self
                .leads
                .get(text.as_str())?
                .get_or_init(|| Leads::from_condition(pattern));
            all.extend(leads.iter());
        }

        Some(all)
    }
}

/// How the models begin that an area asks for. `None`: it takes every model.
fn named_leads<'d>(draft: &'d DraftSet<'_>, area: &'d Area) -> Option<Vec<Lead<'d>>> {
    let models = draft.areas().model_patterns(area)?;
    let lead = |(text, exact): (&'d str, bool)| Lead {
        text: text.as_bytes(),
        exact,
    };

    Some(models.map(lead).collect())
}

/// The grants of each policy, sorted; `None` where there are more than [`MAX_GRANTS`].
fn collect_grants(draft: &DraftSet<'_>) -> Option<Vec<Vec<Grant>>> {
    let mut grants: Vec<Vec<Grant>> = vec![Vec::new(); draft.policies.len()];
    let depth = |policy: &usize| draft.lineage.depths.get(*policy).copied().flatten();
    let mut order: Vec<usize> = (0..draft.policies.len())
        .filter(|policy| depth(policy).is_some())
        .collect();
    order.sort_by_key(depth);
    let mut total = 0;
    for policy in order {
        let parent = draft.parents.get(policy).copied().flatten();
        let inherited = parent
            .and_then(|parent| grants.get(parent))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let own = own_grants(draft, policy, inherited);
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

fn own_grants(draft: &DraftSet<'_>, policy: usize, inherited: &[Grant]) -> Vec<Grant> {
    let Some(item) = draft.policies.get(policy) else {
        return Vec::new();
    };
    let always = |policy: usize| {
        draft
            .policies
            .get(policy)
            .is_some_and(|item| item.raw.condition.is_none())
    };

    let remove = item
        .raw
        .guardrails
        .iter()
        .flat_map(|own| own.remove.iter().flatten());
    let mut removed: Vec<u32> = remove
        .filter_map(|name| draft.guardrails().number_of(name.as_str()))
        .collect();
    removed.sort_unstable();
    let stays = |grant: &Grant| removed.binary_search(&grant.guardrail).is_err();
    let added = draft
        .guardrails()
        .added_by(policy)
        .iter()
        .map(|number| Grant {
            guardrail: *number,
            adder: policy,
        });
    // Where a condition fails, its policy removes nothing of what it inherits.
    let kept = inherited
        .iter()
        .copied()
        .filter(|grant| item.raw.condition.is_some() || stays(grant));
    let mut all: Vec<Grant> = kept.chain(added.filter(stays)).collect();
    if !inherited.is_empty() {
        all.sort_unstable_by_key(|grant| (grant.guardrail, !always(grant.adder), grant.adder));
    }

    all.dedup_by_key(|grant| grant.guardrail);
    all
}
