//! The last step of every change of an environment: write the commit, move the refs, or say who was
//! first.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::Serialize;

use crate::ops::change::environment::own_root;
use crate::ops::change::home::{Home, RefsExpected, is_past};
use crate::ops::change::rollback::{describe, only_releases};
use crate::ops::change::timing::date_fault;
use crate::ops::{EnvironmentState, Workspace};
use crate::repo::{
    CommitId, Expected, Ledger, Locked, Lost as LostRef, NewCommit, Outcome, PushOutcome, Record,
    RefName, Repo, TreeId,
};

/// Somebody else was first: exit 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// What became of an environment. The JSON of `promote` and `rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Version of this format.
    pub version: u32,
    /// The environment.
    pub environment: String,
    /// Whether anything was done.
    pub changed: bool,
    /// The promotion's number; of nothing done: the last one's.
    pub promotion: u64,
    /// The environment's tip.
    pub commit: Option<String>,
    /// The commit that was promoted.
    pub promoted: String,
    /// The tip before.
    pub previous: Option<String>,
    /// The digest of the set.
    pub digest: Option<String>,
    /// The remote that it was made at; absent: here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// What else is to be known: of copies that were left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Published {
    /// The environment with its home, for people.
    pub fn address(&self) -> String {
        let home = self.home.clone().map_or(Home::Here, Home::At);
        home.address(&self.environment)
    }
}

/// The commit that is to be the new tip.
pub(in crate::ops) struct Ending {
    pub record: Record,
    pub tree: TreeId,
    pub parents: Vec<CommitId>,
}

/// The subject line of a promotion, by what it records.
pub(in crate::ops) fn subject_of(record: &Record, parents: &[CommitId]) -> String {
    let name = &record.environment;
    match record {
        Record {
            rollback: Some(target),
            ..
        } => {
            format!("roll {name} back to {}", describe(*target))
        }
        Record { hold: Some(_), .. } => format!("hold {name}"),
        _ if only_releases(record, parents) => format!("release {name}"),
        Record {
            policies, source, ..
        } if policies.is_empty() => {
            format!("promote {} to {name}", source.short())
        }
        Record { policies, .. } => {
            clip_reason(format!("promote {} to {name}", policies.join(", ")))
        }
    }
}

/// A subject line that git tools show whole.
fn clip_reason(subject: String) -> String {
    match subject.char_indices().nth(100) {
        None => subject,
        Some((end, _)) => format!("{}…", subject.get(..end).unwrap_or("")),
    }
}

/// What every new record says of its place in the chain.
pub(in crate::ops) fn next_record(workspace: &Workspace, ledger: &Ledger) -> Record {
    Record {
        number: ledger.next_number(),
        previous: ledger.last_promotion().map(|last| last.commit.id),
        root: Some(own_root(workspace.root().prefix())),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Record::default()
    }
}

/// Nothing was to be done, but for copies here that an earlier run may have left behind.
pub(in crate::ops) fn unchanged(
    repo: &Repo,
    environment: &EnvironmentState,
    source: CommitId,
) -> Result<Published> {
    let ledger = &environment.ledger;
    let mut notes = environment.notes.clone();
    if let (Home::At(remote), Some(tip)) = (&environment.home, ledger.tip) {
        notes.extend(follow_remote(repo, environment, remote, tip));
    }
    let tip = ledger.tip.map(|tip| tip.to_string());
    let last = ledger.last_promotion().map(|last| &last.record);
    Ok(Published {
        version: 1,
        environment: environment.name().to_owned(),
        changed: false,
        promotion: last.map_or(0, |last| last.number),
        commit: tip.clone(),
        promoted: last.map_or(source, |last| last.source).to_string(),
        previous: tip,
        digest: last.map(|last| last.digest.clone()),
        home: environment.home.remote().map(str::to_owned),
        notes,
    })
}

/// A wrong `--expect` is a lost race.
pub(in crate::ops) fn check_expect(
    workspace: &Workspace,
    environment: &EnvironmentState,
    expect: Option<&str>,
) -> Result<()> {
    let Some(expect) = expect else { return Ok(()) };
    let tip = environment.ledger.tip;
    let expected = match expect {
        "none" => None,
        text => match text.parse::<CommitId>() {
            Ok(commit) => Some(commit),
            Err(_) => Some(workspace.revision(text)?.0),
        },
    };
    if expected == tip {
        return Ok(());
    }
    let word = |id: Option<CommitId>| id.map_or_else(|| "nothing".to_owned(), |id| id.short());
    bail!(Lost(format!(
        "`{}` holds {}, not {} as expected",
        environment.ref_name.short(),
        word(tip),
        word(expected)
    )))
}

