//! One environment: its ref, what has become of the ref's values, and the loader that reads them.
//!
//! Runs on the follower's thread, and only does what is quick: reads the ref, gives orders to the
//! loader, and publishes what the loader has read.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::{Finding, Release, SourceFile};
use refguard_core::policy::Environment;

use super::Hub;
use super::expiry::{self, InstantFile};
use super::load::{reject_set, warn_outdated};
use super::load_marker::{Death, LoadMarker};
use super::loader::{LoadOrder, LoadReport, LoadResult, Loader, Order, Report, RestoredEngine};
use super::notes::Subject;
use super::reload::{Following, Step};
use super::slot::Slot;
use super::snapshot::{Snapshot, Source};
use super::state::Kept;
use super::state_folder::StateFolder;
use super::state_writer::StateWriter;
use super::status::Failing;
use super::watch::Hint;
use crate::ops::latest_honest;
use crate::repo::{CommitId, RefName, Remote, Repo, RepoError};

/// What following a ref needs of its surroundings.
pub(super) struct Context<'a> {
    pub hub: &'a Hub,
    pub writer: &'a StateWriter,
    /// Wakes the follower.
    pub hints: &'a Sender<Hint>,
    /// The root of the set in commits.
    pub prefix: &'a str,
    /// Where the last good sets are kept.
    pub state: Option<&'a StateFolder>,
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
    /// The refs that are read: the environment's own or, where the daemon fetches, the copies of
    /// the remote's.
    refs: Result<EnvironmentRefs, String>,
    /// Where the daemon does not fetch itself: the copies that somebody else's fetch may have
    /// brought forward.
    copies: Option<Copies>,
    /// The refs that the last look took.
    taken: Option<EnvironmentRefs>,
    /// What the ledger held at the last look.
    recorded: Option<CommitId>,
    /// What was judged last, and by which value of the ledger.
    judged: Option<Judged>,
    following: Following,
    loader: Option<Loader>,
    /// The folder that the last good set was looked for in.
    restored_from: Option<StateFolder>,
    marker: Option<LoadMarker>,
    /// A load that ended the process before this one.
    death: Option<Death>,
    /// A commit is being loaded, and the marker says so.
    loading: bool,
}

/// The refs that tell of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EnvironmentRefs {
    branch: RefName,
    /// Where its last promotion is recorded.
    ledger: RefName,
}

/// A commit that was read, and the ledger that was at hand.
#[derive(Debug, Clone, Copy)]
struct Judged {
    commit: CommitId,
    recorded: Option<CommitId>,
    /// Another value of the ledger may lead to another result.
    leans_on_ledger: bool,
}

impl Judged {
    /// Whether a value of the ledger may say something else of the commit. A ledger that comes to
    /// name the promotion that the commit is says nothing new.
    fn is_outdated_by(&self, recorded: Option<CommitId>) -> bool {
        self.recorded != recorded && (self.leans_on_ledger || recorded != Some(self.commit))
    }
}

impl EnvironmentRefs {
    fn own_refs(environment: &str) -> Result<Self, RepoError> {
        let (branch, ledger) = (
            RefName::of_branch(environment)?,
            RefName::of_ledger(environment)?,
        );
        Ok(Self { branch, ledger })
    }

    /// The copies that a fetch from a remote leaves.
    fn remote_refs(environment: &str, remote: &str) -> Result<Self, RepoError> {
        let branch = RefName::of_branch(environment)?.tracking_copy(remote)?;
        Ok(Self {
            branch,
            ledger: RefName::remote_ledger(remote, environment)?,
        })
    }
}

/// Copies of an environment's refs in a clone, and what is known of how they stand to its own.
#[derive(Debug, Default)]
struct Copies {
    refs: Option<EnvironmentRefs>,
    /// What the own branch and its copy held last, and whether the copy's descends from the own
    /// one's.
    descent: Option<(CommitId, CommitId, bool)>,
}

impl Copies {
    /// Looks which remote counts now.
    fn find_remote(&mut self, repo: &Repo, environment: &str) {
        self.refs = match repo.chosen_remote() {
            Ok(Remote::Named(remote)) => EnvironmentRefs::remote_refs(environment, &remote).ok(),
            _ => None,
        };
    }

