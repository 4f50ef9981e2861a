//! `promote`: one commit on the environment's branch, one compare-and-swap.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use refguard_core::resolve::Engine;

use crate::ops::change::gates::{self, Candidate, Lowered, Verdict};
use crate::ops::change::partial::{self, Selection};
use crate::ops::change::publish::{self, Ending, Published};
use crate::ops::source::load::NoProgress;
use crate::ops::{EnvironmentState, TrackedSet, Workspace};
use crate::repo::{CommitId, Record, RefName, RemoteRefs, TreeId, is_reason};

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
    /// The remote that must take it first.
    pub push: Option<String>,
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
    remote: Option<RemoteRefs>,
}

impl Workspace {
    /// Works a promotion out: the tree, the gates, what it would change. Moves nothing.
    ///
    /// # Errors
    /// Where git cannot be read, or what is asked for makes no sense. A lost `--expect` is [`Lost`].
    ///
    /// [`Lost`]: crate::ops::Lost
    pub fn plan_promotion(&self, request: PromoteRequest) -> Result<Plan> {
        let lowered = &request.lowered;
        let reasons = [&request.reason, &lowered.hold, &lowered.weaken, &lowered.safeguards];
        for reason in reasons.into_iter().flatten() {
            check_reason(reason)?;
        }
        let repo = self.repo()?;
        let (settings, publish_branch, ref_name) = self.environment_settings(&request.to)?;
        let from = self.source_ref(&settings, &publish_branch)?;
        let remote = match &request.push {
            None => None,
            Some(remote) => {
                let ledger = RefName::ledger(&request.to)?;
                Some(repo.fetch_refs(remote, &[&ref_name, &ledger, &from])?)
            }
        };
        let ledger = match &remote {
            None => repo.ledger(&request.to, &ref_name)?,
            Some(refs) => {
                let recorded = refs.get(&RefName::ledger(&request.to)?).copied();
                repo.ledger_from(&request.to, &ref_name, refs.get(&ref_name).copied(), recorded)?
            }
        };
        let environment = EnvironmentState { settings, publish_branch, ref_name, ledger };
        publish::check_expect(self, &environment, request.expect.as_deref())?;
        let published_tip = match &remote {
            None => repo.read_ref(&from)?,
            Some(refs) => refs.get(&from).copied(),
        };
        let source = match &request.revision {
            Some(revision) => self.revision(revision)?.0,
            None => published_tip.with_context(|| {
                format!(
                    "`{}` does not exist, and `{}` is promoted from it",
                    from.short(),
                    request.to
                )
            })?,
        };
        let base = environment.ledger.tip.map(|tip| repo.tree_of(tip)).transpose()?;
        let tree = match request.selection.is_empty() {
            true => repo.tree_of(source)?,
            false => partial::tree(self, &request.selection, base, repo.tree_of(source)?)?,
        };
        let releases = request.lowered.hold.is_some() && environment.ledger.hold().is_some();
        let already_there = base == Some(tree) && !releases;
        let candidate = Candidate { source, tree, changes: base != Some(tree), published_tip };
        let mut sets = TrackedSet::default();
        let before = match (base, already_there) {
            (Some(base), false) => sets.judge_tree(self, base, &NoProgress)?.sound(),
            _ => None,
        };
        let verdict = match already_there {
            true => Verdict::nothing(),
            false => gates::judge(
                self,
                &mut sets,
                &environment,
                before.as_deref(),
                &candidate,
                &request.lowered,
                false,
            )?,
        };
        Ok(Plan { environment, source, tree, verdict, before, already_there, request, remote })
    }

    /// Makes the promotion that was worked out.
    ///
    /// # Errors
    /// Where git cannot write, a hook refuses, or somebody else was first ([`Lost`](crate::ops::Lost)).
    pub fn promote(&self, plan: &Plan) -> Result<Published> {
        let repo = self.repo()?;
        let ledger = &plan.environment.ledger;
        if plan.already_there {
            return Ok(publish::unchanged(ledger, plan.source));
        }
        let (Some(digest), false) = (plan.verdict.digest(), plan.verdict.refuses()) else {
            bail!("a gate refuses this promotion");
        };
        let selection = &plan.request.selection;
        let record = Record {
            number: ledger.next_number(),
            environment: plan.request.to.clone(),
            source: plan.source,
            digest: digest.to_string(),
            reason: plan.request.reason.clone(),
            policies: selection.names(),
            rollback: None,
            hold: None,
            allow: plan.verdict.allow.clone(),
        };
        let what =
            if selection.is_empty() { plan.source.short() } else { selection.names().join(", ") };
        let subject = clipped(format!("promote {what} to {}", plan.request.to));
        let parents = ledger.next_parents(Some(plan.source));
        let ending = Ending { record, subject, tree: plan.tree, parents };
        publish::publish(
            repo,
            &plan.environment,
            ending,
            plan.request.push.as_deref(),
            plan.remote.as_ref(),
        )
    }

    /// The ref that an environment's sets come from: another environment's, or a branch.
    pub(in crate::ops) fn source_ref(
        &self,
        settings: &refguard_core::policy::Environment,
        publish_branch: &str,
    ) -> Result<RefName> {
        let from = settings.from.as_deref().unwrap_or(publish_branch);
        let environments = self.environment_refs()?;
        if let Some((_, name)) = environments.into_iter().find(|(name, _)| name == from) {
            return Ok(name);
        }
        Ok(if from.starts_with("refs/") { RefName::new(from)? } else { RefName::branch(from)? })
    }
}

/// A reason is one line of at most 500 characters, so that it can stand in a trailer.
pub(in crate::ops) fn check_reason(reason: &str) -> Result<()> {
    if !is_reason(reason) {
        bail!("a reason is one line of 1 to 500 characters without control characters");
    }
    Ok(())
}

/// A subject line that git tools show whole.
fn clipped(subject: String) -> String {
    match subject.char_indices().nth(100) {
        None => subject,
        Some((end, _)) => format!("{}…", subject.get(..end).unwrap_or("")),
    }
}
