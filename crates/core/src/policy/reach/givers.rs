//! Which guardrails a policy may give, and by which attachments.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::models::{Lead, Leads};
use super::{Area, AreaIndex, Areas, SearchBudget};
use crate::policy::DraftSet;

/// Grants that are noted for a whole set; with more of them no rule that needs them says anything.
const MAX_GRANTS: usize = 4_000_000;

/// A guardrail that a policy may give: its chain adds it, and nothing that always holds removes it
/// after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    guardrail: u32,
    /// The member of the chain that adds it: one without a condition, if there is one.
    adder: usize,
}

/// Attachments by the guardrails that they may give.
#[derive(Debug)]
pub struct Givers<'a> {
    grants: Vec<Vec<Grant>>,
    /// The attachments that may give each guardrail, by its number.
    lists: Vec<Vec<u32>>,
    /// The same by their patterns; made when a look at the beginning of a list does not decide.
    index: OnceLock<AreaIndex>,
    leads: FxHashMap<&'a str, OnceLock<Leads>>,
}

/// How many attachments of a list are looked at one by one.
const FEW: usize = 48;

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

    /// Whether some model is one of both, as far as conditions show it.
    fn models_meet(
        &self,
        draft: &DraftSet<'a>,
        a: Meeting<'_>,
        b: Meeting<'_>,
        budget: &mut SearchBudget,
    ) -> bool {
        let named = |meeting: Meeting<'_>| {
            let models = draft.areas().model_patterns(meeting.area)?;
            Some(
                models
                    .map(|(text, exact)| Lead {
                        text: text.as_bytes(),
                        exact,
                    })
                    .collect::<Vec<_>>(),
            )
        };

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

        meet(&held_a, &held_b) && meet(&held_a, &named(b)) && meet(&named(a), &held_b)
    }

    /// `None`: no condition, or one that tells nothing.
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

/// What each policy may give, sorted; `None`: too much to note.
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
    // A condition may fail, and then its policy removes nothing of what it inherits.
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
