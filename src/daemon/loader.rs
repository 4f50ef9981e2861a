//! The thread that reads and judges the commits of one environment.
//!
//! Each environment has its own, with its own pool of worker threads: a commit that takes long to
//! read holds up neither the other environments nor the follower. It must not know what is served
//! by whom: orders come in, sets go out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use refguard_core::document::{Finding, Release, SourceFile};
use refguard_core::policy::PolicySet;
use refguard_core::resolve::Engine;

use super::Snapshot;
use super::background::{self, Way};
use super::expiry::InstantFile;
use super::load::{Outcome, judge_load};
use super::state::{self, Restored};
use super::state_folder::StateFolder;
use super::status::Hold;
use super::watch::Hint;
use crate::ops::{TrackedSet, latest_honest, own_root, release_of};
use crate::repo::{CommitId, Promotion, Repo, Retreat, TreeId};

/// How many commits are counted between what is served and what the ref holds.
const MAX_BEHIND: usize = 1_000;

/// How long a loader without orders keeps its pool of threads.
const IDLE: Duration = Duration::from_secs(60);

/// What a loader is to do.
pub(super) enum Order {
    /// Take up what was served last.
    Restore {
        folder: StateFolder,
        reference: String,
        repo: Option<Repo>,
    },
    /// Read a commit.
    Load(LoadOrder),
}

/// A commit to read.
pub(super) struct LoadOrder {
    pub repo: Repo,
    pub commit: CommitId,
    /// The root of the set in commits.
    pub prefix: String,
    /// The environment's last promotion as its ledger records it.
    pub recorded: Option<CommitId>,
    /// What is served: a commit that differs little from it is read by its differences.
    pub served: Option<Arc<Snapshot>>,
    /// The commit that is served.
    pub served_commit: Option<CommitId>,
}

/// What a loader has done.
pub(super) enum Report {
    /// What was kept; none where nothing was. An error says why what was kept is not taken.
    Restored(anyhow::Result<Option<RestoredEngine>>),
    /// What reading a commit came to.
    Loaded(Box<LoadReport>),
    /// The thread has ended, by a bug or for want of resources.
    Died,
}

/// A set of the state file, indexed.
pub(super) struct RestoredEngine {
    pub commit: CommitId,
    pub promotion: Option<u64>,
    pub engine: Engine,
    /// The last instant at which something of a set that was served ended.
    pub not_before: Option<Timestamp>,
    /// What the rules of now say against it.
    pub newer: Vec<Finding>,
}

/// What reading a commit came to.
pub(super) struct LoadReport {
    pub commit: CommitId,
    pub result: LoadResult,
    /// Another value of the ledger may lead to another result.
    pub leans_on_ledger: bool,
    /// Why it cannot be told what was promoted before, if so.
    pub untold: Option<String>,
    /// That promotions are gone which were there before.
    pub retreat: Option<Retreat>,
    pub took: Duration,
}

pub(super) enum LoadResult {
    /// A set to serve.
    Good {
        engine: Engine,
        /// When the commit was made: it is not served as of an earlier instant.
        not_before: Option<Timestamp>,
        promotion: Option<u64>,
        hold: Option<Hold>,
        /// The release whose rules it keeps.
        release: Release,
        /// What the rules of now say against it.
        newer: Vec<Finding>,
        /// The files that it was read from.
        files: Vec<SourceFile>,
    },
    /// The content is at fault: it will not get better by itself.
    Rejected {
        message: String,
        findings: Vec<Finding>,
        commits_behind: Option<u64>,
    },
    /// Something else is: it may.
    Failed(String),
}

/// How a tip stands among the promotions of its environment.
struct Standing {
    /// Its number. A tip that something else moved there has none.
    promotion: Option<u64>,
    /// What the last promotion left, whoever has moved the ref since.
    hold: Option<Hold>,
    /// The release that promoted it. Of a tip that something else moved there: of the last
    /// promotion before, and where there never was one, the first.
    release: Release,
    /// Why the set is another root's to serve, if it is.
    foreign: Option<String>,
    /// Another value of the ledger may say something else.
    leans_on_ledger: bool,
    /// Why all this is only what the tip says itself, if so.
    untold: Option<String>,
    /// That promotions are gone which were there before.
    retreat: Option<Retreat>,
}

/// The way to a loader's thread. Dropped, the thread ends after what it does.
pub(super) struct Loader {
    orders: Sender<Order>,
    reports: Receiver<Report>,
    /// An order was given and not reported yet.
    busy: bool,
}

