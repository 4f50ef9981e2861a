//! The gates of a promotion: each a question with yes, no, or no but allowed.

use std::hash::Hash;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::{Finding, GateLevel, Release};
use refguard_core::policy::{Environment, PolicySet};
use refguard_core::resolve::Engine;
use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::ops::change::safeguards::{self, SafeguardComparisons};
use crate::ops::change::timing;
use crate::ops::change::weaken::Loss;
use crate::ops::source::load::NoProgress;
use crate::ops::{
    EnvironmentState, Judged, TestOptions, TestReport, TrackedSet, VersionHistory, Workspace,
    run_tests,
};
use crate::repo::{Allow, CommitId, Ledger, Repo, TreeId};

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// The promotion is refused.
    Refused,
    /// It would be refused, but for a flag that is recorded.
    Allowed,
    /// A word of caution.
    Warned,
    /// In a review: its time ended before the gate was through. `promote` gives its gates time of
    /// their own, and decides.
    Undecided,
}

/// One thing that a gate has to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct GateWord {
    /// The gate: `valid`, `tests`, `empty`, `published`, `older`, `freeze`, `soak`, `hold`,
    /// `weaken`, `safeguards`.
    pub gate: &'static str,
    /// What follows.
    pub says: Says,
    /// Why.
    pub message: String,
    /// The file it is about.
    pub file: Option<String>,
    /// The line there.
    pub line: Option<u32>,
}

impl GateWord {
    /// Every gate, in the order in which they are told.
    pub const ALL: [&'static str; 10] = [
        "valid",
        "tests",
        "empty",
        "published",
        "older",
        "freeze",
        "soak",
        "hold",
        "weaken",
        "safeguards",
    ];

    /// An error of a set.
    pub(in crate::ops) fn of(finding: &Finding) -> Self {
        let Finding {
            rule,
            message,
            location,
            ..
        } = finding;
        Self {
            gate: "valid",
            says: Says::Refused,
            message: format!("{} {}: {message}", rule.code, rule.name),
            file: Some(location.file.to_string()),
            line: Some(location.line),
        }
    }
}

/// Gates that a flag lowers, with the reasons given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lowered {
    /// `--allow-unpublished`
    pub unpublished: bool,
    /// `--allow-older`
    pub older: bool,
    /// `--allow-weaken REASON`
    pub weaken: Option<String>,
    /// `--allow-safeguards REASON`
    pub safeguards: Option<String>,
    /// `--allow-freeze REASON`
    pub freeze: Option<String>,
    /// `--allow-soak REASON`
    pub soak: Option<String>,
    /// `--release-hold REASON`
    pub hold: Option<String>,
}

/// What is to be promoted, as the gates see it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The commit it comes from.
    pub source: CommitId,
    /// The tree that the environment would have.
    pub tree: TreeId,
    /// Whether that is another tree than it has.
    pub changes: bool,
    /// Where the set must come from: the source of each of the environment's judges, with its tip
    /// where the environment lives.
    pub sources: Vec<SourceTip>,
    /// The release whose rules the set must keep: this one, but for a set that is gone back to.
    pub rules: Release,
    /// The instant by which it is judged.
    pub now: Timestamp,
}

impl Candidate {
    /// What a promotion of it says of the release, where that is not this one.
    pub(in crate::ops) fn version(&self, verdict: &Verdict) -> Option<String> {
        verdict.is_outdated.then(|| self.rules.to_string())
    }
}

/// A branch that an environment's sets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTip {
    /// Its name, for people.
    pub name: String,
    /// What it holds; `None`: it does not exist.
    pub tip: Option<CommitId>,
}

/// The two sets that a promotion is about.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Sets<'s> {
    /// What the environment has; `None` where it has nothing, or an unsound set.
    pub base: Option<&'s Arc<Engine>>,
    /// What it is to have.
    pub head: &'s Arc<Engine>,
}

/// What the gates came to.
#[derive(Debug)]
pub struct Verdict {
    /// Everything they have to say.
    pub words: Vec<GateWord>,
    /// Those that were asked: where a set is not valid, nothing is known of what it would lose.
    pub asked: Vec<&'static str>,
    /// The set, if it is valid.
    pub engine: Option<Arc<Engine>>,
    /// Gates that were lowered and would have refused: what the promotion records.
    pub allow: Vec<Allow>,
    /// The set is valid by the rules of the release that the candidate names, and not by those of
    /// now.
    pub is_outdated: bool,
    /// What the gates compared, for those who report it.
    pub comparisons: SafeguardComparisons,
}

