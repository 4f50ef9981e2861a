//! Other repositories: what their refs hold, fetching, and pushing by compare-and-swap. All through
//! `git`, which knows how to reach them.

use std::collections::BTreeMap;

use super::git::{Cancel, Ending, describe_failure};
use super::transaction::{Move, OTHER_VALUE, Outcome};
use super::{CommitId, Expected, LedgerLosses, Promotion, RefName, Repo, RepoError};

/// What some refs of a remote hold; those that it lacks are absent.
pub type RemoteRefs = BTreeMap<RefName, CommitId>;

/// Where environments' ledgers are.
pub const LEDGERS: &str = "refs/refguard/ledger/";

/// What a remote shows of its branches and ledgers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The branch that its `HEAD` names.
    pub head: Option<RefName>,
    /// Branches and ledgers.
    pub refs: RemoteRefs,
}

impl Listed {
    /// The names of the environments that have a ledger there.
    pub fn list_ledgers(&self) -> impl Iterator<Item = &str> {
        self.refs
            .keys()
            .filter_map(|name| name.as_str().strip_prefix(LEDGERS))
    }
}

/// Refs that are to move together on a remote, each from an expected value. Nothing has happened
/// yet.
#[derive(Debug)]
#[must_use = "nothing is pushed before `send`"]
pub struct Push<'r> {
    repo: &'r Repo,
    remote: String,
    moves: Vec<Move>,
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a push that was not taken is no error of its own"]
pub enum PushOutcome {
    /// The remote has the ref that counts at its new value.
    Taken {
        /// Refs that the remote did not take with it: a forge may take branches only.
        missing: Vec<RefName>,
    },
    /// Somebody else was first.
    Lost {
        /// The ref.
        name: RefName,
        /// What it was to hold on the remote.
        expected: Expected,
        /// What it holds there; `None` also where the remote would not say.
        actual: Option<CommitId>,
        /// The remote's word.
        reason: String,
    },
    /// A hook or a protection of the remote said no.
    Refused {
        /// The ref.
        name: RefName,
        /// The remote's word.
        reason: String,
    },
    /// There was no answer, and none to the question what had become of it.
    Unknown {
        /// What git said.
        reason: String,
    },
}

impl Repo {
    /// What some refs of a remote hold now.
    pub fn remote_refs(&self, remote: &str, names: &[&RefName]) -> Result<RemoteRefs, RepoError> {
        let words = ["ls-remote", "--quiet", "--", remote]
            .into_iter()
            .chain(names.iter().map(|name| name.as_str()));
        let listed = self.git_command(words).over_network().run()?.text();
        let pairs = listed.lines().filter_map(|line| line.split_once('\t'));
        // The names are patterns to git, which match the ends of other names too.
        let known = pairs.filter(|(_, name)| names.iter().any(|due| due.as_str() == *name));
        known
            .map(|(id, name)| Ok((RefName::new(name)?, remote_id(id)?)))
            .collect()
    }

    /// What a remote shows of its branches and ledgers now. With `cancel` another thread can end
    /// the question: without, git may ask the person at the terminal.
    pub fn list_remote(&self, remote: &str, cancel: Option<&Cancel>) -> Result<Listed, RepoError> {
        let patterns = ["HEAD", "refs/heads/*", "refs/refguard/ledger/*"];
        let words = ["ls-remote", "--quiet", "--symref", "--", remote];
        let mut command = self
            .git_command(words.into_iter().chain(patterns))
            .over_network();
        if let Some(cancel) = cancel {
            command = command.cancelled_by(cancel);
        }
        let answer = command.run()?.text();
        let mut listed = Listed::default();
        for (value, name) in answer.lines().filter_map(|line| line.split_once('\t')) {
            match value.strip_prefix("ref: ") {
                Some(target) if name == "HEAD" => listed.head = RefName::new(target).ok(),
                // The patterns match the ends of other names too.
                None if name.starts_with("refs/heads/") || name.starts_with(LEDGERS) => {
                    listed.refs.insert(RefName::new(name)?, remote_id(value)?);
                }
                _ => {}
            }
        }
        Ok(listed)
    }