    /// The copies and what they hold, where that counts: the own branch is not there, or lies
    /// behind.
    fn instead_of(&mut self, repo: &Repo, own: &Value) -> Option<(EnvironmentRefs, Value)> {
        let refs = self.refs.clone()?;
        let Value::At(there) = read_value(repo, &refs.branch) else {
            return None;
        };
        let counts = match own {
            Value::At(here) => self.descends_from(repo, *here, there),
            Value::Absent(_) => true,
            Value::Unreadable(_) => false,
        };
        counts.then_some((refs, Value::At(there)))
    }

    fn descends_from(&mut self, repo: &Repo, here: CommitId, there: CommitId) -> bool {
        match self.descent {
            Some((known_here, known_there, known))
                if (known_here, known_there) == (here, there) =>
            {
                known
            }
            _ => {
                let found = here != there && repo.is_ancestor(here, there).unwrap_or_default();
                self.descent = Some((here, there, found));
                found
            }
        }
    }
}

impl Tracked {
    /// Follows an environment. `slot`: the one that its name has already, whose set is served until
    /// there is another.
    pub fn new(environment: &Environment, remote: Option<&str>, slot: Option<Arc<Slot>>) -> Self {
        let name = &environment.name;
        let refs = match remote {
            None => EnvironmentRefs::own_refs(name),
            Some(remote) => EnvironmentRefs::remote_refs(name, remote),
        };
        let shown = refs.as_ref().map(|refs| refs.branch.to_string());
        let shown = shown.unwrap_or_else(|_| environment.reference.clone());

        let slot = slot.unwrap_or_else(|| Slot::new(&environment.name, None));
        slot.facts().reference = Some(shown);
        Self {
            environment: environment.name.clone(),
            reference: environment.reference.clone(),
            slot,
            refs: refs.map_err(|error| error.to_string()),
            copies: remote.is_none().then(Copies::default),
            taken: None,
            recorded: None,
            judged: None,
            following: Following::default(),
            loader: None,
            restored_from: None,
            marker: None,
            death: None,
            loading: false,
        }
    }

    /// The refs whose folders tell of a change.
    pub fn watched_references(&self) -> impl Iterator<Item = &str> {
        let copies = self.copies.iter().filter_map(|copies| copies.refs.as_ref());
        let refs = self.refs.iter().chain(copies);
        refs.flat_map(|refs| [refs.branch.as_str(), refs.ledger.as_str()])
    }

    /// When something is due without a hint.
    pub fn due_at(&self) -> Option<Instant> {
        self.following.due_at().filter(|_| !self.is_busy())
    }

    /// Whether the loader is at work.
    pub fn is_busy(&self) -> bool {
        self.loader.as_ref().is_some_and(Loader::is_busy)
    }

    /// Takes in what the loader has done, reads the ref and acts on what it holds.
    pub fn follow_ref(&mut self, context: &Context<'_>, repo: &Repo) {
        self.take_report(context);
        // What was served last is taken up before a new tip is read, which may fail in any way.
        self.restore_state(context, Some(repo));

        self.tell_instant(context);
        match self.read_value(repo) {
            Value::At(commit) => {
                if context.fetched {
                    self.slot.mark_checked();
                }
                self.following.note_readable();
                self.act_on(context, repo, commit);
            }
            Value::Absent(why) => {
                if context.fetched {
                    self.slot.mark_checked();
                }
                {
                    let mut facts = self.slot.facts();
                    (facts.ref_commit, facts.unserved_since) = (None, None);
                }
                self.note_failure(None, why);
            }
            Value::Unreadable(why) => self.note_failure(None, why),
        }
    }

    /// What the environment's branch holds; in a clone that somebody else brings up to date, what
    /// its copy holds.
    fn read_value(&mut self, repo: &Repo) -> Value {
        let own = match &self.refs {
            Ok(refs) => refs.clone(),
            Err(error) => return Value::Unreadable(error.clone()),
        };
        let here = read_value(repo, &own.branch);
        let copied = self.copies.as_mut().and_then(|copies| {
            copies.find_remote(repo, &self.environment);
            copies.instead_of(repo, &here)
        });
        let (taken, value) = copied.unwrap_or((own, here));

        // After the branch: a promotion moves both, and what is behind is looked at again.
        self.recorded = match read_value(repo, &taken.ledger) {
            Value::At(recorded) => Some(recorded),
            Value::Absent(_) | Value::Unreadable(_) => None,
        };
        if self.taken.as_ref() != Some(&taken) {
            self.slot.facts().reference = Some(taken.branch.to_string());
            self.taken = Some(taken);
        }
        value
    }

