//! `review`: what a reviewer needs to know of a change, in one piece.
//!
//! BASE is taken where the change began (the merge base), so that what others have merged since is
//! not part of it; the numbers of versions are those that a merge into the publish branch as it
//! stands now will make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::diff::{Because, SetDiff, diff_sets};
use refguard_core::document::{Finding, GateLevel, Loaded, Release};
use refguard_core::policy::{Checked, Counts, Levels, PolicySet, check_beside, check_findings};
use refguard_core::prove::{Budget, Detail, Impact, impact_from};
use refguard_core::questions::{Shift, shift_from};
use refguard_core::resolve::{CoverageItem, Engine};
use refguard_core::safeguards::SafeguardDiff;
use refguard_core::traffic::Replay;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::ops::change::gates;
use crate::ops::change::replay::replay_logs;
use crate::ops::change::safeguards::SafeguardComparisons;
use crate::ops::change::weaken::{self, TimeBox};
use crate::ops::source::load::{self, NoProgress};
use crate::ops::{
    EnvironmentState, GateWord, Judged, LogSelection, Says, Source, TestOptions, TestReport,
    TrackedSet, VersionHistory, Workspace, run_tests,
};
use crate::repo::{CommitId, TreeId};

/// The shares of the time after which the analysis, and the names of the catalog, have to end.
const IMPACT_ENDS: f64 = 0.6;
const NAMES_END: f64 = 0.8;

/// What a change comes to.
#[derive(Debug)]
pub struct Review {
    /// The revision that the change is held against, as it was asked for.
    pub base: String,
    /// The commit where the change began.
    pub base_commit: CommitId,
    /// The set after, as it was asked for.
    pub head: String,
    /// Its commit; `None` of a work tree or index.
    pub head_commit: Option<CommitId>,
    /// The folder of the set within its git repository, empty at the top.
    pub prefix: String,
    /// What was read of HEAD.
    pub counts: Counts,
    /// What is found in HEAD and was not found in BASE.
    pub new: Vec<Finding>,
    /// How many findings of BASE are gone.
    pub gone: usize,
    /// Errors of HEAD, new or not.
    pub errors: usize,
    /// What changed, by meaning; `None` where one of the sets is not valid.
    pub diff: Option<SetDiff>,
    /// What that does to requests; `None` as of `diff`.
    pub impact: Option<Impact>,
    /// The same in names of the catalog; `None` as of `diff`.
    pub shift: Option<Shift>,
    /// Who answers for the policies that it touches.
    pub owners: Vec<Owner>,
    /// What it does to invariants, tests and settings; `None` as of `diff`.
    pub safeguards: Option<SafeguardDiff>,
    /// HEAD's tests; `None` where it is not valid.
    pub tests: Option<ReviewedTests>,
    /// The versions that the merge will make.
    pub versions: ComingVersions,
    /// What the environments would say.
    pub environments: Vec<Foreseen>,
    /// What the change would have done to the requests of logs; `None`: none were given, or as of
    /// `diff`.
    pub replay: Option<Replay>,
}

/// Somebody who answers for policies that a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// As the policies have it; `None`: they name nobody.
    pub owner: Option<String>,
    /// The policies, sorted.
    pub policies: Vec<String>,
}

/// Test results beside those of BASE.
#[derive(Debug)]
pub struct ReviewedTests {
    /// HEAD's.
    pub report: TestReport,
    /// Passed and failed in BASE; `None` where it is not valid.
    pub base: Option<(usize, usize)>,
    /// The percentage that is covered in BASE.
    pub base_coverage: Option<f64>,
    /// What no case exercises and is new, or was exercised before.
    pub uncovered: Vec<CoverageItem>,
}

/// The versions that a merge will make.
#[derive(Debug)]
pub enum ComingVersions {
    /// By policy name.
    Known(Vec<ComingVersion>),
    /// Why they cannot be told.
    Unknown(String),
}

/// A version that a merge will make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComingVersion {
    /// The policy.
    pub policy: String,
    /// Its number.
    pub number: u64,
    /// Whether it is the policy's removal.
    pub removed: bool,
}

/// Whether an environment could take the set once it is published.
#[derive(Debug, Clone, Serialize)]
pub struct Foreseen {
    /// The environment.
    pub environment: String,
    /// Whether every gate lets it pass.
    pub could: bool,
    /// Whether no gate refuses, and the review's time ended before all of them were through.
    pub undecided: bool,
    /// What the gates would say.
    pub gates: Vec<GateWord>,
}

