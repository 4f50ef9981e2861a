//! `status`: what is drafted, what is published, and what each environment lacks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rayon::prelude::*;
use refguard_core::document::{Body, Finding, Release, is_yaml_name, load_file};
use refguard_core::policy::{frozen_at, raw_policy_digest};
use serde::Serialize;

use crate::ops::change::environment::own_root;
use crate::ops::change::partial::fingerprint;
use crate::ops::change::promote::newest_tip;
use crate::ops::source::load::{self, LIMITS, NoProgress};
use crate::ops::{EnvironmentState, Judged, TrackedSet, Workspace};
use crate::repo::{
    BlobId, Commit, CommitId, Entry, EntryKind, LEDGERS, Ledger, Record, RefName, Remote, Repo,
    RepoError, TreeId,
};

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Version of this format.
    pub version: u32,
    /// What is wrong, the worst first.
    pub problems: Vec<Problem>,
    /// The publish branch; `None`: it does not exist yet.
    pub published: Option<PublishedStatus>,
    /// What the work tree has that the publish branch lacks; `None`: there is no work tree.
    pub drafts: Option<PolicyChanges>,
    /// The environments, in the order of the settings.
    pub environments: Vec<EnvironmentStatus>,
}

/// Something that is wrong, or stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The environment; `None`: the repository as a whole.
    pub environment: Option<String>,
    /// What it is, in words.
    pub message: String,
}

/// The publish branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedStatus {
    /// Its name.
    pub branch: String,
    /// What it holds.
    pub commit: String,
}

/// An environment beside the publish branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvironmentStatus {
    /// Its name.
    pub name: String,
    /// Its full ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its tip; `None`: nothing was promoted yet.
    pub commit: Option<String>,
    /// The last promotion's number.
    pub promotion: Option<u64>,
    /// The commit that was promoted last.
    pub promoted: Option<String>,
    /// Whether something else than a promotion moved it since.
    pub external: bool,
    /// What its ledger names, where that is no promotion that follows those before it.
    #[serde(skip)]
    pub unfounded_ledger: Option<String>,
    /// Why no promotion may follow.
    pub hold: Option<HoldStatus>,
    /// Until when it is frozen, if it is.
    pub freeze: Option<FreezeStatus>,
    /// What of it ends next, the first first.
    pub expiring: Vec<ExpiringAttachment>,
    /// How long a set must have been in the environment that it comes from.
    pub soak: Option<String>,
    /// Commits of the publish branch that are not in it; `None`: it cannot be told.
    pub behind: Option<usize>,
    /// Commits in it that are not in the publish branch.
    pub ahead: Option<usize>,
    /// What the publish branch has that it lacks.
    pub policies: PolicyChanges,
}

/// What the next promotion would bring into an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// Where its sets come from: the publish branch, or another environment.
    pub source: String,
    /// What that holds.
    pub head: CommitId,
    /// What the environment holds.
    pub tip: Option<CommitId>,
    /// Whether it once held something, and its branch is gone.
    pub is_gone: bool,
    /// Whether any file of the set differs.
    pub is_new: bool,
}

/// Why and since when an environment is on hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldStatus {
    /// Why.
    pub reason: String,
    /// The promotion that said so.
    pub promotion: u64,
    /// When, RFC 3339.
    pub since: String,
}

/// Why and until when an environment takes no promotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FreezeStatus {
    /// Why, where the settings say it.
    pub reason: Option<String>,
    /// The first instant at which it is not frozen, RFC 3339.
    pub until: String,
}

/// An attachment that is going to end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpiringAttachment {
    /// Its policy.
    pub policy: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// The instant from which on it matches nothing, RFC 3339.
    pub expires: String,
    /// Why it is there.
    pub reason: Option<String>,
}

/// Environments that a set may have come through.
const MOST_ENVIRONMENTS: usize = 64;

/// So many attachments that end next are listed.
const MOST_EXPIRING: usize = 10;