impl Verdict {
    /// Of a promotion that would change nothing: no gate is asked.
    pub(in crate::ops) fn nothing() -> Self {
        Self {
            words: Vec::new(),
            asked: Vec::new(),
            engine: None,
            allow: Vec::new(),
            is_outdated: false,
            comparisons: SafeguardComparisons::default(),
        }
    }

    /// Whether any gate refuses.
    pub fn refuses(&self) -> bool {
        self.words.iter().any(|word| word.says == Says::Refused)
    }

    /// The digest of the set.
    pub fn digest(&self) -> Option<Arc<str>> {
        self.engine
            .as_ref()
            .map(|engine| engine.set().digest.clone())
    }

    /// Drops what is said, or recorded, a second time.
    fn drop_repetitions(&mut self) {
        keep_first(&mut self.words);
        keep_first(&mut self.allow);
        keep_first(&mut self.asked);
    }

    pub(in crate::ops) fn say(
        &mut self,
        gate: &'static str,
        says: Says,
        message: impl Into<String>,
    ) {
        self.words.push(GateWord {
            gate,
            says,
            message: message.into(),
            file: None,
            line: None,
        });
    }

    /// A gate that a flag may lower; lowering is recorded.
    pub(in crate::ops) fn refuse_unless(
        &mut self,
        gate: &'static str,
        lowered: Option<&str>,
        message: String,
    ) {
        match lowered {
            Some(reason) => {
                self.allow.push(Allow {
                    gate: gate.to_owned(),
                    reason: reason.to_owned(),
                });
                self.say(gate, Says::Allowed, message);
            }
            None => self.say(gate, Says::Refused, message),
        }
    }
}

/// Asks every gate. `before` is the set that the environment has now, if it has a valid one.
/// `only_valid` is for a rollback: the others only warn.
pub(in crate::ops) fn judge(
    workspace: &Workspace,
    sets: &mut TrackedSet,
    environment: &EnvironmentState,
    before: Option<&Arc<Engine>>,
    candidate: &Candidate,
    lowered: &Lowered,
    only_valid: bool,
) -> Result<Verdict> {
    let mut verdict = Verdict::nothing();
    let mut comparisons = SafeguardComparisons::default();
    verdict.asked.push("valid");
    judge_valid(workspace, sets, candidate, &mut verdict)?;
    if let Some(head) = verdict.engine.clone() {
        verdict.asked.extend(["tests", "empty"]);
        judge_tests(workspace, candidate.now, &mut verdict)?;
        judge_empty(&mut verdict);
        if candidate.changes {
            let pair = Sets {
                base: before,
                head: &head,
            };
            ask_gates(
                environment,
                pair,
                candidate.now,
                lowered,
                &mut comparisons,
                &mut verdict,
            )?;
        }
        if let Some(tree) = tree_before_external_move(&environment.ledger, candidate) {
            let own = sets
                .judge_tree(workspace, tree, Release::FIRST, &NoProgress)?
                .sound();
            let pair = Sets {
                base: own.as_ref(),
                head: &head,
            };
            ask_gates(
                environment,
                pair,
                candidate.now,
                lowered,
                &mut comparisons,
                &mut verdict,
            )?;
            verdict.drop_repetitions();
        }
    }
    verdict.comparisons = comparisons;
    if only_valid {
        verdict.words.iter_mut().for_each(soften_verdict);
        // Only the release of a hold says anything of it here.
        if lowered.hold.is_some() {
            judge_hold(&environment.ledger, lowered, &mut verdict);
        }
        return Ok(verdict);
    }
    let repo = workspace.repo()?;
    verdict.asked.extend(["published", "older", "hold"]);
    judge_published(repo, candidate, lowered, &mut verdict)?;
    is_older(repo, &environment.ledger, candidate, lowered, &mut verdict)?;
    if candidate.changes {
        verdict.asked.extend(["freeze", "soak"]);
        timing::ask_freeze(environment, candidate.now, lowered, &mut verdict);
        timing::ask_soak(workspace, environment, candidate, lowered, &mut verdict)?;
    }
    judge_hold(&environment.ledger, lowered, &mut verdict);
    Ok(verdict)
}

