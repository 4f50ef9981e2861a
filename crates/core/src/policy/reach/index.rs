//! Attachments by a key and by their patterns, so that what may cover or overlap one is found by
//! search.
//!
//! A key is a small number that the caller chooses: the policy, or a guardrail that it may give.
//! Under a key, attachments are grouped by the dimensions that they ask for, their *signature*, and
//! in each group filed under every pattern of every such dimension:
//!
//! ```text
//! a  teams: [health*]                     group {team}          team health*
//! b  teams: [health-eu], keys: [ci]       group {team, key}     team health-eu, key ci
//! c  models: [gpt-4]                      group {model}         model gpt-4
//! ```
//!
//! What may overlap `teams: [health-eu]` is then, in the groups {team} and {team, key}, filed under
//! `health-eu`, a prefix of it or something below it: `a` and `b`. In the group {model}, which
//! shares no dimension with it, everything overlaps it: `c`. What may cover it has a signature
//! within its own, so that only the group {team} is searched: `a`. What the search finds, the
//! caller's areas confirm.

use super::areas::{Area, Areas, Signature, exclusive_dimensions};
use super::order::PatternNo;
use crate::document::Dimension;

/// Number of candidates that a rule may look at, so that no set makes it run long. Once it is
/// spent, the remaining breaches go unreported.
#[derive(Debug)]
pub struct SearchBudget(u32);

impl SearchBudget {
    /// Enough for any set that is not made to be slow.
    pub fn new() -> Self {
        Self(1_000_000)
    }

    /// Takes from it; false: nothing is left.
    pub fn spend(&mut self, cost: usize) -> bool {
        self.0 = self
            .0
            .saturating_sub(u32::try_from(cost).unwrap_or(u32::MAX));
        self.0 > 0
    }
}

/// Attachments by key.
#[derive(Debug, Default)]
pub struct AreaIndex {
    /// Sorted.
    entries: Vec<Entry>,
    /// Where the entries of each key begin.
    starts: Vec<usize>,
    /// The distinct signatures of the attachments, sorted.
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: u32,
    group: u16,
    pattern: PatternNo,
    attachment: u32,
}

impl Entry {
    /// The fields one after the other: as a number they are compared at once.
    fn sort_key(&self) -> u128 {
        let Self {
            key,
            group,
            pattern,
            attachment,
        } = *self;

        u128::from(key) << 80
            | u128::from(group) << 64
            | u128::from(pattern) << 32
            | u128::from(attachment)
    }
}

/// What entries of one key are put together by: whether their attachments are default ones, what
/// those ask for, and the dimension of the entry's pattern; `None`: the entry stands for the whole
/// attachment.
fn group_number(default: bool, signature: Signature, dimension: Option<Dimension>) -> u16 {
    let dimension = dimension.map_or(Dimension::COUNT, |dimension| dimension as usize);
    // At most `COUNT`, which has few bits.
    let dimension = u16::try_from(dimension).unwrap_or(u16::MAX);

    u16::from(default) << 12 | u16::from(signature.bits()) << 4 | dimension
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    Covers,
    Overlaps,
}

impl AreaIndex {
    /// Files attachments under keys, small numbers.
    pub fn new(areas: &Areas<'_>, keyed: impl Iterator<Item = (u32, usize)>) -> Self {
        let mut entries = Vec::new();
        let mut signatures = Vec::new();
        for (key, at) in keyed {
            let (Some(area), Ok(attachment)) = (areas.area_of(at), u32::try_from(at)) else {
                continue;
            };
            let signature = area.signature_of();
            if let Err(place) = signatures.binary_search(&signature) {
                signatures.insert(place, signature);
            }

            let group = |dimension| group_number(area.default, signature, dimension);
            entries.push(Entry {
                key,
                group: group(None),
                pattern: 0,
                attachment,
            });
            for dimension in exclusive_dimensions() {
                let group = group(Some(dimension));
                let patterns = area.patterns_of(dimension).iter();
                entries.extend(patterns.map(|pattern| Entry {
                    key,
                    group,
                    pattern: *pattern,
                    attachment,
                }));
            }
        }

        entries.sort_unstable_by_key(Entry::sort_key);
        let keys = entries.last().map_or(0, |entry| entry.key + 1);
        let starts = (0..=keys)
            .map(|key| entries.partition_point(|entry| entry.key < key))
            .collect();

        Self {
            entries,
            starts,
            signatures,
        }
    }