    /// Brings the copies of some environments and branches up to date with what a remote has of
    /// them, by full names on both sides. A copy of what the remote no longer has is dropped;
    /// returns what ledgers lost.
    pub fn fetch_environments(
        &self,
        remote: &str,
        listed: &Listed,
        names: &[String],
    ) -> Result<LedgerLosses, RepoError> {
        let mut refspecs = Vec::new();
        let mut losses = LedgerLosses::default();
        let newest = names
            .iter()
            .filter_map(|name| self.newest_copied(remote, name));
        let newest: Vec<Promotion> = newest.collect();
        for name in names {
            let branch = RefName::of_branch(name)?;
            let copies = [
                (branch.clone(), branch.tracking_copy(remote)?),
                (
                    RefName::of_ledger(name)?,
                    RefName::remote_ledger(remote, name)?,
                ),
            ];
            for (source, copy) in copies {
                let held = self.read_ref(&copy)?;
                match listed.refs.get(&source) {
                    Some(there) if Some(*there) == held => {}
                    Some(_) => refspecs.push(format!("+{source}:{copy}")),
                    None if held.is_some() => {
                        self.drop_ref(&copy)?;
                        if source != branch && listed.refs.contains_key(&branch) {
                            losses.gone.push(name.clone());
                        }
                    }
                    None => {}
                }
            }
        }
        refspecs.sort_unstable();
        refspecs.dedup();
        if refspecs.is_empty() {
            // What the remote has was just listed, and is here.
            self.remember_fetch(remote);
        } else {
            self.fetch_refspecs(remote, &refspecs, &Cancel::default())?;
        }
        losses.retreats = self.find_retreats(remote, newest);
        Ok(losses)
    }

    /// Takes what a remote's `HEAD` names as what this clone is told by, as `git clone` does.
    pub fn follow_remote_head(&self, remote: &str, head: &RefName) -> Result<(), RepoError> {
        let (name, target) = (
            format!("refs/remotes/{remote}/HEAD"),
            head.tracking_copy(remote)?,
        );
        self.git_command(["symbolic-ref", &name, target.as_str()])
            .run()
            .map(drop)
    }

    /// Fetches what git's configuration asks for, as `git fetch REMOTE` does.
    pub fn fetch_remote(&self, remote: &str) -> Result<(), RepoError> {
        let words = [
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--",
            remote,
        ];
        self.git_command(words).over_network().run().map(drop)
    }

    /// A push that moves nothing yet.
    pub fn push_to(&self, remote: impl Into<String>) -> Push<'_> {
        Push {
            repo: self,
            remote: remote.into(),
            moves: Vec::new(),
        }
    }
}