impl Loader {
    /// Starts the thread. `done` wakes the follower whenever something is reported.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start_loader(environment: &str, done: Sender<Hint>) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let (report, reports) = channel();
        let worker = LoadWorker {
            environment: environment.to_owned(),
            reader: TrackedSet::default(),
            served_tree: None,
            seen: None,
        };
        background::spawn_thread("refguard-load", Way::Little, move || {
            worker.load_until_stopped(&inbox, &report, &done);
        })?;
        Ok(Self {
            orders,
            reports,
            busy: false,
        })
    }

    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Gives an order; only where the last one was reported.
    pub fn give_order(&mut self, order: Order) {
        // A thread that is gone is seen when its report is asked for.
        self.busy = true;
        let _ = self.orders.send(order);
    }

    /// What was done since the last time, if anything.
    pub fn send_report(&mut self) -> Option<Report> {
        match self.reports.try_recv() {
            Ok(report) => {
                self.busy = false;
                Some(report)
            }
            Err(TryRecvError::Disconnected) if self.busy => {
                self.busy = false;
                Some(Report::Died)
            }
            Err(_) => None,
        }
    }
}

struct LoadWorker {
    environment: String,
    reader: TrackedSet,
    /// The tree that the last good set was read from; none where it came from a file.
    served_tree: Option<TreeId>,
    /// The newest promotion that was ever seen: by this process, or by the one before that left the
    /// state file.
    seen: Option<Promotion>,
}

