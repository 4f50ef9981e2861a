//! `rollback` and `hold`: back to what was in force, and no further promotion for now.

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use refguard_core::document::Release;

use crate::ops::change::gates::{self, Candidate, Lowered, Verdict};
use crate::ops::change::home::{HomeRequest, RefsExpected};
use crate::ops::change::promote::check_reason;
use crate::ops::change::publish::{self, Ending, Published};
use crate::ops::change::undo::{StepKind, UndoEntry, UndoStack, UndoStep};
use crate::ops::source::judged::release_of;
use crate::ops::source::load::NoProgress;
use crate::ops::{EnvironmentState, Refused, TrackedSet, Workspace};
use crate::repo::{CommitId, HistoryEntry, Ledger, Promotion, Record, Repo, Target, TreeId};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct RollbackRequest {
    /// The environment.
    pub environment: String,
    /// The promotion or commit to go back to; `None`: what was in force before.
    pub to: Option<Target>,
    /// Why.
    pub reason: Option<String>,
    /// The tip that the environment must have.
    pub expect: Option<String>,
    /// Where the environment is looked for.
    pub home: HomeRequest,
}

/// A rollback or a hold that is worked out and not made yet.
#[derive(Debug)]
#[must_use = "nothing is rolled back before it is published"]
pub struct RollbackPlan {
    /// The environment, as it was looked at.
    pub environment: EnvironmentState,
    /// What the gates say; only *valid* refuses.
    pub verdict: Verdict,
    /// The set that the environment has now; `None` where it is not valid.
    pub before: Option<std::sync::Arc<refguard_core::resolve::Engine>>,
    back: Back,
    digest: String,
    /// The release whose rules the set keeps, where that is not this one.
    version: Option<String>,
    expected: RefsExpected,
}

/// What is to be written.
#[derive(Debug)]
struct Back {
    source: CommitId,
    tree: TreeId,
    /// The release that promoted it.
    rules: Release,
    /// Why no promotion may follow.
    hold: Option<String>,
    /// Why the hold that is there ends.
    release: Option<String>,
    reason: Option<String>,
    rollback: Option<Target>,
}

impl RollbackPlan {
    /// What it goes back to, in words.
    pub fn target(&self) -> Option<String> {
        self.back.rollback.map(describe)
    }

    /// Whether nothing is to be done: there is no hold to end.
    pub fn is_idle(&self) -> bool {
        self.back.release.is_some() && self.verdict.allow.is_empty()
    }

    /// Whether the set stays as it is.
    pub fn stays(&self) -> bool {
        self.back.rollback.is_none()
    }

    /// The commit that the set once came from.
    pub fn source(&self) -> CommitId {
        self.back.source
    }
}

impl Workspace {
    /// Works a rollback out. Moves nothing.
    ///
    /// # Errors
    /// Where there is nothing to go back to, or git cannot be read.
    pub fn plan_rollback(&self, request: &RollbackRequest) -> Result<RollbackPlan> {
        let (environment, expected) = self.looked_at(&request.environment, &request.home)?;
        publish::check_expect(self, &environment, request.expect.as_deref())?;
        let (name, ledger) = (&request.environment, &environment.ledger);
        let stack = undo_stack(self.repo()?, ledger)?;
        let entry = match request.to {
            Some(target) => stack.find(target).with_context(|| {
                let newest = ledger.next_number() - 1;
                let what = describe(target);
                format!("`{name}` has no {what} to go back to; the newest promotion is {newest}")
            })?,
            None => match stack.below_top() {
                Some(entry) => entry,
                None => bail!(Refused(format!(
                    "`{name}` has no earlier set to go back to: everything before was rolled back \
                     already, or is the same set"
                ))),
            },
        };
        let words = describe(entry.target);
        let back = Back {
            source: source_of(ledger, &entry),
            tree: entry.tree,
            rules: rules_of(ledger, &entry),
            hold: Some(
                request
                    .reason
                    .clone()
                    .unwrap_or_else(|| format!("rolled back to {words}")),
            ),
            release: None,
            reason: request.reason.clone(),
            rollback: Some(entry.target),
        };
        self.plan_back(environment, back, expected)
    }

