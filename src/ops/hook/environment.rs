//! An environment's branch as a push would move it: every commit on its way must be a promotion
//! that refguard would have made, so each is worked out again and compared.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::Release;
use refguard_core::policy::Environment;
use refguard_core::resolve::Engine;

use super::push::{PushRefusal, PushViews, RefUpdate};
use crate::ops::change::declared;
use crate::ops::change::environment::own_root;
use crate::ops::change::gates::{self, Candidate, Lowered};
use crate::ops::change::partial;
use crate::ops::change::publish::subject_of;
use crate::ops::change::rollback::{
    only_releases, rules_of, source_of, standing_rules, undo_stack,
};
use crate::ops::change::timing::date_fault;
use crate::ops::{EnvironmentState, GateWord, Home, NoProgress, TrackedSet, Verdict};
use crate::repo::{Allow, Commit, CommitId, Ledger, Record, RefName, RepoError, TreeId};

/// Judges the move of an environment's branch.
pub(super) fn judge_environment(
    views: &PushViews,
    sets: &mut TrackedSet,
    update: &RefUpdate,
    environment: &str,
) -> Result<Option<PushRefusal>> {
    let refuse = |message: String| Ok(Some(PushRefusal::new(&update.name, message)));
    let Some(new) = update.new else {
        return refuse(format!("the environment `{environment}` must stay"));
    };
    let (repo, ref_name) = (views.before.repo()?, RefName::of_branch(environment)?);
    let mut ledger = match repo.read_ledger(environment, &ref_name) {
        Ok(ledger) => ledger,
        Err(error @ RepoError::SymbolicRef { .. }) => return refuse(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    if let Some(old) = update.old
        && !views.after.repo()?.on_first_parents(old, new)?
    {
        return refuse(format!(
            "the first-parent history of {} does not hold {}",
            new.short(),
            old.short()
        ));
    }
    if let (None, Some(last)) = (ledger.tip, ledger.last_promotion()) {
        let id = last.commit.id;
        if new != id && !views.after.repo()?.on_first_parents(id, new)? {
            return refuse(format!(
                "its ledger stands at promotion {}: only `git push REMOTE {id}:{ref_name}` \
                 restores it",
                last.record.number
            ));
        }
    }
    let mut held = None;
    for commit in commits_between(views, &ledger, environment, new)? {
        let step = Step {
            views,
            name: environment,
            ref_name: &ref_name,
            ledger: &ledger,
        };
        match step.judge_environment(sets, &commit, held.take())? {
            Ok(engine) => held = Some((commit.tree, engine)),
            Err(refusal) => {
                let message = format!("commit {}: {}", commit.id.short(), refusal.message);
                return Ok(Some(PushRefusal { message, ..refusal }));
            }
        }
        ledger = views.after.repo()?.ledger_from(
            environment,
            &ref_name,
            Some(commit.id),
            Some(commit.id),
        )?;
    }
    Ok(None)
}

/// The commits that the branch would move over, the oldest first: down to its tip, or where there
/// is none, to the last promotion that is recorded or to number 1.
fn commits_between(
    views: &PushViews,
    ledger: &Ledger,
    environment: &str,
    new: CommitId,
) -> Result<Vec<Commit>> {
    let end = ledger
        .tip
        .or(ledger.last_promotion().map(|last| last.commit.id));
    let mut found = Vec::new();
    for commit in views.after.repo()?.first_parents(new) {
        let commit = commit?;
        if Some(commit.id) == end {
            break;
        }
        let number = Record::parse(&commit.message, environment)
            .ok()
            .flatten()
            .map(|record| record.number);
        found.push(commit);
        if ledger.tip.is_none() && number.is_none_or(|number| number == 1) {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// One promotion that somebody else made, beside what was there before it.
struct Step<'s> {
    views: &'s PushViews,
    name: &'s str,
    ref_name: &'s RefName,
    ledger: &'s Ledger,
}

/// What a promotion of this kind must look like.
struct Due {
    tree: TreeId,
    source: CommitId,
    parents: Vec<CommitId>,
    /// Whether only the gate *valid* may refuse it.
    goes_back: bool,
    /// The release whose rules its set must keep.
    rules: Release,
}

type Judged = std::result::Result<Arc<Engine>, PushRefusal>;

impl Step<'_> {
    /// The set that the commit promotes, or why it may not. `held` is the set before, if it is at
    /// hand.
    fn judge_environment(
        &self,
        sets: &mut TrackedSet,
        commit: &Commit,
        held: Option<(TreeId, Arc<Engine>)>,
    ) -> Result<Judged> {
        let refuse = |message: String| Ok(Err(PushRefusal::new(self.ref_name.as_str(), message)));
        let name = self.name;
        let record = match Record::parse(&commit.message, name) {
            Ok(Some(record)) => record,
            Ok(None) => return refuse(format!("it is no promotion to `{name}`")),
            Err(malformed) => {
                return refuse(format!("it is no promotion to `{name}`: {malformed}"));
            }
        };
        if record.number != self.ledger.next_number() {
            return refuse(format!(
                "its number is {}, and {} is due",
                record.number,
                self.ledger.next_number()
            ));
        }
        let repo = self.views.after.repo()?;
        let base = self.ledger.tip.map(|tip| repo.tree_of(tip)).transpose()?;
        let due = match self.is_due(&record, &commit.parents, base)? {
            Ok(due) => due,
            Err(message) => return refuse(message),
        };
        if commit.parents != due.parents {
            return refuse("its parents are not those of such a promotion".to_owned());
        }
        if commit.tree != due.tree {
            return refuse("its tree is not what its trailers say".to_owned());
        }
        if let Some(message) = self.chain_fault(&record, commit) {
            return refuse(message);
        }
        if record.source != due.source {
            return refuse("its source is not that of what it goes back to".to_owned());
        }
        if !due.goes_back && base == Some(commit.tree) && self.ledger.standing_hold().is_none() {
            return refuse("it changes nothing".to_owned());
        }
        self.ask_gates(sets, commit, &record, &due, base, held)
    }

    /// What the record says that the commit is; or why it says nothing that could be.
    fn is_due(
        &self,
        record: &Record,
        named_parents: &[CommitId],
        base: Option<TreeId>,
    ) -> Result<std::result::Result<Due, String>> {
        let repo = self.views.after.repo()?;
        let releases =
            only_releases(record, named_parents) && self.ledger.standing_hold().is_some();
        if record.rollback.is_none() && record.hold.is_none() && !releases {
            let parents = self.ledger.next_parents(Some(record.source));
            let source = match repo.tree_of(record.source) {
                Ok(tree) => tree,
                Err(RepoError::MissingObject { .. }) => {
                    return Ok(Err("its source is not there".to_owned()));
                }
                Err(error) => return Err(error.into()),
            };
            let tree = match record.policies.is_empty() {
                true => source,
                false => {
                    match partial::tree_id(&self.views.after, &record.policies, base, source) {
                        Ok(tree) => tree,
                        Err(error) => return Ok(Err(format!("{error:#}"))),
                    }
                }
            };
            let rules = match base == Some(tree) {
                true => standing_rules(self.ledger),
                false => Release::CURRENT,
            };
            return Ok(Ok(Due {
                tree,
                source: record.source,
                parents,
                goes_back: false,
                rules,
            }));
        }
        let changes_more = !record.policies.is_empty() || !record.allow.is_empty();
        if !releases && (record.hold.is_none() || changes_more) {
            return Ok(Err(
                "a rollback puts the environment on hold, and does nothing else".to_owned(),
            ));
        }
        let parents = self.ledger.next_parents(None);
        let target = match record.rollback {
            Some(target) => undo_stack(repo, self.ledger)?.find(target).map(|entry| {
                let source = source_of(self.ledger, &entry);
                (entry.tree, source, rules_of(self.ledger, &entry))
            }),
            None => base
                .zip(self.ledger.last_promotion())
                .map(|(base, last)| (base, last.record.source, standing_rules(self.ledger))),
        };
        let Some((tree, source, rules)) = target else {
            return Ok(Err("there is nothing that it could go back to".to_owned()));
        };
        Ok(Ok(Due {
            tree,
            source,
            parents,
            goes_back: true,
            rules,
        }))
    }

    fn ask_gates(
        &self,
        sets: &mut TrackedSet,
        commit: &Commit,
        record: &Record,
        due: &Due,
        base: Option<TreeId>,
        held: Option<(TreeId, Arc<Engine>)>,
    ) -> Result<Judged> {
        let refuse = |message: String| Ok(Err(PushRefusal::new(self.ref_name.as_str(), message)));
        let after = &self.views.after;
        let environment = self.state()?;
        if let Err(message) = self.may_lower(commit, record, &environment) {
            return refuse(message);
        }
        let Some(lowered) = lowered_by(record) else {
            return refuse("it passes a gate that there is not".to_owned());
        };
        let sources = match after.sources_of(&environment) {
            Ok(sources) => sources,
            Err(error) => return refuse(format!("{error:#}")),
        };
        let candidate = Candidate {
            source: record.source,
            tree: commit.tree,
            changes: base != Some(commit.tree),
            sources,
            rules: due.rules,
            now: Timestamp::now(),
        };
        let before = match (base.filter(|base| *base != commit.tree), held) {
            (Some(base), Some((tree, engine))) if tree == base => Some(engine),
            (Some(base), _) => sets
                .judge_tree(after, base, Release::FIRST, &NoProgress)?
                .sound(),
            (None, _) => None,
        };
        let verdict = gates::judge(
            after,
            sets,
            &environment,
            before.as_ref(),
            &candidate,
            &lowered,
            due.goes_back,
        )?;
        if verdict.refuses() {
            return Ok(Err(refuse_push(self.ref_name, verdict)));
        }
        let mut passes_those_of_then = || -> Result<bool> {
            // A gate may have been in the way when the promotion was made and no longer be: what
            // ends, ended since.
            let Ok(then) = Timestamp::from_second(commit.committer.time.seconds) else {
                return Ok(false);
            };
            let candidate = Candidate {
                now: then,
                ..candidate.clone()
            };
            let (before, goes_back) = (before.as_ref(), due.goes_back);
            let then = gates::judge(
                after,
                sets,
                &environment,
                before,
                &candidate,
                &lowered,
                goes_back,
            )?;
            Ok(same_gates(record, &then))
        };
        if !same_gates(record, &verdict) && !passes_those_of_then()? {
            return refuse("it records a gate as passed that does not refuse it".to_owned());
        }
        if verdict.digest().as_deref() != Some(record.digest.as_str()) {
            return refuse("its digest is not that of its set".to_owned());
        }
        if let Some(fault) = version_fault(record, due.rules, verdict.is_outdated) {
            return refuse(fault);
        }
        match verdict.engine {
            Some(engine) => Ok(Ok(engine)),
            None => refuse("its set is not valid".to_owned()),
        }
    }

    /// The environment as it stood before this step: what the push brings does not judge itself.
    fn state(&self) -> Result<EnvironmentState> {
        let judges = self.views.judges(self.name, self.ledger)?;
        let settings = declared::strictest(self.name, &judges);
        let (ref_name, ledger) = (self.ref_name.clone(), self.ledger.clone());
        let (home, notes) = (Home::Here, Vec::new());
        Ok(EnvironmentState {
            settings,
            judges,
            ref_name,
            ledger,
            home,
            notes,
        })
    }

    /// What the record says of its place in the chain, where it says it: older releases do not.
    fn chain_fault(&self, record: &Record, commit: &Commit) -> Option<String> {
        let last = self.ledger.last_promotion();
        let before = last.map(|last| last.commit.committer.time.seconds);
        if let Some(fault) = date_fault(commit.committer.time.seconds, before, Timestamp::now()) {
            return Some(fault);
        }
        if commit.summary() != subject_of(record, &commit.parents) {
            return Some("its subject is not that of such a promotion".to_owned());
        }
        // 0.1 names no release, and nothing of this.
        if record.version.is_some()
            && (record.root.is_none() || record.previous.is_none() && last.is_some())
        {
            return Some("it does not name its root and the promotion before it".to_owned());
        }
        if record.previous.is_some() && record.previous != last.map(|last| last.commit.id) {
            return Some("the promotion before it is not the one that it names".to_owned());
        }
        let own = own_root(self.views.after.root().prefix());
        let known = self
            .ledger
            .promotions
            .iter()
            .find_map(|it| it.record.root.clone());
        let due = known.as_ref().unwrap_or(&own);
        match &record.root {
            Some(root) if root != due => Some(format!(
                "it is of the root `{root}`, and `{}` belongs to `{due}`",
                self.name
            )),
            _ => None,
        }
    }

    /// A gate is only passed by those whom the settings before name, where several judge by all of
    /// them. To end a hold one of them is enough: that changes no set, and after a rollback to
    /// settings that name others nobody could do it.
    fn may_lower(
        &self,
        commit: &Commit,
        record: &Record,
        environment: &EnvironmentState,
    ) -> std::result::Result<(), String> {
        let names = |judge: &Environment, who: &str| judge.allow.iter().any(|it| it == who);
        let committer = commit.committer.email.as_str();
        for who in [Some(committer), self.views.pusher.as_deref()]
            .into_iter()
            .flatten()
        {
            for Allow { gate, .. } in &record.allow {
                let is_listed = match gate.as_str() {
                    "hold" => environment.judges.iter().any(|judge| names(judge, who)),
                    _ => names(&environment.settings, who),
                };
                if !is_listed {
                    let name = &environment.settings.name;
                    return Err(format!(
                        "`{who}` may not pass the gate `{gate}`: `allow` of `{name}` does not \
                         list it"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The flags that a promotion was made with; `None`: a gate is named that no flag lowers.
fn lowered_by(record: &Record) -> Option<Lowered> {
    let mut lowered = Lowered::default();
    for allow in &record.allow {
        match allow.gate.as_str() {
            "published" => lowered.unpublished = true,
            "older" => lowered.older = true,
            "weaken" => lowered.weaken = Some(allow.reason.clone()),
            "safeguards" => lowered.safeguards = Some(allow.reason.clone()),
            "freeze" => lowered.freeze = Some(allow.reason.clone()),
            "soak" => lowered.soak = Some(allow.reason.clone()),
            "hold" => lowered.hold = Some(allow.reason.clone()),
            _ => return None,
        }
    }
    Some(lowered)
}

/// Why the release that a record names cannot be the one whose rules its set keeps. `rules` are
/// those that a set may keep which is gone back to; only one that is outdated need not keep those
/// of now.
fn version_fault(record: &Record, rules: Release, is_outdated: bool) -> Option<String> {
    let Some(version) = &record.version else {
        return None;
    };
    let named = Release::parse(version);
    match named {
        None => Some(format!("`Refguard-Version: {version}` names no release")),
        Some(named) if is_outdated && named > rules => Some(format!(
            "its set keeps the rules of {rules}, and it names {named}"
        )),
        Some(_) => None,
    }
}

/// Whether a record passes the gates that had to be passed, and no other: but for those of time,
/// which may have been in the way when the promotion was made and no longer are.
fn same_gates(record: &Record, verdict: &Verdict) -> bool {
    let is_over = |allow: &Allow| matches!(allow.gate.as_str(), "freeze" | "soak");
    let is_due = |allow: &Allow| verdict.allow.contains(allow);
    record
        .allow
        .iter()
        .all(|allow| is_due(allow) || is_over(allow))
        && verdict
            .allow
            .iter()
            .all(|allow| record.allow.contains(allow))
        && record.allow.iter().enumerate().all(|(at, allow)| {
            record
                .allow
                .iter()
                .skip(at + 1)
                .all(|other| other.gate != allow.gate)
        })
}

fn refuse_push(ref_name: &RefName, verdict: Verdict) -> PushRefusal {
    let says_no = |word: &GateWord| word.says == crate::ops::Says::Refused;
    let words = verdict.words.into_iter().filter(says_no).collect();
    PushRefusal {
        words,
        ..PushRefusal::new(ref_name.as_str(), "a gate refuses it")
    }
}
