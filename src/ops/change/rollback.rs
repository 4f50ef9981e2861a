//! `rollback` and `hold`: back to what was in production, and no further promotion for now.

use anyhow::{Context as _, Result, bail};

use crate::ops::change::gates::{self, Candidate, Lowered, Verdict};
use crate::ops::change::promote::check_reason;
use crate::ops::change::publish::{self, Ending, Published};
use crate::ops::source::load::NoProgress;
use crate::ops::{EnvironmentState, TrackedSet, Workspace};
use crate::repo::{Ledger, Promotion, Record, RefName, RemoteRefs, TreeId};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct RollbackRequest {
    /// The environment.
    pub environment: String,
    /// The promotion to go back to; `None`: the one before.
    pub to: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// The tip that the environment must have.
    pub expect: Option<String>,
    /// The remote that must take it first.
    pub push: Option<String>,
}

/// A rollback or a hold that is worked out and not made yet.
#[derive(Debug)]
#[must_use = "nothing is rolled back before it is published"]
pub struct RollbackPlan {
    /// The environment, as it was looked at.
    pub environment: EnvironmentState,
    /// What the gates say; only *valid* refuses.
    pub verdict: Verdict,
    back: Back,
    digest: String,
    push: Option<String>,
    remote: Option<RemoteRefs>,
}

/// What is to be written.
#[derive(Debug)]
struct Back {
    target: Promotion,
    tree: TreeId,
    subject: String,
    hold: String,
    reason: Option<String>,
    rollback: Option<u64>,
}

impl Workspace {
    /// Works a rollback out. Moves nothing.
    ///
    /// # Errors
    /// Where there is nothing to go back to, or git cannot be read.
    pub fn plan_rollback(&self, request: &RollbackRequest) -> Result<RollbackPlan> {
        let (environment, remote) =
            self.looked_at(&request.environment, request.push.as_deref())?;
        publish::check_expect(self, &environment, request.expect.as_deref())?;
        let ledger = &environment.ledger;
        let target = match request.to {
            Some(number) => ledger.find(number).with_context(|| {
                format!(
                    "`{}` has no promotion {number}; the newest is {}",
                    request.environment,
                    ledger.next_number() - 1
                )
            })?,
            None => self.before(ledger)?.with_context(|| {
                format!(
                    "`{}` has no earlier promotion with another set to go back to",
                    request.environment
                )
            })?,
        };
        let number = target.record.number;
        let back = Back {
            target: target.clone(),
            tree: target.commit.tree,
            subject: format!("roll {} back to promotion {number}", request.environment),
            hold: request
                .reason
                .clone()
                .unwrap_or_else(|| format!("rolled back to promotion {number}")),
            reason: request.reason.clone(),
            rollback: Some(number),
        };
        self.plan_back(environment, back, request.push.clone(), remote)
    }

    /// Works out a hold without a rollback: a promotion of the tree that is there.
    ///
    /// # Errors
    /// Where nothing was promoted yet, or git cannot be read.
    pub fn plan_hold(&self, name: &str, reason: &str, push: Option<&str>) -> Result<RollbackPlan> {
        let (environment, remote) = self.looked_at(name, push)?;
        let (Some(last), Some(tip)) = (environment.ledger.last().cloned(), environment.ledger.tip)
        else {
            bail!("nothing was promoted to `{name}` yet, so there is nothing to hold");
        };
        let back = Back {
            target: last,
            tree: self.repo()?.tree_of(tip)?,
            subject: format!("hold {name}"),
            hold: reason.to_owned(),
            reason: Some(reason.to_owned()),
            rollback: None,
        };
        self.plan_back(environment, back, push.map(str::to_owned), remote)
    }

    fn plan_back(
        &self,
        environment: EnvironmentState,
        back: Back,
        push: Option<String>,
        remote: Option<RemoteRefs>,
    ) -> Result<RollbackPlan> {
        check_reason(&back.hold)?;
        let base = environment
            .ledger
            .tip
            .map(|tip| self.repo()?.tree_of(tip).map_err(anyhow::Error::from))
            .transpose()?;
        let candidate = Candidate {
            source: back.target.record.source,
            tree: back.tree,
            changes: base != Some(back.tree),
            published_tip: None,
        };
        let mut sets = TrackedSet::default();
        let before = match base.filter(|base| *base != back.tree) {
            Some(base) => sets.judge_tree(self, base, &NoProgress)?.sound(),
            None => None,
        };
        let verdict = gates::judge(
            self,
            &mut sets,
            &environment,
            before.as_deref(),
            &candidate,
            &Lowered::default(),
            true,
        )?;
        let digest = verdict.digest().map(|digest| digest.to_string()).unwrap_or_default();
        Ok(RollbackPlan { environment, verdict, back, digest, push, remote })
    }

    /// Makes the rollback or hold that was worked out.
    ///
    /// # Errors
    /// As of [`Workspace::promote`].
    pub fn roll_back(&self, plan: &RollbackPlan) -> Result<Published> {
        if plan.verdict.refuses() {
            bail!("the set of promotion {} is not valid", plan.back.target.record.number);
        }
        let (back, ledger) = (&plan.back, &plan.environment.ledger);
        let record = Record {
            number: ledger.next_number(),
            environment: plan.environment.settings.name.clone(),
            source: back.target.record.source,
            digest: plan.digest.clone(),
            reason: back.reason.clone(),
            policies: Vec::new(),
            rollback: back.rollback,
            hold: Some(back.hold.clone()),
            allow: Vec::new(),
        };
        let parents = ledger.next_parents(None);
        let ending = Ending { record, subject: back.subject.clone(), tree: back.tree, parents };
        publish::publish(
            self.repo()?,
            &plan.environment,
            ending,
            plan.push.as_deref(),
            plan.remote.as_ref(),
        )
    }

    /// An environment, here or on a remote as just fetched.
    fn looked_at(
        &self,
        name: &str,
        push: Option<&str>,
    ) -> Result<(EnvironmentState, Option<RemoteRefs>)> {
        let Some(remote) = push else { return Ok((self.environment(name)?, None)) };
        let (settings, publish_branch, ref_name) = self.environment_settings(name)?;
        let (repo, recorded) = (self.repo()?, RefName::ledger(name)?);
        let refs = repo.fetch_refs(remote, &[&ref_name, &recorded])?;
        let ledger = repo.ledger_from(
            name,
            &ref_name,
            refs.get(&ref_name).copied(),
            refs.get(&recorded).copied(),
        )?;
        Ok((EnvironmentState { settings, publish_branch, ref_name, ledger }, Some(refs)))
    }

    /// The newest promotion, no rollback, that is older than the one the tip's tree came from and has
    /// another tree: so a second rollback goes further back.
    fn before<'l>(&self, ledger: &'l Ledger) -> Result<Option<&'l Promotion>> {
        let Some(tip) = ledger.tip else { return Ok(None) };
        let tree = self.repo()?.tree_of(tip)?;
        // Follow rollbacks and holds to the promotion that brought the tree.
        let mut came_from =
            ledger.promotions.iter().find(|promotion| promotion.commit.tree == tree);
        while let Some(back) = came_from.and_then(|promotion| promotion.record.rollback) {
            came_from = ledger.find(back);
        }
        let newest = came_from.map_or(u64::MAX, |promotion| promotion.record.number);
        let is_earlier = |promotion: &&Promotion| {
            let record = &promotion.record;
            record.number < newest && record.rollback.is_none() && promotion.commit.tree != tree
        };
        Ok(ledger.promotions.iter().find(is_earlier))
    }
}