impl LoadWorker {
    fn load_until_stopped(
        mut self,
        orders: &Receiver<Order>,
        reports: &Sender<Report>,
        done: &Sender<Hint>,
    ) {
        let mut pool = None;
        loop {
            let order = match orders.recv_timeout(IDLE) {
                Ok(order) => order,
                Err(RecvTimeoutError::Timeout) => {
                    pool = None;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };

            let report = match pool.get_or_insert_with(build_pool) {
                Some(pool) => pool.install(|| self.obey_order(order)),
                None => self.obey_order(order),
            };
            if reports.send(report).is_err() || done.send(Hint::Loaded).is_err() {
                return;
            }
        }
    }

    fn obey_order(&mut self, order: Order) -> Report {
        match order {
            Order::Restore {
                folder,
                reference,
                repo,
            } => {
                let restored =
                    state::restore_snapshot(&folder, &self.environment, &reference, repo.as_ref());
                if let (
                    Some(repo),
                    Ok(Some(Restored {
                        commit,
                        promotion: Some(_),
                        ..
                    })),
                ) = (&repo, &restored)
                {
                    self.seen = repo
                        .promotion_as_known(&self.environment, *commit)
                        .ok()
                        .flatten();
                }
                let not_before = InstantFile::new(&folder, &self.environment).read_instant();
                let index = |found| index_restored(found, not_before);
                Report::Restored(restored.map(|found| found.map(index)))
            }
            Order::Load(order) => {
                let started = Instant::now();
                let mut standing = self.find_standing(&order);
                let (leans_on_ledger, untold) = (standing.leans_on_ledger, standing.untold.take());
                let retreat = standing.retreat.take();
                let (commit, result) = (order.commit, self.load_commit(order, standing));
                let took = started.elapsed();
                Report::Loaded(Box::new(LoadReport {
                    commit,
                    result,
                    leans_on_ledger,
                    untold,
                    retreat,
                    took,
                }))
            }
        }
    }

    fn load_commit(&mut self, order: LoadOrder, standing: Standing) -> LoadResult {
        if let Some(message) = standing.foreign {
            return LoadResult::Rejected {
                message,
                findings: Vec::new(),
                commits_behind: None,
            };
        }
        let Standing {
            promotion,
            hold,
            release,
            ..
        } = standing;
        let (engine, newer) = match self.read_commit(&order, release) {
            Outcome::Good(engine, newer) => (engine, newer),
            Outcome::Rejected(message, findings) => {
                let commits_behind =
                    count_commits_behind(&order.repo, order.served_commit, order.commit);
                return LoadResult::Rejected {
                    message,
                    findings,
                    commits_behind,
                };
            }
            Outcome::Failed(message) => return LoadResult::Failed(message),
        };

        engine.set().compile_conditions();

        // What only older rules take is judged whole each time, so that what is said against it is
        // complete.
        self.served_tree = self.reader.tree().filter(|_| newer.is_empty());
        let files = self.reader.list_sources();
        let made = order
            .repo
            .find_commit(order.commit)
            .ok()
            .map(|commit| commit.committer.time.seconds);
        let made = made.and_then(|seconds| Timestamp::from_second(seconds).ok());
        // A date that no honest clock gives ends nothing before its time.
        let not_before = made.filter(|made| *made <= latest_honest(Timestamp::now()));
        LoadResult::Good {
            engine,
            not_before,
            promotion,
            hold,
            release,
            newer,
            files,
        }
    }

    /// What the promotions of the environment say of a tip. Informational where it fails to be
    /// read: it never blocks serving.
    fn find_standing(&mut self, order: &LoadOrder) -> Standing {
        let (repo, commit) = (&order.repo, order.commit);
        let newest = repo.newest_promotions(&self.environment, commit, order.recorded);
        let (newest, untold) = match newest {
            Ok(newest) => (newest, None),
            Err(error) => (
                repo.claimed_promotions(&self.environment, commit, order.recorded),
                Some(error.to_string()),
            ),
        };
        let retreat = match (&untold, newest.last_promotion()) {
            // Nothing is known, which is not the same as nothing.
            (Some(_), None) => None,
            (_, last) => self.find_retreat(repo, last),
        };
        let promotion = newest.promotion_at(commit);
        let counting = promotion.or_else(|| newest.last_promotion());

        Standing {
            promotion: promotion.map(|promotion| promotion.record.number),
            hold: newest.standing_hold().map(|(promotion, reason)| Hold {
                reason: reason.to_owned(),
                since: promotion.commit.committer.time.to_string(),
            }),
            release: counting.map_or(Release::FIRST, |counting| release_of(&counting.record)),
            foreign: counting.and_then(|counting| self.find_owner(counting, &order.prefix)),
            leans_on_ledger: newest.lean_on_ledger(commit),
            untold,
            retreat,
        }
    }

    /// Whether promotions are gone that were seen before. What was seen stays, so that it is said
    /// for as long as this process runs.
    fn find_retreat(&mut self, repo: &Repo, newest: Option<&Promotion>) -> Option<Retreat> {
        let retreat = match &self.seen {
            Some(seen) => repo.find_retreat(seen, newest).ok()?,
            None => None,
        };
        if retreat.is_none() {
            self.seen = newest.cloned();
        }
        retreat
    }

    /// That an environment belongs to another root than the one that is served, if its last
    /// promotion says so.
    fn find_owner(&self, last: &Promotion, prefix: &str) -> Option<String> {
        let (name, own) = (&self.environment, own_root(prefix));
        let owner = last.record.root.as_ref().filter(|owner| **owner != own)?;
        Some(format!(
            "`{name}` belongs to the root `{owner}`, and the root `{own}` is served"
        ))
    }

    /// Reads a commit: by what differs from what is served where that is enough, else whole.
    fn read_commit(&mut self, order: &LoadOrder, release: Release) -> Outcome<Engine> {
        let delta = match self
            .reader
            .advance(&order.repo, order.commit, &order.prefix)
        {
            Ok(delta) => delta,
            Err(error) => return judge_load(Err(error), release).map_value(make_engine),
        };

        let of_served =
            delta.filter(|delta| delta.from.is_some() && self.served_tree == delta.from);
        let patched = of_served
            .zip(order.served.as_ref())
            .and_then(|(delta, served)| self.reader.patch_set(&order.repo, &delta, &served.full));
        match patched.filter(|engine| !engine.set().is_empty()) {
            Some(engine) => Outcome::Good(engine, Vec::new()),
            None => judge_load(self.reader.load_all(&order.repo), release).map_value(make_engine),
        }
    }
}

/// Threads that parse and judge for one loader. Without them, it shares the process's, which
/// another loader may keep busy.
fn build_pool() -> Option<rayon::ThreadPool> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .ok()
}

fn make_engine(set: PolicySet) -> Engine {
    Engine::new(Arc::new(set))
}

fn index_restored(restored: Restored, not_before: Option<Timestamp>) -> RestoredEngine {
    let Restored {
        commit,
        promotion,
        set,
        newer,
    } = restored;
    set.compile_conditions();
    RestoredEngine {
        commit,
        promotion,
        engine: make_engine(set),
        not_before,
        newer,
    }
}

fn count_commits_behind(repo: &Repo, served: Option<CommitId>, tip: CommitId) -> Option<u64> {
    let served = served?;
    let mut commits = repo.first_parents(tip).take(MAX_BEHIND);
    commits
        .position(|commit| commit.is_ok_and(|commit| commit.id == served))
        .and_then(|count| u64::try_from(count).ok())
}