    /// An instant that lies ahead of the clock ends things before their time: a clock that ran
    /// ahead once, or runs behind now.
    fn tell_instant(&self, context: &Context<'_>) {
        let clock = Timestamp::now();
        let instant = self.slot.instant(clock);
        let note = (instant > latest_honest(clock)).then(|| {
            format!(
                "the set `{}` is served as of {instant}, ahead of the clock: something of it \
                 ended then by a clock that ran ahead",
                self.environment
            )
        });
        context
            .hub
            .notes()
            .report_trouble(Subject::Instant, &self.environment, note);
    }

    /// The repository is away or broken: what is served stays, and what was kept is taken up.
    pub fn follow_nothing(&mut self, context: &Context<'_>, why: &str) {
        self.take_report(context);
        self.restore_state(context, None);
        self.note_failure(None, why.to_owned());
    }

    fn act_on(&mut self, context: &Context<'_>, repo: &Repo, commit: CommitId) {
        {
            let mut facts = self.slot.facts();
            facts.ref_commit = Some(commit);
            if self.following.current_value() == Some(commit) {
                (facts.unserved_since, facts.commits_behind) = (None, Some(0));
            } else {
                facts.unserved_since.get_or_insert_with(Instant::now);
            }
        }
        if self.following.is_served(commit) {
            self.slot.clear_trouble();
            self.following.note_settled();
        }

        if self.is_busy() {
            return;
        }
        let judged = self.judged.filter(|judged| judged.commit == commit);
        if judged.is_some_and(|judged| judged.is_outdated_by(self.recorded)) {
            self.following.doubt_value(commit);
        }
        self.respect_death(commit);
        if self
            .following
            .step_to(commit, Instant::now(), context.urged)
            == Step::Load
        {
            self.order_load(context, repo, commit);
        }
    }

    /// A commit whose load ended the process is not the first thing to try again, where there is
    /// something to serve.
    fn respect_death(&mut self, commit: CommitId) {
        let known = self.death.filter(|death| death.commit == commit);
        let Some(Death { times, .. }) = known.filter(|_| self.slot.snapshot().is_some()) else {
            return;
        };
        if self.following.due_at().is_some() || self.following.is_served(commit) {
            return;
        }
        let wait = self.following.note_death(commit, times, Instant::now());
        let message = format!(
            "loading the commit {commit} ended the daemon {times} times in a row: it is tried \
             again in {} s, or at once \
             on SIGHUP",
            wait.as_secs()
        );
        tracing::error!(set = %self.environment, "{message}");
        self.slot.facts().failing = Some(Failing {
            commit: Some(commit.to_string()),
            since: Timestamp::now(),
            message,
            retry_seconds: wait.as_secs(),
        });
    }

    fn order_load(&mut self, context: &Context<'_>, repo: &Repo, commit: CommitId) {
        let repo = match repo.reopen() {
            Ok(repo) => repo,
            Err(error) => return self.note_failure(Some(commit), error.to_string()),
        };
        let order = LoadOrder {
            repo,
            commit,
            prefix: context.prefix.to_owned(),
            recorded: self.recorded,
            served: self.slot.snapshot(),
            served_commit: self.following.current_value(),
        };

        let deaths = self.death.filter(|death| death.commit == commit);
        if let Some(marker) = &self.marker {
            marker.set_marker(commit, deaths.map_or(0, |death| death.times));
        }
        self.loading = true;
        let recorded = self.recorded;
        self.judged = Some(Judged {
            commit,
            recorded,
            leans_on_ledger: true,
        });
        self.give_order(context, Order::Load(order));
    }

    fn give_order(&mut self, context: &Context<'_>, order: Order) {
        if self.loader.is_none() {
            match Loader::start_loader(&self.environment, context.hints.clone()) {
                Ok(loader) => self.loader = Some(loader),
                Err(error) => {
                    self.end_load();
                    return self.note_failure(None, format!("the system gives no thread: {error}"));
                }
            }
        }
        if let Some(loader) = &mut self.loader {
            loader.give_order(order);
        }
    }

    /// Takes in what the loader has done since the last look.
    fn take_report(&mut self, context: &Context<'_>) {
        let Some(report) = self.loader.as_mut().and_then(Loader::send_report) else {
            return;
        };
        match report {
            Report::Restored(restored) => self.take_restored(context, restored),
            Report::Loaded(report) => self.take_loaded(context, *report),
            Report::Died => {
                // Dropped, so that the next order starts another.
                self.loader = None;
                let commit = self.slot.facts().ref_commit;
                self.note_failure(commit, "reading it met a bug of the daemon".to_owned());
            }
        }
        self.end_load();
    }