/// Drops what a list has a second time.
fn keep_first<T: Clone + Eq + Hash>(list: &mut Vec<T>) {
    let mut seen = FxHashSet::default();
    list.retain(|one| seen.insert(one.clone()));
}

/// The gates that compare what an environment has with what it is to have, each as strict as the
/// environment's settings ask for.
fn ask_gates(
    environment: &EnvironmentState,
    sets: Sets<'_>,
    now: Timestamp,
    lowered: &Lowered,
    comparisons: &mut SafeguardComparisons,
    verdict: &mut Verdict,
) -> Result<()> {
    let Environment {
        weaken, safeguards, ..
    } = &environment.settings;
    let levels = [("weaken", weaken), ("safeguards", safeguards)];
    let are_on = levels
        .into_iter()
        .filter(|(_, level)| **level != GateLevel::Off);
    verdict.asked.extend(are_on.map(|(gate, _)| gate));
    crate::ops::change::weaken::gate(environment, sets, now, lowered, verdict);
    let base = sets.base.map(|base| base.set());
    safeguards::ask_gate(
        environment,
        base,
        sets.head.set(),
        now,
        lowered,
        comparisons,
        verdict,
    )
}

/// The tree of the last promotion, where something else has moved the environment since: what that
/// took away passed no gate, so the next promotion is also compared with what the last one brought.
fn tree_before_external_move(ledger: &Ledger, candidate: &Candidate) -> Option<TreeId> {
    let last = ledger.last_promotion()?;
    let is_external = ledger.tip != Some(last.commit.id);
    (is_external && last.commit.tree != candidate.tree).then_some(last.commit.tree)
}

/// What a gate would refuse for want of time is not decided.
fn leave_undecided(word: &mut GateWord) {
    word.says = Says::Undecided;
}

/// Of a rollback only an unsound set is refused.
fn soften_verdict(word: &mut GateWord) {
    if word.gate != "valid" && word.says == Says::Refused {
        word.says = Says::Warned;
    }
}

fn judge_valid(
    workspace: &Workspace,
    sets: &mut TrackedSet,
    candidate: &Candidate,
    verdict: &mut Verdict,
) -> Result<()> {
    let Candidate { tree, rules, .. } = candidate;
    match sets.judge_tree(workspace, *tree, *rules, &NoProgress)? {
        Judged::Sound(engine) => {
            verdict.words.extend(crate::ops::change::weaken::invariants(
                &engine,
                candidate.now,
            ));
            verdict.engine = Some(engine);
        }
        Judged::Outdated(engine, newer) => {
            verdict.words.extend(crate::ops::change::weaken::invariants(
                &engine,
                candidate.now,
            ));
            let warned = |finding| GateWord {
                says: Says::Warned,
                ..GateWord::of(finding)
            };
            verdict.words.extend(newer.iter().map(warned));
            verdict.engine = Some(engine);
            verdict.is_outdated = true;
        }
        Judged::Faulty(checked) => {
            verdict.words.extend(checked.errors().map(GateWord::of));
        }
    }
    Ok(())
}

fn judge_tests(workspace: &Workspace, now: Timestamp, verdict: &mut Verdict) -> Result<()> {
    let Some(engine) = &verdict.engine else {
        return Ok(());
    };
    let mut history = VersionHistory::new(workspace);
    let options = TestOptions::default();
    let report = run_tests(engine, now, &options, &mut |name| history.requested(name))?;
    verdict.words.extend(failed_tests(&report));
    Ok(())
}

fn failed_tests(report: &TestReport) -> impl Iterator<Item = GateWord> {
    report
        .cases
        .iter()
        .filter(|case| !case.ok)
        .map(|case| GateWord {
            gate: "tests",
            says: Says::Refused,
            message: format!(
                "{}: {}: {}",
                case.test,
                case.case,
                case.differences.join("; ")
            ),
            file: Some(case.file.clone()),
            line: Some(case.line),
        })
}

fn judge_empty(verdict: &mut Verdict) {
    let Some(set) = verdict.engine.as_ref().map(|engine| engine.set().clone()) else {
        return;
    };
    empty_set(&set, verdict);
}

