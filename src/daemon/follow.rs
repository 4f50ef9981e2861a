//! The thread that follows: it sleeps until a hint or the poll, reads the refs, gives orders to the
//! loaders, and publishes what they report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use refguard_core::policy::{Environment, Settings};

use super::background::{self, Way};
use super::environment::{Context, Tracked};
use super::expiry;
use super::fetch::Fetcher;
use super::notes::Subject;
use super::slot::Slot;
use super::state_folder::{Owner, StateFolder};
use super::state_writer::StateWriter;
use super::watch::{Folder, Hint, Watcher, ref_folders};
use super::worktree::{Drafts, DraftsLook};
use super::{Config, Hub, Systemd};
use crate::ops::{FollowedEnvironments, followed_environments};
use crate::repo::{RefName, Repo, Root};

/// A running daemon. Dropped, it ends.
pub struct Daemon {
    hub: Arc<Hub>,
    hints: Sender<Hint>,
    first_look: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts following; nothing is served until the first look is over.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start_daemon(config: Config, systemd: Systemd) -> std::io::Result<Self> {
        let hub = Arc::new(Hub::new(&config));
        let (hints, inbox) = channel();
        let (settled, first_look) = channel();
        let (for_thread, for_hints) = (hub.clone(), hints.clone());
        let thread = background::spawn_thread("refguard-follow", Way::Little, move || {
            let mut follower = Follower::new(config, for_thread, for_hints, systemd, settled);
            follower.look_again(LooksDue {
                refs: true,
                worktree: true,
                poll: true,
                ..LooksDue::default()
            });
            follower.follow_until_stopped(&inbox);
        })?;
        Ok(Self {
            hub,
            hints,
            first_look,
            thread: Some(thread),
        })
    }

    /// What it serves.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until the default set was loaded once, well or not.
    pub fn wait_for_first_look(&self) {
        let _ = self.first_look.recv();
    }