/// What the review found out already, so that no gate works it out anew.
struct KnownAnswers<'r> {
    tests: Option<&'r ReviewedTests>,
    impact: Option<&'r Impact>,
    /// Whether the time for the impact ended before it was worked out.
    impact_ran_out: bool,
    comparisons: SafeguardComparisons,
}

/// One set of the two.
struct ReviewedSide {
    /// `None` where it is not valid.
    engine: Option<Arc<Engine>>,
    findings: Vec<Finding>,
    counts: Counts,
    /// The files that were read.
    files: FxHashSet<Arc<str>>,
}

/// One set of the two, before it is known what is to be found in it.
enum ReadSide {
    /// Of a tree: what it came to by its differences, and all its documents.
    Judged(Judged, Loaded),
    /// All documents of a work tree or index.
    Unjudged(Loaded),
}

impl ReadSide {
    fn engine(&self) -> Option<Arc<Engine>> {
        match self {
            Self::Judged(Judged::Sound(engine) | Judged::Outdated(engine, _), _) => {
                Some(Arc::clone(engine))
            }
            Self::Judged(Judged::Faulty(_), _) | Self::Unjudged(_) => None,
        }
    }
}

impl ReviewedSide {
    /// With everything that there is to find, warnings too. `near` is a set that may have much in
    /// common with it.
    fn find(read: ReadSide, near: Option<&PolicySet>) -> Self {
        let (engine, checked) = match read {
            ReadSide::Judged(judged, loaded) => {
                let engine = judged.sound();
                let known = engine.as_ref().map(|engine| &**engine.set()).or(near);
                let checked = check_findings(loaded, &Levels::default(), known);
                (engine, checked)
            }
            ReadSide::Unjudged(loaded) => {
                let mut checked = check_beside(loaded, &Levels::default(), near);
                let set = checked.set.take();
                (set.map(|set| Arc::new(Engine::new(Arc::new(set)))), checked)
            }
        };
        let Checked {
            findings,
            sources,
            counts,
            ..
        } = checked;
        let files = sources.iter().map(|file| file.path().clone()).collect();
        Self {
            engine,
            findings,
            counts,
            files,
        }
    }
}

impl Review {
    /// Whether HEAD itself is at fault.
    pub fn is_faulty(&self) -> bool {
        self.errors > 0
            || self
                .tests
                .as_ref()
                .is_some_and(|tests| tests.report.failed > 0)
    }
}

