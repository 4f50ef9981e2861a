//! What each policy's chain gives, computed once for a set. Without it an answer takes 2.2 times
//! the instructions.
//!
//! The guardrails of a chain depend on a request only by which of the chain's conditions hold for
//! its model. With few distinct conditions there are few such cases, and the guardrails of every
//! case are computed beforehand. An example: `child` inherits `base`, and has one condition, the
//! first of the set's distinct ones.
//!
//! ```text
//! base:  add [log]                                     guardrails: log = 0, pii = 1
//! child: add [pii], remove [log], condition gpt-.*     conditions: gpt-.* = 0
//!
//! case 0 (the condition fails): [log]         case 1 (it holds): [pii]
//!
//! row:   … │ 0          │ 1      2        │ 0        1       │ …
//!            conditions   ends of the       guardrails of
//!            of child     cases' lists      case 0, of case 1
//! ```
//!
//! A case's number has bit `i` set where the chain's `i`-th condition holds. The lists of all
//! policies lie in one row of numbers: a request looks at a few dozen policies of many thousands,
//! and one row costs one wait for memory a policy.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::policy::{ConditionId, GuardrailId, Policy, PolicyId, PolicySet};

/// The most distinct conditions of a chain whose cases are computed beforehand: each doubles their
/// number.
const MAX_CONDITIONS: usize = 4;

/// What the chains of a set's policies give.
#[derive(Debug, Clone, Default)]
pub(super) struct ChainTable {
    /// By [`PolicyId`].
    rows: Vec<ChainRow>,
    /// For each row: its conditions; then, for each case, where its guardrails end, counted from
    /// the end of these ends; then the guardrails of all cases.
    numbers: Vec<u32>,
    /// Distinct conditions: patterns, one of which must hold.
    conditions: Vec<Box<[ConditionId]>>,
}

/// One policy with its ancestors.
#[derive(Debug, Clone, Copy)]
struct ChainRow {
    /// Where its numbers begin in [`ChainTable::numbers`].
    at: u32,
    /// How many distinct conditions its members have. With too many, each request works out what
    /// the chain gives.
    conditions: u8,
    /// Whether a member has no condition, so that the policy applies to every model.
    free: bool,
    /// Whether the policy has a pipeline of its own.
    pipeline: bool,
}

impl ChainTable {
    pub(super) fn new(set: &PolicySet) -> Self {
        let mut builder = TableBuilder::default();
        set.policies
            .iter()
            .for_each(|policy| builder.add_policy(set, policy));
        builder.table
    }

    /// The table of a set that was patched: only the rows of `differing` policies are made anew.
    pub(super) fn with_patch(&self, set: &PolicySet, differing: &FxHashSet<PolicyId>) -> Self {
        let known = (0..)
            .zip(&self.conditions)
            .map(|(number, condition)| (condition.clone(), number));
        let table = Self {
            conditions: self.conditions.clone(),
            ..Self::default()
        };

        let mut builder = TableBuilder {
            known: known.collect(),
            table,
        };

        for (id, policy) in (0..).map(PolicyId).zip(&set.policies) {
            let same = self.row_of(id).filter(|_| !differing.contains(&id));
            match same.and_then(|row| Some((row, self.row_numbers(row)?))) {
                Some((row, numbers)) => builder.put_row(*row, numbers),
                None => builder.add_policy(set, policy),
            }
        }

        builder.table
    }

    fn row_of(&self, id: PolicyId) -> Option<&ChainRow> {
        self.rows.get(id.0 as usize)
    }

    /// All numbers of a row.
    fn row_numbers(&self, row: &ChainRow) -> Option<&[u32]> {
        let numbers = self.numbers.get(row.at as usize..)?;
        let cases = row.count_cases();
        let head = cases.conditions + cases.count;
        let guardrails = head
            .checked_sub(1)
            .and_then(|last| numbers.get(last))
            .map_or(0, |end| *end as usize);

        numbers.get(..head + guardrails)
    }

    /// Whether a policy has a pipeline of its own.
    pub(super) fn has_pipeline(&self, id: PolicyId) -> bool {
        self.row_of(id).is_some_and(|row| row.pipeline)
    }

    /// A policy applies when any member of its chain has no condition or one that holds.
    pub(super) fn policy_applies(&self, id: PolicyId, of: &Conditions<'_>) -> bool {
        let Some(row) = self.row_of(id) else {
            return false;
        };

        if row.free {
            return true;
        }

        match row.is_kept() {
            true => self
                .conditions_of(row)
                .iter()
                .any(|number| self.condition_holds(*number, of)),
            false => of.set.policy(id).is_some_and(|policy| {
                chain_members(of.set, policy).any(|member| of.hold_for(member))
            }),
        }
    }

    /// What a policy's chain gives.
    pub(super) fn guardrails_of<'a>(&'a self, id: PolicyId, of: &Conditions<'_>) -> Gives<'a> {
        if let Some(row) = self.row_of(id).filter(|row| row.is_kept()) {
            let bit =
                |(at, number): (usize, &u32)| u8::from(self.condition_holds(*number, of)) << at;
            let case = self.conditions_of(row).iter().enumerate().map(bit).sum();
            let guardrails = Cow::Borrowed(self.case_guardrails(row, case).unwrap_or(&[]));
            return Gives {
                case: Some(case),
                guardrails,
            };
        }

        let set = of.set;
        let worked_out = set
            .policy(id)
            .map(|policy| set.effective_guardrails(policy, |member| of.hold_for(member)));
        Gives {
            case: None,
            guardrails: guardrail_numbers(worked_out.unwrap_or_default()).collect(),
        }
    }