    /// A function that asks for a look at once.
    pub fn urge_look(&self) -> impl Fn() + Send + Sync + use<> {
        let hints = self.hints.clone();
        move || {
            let _ = hints.send(Hint::Urged);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.hints.send(Hint::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is to be looked at.
#[derive(Debug, Clone, Copy, Default)]
struct LooksDue {
    /// The refs.
    refs: bool,
    /// The work tree, whatever its files' times say.
    worktree: bool,
    /// The work tree, if its files' times differ.
    poll: bool,
    /// What failed is due now.
    urged: bool,
    /// A fetch has just succeeded.
    fetched: bool,
    /// A loader has something to report.
    loaded: bool,
}

struct Follower {
    config: Config,
    hub: Arc<Hub>,
    systemd: Systemd,
    hints: Sender<Hint>,
    watcher: Watcher,
    writer: StateWriter,
    fetcher: Option<Fetcher>,
    tracked: Vec<Tracked>,
    drafts: Option<Drafts>,
    polled: Instant,
    /// The service manager waits to hear that the default set is settled.
    is_awaited: bool,
    /// Told once, when the default set is settled for the first time.
    settled: Option<Sender<()>>,
}

impl Follower {
    fn new(
        config: Config,
        hub: Arc<Hub>,
        hints: Sender<Hint>,
        systemd: Systemd,
        settled: Sender<()>,
    ) -> Self {
        let fetch = config.fetch.as_ref();
        Self {
            fetcher: fetch
                .map(|fetch| Fetcher::start_fetching(&config, fetch, &hub, hints.clone())),
            watcher: Watcher::new(hints.clone()),
            writer: StateWriter::start_writer(hub.notes().clone()),
            tracked: Vec::new(),
            drafts: config.worktree.then(Drafts::new),
            polled: Instant::now(),
            is_awaited: true,
            settled: Some(settled),
            config,
            hub,
            systemd,
            hints,
        }
    }

    /// Follows until it is told to stop. Each turn shows the service manager's watchdog that this
    /// thread lives: it does nothing that takes long.
    fn follow_until_stopped(&mut self, inbox: &Receiver<Hint>) {
        loop {
            self.systemd.tell_alive();
            let mut look = LooksDue::default();
            match inbox.recv_timeout(self.wait_at_most()) {
                Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(hint) => self.heed_hint(hint, &mut look),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Hints that came together ask for one look.
            for hint in inbox.try_iter() {
                if hint == Hint::Stop {
                    return;
                }
                self.heed_hint(hint, &mut look);
            }

            self.leave_expired();
            let now = Instant::now();
            if now >= self.polled + self.config.poll {
                (look.refs, look.poll) = (true, true);
            }
            look.refs |= self
                .tracked
                .iter()
                .filter_map(Tracked::due_at)
                .any(|due| due <= now);
            look.worktree |= self
                .drafts
                .as_mut()
                .is_some_and(|drafts| drafts.quiet.take_due(now));
            if look.refs || look.worktree || look.loaded {
                self.look_again(look);
            }
        }
    }

    fn heed_hint(&mut self, hint: Hint, look: &mut LooksDue) {
        match hint {
            Hint::Refs => look.refs = true,
            Hint::Worktree => {
                if let Some(drafts) = &mut self.drafts {
                    drafts.quiet.note_hint(Instant::now());
                }
            }
            Hint::Urged => {
                self.systemd.tell_reloading();
                self.is_awaited = true;
                if let Some(fetcher) = &self.fetcher {
                    fetcher.urge_fetch();
                }
                (look.refs, look.worktree, look.poll, look.urged) = (true, true, true, true);
            }
            Hint::Fetched => (look.refs, look.fetched) = (true, true),
            // The ref may have moved while its last value was loaded.
            Hint::Loaded => (look.refs, look.loaded) = (true, true),
            Hint::Stop => {}
        }
    }

    /// How long to sleep where no hint comes.
    fn wait_at_most(&self) -> Duration {
        let now = Instant::now();
        let quiet = self
            .drafts
            .as_ref()
            .and_then(|drafts| drafts.quiet.due_at());
        let due = self
            .tracked
            .iter()
            .filter_map(Tracked::due_at)
            .chain(quiet)
            .chain([self.polled + self.config.poll]);

        let next = due.min().unwrap_or(now).saturating_duration_since(now);
        let clock = Timestamp::now();
        let expiries = self
            .make_slots()
            .filter_map(|slot| expiry::time_until_expiry(slot, clock));
        let next = expiries.fold(next, Duration::min);
        self.systemd
            .alive_interval()
            .map_or(next, |beat| next.min(beat))
    }

    fn make_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let drafts = self.drafts.iter().map(|drafts| &drafts.slot);
        self.tracked
            .iter()
            .map(|tracked| &tracked.slot)
            .chain(drafts)
    }

    /// What has expired by the wall clock is no longer served.
    fn leave_expired(&self) {
        let clock = Timestamp::now();
        for tracked in &self.tracked {
            tracked.leave_expired(&self.hub, &self.writer, clock);
        }
        if let Some(drafts) = &self.drafts {
            // An author's daemon: nothing waits for the old one to be taken apart.
            drop(expiry::leave_expired(&self.hub, &drafts.slot, clock));
        }
    }

    fn look_again(&mut self, look: LooksDue) {
        if look.poll {
            self.polled = Instant::now();
        }
        match Root::find(&self.config.dir, &self.config.env) {
            Ok(root) => self.look_at(&root, look),
            Err(error) => self.look_without_repository(&error.to_string(), look),
        }
        self.tell_when_settled();
    }

    /// Tells the service manager, and who waits for the first look, once the default set is served,
    /// rejected or failed.
    fn tell_when_settled(&mut self) {
        let primary = self
            .tracked
            .iter()
            .find(|tracked| self.hub.is_primary(&tracked.slot));
        let is_busy = match primary {
            Some(primary) => primary.is_busy(),
            None => self.drafts.as_ref().is_some_and(Drafts::is_busy),
        };
        // At the start, what the state file held is enough: reading the tip may take for ever.
        let is_starting = self.settled.is_some();
        let serves = primary.is_some_and(|primary| primary.slot.snapshot().is_some());
        if is_busy && !(is_starting && serves) {
            return;
        }

        if std::mem::take(&mut self.is_awaited) {
            self.systemd.tell_ready("serving");
        }
        if let Some(settled) = self.settled.take() {
            let _ = settled.send(());
        }
    }

    fn look_at(&mut self, root: &Root, look: LooksDue) {
        match root.maybe_repo() {
            Some(repo) => {
                self.hub.notes().clear_note(Subject::Repository, "");
                if look.refs {
                    self.look_at_refs(root, repo, look);
                    self.hub
                        .shared_history()
                        .nudge_reader(self.state_folder(Some(root)).as_ref());
                } else {
                    self.watch_places(root, Some(repo.common_dir()));
                }
            }
            None => {
                self.watch_places(root, None);
                if !self.config.worktree {
                    let dir = self.config.dir.display();
                    let why = format!("`{dir}` is in no git repository");
                    self.look_without_repository(&why, look);
                }
            }
        }
        self.look_at_worktree(look);
    }

    /// The environments that the served set names; a set may change them, so again until they
    /// agree.
    fn look_at_refs(&mut self, root: &Root, repo: &Repo, look: LooksDue) {
        let state = self.state_folder(Some(root));
        for _ in 0..3 {
            let FollowedEnvironments { declared, served } = self.declared_environments();
            self.adopt_environments(
                &declared
                    .iter()
                    .map(|name| Environment::named(name))
                    .collect::<Vec<_>>(),
            );
            // Before the refs are read: what moves from then on gives a hint.
            self.watch_places(root, Some(repo.common_dir()));
            let context = Context {
                hub: &self.hub,
                writer: &self.writer,
                hints: &self.hints,
                prefix: root.prefix(),
                state: state.as_ref(),
                urged: look.urged,
                fetched: self.config.fetch.is_none() || look.fetched,
            };
            // One that nothing was promoted to is listed and not served, whatever its branch holds.
            let to_serve = self
                .tracked
                .iter_mut()
                .filter(|it| served.contains(&it.environment));
            to_serve.for_each(|tracked| tracked.follow_ref(&context, repo));
            let agreed = self.declared_environments();
            if declared == agreed.declared && served == agreed.served {
                return;
            }
        }
    }

    /// Those that the repository's own past declares; where that cannot be read, the ones that are
    /// followed.
    fn declared_environments(&self) -> FollowedEnvironments {
        let remote = self
            .config
            .fetch
            .as_ref()
            .map(|fetch| fetch.remote.as_str());
        let found = followed_environments(&self.config.dir, &self.config.env, remote);
        let trouble = found
            .as_ref()
            .err()
            .map(|error| format!("cannot tell the environments: {error:#}"));
        self.hub
            .notes()
            .report_trouble(Subject::Repository, "environments", trouble);
        let known = || -> Vec<String> {
            let tracked = self
                .tracked
                .iter()
                .map(|tracked| tracked.environment.clone());
            let default = Settings::default()
                .environments
                .into_iter()
                .map(|it| it.name);
            if self.tracked.is_empty() {
                default.collect()
            } else {
                tracked.collect()
            }
        };
        let found = found.unwrap_or_else(|_| FollowedEnvironments {
            declared: known(),
            served: known(),
        });
        if let Some(fetcher) = &self.fetcher {
            let branches = found.declared.iter().map(|name| RefName::of_branch(name));
            fetcher.set_branches(branches.filter_map(Result::ok).collect());
        }
        found
    }

    fn are_tracked(&self, environments: &[Environment]) -> bool {
        let tracked = self
            .tracked
            .iter()
            .map(|tracked| (&tracked.environment, &tracked.reference));
        tracked.eq(environments
            .iter()
            .map(|named| (&named.name, &named.reference)))
    }

    /// Follows these environments: what is followed already stays as it is. A name that gets
    /// another ref keeps its set until the new ref has a good one.
    fn adopt_environments(&mut self, environments: &[Environment]) {
        if !self.tracked.is_empty() && self.are_tracked(environments) {
            return;
        }
        let remote = self
            .config
            .fetch
            .as_ref()
            .map(|fetch| fetch.remote.as_str());
        let mut old = std::mem::take(&mut self.tracked);
        for environment in environments {
            let known = old
                .iter()
                .position(|tracked| tracked.environment == environment.name);
            let known = known.map(|at| old.swap_remove(at));
            self.tracked.push(match known {
                Some(known) if known.reference == environment.reference => known,
                known => Tracked::new(environment, remote, known.map(|known| known.slot.clone())),
            });
        }

        self.set_slots();
    }

    fn set_slots(&self) {
        let drafts = self.drafts.iter().map(|drafts| drafts.slot.clone());
        self.hub.set_slots(
            self.tracked
                .iter()
                .map(|tracked| tracked.slot.clone())
                .chain(drafts)
                .collect(),
        );
    }

    fn look_at_worktree(&mut self, look: LooksDue) {
        if self.tracked.is_empty() {
            self.set_slots();
        }
        if let Some(drafts) = &mut self.drafts {
            let why = DraftsLook {
                hinted: look.worktree,
                polled: look.poll,
            };
            drafts.follow_drafts(&self.config, &self.hub, &self.hints, why);
        }
    }

    /// The repository is away or broken: what is served stays, and what was kept is taken up.
    fn look_without_repository(&mut self, why: &str, look: LooksDue) {
        self.hub
            .notes()
            .report_trouble(Subject::Repository, "", Some(why.to_owned()));
        if self.tracked.is_empty() {
            self.adopt_environments(&Settings::default().environments);
        }
        let state = self.state_folder(None);
        let context = Context {
            hub: &self.hub,
            writer: &self.writer,
            hints: &self.hints,
            prefix: "",
            state: state.as_ref(),
            urged: look.urged,
            fetched: false,
        };
        self.tracked
            .iter_mut()
            .for_each(|tracked| tracked.follow_nothing(&context, why));
    }

    /// Where the last good sets are kept: the folder that was named, the service manager's, or one
    /// in the git directory. Where the repository cannot be opened, that one is guessed.
    fn state_folder(&self, root: Option<&Root>) -> Option<StateFolder> {
        let folder = &self.config.dir;
        let owner = match root {
            Some(root) => Owner::of_root(root, folder),
            None => Owner::of_folder(folder),
        };
        if let Some(named) = self
            .config
            .state_dir
            .clone()
            .or_else(|| self.service_folder())
        {
            return Some(StateFolder::find_state(&named, owner, false));
        }
        let own = match root {
            Some(root) => root
                .maybe_repo()
                .map(|repo| repo.common_dir().join("refguard")),
            None => guess_state_folder(folder),
        };
        own.map(|own| StateFolder::find_state(&own, owner, true))
    }

    fn service_folder(&self) -> Option<PathBuf> {
        let named = self.config.env.get("STATE_DIRECTORY")?;
        std::env::split_paths(named).next()
    }

    fn watch_places(&mut self, root: &Root, common_dir: Option<&Path>) {
        let references: Vec<&str> = self
            .tracked
            .iter()
            .flat_map(Tracked::watched_references)
            .collect();
        let mut folders = common_dir
            .map(|dir| ref_folders(dir, &references))
            .unwrap_or_default();
        let worktree = root.dir().ok().filter(|_| self.drafts.is_some());
        folders.extend(worktree.map(|dir| Folder {
            path: dir.to_owned(),
            recursive: true,
        }));
        self.watcher.watched_places(
            common_dir.iter().map(|dir| dir.to_path_buf()).collect(),
            worktree.map(Path::to_owned),
        );

        let trouble = self.watcher.watch_path(&folders).err();
        self.hub.set_polling(trouble.is_some());
        let poll = self.config.poll.as_secs_f64();
        let sentence = trouble.map(|trouble| {
            format!(
                "changes cannot be watched ({trouble}): the refs are read every {poll} s instead"
            )
        });
        self.hub
            .notes()
            .report_trouble(Subject::Watch, "", sentence);
    }
}

/// Where a daemon over this folder has kept its sets, if the repository were still there.
fn guess_state_folder(folder: &Path) -> Option<PathBuf> {
    let above = folder
        .ancestors()
        .map(|folder| folder.join(".git/refguard"));
    let mut places = [folder.join("refguard")].into_iter().chain(above);
    places.find(|place| place.is_dir())
}