impl Workspace {
    /// Works a review out, within one time for all of it. Without a BASE: the publish branch.
    ///
    /// # Errors
    /// Where a set cannot be read at all.
    pub fn review(
        &self,
        base: Option<&str>,
        head: &Source,
        now: Timestamp,
        time: TimeBox,
        detail: Detail,
        logs: Option<&LogSelection>,
    ) -> Result<Review> {
        let repo = self.repo()?;
        let base_tip = base.map_or_else(
            || self.published(),
            |revision| Ok(self.revision(revision)?.0),
        )?;
        let head_commit = match head {
            Source::At(revision) => Some(self.revision(revision)?.0),
            Source::Worktree | Source::Staged => repo.head_commit()?,
        };
        let began = head_commit
            .map(|head| repo.merge_base(base_tip, head))
            .transpose()?
            .flatten()
            .unwrap_or(base_tip);
        let mut sets = TrackedSet::default();
        let mut history = VersionHistory::new(self);
        let before = self.read_tree(&mut sets, repo.tree_of(began)?, Release::FIRST)?;
        let after = self.read_head(&mut sets, head)?;
        let near = before.engine();
        let near = near.as_ref().map(|engine| &**engine.set());
        let (before, after) = rayon::join(
            || ReviewedSide::find(before, None),
            || ReviewedSide::find(after, near),
        );
        let engines = before.engine.as_ref().zip(after.engine.as_ref());
        let diff = engines.map(|(before, after)| diff_sets(before.set(), after.set()));
        let impact_budget = time.budget_until(IMPACT_ENDS);
        let impact =
            engines.map(|(before, after)| impact_from(before, after, now, &impact_budget, detail));
        let shift = engines
            .zip(impact.as_ref())
            .map(|((before, after), impact)| {
                let budget = time.budget_until(NAMES_END);
                shift_from(before, after, now, impact, &budget)
            });
        let owners = engines.zip(diff.as_ref());
        let owners = owners
            .map(|(engines, diff)| owners_of(engines, diff))
            .unwrap_or_default();
        let mut comparisons = SafeguardComparisons::within(time);
        let safeguards = engines
            .map(|(before, after)| comparisons.compare_sides(before.set(), after.set(), now))
            .transpose()?;
        let tests = compare_tests(&mut history, &before, &after, now)?;
        let sides = (&before, &after);
        let began_tree = repo.tree_of(began)?;
        let known = KnownAnswers {
            tests: tests.as_ref(),
            impact: impact.as_ref(),
            impact_ran_out: impact_budget.has_run_out(),
            comparisons,
        };
        let environments = self.foresee_gates(&mut sets, began_tree, sides, now, known)?;
        // Last: a log takes as long as it is, and takes no time from what the gates think.
        let replay = engines
            .zip(impact.as_ref())
            .zip(logs)
            .map(|((engines, impact), logs)| {
                replay_logs(engines, Some(began.to_string()), now, impact, logs)
            })
            .transpose()?;
        let errors = after
            .findings
            .iter()
            .filter(|finding| finding.is_error())
            .count();
        let versions = coming_numbers(&mut history, diff.as_ref(), &after);
        let (new, gone) = find_unmatched(&before.findings, &after.findings, &|file| {
            after.files.contains(file)
        });
        Ok(Review {
            base: base.map_or_else(|| self.publish_branch_name(), |b| anyhow::Ok(b.to_owned()))?,
            base_commit: began,
            head: head_name(head),
            head_commit: head_commit.filter(|_| matches!(head, Source::At(_))),
            prefix: self.root().prefix().to_owned(),
            counts: after.counts,
            new,
            gone,
            errors,
            diff,
            impact,
            shift,
            owners,
            safeguards,
            tests,
            versions,
            environments,
            replay,
        })
    }

    /// HEAD; of a commit only what differs from BASE is read.
    fn read_head(&self, sets: &mut TrackedSet, head: &Source) -> Result<ReadSide> {
        let (repo, prefix) = (self.repo()?, self.root().prefix());
        let listing = match head {
            Source::At(revision) => {
                let tree = repo.tree_of(self.revision(revision)?.0)?;
                return self.read_tree(sets, tree, Release::CURRENT);
            }
            Source::Staged => repo.list_index(prefix, &load::wanted)?,
            Source::Worktree => self.root().list_work_tree(&load::wanted)?,
        };
        Ok(ReadSide::Unjudged(load::read(listing, &NoProgress)?))
    }

    fn read_tree(&self, sets: &mut TrackedSet, tree: TreeId, as_of: Release) -> Result<ReadSide> {
        let (judged, loaded) = sets.judge_and_read(self, tree, as_of, &NoProgress)?;
        Ok(ReadSide::Judged(judged, loaded))
    }

    /// What each environment that takes its sets from the publish branch would say.
    fn foresee_gates(
        &self,
        sets: &mut TrackedSet,
        base: TreeId,
        (before, after): (&ReviewedSide, &ReviewedSide),
        now: Timestamp,
        known: KnownAnswers<'_>,
    ) -> Result<Vec<Foreseen>> {
        let KnownAnswers {
            tests,
            impact,
            impact_ran_out,
            mut comparisons,
        } = known;
        let (repo, publish_branch) = (self.repo()?, self.publish_branch_name()?);
        let mut found = Vec::new();
        for (name, _) in self.environment_refs()? {
            let state = self.environment(&name)?;
            let from_elsewhere = state
                .settings
                .from
                .as_ref()
                .is_some_and(|from| *from != publish_branch);
            if from_elsewhere {
                continue;
            }
            let tip = state.ledger.tip.map(|tip| repo.tree_of(tip)).transpose()?;
            let loss = match &after.engine {
                _ if state.settings.weaken == GateLevel::Off => None,
                None => None,
                Some(_) if tip == Some(base) && before.engine.is_some() => {
                    impact.and_then(|found| {
                        let doubts = &found.weakening_doubts;
                        weaken::loss(found.weakening.as_ref(), doubts, impact_ran_out)
                    })
                }
                Some(engine) => {
                    let budget = comparisons.budget_until(1.0);
                    self.explain_loss(sets, &state, tip, (engine, &budget), now)?
                }
            };
            let set = after.engine.as_ref().zip(tests.map(|tests| &tests.report));
            let engine = self.environment_set(sets, tip, base, before)?;
            let kept = engine.as_deref().map(Engine::set);
            let gates = gates::foresee(
                &state,
                &after.findings,
                kept,
                set,
                loss,
                now,
                &mut comparisons,
            )?;
            let is_said = |says| gates.iter().any(|word| word.says == says);
            let (refused, undecided) = (is_said(Says::Refused), is_said(Says::Undecided));
            found.push(Foreseen {
                environment: name,
                could: !refused && !undecided,
                undecided: undecided && !refused,
                gates,
            });
        }
        Ok(found)
    }