/// A document that is no policy and differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DocumentChange {
    /// `attachment`, `test`, `invariant`, `catalog` or `settings`.
    pub kind: &'static str,
    /// Of an attachment the policy's name, of a test or an invariant its own; else nothing.
    pub name: String,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Its file; of one that is gone, where it was.
    pub file: String,
}

/// Policies by what became of their documents, and the other documents that differ. Each list is
/// sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones with another document.
    pub changed: Vec<String>,
    /// Files with a fault of form: what they hold cannot be compared.
    pub faulty: Vec<String>,
    /// Attachments, tests, invariants, the catalog and the settings, as far as they differ.
    pub documents: Vec<DocumentChange>,
}

impl PolicyChanges {
    /// Whether nothing is to be said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Workspace {
    /// Where everything stands.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn status(&self) -> Result<Status> {
        let repo = self.repo()?;
        let published = self.published().ok();
        let tree = published.map(|tip| repo.tree_of(tip)).transpose()?;
        let names = self.environment_refs()?.into_iter().map(|(name, _)| name);
        let mut sets = TrackedSet::default();
        let in_force = |name: String| {
            let state = self.environment(&name)?;
            let status = self.environment_status(repo, &name, &state, published, tree)?;
            let expiring = match state.ledger.tip {
                Some(tip) => self.expiring_in(&mut sets, repo.tree_of(tip)?)?,
                None => Vec::new(),
            };
            Ok(EnvironmentStatus { expiring, ..status })
        };
        let environments: Vec<EnvironmentStatus> = names.map(in_force).collect::<Result<_>>()?;
        let drafts = self
            .root()
            .dir()
            .is_ok()
            .then(|| self.find_drafts(repo, tree))
            .transpose()?;
        Ok(Status {
            version: 1,
            problems: self.find_problems(repo, &environments, drafts.as_ref())?,
            published: match published {
                Some(tip) => Some(PublishedStatus {
                    branch: self.publish_branch_name()?,
                    commit: tip.to_string(),
                }),
                None => None,
            },
            drafts,
            environments,
        })
    }

    /// What the next promotion would bring into an environment.
    ///
    /// # Errors
    /// Where there is no such environment or source, or git cannot be read.
    pub fn coming_to(&self, name: &str) -> Result<Coming> {
        let repo = self.repo()?;
        let state = self.environment(name)?;
        let sources = self.sources_of(&state)?;
        let (source, head) = newest_tip(&state, &sources)?;
        let source = source.to_owned();
        let tip = state.ledger.tip;
        let trees = (
            tip.map(|tip| repo.tree_of(tip)).transpose()?,
            repo.tree_of(head)?,
        );
        let prefix = self.root().prefix();
        let is_new = match trees {
            (Some(before), after) => !repo
                .diff_trees(Some(before), Some(after), prefix, &load::wanted)?
                .is_empty(),
            (None, _) => true,
        };
        let is_gone = tip.is_none() && state.ledger.recorded.is_some();
        Ok(Coming {
            source,
            head,
            tip,
            is_gone,
            is_new,
        })
    }

    /// One environment beside the publish branch, without what is going to end in it: whoever
    /// serves the set knows that. Reads only the files that differ.
    ///
    /// # Errors
    /// Where there is no such environment, or git cannot be read.
    pub fn environment_standing(&self, name: &str) -> Result<EnvironmentStatus> {
        let repo = self.repo()?;
        let published = self.published().ok();
        let tree = published.map(|tip| repo.tree_of(tip)).transpose()?;
        self.environment_status(repo, name, &self.environment(name)?, published, tree)
    }

    /// What is wrong, the worst first: what is not served, what stands in the way of promotions,
    /// what others do not see yet.
    fn find_problems(
        &self,
        repo: &Repo,
        environments: &[EnvironmentStatus],
        drafts: Option<&PolicyChanges>,
    ) -> Result<Vec<Problem>> {
        let mut found: Vec<(u8, Problem)> = Vec::new();
        for environment in environments {
            let mut say = |rank: u8, message: String| {
                let environment = Some(environment.name.clone());
                found.push((
                    rank,
                    Problem {
                        environment,
                        message,
                    },
                ));
            };
            if let (None, None) = (&environment.commit, environment.promotion)
                && let Some(unknown) = self.left_unfetched(&environment.name)?
            {
                say(2, unknown);
            }
            if let (None, Some(number)) = (&environment.commit, environment.promotion) {
                say(
                    0,
                    format!(
                        "its branch is gone, but its ledger stands at promotion {number}: \
                         `refguard promote` names the command that restores it"
                    ),
                );
            }
            if let Some(tip) = environment.commit.as_ref().filter(|_| environment.external) {
                if let Some(fault) = self.fault_of(repo, tip)? {
                    say(
                        0,
                        format!(
                            "its tip holds no valid set, so that daemons serve what was there \
                             before: {fault}"
                        ),
                    );
                }
                say(1, "something else than a promotion moved it".to_owned());
            }
            if let Some(named) = &environment.unfounded_ledger {
                let ledger = format!("{LEDGERS}{}", environment.name);
                say(
                    1,
                    format!(
                        "its ledger `{ledger}` names {named}, which is no promotion that follows \
                         those before it: only what the branch records counts"
                    ),
                );
            }
            if let Some(HoldStatus {
                promotion,
                since,
                reason,
            }) = &environment.hold
            {
                say(
                    2,
                    format!("on hold since promotion {promotion} ({since}): {reason}"),
                );
            }
            if let Some(FreezeStatus { until, reason }) = &environment.freeze {
                let why = reason
                    .as_ref()
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                say(2, format!("frozen until {until}{why}"));
            }
        }
        let mut say = |rank, message| {
            found.push((
                rank,
                Problem {
                    environment: None,
                    message,
                },
            ))
        };
        if let Some(fault) = self.settings_problem()? {
            say(0, fault);
        }
        for file in drafts.into_iter().flat_map(|drafts| &drafts.faulty) {
            say(
                3,
                format!("{file} of the work tree cannot be read: see `refguard validate`"),
            );
        }
        if let Some(message) = self.find_unpushed(repo)? {
            say(4, message);
        }
        for ledger in self.undeclared_ledgers(repo, environments)? {
            say(
                5,
                format!(
                    "`{ledger}` is the ledger of no environment that is declared: nothing is \
                     served or judged by it"
                ),
            );
        }
        // What is wrong with the whole repository explains what is wrong with its environments.
        found.sort_by_key(|(rank, problem)| (*rank, problem.environment.is_some()));
        Ok(found.into_iter().map(|(_, problem)| problem).collect())
    }

    /// The first error of a commit's set, if it is none.
    fn fault_of(&self, repo: &Repo, commit: &str) -> Result<Option<String>> {
        let tree = repo.tree_of(commit.parse()?)?;
        Ok(
            match TrackedSet::default().judge_tree(self, tree, Release::FIRST, &NoProgress)? {
                Judged::Sound(_) | Judged::Outdated(..) => None,
                Judged::Faulty(checked) => checked.errors().next().map(ToString::to_string),
            },
        )
    }

    /// Ledgers that are here and belong to no environment of this root, nor to another root.
    fn undeclared_ledgers(
        &self,
        repo: &Repo,
        environments: &[EnvironmentStatus],
    ) -> Result<Vec<RefName>> {
        let own = own_root(self.root().prefix());
        let mut found = Vec::new();
        for (ledger, commit) in repo.refs_below(LEDGERS)? {
            let name = ledger.as_str().strip_prefix(LEDGERS).unwrap_or_default();
            if environments.iter().any(|it| it.name == name) {
                continue;
            }
            let newest = repo.newest_promotion(name, commit)?;
            let owner = newest.and_then(|promotion| promotion.record.root);
            if owner.is_none_or(|owner| owner == own) {
                found.push(ledger);
            }
        }
        Ok(found)
    }

    /// What of the publish branch the remote does not have.
    fn find_unpushed(&self, repo: &Repo) -> Result<Option<String>> {
        let Ok(Remote::Named(remote)) = repo.chosen_remote() else {
            return Ok(None);
        };
        let Ok(Some(branch)) = repo.publish_branch() else {
            return Ok(None);
        };
        let there = repo.read_ref(&branch.tracking_copy(&remote)?)?;
        let (Some(here), Some(there)) = (repo.read_ref(&branch)?, there) else {
            return Ok(None);
        };
        let ahead = repo
            .ahead_behind(here, there)?
            .map_or(0, |(ahead, _)| ahead);
        let commits = if ahead == 1 { "commit" } else { "commits" };
        let name = branch.short();
        Ok((ahead > 0)
            .then(|| format!("{name} is {ahead} {commits} ahead of {remote}/{name}: not pushed")))
    }

    /// All but `expiring`, for which the whole set is needed.
    fn environment_status(
        &self,
        repo: &Repo,
        name: &str,
        state: &EnvironmentState,
        published: Option<CommitId>,
        tree: Option<TreeId>,
    ) -> Result<EnvironmentStatus> {
        let ledger = &state.ledger;
        let last = ledger.last_promotion();
        let external = ledger.external_tip();
        let promoted = last.map(|last| last.record.source);
        let counts = match published {
            Some(tip) => count_beside(repo, ledger, tip)?,
            None => None,
        };
        let held = ledger.tip.map(|tip| repo.tree_of(tip)).transpose()?;
        Ok(EnvironmentStatus {
            name: name.to_owned(),
            reference: state.ref_name.to_string(),
            commit: ledger.tip.map(|tip| tip.to_string()),
            promotion: last.map(|last| last.record.number),
            promoted: promoted.map(|source| source.to_string()),
            external: external.is_some(),
            unfounded_ledger: ledger.unfounded_tip().map(|commit| commit.to_string()),
            hold: ledger
                .standing_hold()
                .map(|(promotion, reason)| HoldStatus {
                    reason: reason.to_owned(),
                    promotion: promotion.record.number,
                    since: promotion.commit.committer.time.to_string(),
                }),
            freeze: frozen_at(&state.settings.freeze, Timestamp::now()).map(|frozen| {
                FreezeStatus {
                    reason: frozen.freeze.reason.clone(),
                    until: frozen.until.to_string(),
                }
            }),
            expiring: Vec::new(),
            soak: state.settings.soak.map(|soak| format!("{soak:#}")),
            ahead: counts.map(|(ahead, _)| ahead),
            behind: counts.map(|(_, behind)| behind),
            policies: self.changes_between(repo, held, tree)?,
        })
    }

    /// What of a tree's set is going to end; nothing of a tree that is no valid set.
    fn expiring_in(&self, sets: &mut TrackedSet, tree: TreeId) -> Result<Vec<ExpiringAttachment>> {
        let judged = sets.judge_tree(self, tree, Release::FIRST, &NoProgress)?;
        let Some(engine) = judged.sound() else {
            return Ok(Vec::new());
        };
        let (set, now) = (engine.set(), Timestamp::now());
        let attachments = set.attachments.iter();
        let mut ending: Vec<_> = attachments
            .filter_map(|attachment| Some((attachment.expires.filter(|at| *at > now)?, attachment)))
            .collect();
        ending.sort_by_key(|(expires, _)| *expires);
        ending.truncate(MOST_EXPIRING);
        let listed = ending
            .into_iter()
            .map(|(expires, attachment)| ExpiringAttachment {
                policy: set
                    .policy(attachment.policy)
                    .map_or("", |policy| &policy.name)
                    .to_owned(),
                file: attachment.place.file.to_string(),
                line: attachment.place.line,
                expires: expires.to_string(),
                reason: attachment.reason.as_ref().map(ToString::to_string),
            });
        Ok(listed.collect())
    }

    /// How the policies of one tree became those of another. Only files that differ are read.
    fn changes_between(
        &self,
        repo: &Repo,
        old: Option<TreeId>,
        new: Option<TreeId>,
    ) -> Result<PolicyChanges> {
        let changes = repo.diff_trees(old, new, self.root().prefix(), &load::wanted)?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for change in &changes {
            for (side, files) in [(change.old, &mut before), (change.new, &mut after)] {
                let blob = side
                    .and_then(|side| side.blob)
                    .filter(|_| is_yaml_name(&change.path));
                if let Some(blob) = blob {
                    files.push((change.path.clone(), repo.read_blob(blob)?));
                }
            }
        }
        Ok(compare_said(
            PolicyDigests::of(before),
            PolicyDigests::of(after),
        ))
    }

    /// How the published policies differ from those of the work tree. A file whose content is in
    /// the published tree under the same path is not read further.
    fn find_drafts(&self, repo: &Repo, tree: Option<TreeId>) -> Result<PolicyChanges> {
        let here = self.root().list_work_tree(&load::wanted)?;
        let contents = |entry: &Entry| -> Result<Option<(Arc<str>, Vec<u8>)>> {
            let is_file = entry.kind == EntryKind::File && is_yaml_name(&entry.path);
            if !is_file || load::far_too_large(entry.size) {
                return Ok(None);
            }
            let bytes = here
                .read_entry(entry)
                .with_context(|| format!("cannot read `{}`", entry.path))?;
            Ok(Some((entry.path.clone(), bytes)))
        };
        let files: Vec<Option<(Arc<str>, Vec<u8>)>> = here
            .entries
            .par_iter()
            .map(contents)
            .collect::<Result<_>>()?;
        let mut after: BTreeMap<Arc<str>, Vec<u8>> = files.into_iter().flatten().collect();
        let mut before = Vec::new();
        if let Some(tree) = tree {
            let there = repo.list_tree(tree, self.root().prefix(), &load::wanted)?;
            for entry in there
                .entries
                .iter()
                .filter(|entry| is_yaml_name(&entry.path))
            {
                let same = after
                    .get(&entry.path)
                    .is_some_and(|bytes| Some(BlobId::of(bytes)) == entry.blob);
                if same {
                    after.remove(&entry.path);
                } else if entry.blob.is_some() {
                    before.push((entry.path.clone(), there.read_entry(entry)?));
                }
            }
        }
        Ok(compare_said(
            PolicyDigests::of(before),
            PolicyDigests::of(after.into_iter().collect()),
        ))
    }
}