impl Push<'_> {
    /// Adds a ref. The first is the one that counts; the others go with it.
    pub fn with_ref(mut self, name: &RefName, expected: Expected, new: CommitId) -> Self {
        self.moves.push(Move {
            name: name.clone(),
            expected,
            new,
        });
        self
    }

    /// Moves all refs on the remote, or none. Never against the direction of history.
    pub fn send_all(self) -> Result<PushOutcome, RepoError> {
        for Move { expected, new, .. } in &self.moves {
            if let Some(old) = expected.commit().filter(|old| old != new)
                && !self.repo.is_ancestor(old, *new)?
            {
                return Err(RepoError::NotAFastForward { new: *new, old });
            }
        }
        self.repo.env.may_fail_before("before-push")?;
        let outcome = match self.run_push() {
            Ok(ending) if ending.success => PushOutcome::Taken {
                missing: Vec::new(),
            },
            Ok(ending) => match self.taken_all_the_same() {
                Some(taken) => taken,
                None => self.judge_outcome(&ending)?,
            },
            Err(RepoError::NoGit) => return Err(RepoError::NoGit),
            Err(error) => self.ask_remote(error)?,
        };
        self.repo.env.may_fail_after("after-push");
        Ok(outcome)
    }

    /// Whether the remote holds the new value of the ref that counts, although git says that the
    /// push failed: a server that hides other refs applies a part even of an atomic push. What it
    /// holds decides.
    fn taken_all_the_same(&self) -> Option<PushOutcome> {
        let names: Vec<&RefName> = self.moves.iter().map(|it| &it.name).collect();
        let refs = self.repo.remote_refs(&self.remote, &names).ok()?;
        let holds = |it: &Move| refs.get(&it.name) == Some(&it.new);
        let missing = || {
            self.moves
                .iter()
                .filter(|it| !holds(it))
                .map(|it| it.name.clone())
        };
        let counts = self.moves.first()?;
        holds(counts).then(|| PushOutcome::Taken {
            missing: missing().collect(),
        })
    }

    fn run_push(&self) -> Result<Ending, RepoError> {
        let by_name = |it: &Move| format!("{}:{}", it.new, it.name);
        let ending = self.run_with(self.moves.iter().map(by_name).collect())?;
        if !ending.success && ending.stderr.contains("matches more than one") {
            return self.run_by_pattern();
        }
        Ok(ending)
    }

    /// Pushes from refs made for it, by a pattern. Of a full name git asks besides whether the
    /// remote has a tag like it (`refs/tags/refs/heads/production`), and gives up where it has;
    /// names that a pattern makes are exact.
    fn run_by_pattern(&self) -> Result<Ending, RepoError> {
        let folder = format!("refs/refguard/outgoing/{}/", std::process::id());
        let mut made = Vec::new();
        let mut transaction = self.repo.begin_transaction("refguard: push");
        for it in &self.moves {
            let rest = it
                .name
                .as_str()
                .strip_prefix("refs/")
                .unwrap_or(it.name.as_str());
            let name = RefName::new(format!("{folder}{rest}"))?;
            let held = self.repo.read_ref(&name)?;
            transaction = transaction.set_ref(&name, held.into(), it.new);
            made.push(name);
        }
        let ending = match transaction.commit_all()? {
            Outcome::Moved => self.run_with(vec![format!("{folder}*:refs/*")]),
            _ => Err(describe_failure("push", "the refs to push from are locked")),
        };
        for name in &made {
            self.repo.drop_ref(name)?;
        }
        ending
    }

    fn run_with(&self, refspecs: Vec<String>) -> Result<Ending, RepoError> {
        let lease = |it: &Move| {
            let old = it
                .expected
                .commit()
                .map(|old| old.to_string())
                .unwrap_or_default();
            format!("--force-with-lease={}:{old}", it.name)
        };
        let mut words: Vec<String> = [
            "push",
            "--porcelain",
            "--atomic",
            "--no-follow-tags",
            "--recurse-submodules=no",
        ]
        .map(str::to_owned)
        .into();
        words.extend(self.moves.iter().map(lease));
        words.extend(["--".to_owned(), self.remote.clone()]);
        words.extend(refspecs);
        self.repo
            .git_command(words.iter().map(String::as_str))
            .over_network()
            .finish_call()
    }

    /// What a push that failed means, ref by ref.
    fn judge_outcome(&self, ending: &Ending) -> Result<PushOutcome, RepoError> {
        let text = String::from_utf8_lossy(&ending.stdout);
        let rejected: Vec<(&Move, Rejection)> = text
            .lines()
            .filter_map(|line| self.parse_rejection(line))
            .collect();
        let first =
            |is: fn(&Rejection) -> bool| rejected.iter().find(|(_, rejection)| is(rejection));
        if let Some((it, Rejection::Lost(reason))) = first(|it| matches!(it, Rejection::Lost(_))) {
            return Ok(self.lost_outcome(it, reason.clone()));
        }
        if let Some((it, Rejection::Refused(reason))) =
            first(|it| matches!(it, Rejection::Refused(_)))
        {
            return Ok(PushOutcome::Refused {
                name: it.name.clone(),
                reason: with_remote_words(reason, &ending.stderr),
            });
        }
        match self.moves.first() {
            Some(it) if !rejected.is_empty() && is_race(&ending.stderr) => {
                Ok(self.lost_outcome(it, "the remote's refs are locked or have moved".into()))
            }
            _ => self.ask_remote(describe_failure("push", &ending.stderr)),
        }
    }

    /// A line of the answer, if it speaks of a ref that was not moved.
    fn parse_rejection(&self, line: &str) -> Option<(&Move, Rejection)> {
        let mut fields = line.splitn(3, '\t');
        let (flag, refs, summary) = (fields.next()?, fields.next()?, fields.next()?);
        let (_, name) = refs.split_once(':')?;
        let it = self.moves.iter().find(|it| it.name.as_str() == name)?;
        (flag == "!").then(|| (it, Rejection::of(summary)))
    }

    fn lost_outcome(&self, it: &Move, reason: String) -> PushOutcome {
        let actual = self.repo.remote_refs(&self.remote, &[&it.name]).ok();
        let actual = actual.and_then(|refs| refs.get(&it.name).copied());
        PushOutcome::Lost {
            name: it.name.clone(),
            expected: it.expected,
            actual,
            reason,
        }
    }

    /// There was no clear answer: what the remote holds now decides.
    fn ask_remote(&self, error: RepoError) -> Result<PushOutcome, RepoError> {
        let names: Vec<&RefName> = self.moves.iter().map(|it| &it.name).collect();
        let Ok(refs) = self.repo.remote_refs(&self.remote, &names) else {
            return Ok(PushOutcome::Unknown {
                reason: error.to_string(),
            });
        };
        let holds = |it: &Move| refs.get(&it.name).copied();
        if let Some(counts) = self.moves.first()
            && holds(counts) == Some(counts.new)
        {
            let missing = self.moves.iter().filter(|it| holds(it) != Some(it.new));
            let missing = missing.map(|it| it.name.clone()).collect();
            return Ok(PushOutcome::Taken { missing });
        }
        match self
            .moves
            .iter()
            .find(|it| holds(it) != it.expected.commit())
        {
            Some(it) => Ok(PushOutcome::Lost {
                name: it.name.clone(),
                expected: it.expected,
                actual: holds(it),
                reason: error.to_string(),
            }),
            None => Err(error),
        }
    }
}

