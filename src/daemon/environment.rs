//! One environment: its ref, what has become of its values, and the reader that keeps the last tree.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use refguard_core::document::{Finding, SourceFile};
use refguard_core::policy::Environment;
use refguard_core::resolve::Engine;

use super::Hub;
use super::hub::Slot;
use super::load::{Outcome, judge, rejected};
use super::reload::{Following, Step};
use super::snapshot::{Snapshot, Source};
use super::state::{self, Kept, Writer};
use super::status::{Failing, Hold};
use crate::ops::SetReader;
use crate::repo::{CommitId, RefName, Repo, RepoError, TreeId};

/// How many commits are counted between what is served and what the ref holds.
const MAX_BEHIND: usize = 1_000;

/// What following a ref needs of its surroundings.
pub(super) struct Context<'a> {
    pub hub: &'a Hub,
    pub writer: &'a Writer,
    /// The root of the set in commits.
    pub prefix: &'a str,
    pub state_dir: Option<&'a Path>,
    /// What failed is due now.
    pub urged: bool,
    /// Reading the ref says what the remote holds: there is none, or it was just fetched.
    pub fetched: bool,
}

/// One environment that is followed.
pub(super) struct Tracked {
    pub environment: String,
    /// The environment's ref.
    pub reference: String,
    pub slot: Arc<Slot>,
    /// The ref that is read: the environment's, or the remote's copy of it.
    followed: Result<RefName, String>,
    following: Following,
    reader: SetReader,
    restored: bool,
    /// The tree that the served set was read from; none where it came from a file.
    base: Option<TreeId>,
}

impl Tracked {
    pub fn new(environment: &Environment, remote: Option<&str>) -> Self {
        let own = RefName::new(&environment.reference);
        let followed = match remote {
            None => own,
            Some(remote) => own.and_then(|own| own.tracking(remote)),
        };
        let shown = followed.as_ref().map_or(environment.reference.clone(), ToString::to_string);
        Self {
            environment: environment.name.clone(),
            reference: environment.reference.clone(),
            slot: Slot::new(&environment.name, Some(shown)),
            followed: followed.map_err(|error| error.to_string()),
            following: Following::default(),
            reader: SetReader::default(),
            restored: false,
            base: None,
        }
    }

    /// The refs whose folders tell of a change.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.followed.iter().map(RefName::as_str)
    }

    pub fn due(&self) -> Option<Instant> {
        self.following.due()
    }

    /// Reads the ref and acts on what it holds.
    pub fn follow(&mut self, context: &Context<'_>, repo: &Repo) {
        let hub = context.hub;
        let value = match &self.followed {
            Ok(reference) => read(repo, reference),
            Err(error) => Value::Unreadable(error.clone()),
        };
        match value {
            Value::At(commit) => {
                if context.fetched {
                    hub.checked(&self.slot);
                }
                self.following.readable();
                self.at(context, repo, commit);
            }
            Value::Absent(why) => {
                if context.fetched {
                    hub.checked(&self.slot);
                }
                {
                    let mut facts = self.slot.facts();
                    (facts.ref_commit, facts.unserved_since) = (None, None);
                }
                self.unreadable(&why);
            }
            Value::Unreadable(why) => self.unreadable(&why),
        }
        self.restore(hub, context.state_dir);
    }

    fn at(&mut self, context: &Context<'_>, repo: &Repo, commit: CommitId) {
        let step = self.following.step(commit, Instant::now(), context.urged);
        {
            let mut facts = self.slot.facts();
            facts.ref_commit = Some(commit);
            if self.following.current() == Some(commit) {
                self.following.settled();
                (facts.rejected, facts.failing, facts.unserved_since) = (None, None, None);
                facts.commits_behind = Some(0);
            } else {
                facts.unserved_since.get_or_insert_with(Instant::now);
            }
        }
        if step == Step::Load {
            self.load(context, repo, commit);
        }
    }

    fn load(&mut self, context: &Context<'_>, repo: &Repo, commit: CommitId) {
        let started = Instant::now();
        let result = match self.read(repo, commit, context.prefix) {
            Read::Good(engine) => {
                let (promotion, hold) = promotion_and_hold(repo, &self.environment, commit);
                self.slot.facts().hold = hold;
                self.serve(context.hub, *engine, commit, Source::Commit, promotion);
                self.base = self.reader.tree();
                self.keep(context, self.reader.sources());
                "ok"
            }
            Read::Rejected(message, findings) => {
                tracing::error!(set = %self.environment, commit = %commit, "rejected: {message}");
                self.following.rejected(commit);
                let mut facts = self.slot.facts();
                facts.rejected = Some(rejected(Some(commit), message, &findings));
                facts.failing = None;
                facts.commits_behind = commits_behind(repo, self.following.current(), commit);
                "rejected"
            }
            Read::Failed(message) => {
                self.failed(Some(commit), message);
                "failed"
            }
        };
        context.hub.metrics().reloaded(&self.environment, result, started.elapsed());
        let millis = started.elapsed().as_secs_f64() * 1000.0;
        tracing::debug!(set = %self.environment, commit = %commit, result, millis, "looked at a new value");
    }

    /// Reads a commit: by what differs from what is served where that is enough, else whole.
    fn read(&mut self, repo: &Repo, commit: CommitId, prefix: &str) -> Read {
        let delta = match self.reader.advance(repo, commit, prefix) {
            Ok(delta) => delta,
            Err(error) => return Read::from(judge(Err(error))),
        };
        let served = self.slot.snapshot();
        let of_served = delta.filter(|delta| self.base == Some(delta.from));
        let patched = of_served
            .zip(served)
            .and_then(|(delta, served)| self.reader.patch(&delta, &served.engine));
        match patched.filter(|engine| !engine.set().is_empty()) {
            Some(engine) => Read::Good(Box::new(engine)),
            None => Read::from(judge(Ok(self.reader.loaded()))),
        }
    }

    fn serve(
        &mut self,
        hub: &Hub,
        engine: Engine,
        commit: CommitId,
        source: Source,
        promotion: Option<u64>,
    ) {
        let snapshot =
            Snapshot::new(self.slot.name.clone(), engine, source).of_commit(commit, promotion);
        let snapshot = match self.slot.snapshot() {
            Some(before) => snapshot.after(&before),
            None => snapshot,
        };
        {
            let mut facts = self.slot.facts();
            (facts.rejected, facts.failing) = (None, None);
            if facts.ref_commit == Some(commit) {
                (facts.unserved_since, facts.commits_behind) = (None, Some(0));
            }
        }
        self.following.served(commit);
        hub.publish(&self.slot, Arc::new(snapshot));
        let (set, source) = (self.environment.as_str(), source.as_str());
        tracing::info!(set, commit = %commit, source, "serving");
    }

    fn keep(&self, context: &Context<'_>, files: Vec<SourceFile>) {
        let (Some(dir), Some(snapshot)) = (context.state_dir, self.slot.snapshot()) else { return };
        let Some(commit) = snapshot.commit.clone() else { return };
        let kept = Kept {
            environment: self.slot.name.clone(),
            reference: self.reference.clone(),
            commit,
            promotion: snapshot.promotion,
            digest: snapshot.set().digest.clone(),
            files,
        };
        context.writer.keep(dir.to_owned(), kept);
    }

    /// The ref, or the repository, could not be read.
    pub fn unreadable(&mut self, why: &str) {
        self.failed(None, why.to_owned());
    }

    fn failed(&mut self, commit: Option<CommitId>, message: String) {
        let wait = self.following.failed(commit, Instant::now());
        let shown = commit.map(|commit| commit.to_string());
        let mut facts = self.slot.facts();
        let known = facts.failing.as_ref().filter(|known| known.message == message);
        let since = known.map_or_else(Timestamp::now, |known| known.since);
        if known.is_none() {
            tracing::warn!(set = %self.environment, "cannot load: {message}");
        }
        facts.failing =
            Some(Failing { commit: shown, since, message, retry_seconds: wait.as_secs() });
    }

    /// Takes up what was served last, where nothing is served. Tried once.
    pub fn restore(&mut self, hub: &Hub, state_dir: Option<&Path>) {
        let Some(dir) = state_dir.filter(|_| !self.restored && self.slot.snapshot().is_none())
        else {
            return;
        };
        self.restored = true;
        match state::restore(dir, &self.environment, &self.reference) {
            Ok(Some(restored)) => {
                let Ok(commit) = restored.commit.parse() else { return };
                // What keeps the ref's own value from being served stays known.
                let (facts, following) = (self.take_troubles(), self.following.clone());
                let engine = Engine::new(Arc::new(restored.set));
                self.serve(hub, engine, commit, Source::State, restored.promotion);
                self.following = following.with_served(commit);
                let mut now = self.slot.facts();
                (now.rejected, now.failing) = facts;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(set = %self.environment, "cannot restore: {error:#}"),
        }
    }

    fn take_troubles(&self) -> (Option<super::status::Rejected>, Option<Failing>) {
        let mut facts = self.slot.facts();
        (facts.rejected.take(), facts.failing.take())
    }
}