fn empty_set(set: &PolicySet, verdict: &mut Verdict) {
    if set.is_empty() {
        let what = if set.policies.is_empty() {
            "no policy"
        } else {
            "no attachment"
        };
        verdict.say(
            "empty",
            Says::Refused,
            format!("the set has {what}: it would protect nothing"),
        );
    }
}

/// What the gates would say of a set once it is published, without what only its commit could tell.
/// `after` is `None` where the set is not valid; `loss` is what the environment would lose with it.
pub(in crate::ops) fn foresee(
    environment: &EnvironmentState,
    findings: &[Finding],
    before: Option<&Arc<PolicySet>>,
    after: Option<(&Arc<Engine>, &TestReport)>,
    loss: Option<Loss>,
    now: Timestamp,
    comparisons: &mut SafeguardComparisons,
) -> Result<Vec<GateWord>> {
    let (mut verdict, lowered) = (Verdict::nothing(), Lowered::default());
    verdict.words.extend(
        findings
            .iter()
            .filter(|finding| finding.is_error())
            .map(GateWord::of),
    );
    if let Some((engine, report)) = after {
        let budget = comparisons.budget_until(1.0);
        let mut broken = crate::ops::change::weaken::invariants_within(engine, now, &budget);
        if budget.has_run_out() {
            broken.open.iter_mut().for_each(leave_undecided);
        }
        verdict.words.extend(broken.into_words());
        verdict.words.extend(failed_tests(report));
        empty_set(engine.set(), &mut verdict);
        let after = engine.set();
        safeguards::ask_gate(
            environment,
            before,
            after,
            now,
            &lowered,
            comparisons,
            &mut verdict,
        )?;
    }
    if let Some(loss) = loss {
        crate::ops::change::weaken::say_loss(environment, &lowered, &mut verdict, loss);
    }
    timing::ask_freeze(environment, now, &lowered, &mut verdict);
    judge_hold(&environment.ledger, &lowered, &mut verdict);
    Ok(verdict.words)
}

/// The set must be on the first-parent history of every source that a judge names.
fn judge_published(
    repo: &Repo,
    candidate: &Candidate,
    lowered: &Lowered,
    verdict: &mut Verdict,
) -> Result<()> {
    for SourceTip { name, tip } in &candidate.sources {
        let is_published = match tip {
            Some(tip) => repo.on_first_parents(candidate.source, *tip)?,
            None => false,
        };
        if !is_published {
            let source = candidate.source.short();
            let message = format!("commit {source} is not on the first-parent history of `{name}`");
            verdict.refuse_unless("published", lowered.unpublished.then_some(""), message);
            break;
        }
    }
    Ok(())
}

/// A late CI job must not undo a newer promotion. Rollbacks do not lower this mark: their sources
/// count too.
fn is_older(
    repo: &Repo,
    ledger: &Ledger,
    candidate: &Candidate,
    lowered: &Lowered,
    verdict: &mut Verdict,
) -> Result<()> {
    let mut asked: Vec<CommitId> = Vec::new();
    for promotion in ledger.all_promotions() {
        let source = promotion.record.source;
        if source == candidate.source || asked.contains(&source) {
            continue;
        }
        // The candidate is not before a newer source, so it is not before what that source came
        // from.
        let covered = match asked.last() {
            Some(last) => repo.is_ancestor(source, *last)?,
            None => false,
        };
        asked.push(source);
        if !covered && repo.is_ancestor(candidate.source, source)? {
            let message = format!(
                "commit {} is older than {}, which promotion {} brought",
                candidate.source.short(),
                source.short(),
                promotion.record.number
            );
            verdict.refuse_unless("older", lowered.older.then_some(""), message);
            break;
        }
    }
    Ok(())
}

fn judge_hold(ledger: &Ledger, lowered: &Lowered, verdict: &mut Verdict) {
    if let Some((promotion, reason)) = ledger.standing_hold() {
        let message = format!(
            "on hold since promotion {}: {reason}",
            promotion.record.number
        );
        verdict.refuse_unless("hold", lowered.hold.as_deref(), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_stays_where_it_came_first() {
        let mut list = vec!["b", "a", "b", "c", "a"];
        keep_first(&mut list);
        assert_eq!(list, ["b", "a", "c"]);
    }
}