    /// The set that an environment has now; `None` where it has none, or an invalid one.
    fn environment_set(
        &self,
        sets: &mut TrackedSet,
        tip: Option<TreeId>,
        base: TreeId,
        before: &ReviewedSide,
    ) -> Result<Option<Arc<Engine>>> {
        match tip {
            Some(tip) if tip == base => Ok(before.engine.clone()),
            Some(tip) => Ok(sets
                .judge_tree(self, tip, Release::FIRST, &NoProgress)?
                .sound()),
            None => Ok(None),
        }
    }

    fn explain_loss(
        &self,
        sets: &mut TrackedSet,
        state: &EnvironmentState,
        tip: Option<TreeId>,
        (after, budget): (&Arc<Engine>, &Budget),
        now: Timestamp,
    ) -> Result<Option<weaken::Loss>> {
        let before = tip
            .map(|tip| sets.judge_tree(self, tip, Release::FIRST, &NoProgress))
            .transpose()?
            .and_then(Judged::sound);
        Ok(weaken::loss_between(
            state,
            before.as_ref(),
            after,
            now,
            budget,
        ))
    }
}

/// The owners of the policies whose documents or attachments differ, those who are named first.
fn owners_of((before, after): (&Arc<Engine>, &Arc<Engine>), diff: &SetDiff) -> Vec<Owner> {
    let own = diff
        .policies
        .changed
        .iter()
        .filter(|change| change.because == Because::Own);
    let policies = &diff.policies;
    let named = own.map(|change| &*change.name);
    let named = named.chain(
        policies
            .added
            .iter()
            .chain(&policies.removed)
            .map(|it| &*it.name),
    );
    let attachments = &diff.attachments;
    let entries = attachments.changed.iter().map(|change| &change.entry);
    let entries = entries.chain(attachments.added.iter().chain(&attachments.removed));
    let attached = entries.filter_map(|entry| entry.document.get("policy")?.as_str());
    let touched: BTreeSet<&str> = named.chain(attached).collect();

    let mut owners: BTreeMap<(bool, Option<Arc<str>>), Vec<String>> = BTreeMap::new();
    for policy in touched {
        // Whoever had a policy is asked, and whoever takes it over.
        let both = [before, after].into_iter();
        let found =
            both.filter_map(|engine| Some(engine.set().find_policy(policy)?.1.owner.clone()));
        let mut said: Vec<Option<Arc<str>>> = found.collect();
        said.sort_unstable();
        said.dedup();
        if said.len() > 1 {
            said.retain(Option::is_some);
        }
        for owner in said {
            owners
                .entry((owner.is_none(), owner))
                .or_default()
                .push(policy.to_owned());
        }
    }
    let owner = |((_, owner), policies): ((bool, Option<Arc<str>>), Vec<String>)| Owner {
        owner: owner.map(|owner| owner.to_string()),
        policies,
    };
    owners.into_iter().map(owner).collect()
}

