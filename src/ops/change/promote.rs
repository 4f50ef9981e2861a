//! `promote`: one commit on the environment's branch, one compare-and-swap.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use refguard_core::document::Release;
use refguard_core::resolve::Engine;

use crate::ops::change::environment::{convention_fault, read_followed, settings_at, source_fault};
use crate::ops::change::gates::{self, Candidate, Lowered, SourceTip, Verdict};
use crate::ops::change::home::{Home, HomeRequest, RefsExpected};
use crate::ops::change::partial::{self, Selection};
use crate::ops::change::publish::{self, Ending, Published};
use crate::ops::change::rollback::standing_rules;
use crate::ops::source::load::NoProgress;
use crate::ops::{EnvironmentState, Refused, TrackedSet, Workspace};
use crate::repo::{CommitId, Record, RefName, TreeId, is_reason};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct PromoteRequest {
    /// The environment.
    pub to: String,
    /// The commit; `None`: the tip of the environment's `from`, never HEAD.
    pub revision: Option<String>,
    /// Only these policies, and the removal of those.
    pub selection: Selection,
    /// Why.
    pub reason: Option<String>,
    /// The tip that the environment must have.
    pub expect: Option<String>,
    /// Where the environment is looked for.
    pub home: HomeRequest,
    /// Gates that are lowered.
    pub lowered: Lowered,
}

/// A promotion that is worked out and not made yet.
#[derive(Debug)]
#[must_use = "nothing is promoted before it is published"]
pub struct Plan {
    /// The environment, as it was looked at.
    pub environment: EnvironmentState,
    /// The commit it comes from.
    pub source: CommitId,
    /// The tree that the environment is to have.
    pub tree: TreeId,
    /// What the gates say.
    pub verdict: Verdict,
    /// The set that the environment has now; `None` where it has none, or an unsound one.
    pub before: Option<Arc<Engine>>,
    /// Nothing would change.
    pub already_there: bool,
    request: PromoteRequest,
    expected: RefsExpected,
    /// The release whose rules the set keeps, where that is not this one.
    version: Option<String>,
}

impl Workspace {
    /// Works a promotion out: the tree, the gates, what it would change. Moves nothing.
    ///
    /// # Errors
    /// Where git cannot be read, or what is asked for makes no sense. A lost `--expect` is
    /// [`Lost`].
    ///
    /// [`Lost`]: crate::ops::Lost
    pub fn plan_promotion(&self, request: PromoteRequest) -> Result<Plan> {
        let lowered = &request.lowered;
        let reasons = [
            &request.reason,
            &lowered.hold,
            &lowered.weaken,
            &lowered.safeguards,
            &lowered.freeze,
            &lowered.soak,
        ];
        for reason in reasons.into_iter().flatten() {
            check_reason(reason)?;
        }
        let repo = self.repo()?;
        let place = self.place_to_move(&request.to, &request.home)?;
        let expected = place.expected;
        let environment = self.environment_at(&request.to, place)?;
        publish::check_expect(self, &environment, request.expect.as_deref())?;
        self.refuse_lost_branch(&environment)?;
        let sources = self.sources_of(&environment)?;
        let source = match &request.revision {
            Some(revision) => self.revision(revision)?.0,
            None => self.newest_source(&environment, &sources)?,
        };
        let base = environment
            .ledger
            .tip
            .map(|tip| repo.tree_of(tip))
            .transpose()?;
        let tree = match request.selection.is_empty() {
            true => repo.tree_of(source)?,
            false => partial::tree(self, &request.selection, base, repo.tree_of(source)?)?,
        };
        let releases =
            request.lowered.hold.is_some() && environment.ledger.standing_hold().is_some();
        let already_there = base == Some(tree) && !releases;
        let changes = base != Some(tree);
        // A set that stays is not asked for more than when it came.
        let rules = match changes {
            true => Release::CURRENT,
            false => standing_rules(&environment.ledger),
        };
        let now = Timestamp::now();
        let candidate = Candidate {
            source,
            tree,
            changes,
            sources,
            rules,
            now,
        };
        let mut sets = TrackedSet::default();
        let before = match (base, already_there) {
            (Some(base), false) => sets
                .judge_tree(self, base, Release::FIRST, &NoProgress)?
                .sound(),
            _ => None,
        };
        if let Some(fault) = self.settings_fault(tree)? {
            bail!(Refused(fault));
        }
        let verdict = match already_there {
            true => Verdict::nothing(),
            false => gates::judge(
                self,
                &mut sets,
                &environment,
                before.as_ref(),
                &candidate,
                &request.lowered,
                false,
            )?,
        };
        let version = candidate.version(&verdict);
        Ok(Plan {
            environment,
            source,
            tree,
            verdict,
            before,
            already_there,
            request,
            expected,
            version,
        })
    }