    fn take_loaded(&mut self, context: &Context<'_>, report: LoadReport) {
        let LoadReport {
            commit,
            result,
            leans_on_ledger,
            untold,
            retreat,
            took,
        } = report;
        self.death = None;
        if let Some(judged) = &mut self.judged {
            judged.leans_on_ledger = leans_on_ledger;
        }
        let name = &self.environment;
        let note = untold.map(|why| {
            format!("what was promoted to `{name}` before cannot be told, nor holds of then: {why}")
        });
        context
            .hub
            .notes()
            .report_trouble(Subject::Promotions, name, note);
        let note = retreat.map(|retreat| retreat.to_string());
        context
            .hub
            .notes()
            .report_trouble(Subject::Promotions, &format!("{name} ledger"), note);
        let result = match result {
            LoadResult::Good {
                engine,
                not_before,
                promotion,
                hold,
                release,
                newer,
                files,
            } => {
                self.slot.facts().hold = hold;
                self.slot.raise_floor(not_before);
                // Where nothing was restored, what an earlier process saw end is known by this
                // alone.
                let kept = context
                    .state
                    .map(|folder| InstantFile::new(folder, &self.environment));
                self.slot
                    .raise_floor(kept.and_then(|kept| kept.read_instant()));
                self.warn_of_newer_errors(commit, &newer);
                self.following.note_served(commit);
                let snapshot = self.make_snapshot(engine, commit, promotion, Source::Commit);
                let retired = self.publish_snapshot(context.hub, &snapshot, commit);
                let file = context
                    .state
                    .cloned()
                    .zip(self.kept_state(&snapshot, release, files));
                let instant = self.kept_instant(context.state, &snapshot);
                context.writer.keep_snapshot(file, instant, retired);
                "ok"
            }
            LoadResult::Rejected {
                message,
                findings,
                commits_behind,
            } => {
                tracing::error!(set = %self.environment, commit = %commit, "rejected: {message}");
                self.following.note_rejected(commit);
                let mut facts = self.slot.facts();
                facts.rejected = Some(reject_set(Some(commit), message, &findings));
                facts.failing = None;
                facts.commits_behind = commits_behind;
                "rejected"
            }
            LoadResult::Failed(message) => {
                self.note_failure(Some(commit), message);
                "failed"
            }
        };

        context
            .hub
            .metrics()
            .count_reload(&self.environment, result, took);
        let millis = took.as_secs_f64() * 1000.0;
        tracing::debug!(set = %self.environment, commit = %commit, result, millis, "loaded");
    }

    fn make_snapshot(
        &self,
        engine: refguard_core::resolve::Engine,
        commit: CommitId,
        promotion: Option<u64>,
        source: Source,
    ) -> Arc<Snapshot> {
        let name = self.slot.name.clone();
        let now = self.slot.instant(Timestamp::now());
        let snapshot =
            Snapshot::new(name, Arc::new(engine), now, source).of_commit(commit, promotion);
        Arc::new(match self.slot.snapshot() {
            Some(before) => snapshot.carry_numbers(&before),
            None => snapshot,
        })
    }

    /// Leaves what has expired by a clock.
    pub fn leave_expired(&self, hub: &Hub, writer: &StateWriter, clock: Timestamp) {
        if let Some((snapshot, retired)) = expiry::leave_expired(hub, &self.slot, clock) {
            let instant = self.kept_instant(self.restored_from.as_ref(), &snapshot);
            writer.keep_snapshot(None, instant, retired);
        }
    }

    /// What is to be kept of the instants at which something ended.
    fn kept_instant(
        &self,
        folder: Option<&StateFolder>,
        snapshot: &Snapshot,
    ) -> Option<(InstantFile, Timestamp)> {
        let instant = snapshot.engine.instant()?;
        Some((InstantFile::new(folder?, &self.environment), instant))
    }

    /// Serves a snapshot from now on; returns the one before.
    fn publish_snapshot(
        &self,
        hub: &Hub,
        snapshot: &Arc<Snapshot>,
        commit: CommitId,
    ) -> Option<Arc<Snapshot>> {
        {
            let mut facts = self.slot.facts();
            if facts.ref_commit == Some(commit) {
                (facts.unserved_since, facts.commits_behind) = (None, Some(0));
            }
        }
        if snapshot.source == Source::Commit {
            self.slot.clear_trouble();
        }
        let retired = hub.publish_snapshot(&self.slot, snapshot.clone());
        let (set, source) = (self.environment.as_str(), snapshot.source.as_str());
        tracing::info!(set, commit = %commit, source, "serving");
        retired
    }