    /// The first attachment under `key`, that `accept` takes, with an area that covers this one.
    pub fn find_covering(
        &self,
        areas: &Areas<'_>,
        key: u32,
        area: &Area,
        budget: &mut SearchBudget,
        accept: impl FnMut(usize, &Area, &mut SearchBudget) -> bool,
    ) -> Option<usize> {
        let defaults: &[bool] = if area.default {
            &[false, true]
        } else {
            &[false]
        };

        self.find_first(areas, key, area, Relation::Covers, defaults, budget, accept)
    }

    /// The first attachment under `key`, that `accept` takes, with an area that overlaps this one.
    pub fn find_overlapping(
        &self,
        areas: &Areas<'_>,
        key: u32,
        area: &Area,
        budget: &mut SearchBudget,
        accept: impl FnMut(usize, &Area, &mut SearchBudget) -> bool,
    ) -> Option<usize> {
        self.find_first(
            areas,
            key,
            area,
            Relation::Overlaps,
            &[area.default],
            budget,
            accept,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the two public questions differ in two of them"
    )]
    fn find_first(
        &self,
        areas: &Areas<'_>,
        key: u32,
        area: &Area,
        relation: Relation,
        defaults: &[bool],
        budget: &mut SearchBudget,
        mut accept: impl FnMut(usize, &Area, &mut SearchBudget) -> bool,
    ) -> Option<usize> {
        let entries = self.entries_under(key);
        let mut takes = |candidate: &Entry| {
            let other = areas.area_of(candidate.attachment as usize);
            budget.spend(1)
                && other.is_some_and(|other| {
                    let holds = match relation {
                        Relation::Covers => areas.area_covers(other, area),
                        Relation::Overlaps => areas.areas_overlap(other, area),
                    };

                    holds && accept(candidate.attachment as usize, other, budget)
                })
        };

        for default in defaults {
            for signature in &self.signatures {
                let shared = signature.shared_with(area.signature_of());
                if relation == Relation::Covers && shared != *signature {
                    continue;
                }

                let group = |dimension| group_number(*default, *signature, dimension);
                let found = match shared.first_dimension() {
                    None => pattern_entries(entries, group(None), 0..1)
                        .iter()
                        .find(|c| takes(c)),
                    Some(dimension) => {
                        let entries = group_entries(entries, group(Some(dimension)));
                        self.by_pattern(areas, entries, area, dimension, relation, &mut takes)
                    }
                };

                if let Some(found) = found {
                    return Some(found.attachment as usize);
                }
            }
        }

        None
    }

    fn by_pattern<'s>(
        &self,
        areas: &Areas<'_>,
        entries: &'s [Entry],
        area: &Area,
        dimension: Dimension,
        relation: Relation,
        takes: &mut impl FnMut(&Entry) -> bool,
    ) -> Option<&'s Entry> {
        let order = areas.order_of(dimension);
        let patterns = area.patterns_of(dimension);
        // What covers all of an area covers its first pattern; what overlaps may overlap any.
        let asked = if relation == Relation::Covers {
            patterns.get(..1)?
        } else {
            patterns
        };

        let group = entries.first()?.group;
        for pattern in asked {
            for above in order.covering_patterns(*pattern) {
                if let Some(found) = pattern_entries(entries, group, above..above + 1)
                    .iter()
                    .find(|c| takes(c))
                {
                    return Some(found);
                }
            }

            if relation == Relation::Overlaps
                && let Some(found) = pattern_entries(entries, group, order.covered_range(*pattern))
                    .iter()
                    .find(|c| takes(c))
            {
                return Some(found);
            }
        }

        None
    }

    fn entries_under(&self, key: u32) -> &[Entry] {
        let start = self.starts.get(key as usize).copied().unwrap_or_default();
        let end = self
            .starts
            .get(key as usize + 1)
            .copied()
            .unwrap_or_default();

        self.entries.get(start..end).unwrap_or_default()
    }
}