    /// Works out a hold without a rollback: a promotion of the tree that is there.
    ///
    /// # Errors
    /// Where nothing was promoted yet, or git cannot be read.
    pub fn plan_hold(&self, name: &str, reason: &str, home: &HomeRequest) -> Result<RollbackPlan> {
        let (environment, expected) = self.looked_at(name, home)?;
        let (Some(last), Some(tip)) = (environment.ledger.last_promotion(), environment.ledger.tip)
        else {
            bail!("nothing was promoted to `{name}` yet, so there is nothing to hold");
        };
        let back = Back {
            source: last.record.source,
            tree: self.repo()?.tree_of(tip)?,
            rules: standing_rules(&environment.ledger),
            hold: Some(reason.to_owned()),
            release: None,
            reason: Some(reason.to_owned()),
            rollback: None,
        };
        self.plan_back(environment, back, expected)
    }

    /// Works out the end of a hold: the set stays.
    ///
    /// # Errors
    /// Where nothing was promoted yet, or git cannot be read.
    pub fn plan_release(
        &self,
        name: &str,
        reason: &str,
        home: &HomeRequest,
    ) -> Result<RollbackPlan> {
        let (environment, expected) = self.looked_at(name, home)?;
        let (Some(last), Some(tip)) = (environment.ledger.last_promotion(), environment.ledger.tip)
        else {
            bail!("nothing was promoted to `{name}` yet, so there is nothing to release");
        };
        let back = Back {
            source: last.record.source,
            tree: self.repo()?.tree_of(tip)?,
            rules: standing_rules(&environment.ledger),
            hold: None,
            release: Some(reason.to_owned()),
            reason: Some(reason.to_owned()),
            rollback: None,
        };
        self.plan_back(environment, back, expected)
    }

    fn plan_back(
        &self,
        environment: EnvironmentState,
        back: Back,
        expected: RefsExpected,
    ) -> Result<RollbackPlan> {
        for reason in [&back.hold, &back.release].into_iter().flatten() {
            check_reason(reason)?;
        }
        let base = environment
            .ledger
            .tip
            .map(|tip| self.repo()?.tree_of(tip).map_err(anyhow::Error::from))
            .transpose()?;
        let candidate = Candidate {
            source: back.source,
            tree: back.tree,
            changes: base != Some(back.tree),
            sources: Vec::new(),
            rules: back.rules,
            now: Timestamp::now(),
        };
        let mut sets = TrackedSet::default();
        let before = match base.filter(|base| *base != back.tree) {
            Some(base) => sets
                .judge_tree(self, base, Release::FIRST, &NoProgress)?
                .sound(),
            None => None,
        };
        let lowered = Lowered {
            hold: back.release.clone(),
            ..Lowered::default()
        };
        let before_engine = before.as_ref();
        let verdict = gates::judge(
            self,
            &mut sets,
            &environment,
            before_engine,
            &candidate,
            &lowered,
            true,
        )?;
        let digest = verdict
            .digest()
            .map(|digest| digest.to_string())
            .unwrap_or_default();
        let version = candidate.version(&verdict);
        Ok(RollbackPlan {
            environment,
            verdict,
            before,
            back,
            digest,
            version,
            expected,
        })
    }

    /// Makes the rollback or hold that was worked out.
    ///
    /// # Errors
    /// As of [`Workspace::promote`].
    pub fn roll_back(&self, plan: &RollbackPlan) -> Result<Published> {
        if plan.verdict.refuses() {
            bail!("the set to go back to is not valid");
        }
        let (back, ledger) = (&plan.back, &plan.environment.ledger);
        if plan.is_idle() {
            return publish::unchanged(self.repo()?, &plan.environment, back.source);
        }
        let next = publish::next_record(self, ledger);
        let record = Record {
            environment: plan.environment.name().to_owned(),
            version: plan.version.clone().or(next.version),
            source: back.source,
            digest: plan.digest.clone(),
            reason: back.reason.clone(),
            rollback: back.rollback,
            hold: back.hold.clone(),
            allow: plan.verdict.allow.clone(),
            number: next.number,
            previous: next.previous,
            root: next.root,
            ..Record::default()
        };
        let parents = ledger.next_parents(None);
        let ending = Ending {
            record,
            tree: back.tree,
            parents,
        };
        publish::publish(self.repo()?, &plan.environment, &plan.expected, ending)
    }