    /// What is served although the rules of now would refuse it is said in the log and in the
    /// status.
    fn warn_of_newer_errors(&self, commit: CommitId, newer: &[Finding]) {
        if let Some(first) = newer.first() {
            let (set, count) = (self.environment.as_str(), newer.len());
            tracing::warn!(
                set, commit = %commit, findings = count,
                "served as an older release promoted it; a promotion of it would be refused: \
                 {first}"
            );
        }
        let newer_now = warn_outdated(newer);
        let is_over = newer_now.is_none();
        let before = std::mem::replace(&mut self.slot.facts().outdated, newer_now);
        if is_over && before.is_some() {
            tracing::info!(
                set = %self.environment, commit = %commit,
                "over: served as an older release promoted it"
            );
        }
    }

    fn kept_state(
        &self,
        snapshot: &Snapshot,
        release: Release,
        files: Vec<SourceFile>,
    ) -> Option<Kept> {
        Some(Kept {
            environment: self.slot.name.clone(),
            reference: self.reference.clone(),
            commit: snapshot.commit.clone()?,
            promotion: snapshot.promotion,
            digest: snapshot.set().digest.clone(),
            release,
            files,
        })
    }

    /// Orders what was served last, where nothing is served. Tried once a folder.
    fn restore_state(&mut self, context: &Context<'_>, repo: Option<&Repo>) {
        let Some(folder) = context.state.filter(|_| !self.is_busy()) else {
            return;
        };
        self.marker
            .get_or_insert_with(|| LoadMarker::new(folder, &self.environment));
        if self.slot.snapshot().is_some() || self.restored_from.as_ref() == Some(folder) {
            return;
        }
        self.restored_from = Some(folder.clone());
        let marker = LoadMarker::new(folder, &self.environment);
        self.death = marker.read_marker();
        self.marker = Some(marker);

        let repo = repo.and_then(|repo| repo.reopen().ok());
        let (folder, reference) = (folder.clone(), self.reference.clone());
        self.give_order(
            context,
            Order::Restore {
                folder,
                reference,
                repo,
            },
        );
    }

    fn take_restored(&mut self, context: &Context<'_>, restored: Result<Option<RestoredEngine>>) {
        let note = match restored {
            Ok(Some(RestoredEngine {
                commit,
                promotion,
                engine,
                not_before,
                newer,
            })) => {
                self.slot.raise_floor(not_before);
                self.following.note_restored(commit);
                self.warn_of_newer_errors(commit, &newer);
                let snapshot = self.make_snapshot(engine, commit, promotion, Source::State);
                let retired = self.publish_snapshot(context.hub, &snapshot, commit);
                let instant = self.kept_instant(context.state, &snapshot);
                context.writer.keep_snapshot(None, instant, retired);
                None
            }
            Ok(None) => None,
            Err(error) => Some(format!(
                "cannot restore the set `{}`: {error:#}",
                self.environment
            )),
        };
        context
            .hub
            .notes()
            .report_trouble(Subject::State, &self.environment, note);
    }

    /// The ref, the repository, or (with a commit) its content could not be read.
    fn note_failure(&mut self, commit: Option<CommitId>, message: String) {
        let wait = self.following.note_failed(commit, Instant::now());
        let mut facts = self.slot.facts();
        let known = facts
            .failing
            .as_ref()
            .filter(|known| known.message == message);
        let since = known.map_or_else(Timestamp::now, |known| known.since);
        if known.is_none() {
            tracing::warn!(set = %self.environment, "cannot load: {message}");
        }
        facts.failing = Some(Failing {
            commit: commit.map(|commit| commit.to_string()),
            since,
            message,
            retry_seconds: wait.as_secs(),
        });
    }

    fn end_load(&mut self) {
        if std::mem::take(&mut self.loading)
            && let Some(marker) = &self.marker
        {
            marker.clear_marker();
        }
    }
}

impl Drop for Tracked {
    /// A load that the daemon's own end cuts off has not ended it.
    fn drop(&mut self) {
        self.end_load();
    }
}

/// What a ref holds.
enum Value {
    At(CommitId),
    Absent(String),
    Unreadable(String),
}

fn read_value(repo: &Repo, reference: &RefName) -> Value {
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