fn group_entries(entries: &[Entry], group: u16) -> &[Entry] {
    pattern_entries(entries, group, 0..PatternNo::MAX)
}

/// The entries of a group with these patterns, of sorted entries of one key.
fn pattern_entries(
    entries: &[Entry],
    group: u16,
    patterns: std::ops::Range<PatternNo>,
) -> &[Entry] {
    let start =
        entries.partition_point(|entry| (entry.group, entry.pattern) < (group, patterns.start));
    let end = entries.partition_point(|entry| (entry.group, entry.pattern) < (group, patterns.end));
    entries.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::rules::tests::draft_of;

    fn target() -> impl Strategy<Value = String> {
        let list =
            || proptest::option::weighted(0.6, proptest::collection::vec("[ab]{0,2}\\*?", 1..3));
        (list(), list(), list(), any::<bool>()).prop_map(|(teams, keys, models, default)| {
            let field = |name: &str, list: Option<Vec<String>>| match list {
                Some(list) => format!("{name}: ['{}'], ", list.join("', '")),
                None => String::new(),
            };

            let lists = field("teams", teams) + &field("keys", keys) + &field("models", models);
            let lists = if lists.is_empty() {
                "scope: '*', ".to_owned()
            } else {
                lists
            };

            format!("{lists}default: {default}")
        })
    }

    proptest! {
        #[test]
        fn search_finds_what_a_scan_finds(targets in proptest::collection::vec(target(), 1..10)) {
            let text: String = targets
                .iter()
                .map(|t| format!("--- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, {t}}}\n"))
                .chain(["--- {apiVersion: refguard/v1, kind: Policy, name: p}\n".to_owned()])
                .collect();

            draft_of(&[("a.yaml", &text)], |draft| {
                let areas = draft.areas();
                let key = |at: usize| u32::try_from(at % 2).unwrap();
                let index = AreaIndex::new(areas, areas.all_areas().map(|(at, _)| (key(at), at)));
                for (_, area) in areas.all_areas() {
                    for wanted in 0..2 {
                        let mut found = Vec::new();
                        let mut note = |at: usize, _: &Area, _: &mut SearchBudget| {
                            found.push(at);
                            false
                        };

                        index.find_overlapping(areas, wanted, area, &mut SearchBudget::new(), &mut note);
                        found.sort_unstable();
                        found.dedup();
                        let scan = areas.all_areas().filter(|(at, other)| key(*at) == wanted && areas.areas_overlap(other, area));
                        let scan: Vec<usize> = scan.map(|(at, _)| at).collect();
                        assert_eq!(found, scan, "{text}");
                    }
                }
            });
        }
    }

    #[test]
    fn a_spent_budget_ends_the_search() {
        let text = "--- {apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}\n\
                    --- {apiVersion: refguard/v1, kind: Policy, name: p}\n";
        draft_of(&[("a.yaml", text)], |draft| {
            let areas = draft.areas();
            let index = AreaIndex::new(areas, [(0, 0)].into_iter());
            let area = areas.area_of(0).unwrap();
            assert_eq!(
                index.find_overlapping(areas, 0, area, &mut SearchBudget::new(), |_, _, _| true),
                Some(0)
            );
            assert_eq!(
                index.find_overlapping(areas, 0, area, &mut SearchBudget(0), |_, _, _| true),
                None
            );
        });
    }
}