/// Writes the commit and moves the refs where the environment lives: here in one step, or at the
/// remote, which the copies here then follow.
pub(in crate::ops) fn publish(
    repo: &Repo,
    environment: &EnvironmentState,
    expected: &RefsExpected,
    ending: Ending,
) -> Result<Published> {
    let Ending {
        record,
        tree,
        parents,
    } = ending;
    let subject = subject_of(&record, &parents);
    let ledger = &environment.ledger;
    let message = record.message(&subject)?;
    let commit = repo.write_commit(&NewCommit {
        tree,
        parents,
        message,
        author: None,
    })?;
    let made = repo.find_commit(commit)?.committer.time.seconds;
    let before = ledger
        .last_promotion()
        .map(|last| last.commit.committer.time.seconds);
    if let Some(fault) = date_fault(made, before, Timestamp::now()) {
        bail!(Refused(fault));
    }
    let mut notes = environment.notes.clone();
    match &environment.home {
        Home::Here => move_here(repo, environment, expected, commit, &subject)?,
        Home::At(remote) => {
            notes.extend(push_to(repo, environment, remote, expected, commit)?);
            notes.extend(follow_remote(repo, environment, remote, commit));
        }
    }
    Ok(Published {
        version: 1,
        environment: record.environment,
        changed: true,
        promotion: record.number,
        commit: Some(commit.to_string()),
        promoted: record.source.to_string(),
        previous: ledger.tip.map(|tip| tip.to_string()),
        digest: Some(record.digest),
        home: environment.home.remote().map(str::to_owned),
        notes,
    })
}

/// Both refs of this repository, from what was expected.
fn move_here(
    repo: &Repo,
    environment: &EnvironmentState,
    expected: &RefsExpected,
    commit: CommitId,
    subject: &str,
) -> Result<()> {
    let ledger = &environment.ledger;
    let moving = repo.begin_transaction(format!("refguard: {subject}"));
    let moving = moving.set_ref(&ledger.ref_name, expected.branch, commit);
    match moving
        .set_ref(&ledger.ledger_name, expected.ledger, commit)
        .commit_all()?
    {
        Outcome::Moved => Ok(()),
        Outcome::Lost(lost) => bail!(Lost(lost_words(repo, environment.name(), &lost))),
        Outcome::Locked(locked) => bail!(Lost(locked_words(&locked))),
    }
}

/// Both refs of the remote; what the remote holds afterwards decides. The ledger stays behind where
/// a remote takes branches only: the branch is then its own ledger.
fn push_to(
    repo: &Repo,
    environment: &EnvironmentState,
    remote: &str,
    expected: &RefsExpected,
    commit: CommitId,
) -> Result<Vec<String>> {
    let ledger = &environment.ledger;
    let branch_only = || {
        repo.push_to(remote)
            .with_ref(&ledger.ref_name, expected.branch, commit)
    };
    if repo.takes_branches_only(remote)? {
        return refs_not_taken(remote, branch_only().send_all()?).map(|_| Vec::new());
    }
    let both = branch_only().with_ref(&ledger.ledger_name, expected.ledger, commit);
    let missing = match both.send_all()? {
        // Only the ledger is unwelcome: of an atomic push nothing was taken then.
        PushOutcome::Refused { name, .. } if name == ledger.ledger_name => {
            refs_not_taken(remote, branch_only().send_all()?)?;
            vec![name]
        }
        outcome => refs_not_taken(remote, outcome)?,
    };
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    repo.remember_branches_only(remote)?;
    Ok(vec![format!(
        "`{remote}` takes no `refs/refguard/*`: its branch `{}` is the ledger from now on",
        ledger.ref_name.short()
    )])
}

/// The refs that the remote did not take, or why it took none.
fn refs_not_taken(remote: &str, outcome: PushOutcome) -> Result<Vec<RefName>> {
    match outcome {
        PushOutcome::Taken { missing } => Ok(missing),
        PushOutcome::Lost {
            name,
            expected,
            actual,
            reason,
        } => {
            let was = describe_expected(expected);
            let is = actual.map_or_else(|| "another value".to_owned(), |id| id.short());
            bail!(Lost(format!(
                "`{}` of `{remote}` was {was} and is now {is}: {reason}",
                name.short()
            )))
        }
        PushOutcome::Refused { name, reason } => {
            bail!(Refused(format!(
                "`{remote}` refused `{}`: {reason}",
                name.short()
            )))
        }
        PushOutcome::Unknown { reason } => {
            bail!("it is unknown whether `{remote}` took the promotion: {reason}")
        }
    }
}

