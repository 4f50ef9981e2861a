//! The last step of every change of an environment: write the commit, move the refs, or say who was first.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::ops::{EnvironmentState, Workspace};
use crate::repo::{
    CommitId, Expected, Ledger, Locked, Lost as LostRef, NewCommit, Outcome, PushOutcome, Record,
    RemoteRefs, Repo, RepoError, TreeId,
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
}

/// The commit that is to be the new tip.
pub(in crate::ops) struct Ending {
    pub record: Record,
    pub subject: String,
    pub tree: TreeId,
    pub parents: Vec<CommitId>,
}

/// Nothing was to be done.
pub(in crate::ops) fn unchanged(ledger: &Ledger, source: CommitId) -> Published {
    let tip = ledger.tip.map(|tip| tip.to_string());
    let last = ledger.last().map(|last| &last.record);
    Published {
        version: 1,
        environment: last
            .map_or_else(|| ledger.ref_name.short().to_owned(), |last| last.environment.clone()),
        changed: false,
        promotion: last.map_or(0, |last| last.number),
        commit: tip.clone(),
        promoted: last.map_or(source, |last| last.source).to_string(),
        previous: tip,
        digest: last.map(|last| last.digest.clone()),
    }
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

/// Writes the commit and moves the refs: the remote's first, where there is one.
pub(in crate::ops) fn publish(
    repo: &Repo,
    environment: &EnvironmentState,
    ending: Ending,
    push: Option<&str>,
    remote: Option<&RemoteRefs>,
) -> Result<Published> {
    let Ending { record, subject, tree, parents } = ending;
    let ledger = &environment.ledger;
    let message = record.message(&subject)?;
    let commit = repo.write_commit(&NewCommit { tree, parents, message, author: None })?;
    if let Some(remote) = push {
        // What would refuse the local move must be known before the remote takes it.
        repo.read_ref(&ledger.ref_name)?;
        if let Some(work_tree) = repo.checked_out_in(&ledger.ref_name)? {
            bail!(RepoError::CheckedOut { name: ledger.ref_name.clone(), work_tree });
        }
        send(repo, remote, ledger, commit)?;
    }
    // What the local refs hold may be older than the remote: both were only looked at now.
    let (expected, expected_ledger) = match remote {
        None => ledger.expected(),
        Some(_) => {
            (repo.read_ref(&ledger.ref_name)?.into(), repo.read_ref(&ledger.ledger_name)?.into())
        }
    };
    let why = format!("refguard: {subject}");
    let moving = repo.transaction(why).set(&ledger.ref_name, expected, commit);
    match moving.set(&ledger.ledger_name, expected_ledger, commit).commit()? {
        Outcome::Moved => {}
        Outcome::Lost(lost) => bail!(Lost(lost_words(repo, &record.environment, &lost))),
        Outcome::Locked(locked) => bail!(Lost(locked_words(&locked))),
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
    })
}

fn send(repo: &Repo, remote: &str, ledger: &Ledger, commit: CommitId) -> Result<()> {
    let (expected, expected_ledger) = ledger.expected();
    let push = repo.push(remote).set(&ledger.ref_name, expected, commit);
    match push.set(&ledger.ledger_name, expected_ledger, commit).send()? {
        PushOutcome::Taken => Ok(()),
        PushOutcome::Lost { name, expected, actual, reason } => {
            let was = word(expected);
            let is = actual.map_or_else(|| "another value".to_owned(), |id| id.short());
            bail!(Lost(format!(
                "`{}` of `{remote}` was {was} and is now {is}: {reason}",
                name.short()
            )))
        }
        PushOutcome::Refused { name, reason } => {
            bail!(Refused(format!("`{remote}` refused `{}`: {reason}", name.short())))
        }
        PushOutcome::Unknown { reason } => {
            bail!("it is unknown whether `{remote}` took the promotion: {reason}")
        }
    }
}

/// A hook or a protected branch said no: exit 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn word(expected: Expected) -> String {
    expected.commit().map_or_else(|| "nothing".to_owned(), |id| id.short())
}

/// What the tip was, what it is, and who moved it.
fn lost_words(repo: &Repo, environment: &str, lost: &LostRef) -> String {
    let is = match lost.actual {
        None => "gone".to_owned(),
        Some(id) => {
            let who = repo.commit(id).map(|commit| {
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
        word(lost.expected)
    )
}

/// A lock that did not go away: of a process that works, or left by a dead one.
fn locked_words(locked: &Locked) -> String {
    let age = locked.age.map_or_else(String::new, |age| format!(", {} s old", age.as_secs()));
    format!(
        "the lock `{}`{age} did not go away: if no git command is running, a dead one left it, and it is to be removed by hand",
        locked.path.display()
    )
}