    /// An environment where it lives, as it stands there now.
    fn looked_at(
        &self,
        name: &str,
        home: &HomeRequest,
    ) -> Result<(EnvironmentState, RefsExpected)> {
        let place = self.place_to_move(name, home)?;
        let expected = place.expected;
        let environment = self.environment_at(name, place)?;
        self.refuse_lost_branch(&environment)?;
        Ok((environment, expected))
    }
}

/// An entry of the history in words.
pub(in crate::ops) fn describe(target: Target) -> String {
    match target {
        Target::Promotion(number) => format!("promotion {number}"),
        Target::Commit(commit) => format!("commit {}", commit.short()),
    }
}

/// The release that promoted what an environment holds. What something else has put there is looked
/// at as kindly as can be: it is in force.
pub(in crate::ops) fn standing_rules(ledger: &Ledger) -> Release {
    let last = ledger
        .last_promotion()
        .filter(|last| ledger.tip == Some(last.commit.id));
    last.map_or(Release::FIRST, |last| release_of(&last.record))
}

/// The release that promoted the set of an entry. One that no promotion brought: as in
/// [`standing_rules`].
pub(in crate::ops) fn rules_of(ledger: &Ledger, entry: &UndoEntry) -> Release {
    let promotion = match entry.target {
        Target::Promotion(number) => ledger.find_promotion(number),
        Target::Commit(_) => None,
    };
    promotion.map_or(Release::FIRST, |promotion| release_of(&promotion.record))
}

/// The commit that an entry's set came from: of an external one, the commit itself.
pub(in crate::ops) fn source_of(ledger: &Ledger, entry: &UndoEntry) -> CommitId {
    match entry.target {
        Target::Promotion(number) => ledger
            .find_promotion(number)
            .map_or(entry.commit, |promotion| promotion.record.source),
        Target::Commit(commit) => commit,
    }
}

/// What there is to go back to, after everything that happened to an environment.
pub(in crate::ops) fn undo_stack(repo: &Repo, ledger: &Ledger) -> Result<UndoStack> {
    let entries: Vec<HistoryEntry<'_>> = ledger.list_entries().collect();
    let mut steps: Vec<UndoStep> = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        let before = steps.last().map(|step| step.tree);
        steps.push(match entry {
            HistoryEntry::Promotion(promotion) => promotion_step(promotion, before),
            HistoryEntry::External(commit) => {
                let tree = repo.tree_of(*commit)?;
                UndoStep {
                    number: None,
                    commit: *commit,
                    tree,
                    kind: StepKind::Push,
                }
            }
        });
    }
    Ok(UndoStack::replay(steps))
}

fn promotion_step(promotion: &Promotion, before: Option<TreeId>) -> UndoStep {
    let Promotion { record, commit } = promotion;
    let stays = before == Some(commit.tree) && (record.hold.is_some() || releases_hold(record));
    let kind = match record.rollback {
        Some(target) => StepKind::BackTo(target),
        None if stays => StepKind::Stay,
        None => StepKind::Push,
    };
    UndoStep {
        number: Some(record.number),
        commit: commit.id,
        tree: commit.tree,
        kind,
    }
}

/// Whether a promotion ended a hold and brought no set: then no promoted commit is among its
/// parents.
pub(in crate::ops) fn only_releases(record: &Record, parents: &[CommitId]) -> bool {
    let is_alone = record.rollback.is_none() && record.hold.is_none() && record.policies.is_empty();
    is_alone && releases_hold(record) && record.number > 1 && !parents.contains(&record.source)
}

/// Whether a promotion ended a hold, alone or with a new set.
pub(in crate::ops) fn releases_hold(record: &Record) -> bool {
    record.allow.iter().any(|allow| allow.gate == "hold")
}