    /// Makes the promotion that was worked out.
    ///
    /// # Errors
    /// Where git cannot write, a hook refuses, or somebody else was first
    /// ([`Lost`](crate::ops::Lost)).
    pub fn promote(&self, plan: &Plan) -> Result<Published> {
        let repo = self.repo()?;
        let ledger = &plan.environment.ledger;
        if plan.already_there {
            return publish::unchanged(repo, &plan.environment, plan.source);
        }
        let (Some(digest), false) = (plan.verdict.digest(), plan.verdict.refuses()) else {
            bail!("a gate refuses this promotion");
        };
        let selection = &plan.request.selection;
        let next = publish::next_record(self, ledger);
        let record = Record {
            version: plan.version.clone().or(next.version),
            number: next.number,
            previous: next.previous,
            root: next.root,
            environment: plan.request.to.clone(),
            source: plan.source,
            digest: digest.to_string(),
            reason: plan.request.reason.clone(),
            policies: selection.names(),
            rollback: None,
            hold: None,
            allow: plan.verdict.allow.clone(),
        };
        let parents = ledger.next_parents(Some(plan.source));
        let ending = Ending {
            record,
            tree: plan.tree,
            parents,
        };
        publish::publish(repo, &plan.environment, &plan.expected, ending)
    }

    /// What the set to promote says of refs, where that is not what counts, and of where sets come
    /// from, where nothing could: the promotion after it would be judged by these settings, and
    /// never pass.
    fn settings_fault(&self, tree: TreeId) -> Result<Option<String>> {
        let repo = self.repo()?;
        let settings = settings_at(self.root(), repo, tree)?;
        let publish_branch = repo.publish_branch()?;
        let fault = convention_fault(&settings, publish_branch.as_ref());
        Ok(fault.or_else(|| source_fault(&settings, publish_branch.as_ref())))
    }

    /// Where each judge of an environment says that its sets come from.
    pub(in crate::ops) fn sources_of(&self, state: &EnvironmentState) -> Result<Vec<SourceTip>> {
        let mut sources: Vec<SourceTip> = Vec::new();
        for judge in &state.judges {
            let source = self.source_of(state, judge.from.as_deref())?;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        Ok(sources)
    }

    /// The publish branch, or another declared environment, where this one lives.
    fn source_of(&self, state: &EnvironmentState, from: Option<&str>) -> Result<SourceTip> {
        let repo = self.repo()?;
        let publish_branch = repo.publish_branch();
        let is_publish_branch = |from: &str| {
            publish_branch
                .as_ref()
                .is_ok_and(|branch| branch.as_ref().is_some_and(|branch| branch.short() == from))
        };
        match from {
            Some(from) if !is_publish_branch(from) => {
                let names = self.environment_refs()?;
                if !names.iter().any(|(name, _)| name == from) {
                    bail!(
                        "`{}` takes its sets from `{from}`, which is no environment: `from` names \
                         another environment, or nothing for the \
                         publish branch; to mend it, declare an environment `{from}` in \
                         refguard.yaml on the publish branch, and promote \
                         through it a set without the mistake",
                        state.name()
                    );
                }
                let tip = self.tip_at(from, &state.home)?;
                Ok(SourceTip {
                    name: from.to_owned(),
                    tip,
                })
            }
            _ => match publish_branch? {
                Some(branch) => {
                    let tip = self.publish_tip(&state.home)?;
                    Ok(SourceTip {
                        name: branch.short().to_owned(),
                        tip,
                    })
                }
                None => bail!(
                    "there is no publish branch to promote from: make a commit, or name one with \
                     `git config refguard.publishBranch NAME`"
                ),
            },
        }
    }

    /// What is promoted where no commit is named: the tip of the newest judge's source.
    fn newest_source(&self, state: &EnvironmentState, sources: &[SourceTip]) -> Result<CommitId> {
        let (source, tip) = newest_tip(state, sources)?;
        self.refuse_unpushed(source, &state.home, tip)?;
        Ok(tip)
    }

    /// What was committed here and not pushed would be left out of a promotion at the remote in
    /// silence.
    fn refuse_unpushed(&self, branch: &str, home: &Home, pushed: CommitId) -> Result<()> {
        let (repo, Some(remote)) = (self.repo()?, home.remote()) else {
            return Ok(());
        };
        let Some(local) = read_followed(repo, &RefName::of_branch(branch)?)? else {
            return Ok(());
        };
        if local == pushed || !repo.is_ancestor(pushed, local)? {
            return Ok(());
        }
        let ahead = match repo.ahead_behind(local, pushed)? {
            Some((1, _)) => "1 commit".to_owned(),
            Some((count, _)) => format!("{count} commits"),
            None => "some commits".to_owned(),
        };
        bail!(Refused(format!(
            "`{branch}` is {ahead} ahead of `{remote}/{branch}`: push it first, or name the \
             commit to promote"
        )))
    }
}

/// A reason is one line of at most 500 characters, so that it can stand in a trailer.
pub(in crate::ops) fn check_reason(reason: &str) -> Result<()> {
    if !is_reason(reason) {
        bail!("a reason is one line of 1 to 500 characters without control characters");
    }
    Ok(())
}

/// The newest judge's source and what it holds: what is promoted where no commit is named.
///
/// # Errors
/// Where it does not exist.
pub(in crate::ops) fn newest_tip<'a>(
    state: &EnvironmentState,
    sources: &'a [SourceTip],
) -> Result<(&'a str, CommitId)> {
    let source = sources.first().context("an environment has a source")?;
    let tip = source.tip.with_context(|| {
        format!(
            "`{}` does not exist, and `{}` is promoted from it",
            source.name,
            state.name()
        )
    })?;
    Ok((&source.name, tip))
}