/// How many commits an environment holds that a branch lacks, and the other way round. Promotions
/// are commits of no branch but their own, so they do not count; what counts is where their sets
/// come from.
fn count_beside(
    repo: &Repo,
    ledger: &Ledger,
    branch: CommitId,
) -> Result<Option<(usize, usize)>, RepoError> {
    let last = ledger.last_promotion();
    let brought = match last {
        Some(last) => repo.ahead_behind(first_source(repo, last.record.source), branch)?,
        None => None,
    };
    let Some(moved) = ledger.external_tip() else {
        return Ok(brought);
    };
    let Some((all, behind)) = repo.ahead_behind(moved, branch)? else {
        return Ok(None);
    };
    let (Some(last), Some((ahead, _))) = (last, brought) else {
        return Ok(Some((all, behind)));
    };
    if !repo.is_ancestor(last.commit.id, moved)? {
        return Ok(Some((all, behind)));
    }
    let before = repo
        .ahead_behind(last.commit.id, branch)?
        .map_or(0, |(before, _)| before);
    Ok(Some((all.saturating_sub(before) + ahead, behind)))
}

/// The commit that a set was first promoted from: what was promoted may be a promotion of another
/// environment.
fn first_source(repo: &Repo, promoted: CommitId) -> CommitId {
    let mut source = promoted;
    // So many environments no set passes through.
    for _ in 0..MOST_ENVIRONMENTS {
        // A shallow clone may not have it.
        let Ok(Commit { message, .. }) = repo.find_commit(source) else {
            break;
        };
        let Some(environment) = Record::environment_of(&message) else {
            break;
        };
        let Ok(Some(record)) = Record::parse(&message, &environment) else {
            break;
        };
        source = record.source;
    }
    source
}