    fn case_guardrails(&self, row: &ChainRow, case: u8) -> Option<&[u32]> {
        let case = usize::from(case);
        let cases = row.count_cases();
        let numbers = self.numbers.get(row.at as usize + cases.conditions..)?;
        let (ends, guardrails) = numbers.split_at_checked(cases.count)?;
        let start = case
            .checked_sub(1)
            .and_then(|before| ends.get(before))
            .map_or(0, |end| *end as usize);

        guardrails.get(start..*ends.get(case)? as usize)
    }

    fn conditions_of(&self, row: &ChainRow) -> &[u32] {
        let at = row.at as usize;
        self.numbers
            .get(at..at + row.count_cases().conditions)
            .unwrap_or(&[])
    }

    fn condition_holds(&self, number: u32, of: &Conditions<'_>) -> bool {
        self.conditions
            .get(number as usize)
            .is_some_and(|condition| of.any_holds(condition))
    }
}

/// What a chain gives in one case.
#[derive(Debug, Default)]
pub(super) struct Gives<'a> {
    /// The number of the case: in the same case a policy always gives the same. `None` where the
    /// cases are not computed beforehand.
    pub case: Option<u8>,
    /// Numbers of [`GuardrailId`]s, sorted.
    pub guardrails: Cow<'a, [u32]>,
}

/// How many conditions, and how many cases, a row has.
struct CaseCounts {
    conditions: usize,
    count: usize,
}

impl ChainRow {
    fn is_kept(&self) -> bool {
        usize::from(self.conditions) <= MAX_CONDITIONS
    }

    fn count_cases(&self) -> CaseCounts {
        match self.is_kept() {
            true => CaseCounts {
                conditions: self.conditions.into(),
                count: 1 << self.conditions,
            },
            false => CaseCounts {
                conditions: 0,
                count: 0,
            },
        }
    }
}

/// A table under construction.
#[derive(Default)]
struct TableBuilder {
    known: FxHashMap<Box<[ConditionId]>, u32>,
    table: ChainTable,
}

impl TableBuilder {
    fn put_row(&mut self, row: ChainRow, numbers: &[u32]) {
        let at = u32::try_from(self.table.numbers.len()).unwrap_or(u32::MAX);
        self.table.rows.push(ChainRow { at, ..row });
        self.table.numbers.extend_from_slice(numbers);
    }

    fn add_policy(&mut self, set: &PolicySet, policy: &Policy) {
        let mut conditions: Vec<u32> = Vec::new();
        for own in chain_members(set, policy).filter_map(|member| member.condition.as_deref()) {
            let number = self.condition_number(own);
            if !conditions.contains(&number) {
                conditions.push(number);
            }
        }

        let row = ChainRow {
            at: 0,
            conditions: u8::try_from(conditions.len()).unwrap_or(u8::MAX),
            free: chain_members(set, policy).any(|member| member.condition.is_none()),
            pipeline: policy.pipeline.is_some(),
        };

        let numbers = if row.is_kept() {
            self.every_case(set, policy, &conditions)
        } else {
            Vec::new()
        };

        self.put_row(row, &numbers);
    }

    fn every_case(&self, set: &PolicySet, policy: &Policy, conditions: &[u32]) -> Vec<u32> {
        let (mut ends, mut guardrails) = (Vec::new(), Vec::new());
        for case in 0..1_usize << conditions.len() {
            let holds = |own: &[ConditionId]| {
                let number = self.known.get(own);
                let at = conditions.iter().position(|one| Some(one) == number);
                at.is_some_and(|at| case >> at & 1 == 1)
            };

            guardrails.extend(guardrail_numbers(
                set.effective_guardrails(policy, |member| {
                    member.condition.as_deref().is_none_or(holds)
                }),
            ));
            ends.push(u32::try_from(guardrails.len()).unwrap_or(u32::MAX));
        }

        [conditions, &ends, &guardrails].concat()
    }

    fn condition_number(&mut self, condition: &[ConditionId]) -> u32 {
        if let Some(number) = self.known.get(condition) {
            return *number;
        }

        let number = u32::try_from(self.table.conditions.len()).unwrap_or(u32::MAX);
        self.table.conditions.push(condition.into());
        self.known.insert(condition.into(), number);

        number
    }
}

fn chain_members<'a>(set: &'a PolicySet, policy: &'a Policy) -> impl Iterator<Item = &'a Policy> {
    policy.chain.iter().filter_map(|id| set.policy(*id))
}

fn guardrail_numbers(guardrails: Vec<GuardrailId>) -> impl Iterator<Item = u32> {
    guardrails.into_iter().map(|guardrail| guardrail.0)
}

/// Tells which conditions hold for one model.
#[derive(Clone, Copy)]
pub(super) struct Conditions<'a> {
    set: &'a PolicySet,
    pub(super) model: Option<&'a str>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(set: &'a PolicySet, model: Option<&'a str>) -> Self {
        Self { set, model }
    }

    /// Whether a policy has no condition of its own, or one that holds.
    pub(super) fn hold_for(&self, policy: &Policy) -> bool {
        policy
            .condition
            .as_ref()
            .is_none_or(|condition| self.any_holds(condition))
    }

    /// Whether one of the patterns of a condition holds. An absent model holds for none.
    fn any_holds(&self, condition: &[ConditionId]) -> bool {
        let Some(model) = self.model else {
            return false;
        };
        let mut patterns = condition
            .iter()
            .filter_map(|id| self.set.conditions.get(id.0 as usize));
        patterns.any(|pattern| pattern.matches(model))
    }
}