/// What reading a commit came to; as [`Outcome`], with what answers.
enum Read {
    Good(Box<Engine>),
    Rejected(String, Vec<Finding>),
    Failed(String),
}

impl From<Outcome> for Read {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good(set) => Self::Good(Box::new(Engine::new(Arc::from(set)))),
            Outcome::Rejected(message, findings) => Self::Rejected(message, findings),
            Outcome::Failed(message) => Self::Failed(message),
        }
    }
}

/// What a ref holds.
enum Value {
    At(CommitId),
    Absent(String),
    Unreadable(String),
}

fn read(repo: &Repo, reference: &RefName) -> Value {
    match repo.read_ref(reference) {
        Ok(Some(commit)) => Value::At(commit),
        Ok(None) => Value::Absent(format!("the ref `{reference}` does not exist")),
        // The ref can be read; what it names is not there (yet).
        Err(RepoError::MissingObject { id }) => {
            id.parse().map_or_else(|_| Value::Unreadable(id), Value::At)
        }
        Err(error) => Value::Unreadable(error.to_string()),
    }
}

fn commits_behind(repo: &Repo, served: Option<CommitId>, tip: CommitId) -> Option<u64> {
    let served = served?;
    let mut commits = repo.first_parents(tip).take(MAX_BEHIND);
    commits
        .position(|commit| commit.is_ok_and(|commit| commit.id == served))
        .and_then(|n| u64::try_from(n).ok())
}

/// The number of the promotion that a tip is, and the hold that the last promotion has left. An
/// environment that something else moved has no number, and keeps its hold. What cannot be read is not
/// known: it is for people, and keeps nothing from being served.
fn promotion_and_hold(
    repo: &Repo,
    environment: &str,
    tip: CommitId,
) -> (Option<u64>, Option<Hold>) {
    let at = |commit| repo.promotion_at(environment, commit).ok().flatten();
    let promotion = at(tip);
    let recorded = || at(repo.read_ref(&RefName::ledger(environment).ok()?).ok()??);
    let last = promotion.clone().or_else(recorded);
    let hold = last.and_then(|last| {
        let since = last.commit.committer.time.to_string();
        Some(Hold { reason: last.record.hold?, since })
    });
    (promotion.map(|promotion| promotion.record.number), hold)
}