/// Brings what is here up to date with what the remote has taken. The promotion is made, so nothing
/// here is an error any more: what could not follow is said, and the next run tries it again.
fn follow_remote(
    repo: &Repo,
    environment: &EnvironmentState,
    remote: &str,
    commit: CommitId,
) -> Vec<String> {
    let name = environment.name();
    let copies = [
        environment.ref_name.tracking_copy(remote),
        RefName::remote_ledger(remote, name),
    ];
    let mut notes = Vec::new();
    for copy in copies {
        let moved = copy
            .map_err(anyhow::Error::from)
            .and_then(|copy| set_copy(repo, &copy, commit));
        notes.extend(moved.err().map(|error| left_behind(remote, name, &error)));
    }
    match follow_in_branch(repo, environment, remote, commit) {
        Ok(note) => notes.extend(note),
        Err(error) => notes.push(left_behind(remote, name, &error)),
    }
    notes.dedup();
    notes
}

fn left_behind(remote: &str, name: &str, error: &anyhow::Error) -> String {
    format!(
        "`{remote}` has it, but the copy of `{name}` here could not follow: {error:#}; the next \
         run brings it up to date"
    )
}

fn set_copy(repo: &Repo, copy: &RefName, commit: CommitId) -> Result<()> {
    let held = repo.read_ref(copy)?;
    if held == Some(commit) {
        return Ok(());
    }
    let moving = repo
        .begin_transaction("refguard: follow the remote")
        .set_ref(copy, held.into(), commit);
    match moving.commit_all()? {
        Outcome::Moved | Outcome::Lost(_) => Ok(()),
        Outcome::Locked(locked) => bail!(locked_words(&locked)),
    }
}

/// The local branch of the same name and its ledger: moved forward, and left alone where they have
/// diverged.
fn follow_in_branch(
    repo: &Repo,
    environment: &EnvironmentState,
    remote: &str,
    commit: CommitId,
) -> Result<Option<String>> {
    let ledger = &environment.ledger;
    let name = environment.name();
    let diverged = |id: CommitId| {
        Some(format!(
            "the branch `{name}` here is at {} and has diverged from `{remote}`: it is left as it \
             is",
            id.short()
        ))
    };
    let branch = repo.read_ref(&ledger.ref_name)?;
    let recorded = repo.read_ref(&ledger.ledger_name)?;
    for held in [branch, recorded].into_iter().flatten() {
        if !is_past(repo, ledger, held, commit)? {
            return Ok(diverged(held));
        }
    }
    if branch == Some(commit) && recorded == Some(commit) {
        return Ok(None);
    }
    let expected = RefsExpected {
        branch: branch.into(),
        ledger: recorded.into(),
    };
    move_here(
        repo,
        environment,
        &expected,
        commit,
        &format!("follow {remote}"),
    )?;
    Ok(None)
}

/// A hook or a protected branch said no: exit 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn describe_expected(expected: Expected) -> String {
    expected
        .commit()
        .map_or_else(|| "nothing".to_owned(), |id| id.short())
}

/// What the tip was, what it is, and who moved it.
fn lost_words(repo: &Repo, environment: &str, lost: &LostRef) -> String {
    let is = match lost.actual {
        None => "gone".to_owned(),
        Some(id) => {
            let who = repo.find_commit(id).map(|commit| {
                let promotion = repo.promotion_at(environment, id).ok().flatten();
                let what = promotion.map_or_else(
                    || "moved by hand".to_owned(),
                    |p| format!("promotion {}", p.record.number),
                );
                format!(", {what}, by {}", commit.committer)
            });
            format!("{}{}", id.short(), who.unwrap_or_default())
        }
    };
    format!(
        "somebody else was first: `{}` was {} and is now {is}",
        lost.name.short(),
        describe_expected(lost.expected)
    )
}

/// A lock that did not go away: of a process that works, or left by a dead one.
fn locked_words(locked: &Locked) -> String {
    let age = locked
        .age
        .map_or_else(String::new, |age| format!(", {} s old", age.as_secs()));
    format!(
        "the lock `{}`{age} did not go away: if no git command is running, a dead one left it, \
         and it is to be removed by hand",
        locked.path.display()
    )
}