fn compare_tests(
    history: &mut VersionHistory<'_>,
    before: &ReviewedSide,
    after: &ReviewedSide,
    now: Timestamp,
) -> Result<Option<ReviewedTests>> {
    let mut run = |side: &ReviewedSide| -> Result<Option<TestReport>> {
        let Some(engine) = &side.engine else {
            return Ok(None);
        };
        // Where nothing is tested nothing is covered, and that is known without a look at each
        // document.
        let options = TestOptions {
            coverage: side.counts.cases > 0,
            ..TestOptions::default()
        };
        run_tests(engine, now, &options, &mut |name| history.requested(name)).map(Some)
    };
    let (base, Some(report)) = (run(before)?, run(after)?) else {
        return Ok(None);
    };
    let coverage = |report: &TestReport| report.coverage.clone().unwrap_or_default();
    let known = base.as_ref().map(coverage).unwrap_or_default();
    let exercised: FxHashMap<_, bool> = known
        .items
        .iter()
        .map(|item| (finding_key(item), item.covered))
        .collect();
    let lost = |item: &&CoverageItem| {
        !item.covered && exercised.get(&finding_key(item)).copied().unwrap_or(true)
    };
    Ok(Some(ReviewedTests {
        base: base.as_ref().map(|base| (base.passed, base.failed)),
        base_coverage: base
            .as_ref()
            .and_then(|base| Some(base.coverage.as_ref()?.percent)),
        uncovered: coverage(&report)
            .items
            .iter()
            .filter(lost)
            .cloned()
            .collect(),
        report,
    }))
}

/// The numbers of what changed, as the publish branch stands.
fn coming_numbers(
    history: &mut VersionHistory<'_>,
    diff: Option<&SetDiff>,
    after: &ReviewedSide,
) -> ComingVersions {
    let (Some(diff), Some(engine)) = (diff, &after.engine) else {
        return ComingVersions::Unknown("one of the sets is not valid".to_owned());
    };
    let changed = diff
        .policies
        .changed
        .iter()
        .filter(|change| change.because == Because::Own);
    let names = changed
        .map(|change| &change.name)
        .chain(diff.policies.added.iter().map(|entry| &entry.name));
    let mut names: Vec<&Arc<str>> = names
        .chain(diff.policies.removed.iter().map(|entry| &entry.name))
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        return ComingVersions::Known(Vec::new());
    }
    let index = match history.index(&NoProgress) {
        Ok(index) => index,
        Err(error) => return ComingVersions::Unknown(format!("{error:#}")),
    };
    let coming = names.into_iter().filter_map(|name| {
        let digest = engine
            .set()
            .find_policy(name)
            .map(|(_, policy)| policy.digest.to_string());
        let number = index.versions(name).len() as u64 + 1;
        // The publish branch may have come to the same on another way.
        let is_new = index.digest(name) != digest;
        is_new.then(|| ComingVersion {
            policy: name.to_string(),
            number,
            removed: digest.is_none(),
        })
    });
    ComingVersions::Known(coming.collect())
}

/// What a thing that can be exercised is known by when lines move.
fn finding_key(item: &CoverageItem) -> (&str, refguard_core::resolve::CoverageKind, &str, &str) {
    (&item.file, item.kind, &item.policy, &item.detail)
}

fn head_name(head: &Source) -> String {
    match head {
        Source::At(revision) => revision.clone(),
        Source::Staged => "staged".to_owned(),
        Source::Worktree => "worktree".to_owned(),
    }
}

/// The findings of HEAD that BASE does not have, and how many of BASE's HEAD does not have. A
/// finding is known by its rule, file and message, of equal ones by how many there are; where its
/// file is gone from HEAD, by rule and message alone.
fn find_unmatched(
    before: &[Finding],
    after: &[Finding],
    is_there: &dyn Fn(&str) -> bool,
) -> (Vec<Finding>, usize) {
    let mut known: FxHashMap<_, usize> = FxHashMap::default();
    for finding in before {
        *known.entry(finding.identity()).or_default() += 1;
    }
    let left: Vec<&Finding> = after
        .iter()
        .filter(|finding| !take_one(&mut known, &finding.identity()))
        .collect();
    let mut gone: usize = known.values().sum();
    let mut moved: FxHashMap<_, usize> = FxHashMap::default();
    for ((code, _, message), count) in known
        .into_iter()
        .filter(|((_, file, _), _)| !is_there(file))
    {
        *moved.entry((code, message)).or_default() += count;
    }
    let mut new = Vec::new();
    for finding in left {
        match take_one(&mut moved, &(finding.rule.code, finding.message.as_str())) {
            true => gone -= 1,
            false => new.push(finding.clone()),
        }
    }
    (new, gone)
}

/// Takes one of those that there are.
fn take_one<K: Eq + std::hash::Hash>(from: &mut FxHashMap<K, usize>, key: &K) -> bool {
    match from.get_mut(key) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}