/// Why the remote, or git on its behalf, did not move a ref.
enum Rejection {
    /// The ref does not hold what was expected, or somebody is moving it.
    Lost(String),
    /// A rule of the remote.
    Refused(String),
    /// Another ref of the same push was at fault, or nobody knows.
    Unclear,
}

impl Rejection {
    /// From a summary such as `[rejected] (stale info)`.
    fn of(summary: &str) -> Self {
        const RACE: [&str; 5] = [
            "non-fast-forward",
            "fetch first",
            "stale info",
            "failed to update ref",
            "incorrect old value",
        ];
        let reason = summary
            .split_once('(')
            .map_or(summary, |(_, rest)| rest.trim_end_matches(')'));
        if RACE.iter().any(|words| reason.contains(words)) || is_race(reason) {
            Self::Lost(reason.to_owned())
        } else if reason.contains("atomic") || summary.starts_with("[remote failure]") {
            Self::Unclear
        } else {
            Self::Refused(reason.to_owned())
        }
    }
}

fn is_race(words: &str) -> bool {
    words.contains("cannot lock")
        || words.contains("failed to lock")
        || OTHER_VALUE.iter().any(|it| words.contains(it))
}

/// A refusal with what the remote's hook printed, which is for the person who pushes.
fn with_remote_words(reason: &str, stderr: &str) -> String {
    let said = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim);
    let said: Vec<&str> = said.filter(|line| !line.is_empty()).collect();
    if said.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {}", said.join("; "))
    }
}

fn remote_id(text: &str) -> Result<CommitId, RepoError> {
    let message = || format!("its answer `{text}` is no object id");
    text.parse().map_err(|_| RepoError::Git {
        verb: "ls-remote".to_owned(),
        message: message(),
    })
}