/// The kind and name of a document that is no policy.
type OtherName = (&'static str, String);

/// What such a document says, and its file.
type OtherDocument = (String, Arc<str>);

/// What some files say of policies.
#[derive(Debug, Default)]
struct PolicyDigests {
    /// Digests by name; more than one where a name stands in two places.
    policies: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// The file of each name.
    places: BTreeMap<String, Arc<str>>,
    /// What documents that are no policies say, with their files, by kind and name.
    others: BTreeMap<OtherName, Vec<OtherDocument>>,
    faulty: BTreeSet<Arc<str>>,
}

impl PolicyDigests {
    fn of(files: Vec<(Arc<str>, Vec<u8>)>) -> Self {
        let parse =
            |(path, bytes): (Arc<str>, Vec<u8>)| (path.clone(), load_file(path, bytes, &LIMITS));
        let loaded: Vec<_> = files.into_par_iter().map(parse).collect();
        let mut said = Self::default();
        for (path, file) in loaded {
            for document in &file.documents {
                if let Body::Policy(raw) = &document.body {
                    let name = raw.name.as_str().to_owned();
                    said.places.insert(name.clone(), path.clone());
                    said.policies
                        .entry(name)
                        .or_default()
                        .insert(raw_policy_digest(raw));
                } else if let Some(key) = name_other(&document.body) {
                    let print = (fingerprint(document), path.clone());
                    said.others.entry(key).or_default().push(print);
                }
            }
            if file.findings.iter().any(Finding::is_error) {
                said.faulty.insert(path);
            }
        }
        said
    }
}

fn compare_said(before: PolicyDigests, after: PolicyDigests) -> PolicyChanges {
    let mut changes = PolicyChanges {
        faulty: after.faulty.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    // What a faulty file held may still be in it.
    let hidden = |name: &String| {
        before
            .places
            .get(name)
            .is_some_and(|place| after.faulty.contains(place))
    };
    for (name, digests) in &after.policies {
        match before.policies.get(name) {
            None => changes.added.push(name.clone()),
            Some(old) if old != digests => changes.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    let gone = before
        .policies
        .keys()
        .filter(|name| !after.policies.contains_key(*name) && !hidden(name));
    changes.removed.extend(gone.cloned());
    let keys: BTreeSet<_> = before.others.keys().chain(after.others.keys()).collect();
    for key in keys {
        let of = |said: &PolicyDigests| said.others.get(key).cloned().unwrap_or_default();
        let mut left = of(&before);
        left.retain(|(_, file)| !after.faulty.contains(file));
        changes
            .documents
            .extend(compare_others(key, left, of(&after)));
    }
    changes
}

/// The kind and name of a document that is no policy.
fn name_other(body: &Body) -> Option<OtherName> {
    Some(match body {
        Body::Policy(_) => return None,
        Body::Attachment(raw) => ("attachment", raw.policy.value.clone()),
        Body::Test(raw) => ("test", raw.name.as_str().to_owned()),
        Body::Invariant(raw) => ("invariant", raw.name.as_str().to_owned()),
        Body::Catalog(_) => ("catalog", String::new()),
        Body::Repository(_) => ("settings", String::new()),
    })
}

/// How documents of one kind and name differ: of what says the same on both sides nothing is told,
/// and of the rest each that is gone became one that is new, as far as there are as many.
fn compare_others(
    (kind, name): &OtherName,
    mut before: Vec<OtherDocument>,
    after: Vec<OtherDocument>,
) -> Vec<DocumentChange> {
    let mut new = Vec::new();
    for (print, file) in after {
        match before.iter().position(|(other, _)| *other == print) {
            Some(at) => drop(before.swap_remove(at)),
            None => new.push(file),
        }
    }
    let mut gone = before.into_iter();
    let mut found = Vec::new();
    let mut push = |change, file: Arc<str>| {
        let file = file.to_string();
        found.push(DocumentChange {
            kind,
            name: name.clone(),
            change,
            file,
        });
    };
    for file in new {
        push(
            if gone.next().is_some() {
                "changed"
            } else {
                "added"
            },
            file,
        );
    }
    gone.for_each(|(_, file)| push("removed", file));
    found.sort();
    found
}
