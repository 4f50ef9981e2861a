//! The thread that follows: it sleeps until a hint or the poll, reads the refs, and acts on what they hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use refguard_core::policy::{Environment, Settings};

use super::background::{self, Way};
use super::environment::{Context, Tracked};
use super::fetch::Fetcher;
use super::state::Writer;
use super::watch::{Folder, Hint, Watcher, ref_folders};
use super::worktree::Drafts;
use super::{Config, Hub, Systemd};
use crate::ops::first_settings;
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
    pub fn start(config: Config, systemd: Systemd) -> std::io::Result<Self> {
        let hub = Arc::new(Hub::new(&config));
        let (hints, inbox) = channel();
        let (looked, first_look) = channel();
        let (for_thread, for_hints) = (hub.clone(), hints.clone());
        let thread = background::spawn("refguard-follow", Way::Little, move || {
            let mut follower = Follower::new(config, for_thread, for_hints, systemd);
            follower.look(Look::everything());
            // Nobody need wait for it.
            let _ = looked.send(());
            follower.run(&inbox);
        })?;
        Ok(Self { hub, hints, first_look, thread: Some(thread) })
    }

    /// What it serves.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until everything was looked at once, well or not.
    pub fn wait_for_first_look(&self) {
        let _ = self.first_look.recv();
    }

    /// A function that asks for a look at once.
    pub fn urge(&self) -> impl Fn() + Send + Sync + use<> {
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
struct Look {
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
}

impl Look {
    fn everything() -> Self {
        Self { refs: true, worktree: true, poll: true, urged: true, fetched: false }
    }
}

struct Follower {
    config: Config,
    hub: Arc<Hub>,
    systemd: Systemd,
    watcher: Watcher,
    writer: Writer,
    fetcher: Option<Fetcher>,
    tracked: Vec<Tracked>,
    drafts: Option<Drafts>,
    polled: Instant,
}

impl Follower {
    fn new(config: Config, hub: Arc<Hub>, hints: Sender<Hint>, systemd: Systemd) -> Self {
        let fetch = config.fetch.as_ref();
        Self {
            fetcher: fetch.map(|fetch| Fetcher::start(&config, fetch, hub.clone(), hints.clone())),
            watcher: Watcher::new(hints),
            writer: Writer::start(hub.clone()),
            tracked: Vec::new(),
            drafts: config.worktree.then(Drafts::new),
            polled: Instant::now(),
            config,
            hub,
            systemd,
        }
    }

    fn run(&mut self, inbox: &Receiver<Hint>) {
        loop {
            self.systemd.alive();
            let mut look = Look::default();
            match inbox.recv_timeout(self.patience()) {
                Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(hint) => self.heed(hint, &mut look),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Hints that came together, or during the last load, ask for one look.
            for hint in inbox.try_iter() {
                if hint == Hint::Stop {
                    return;
                }
                self.heed(hint, &mut look);
            }
            let now = Instant::now();
            if now >= self.polled + self.config.poll {
                (look.refs, look.poll) = (true, true);
            }
            look.refs |= self.tracked.iter().filter_map(Tracked::due).any(|due| due <= now);
            look.worktree |= self.drafts.as_mut().is_some_and(|drafts| drafts.quiet.take(now));
            if look.refs || look.worktree {
                self.look(look);
            }
        }
    }

    fn heed(&mut self, hint: Hint, look: &mut Look) {
        match hint {
            Hint::Refs => look.refs = true,
            Hint::Worktree => {
                if let Some(drafts) = &mut self.drafts {
                    drafts.quiet.hint(Instant::now());
                }
            }
            Hint::Urged => {
                self.systemd.reloading();
                if let Some(fetcher) = &self.fetcher {
                    fetcher.urge();
                }
                *look = Look::everything();
            }
            Hint::Fetched => (look.refs, look.fetched) = (true, true),
            Hint::Stop => {}
        }
    }

    /// How long to sleep where no hint comes.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let quiet = self.drafts.as_ref().and_then(|drafts| drafts.quiet.due());
        let due = self
            .tracked
            .iter()
            .filter_map(Tracked::due)
            .chain(quiet)
            .chain([self.polled + self.config.poll]);
        let next = due.min().unwrap_or(now).saturating_duration_since(now);
        self.systemd.beat().map_or(next, |beat| next.min(beat))
    }

    fn look(&mut self, look: Look) {
        if look.poll {
            self.polled = Instant::now();
        }
        match Root::find(&self.config.dir, &self.config.env) {
            Ok(root) => self.look_at(&root, look),
            Err(error) => self.without_repository(&error.to_string()),
        }
        if look.urged {
            self.systemd.ready("serving");
        }
        self.hub.let_go();
    }

    fn look_at(&mut self, root: &Root, look: Look) {
        match root.maybe_repo() {
            Some(repo) => {
                self.hub.note("repository", None);
                if look.refs {
                    self.look_at_refs(root, repo, look);
                    self.hub.history().nudge(&self.hub);
                } else {
                    self.watch(root, Some(repo.common_dir()));
                }
            }
            None => {
                self.watch(root, None);
                if !self.config.worktree {
                    self.without_repository(&format!(
                        "`{}` is in no git repository",
                        self.config.dir.display()
                    ));
                }
            }
        }
        self.look_at_worktree(root, look);
    }

    /// The environments that the served set names; a set may change them, so again until they agree.
    fn look_at_refs(&mut self, root: &Root, repo: &Repo, look: Look) {
        for _ in 0..3 {
            self.adopt(&self.settings(root).environments);
            // Before the refs are read: what moves from then on gives a hint.
            self.watch(root, Some(repo.common_dir()));
            let state_dir = self.state_dir(Some(repo.common_dir()));
            let context = Context {
                hub: &self.hub,
                writer: &self.writer,
                prefix: root.prefix(),
                state_dir: state_dir.as_deref(),
                urged: look.urged,
                fetched: self.config.fetch.is_none() || look.fetched,
            };
            self.tracked.iter_mut().for_each(|tracked| tracked.follow(&context, repo));
            let agreed = self.settings(root).environments;
            if self
                .tracked
                .iter()
                .map(|t| (&t.environment, &t.reference))
                .eq(agreed.iter().map(|e| (&e.name, &e.reference)))
            {
                return;
            }
        }
    }

    /// Of the production set; before there is one, of the work tree or the newest commit.
    fn settings(&self, root: &Root) -> Settings {
        match self.hub.snapshot_for_settings() {
            Some(snapshot) => snapshot.set().settings.clone(),
            None => first_settings(root),
        }
    }

    /// Follows these environments: what is followed already stays as it is.
    fn adopt(&mut self, environments: &[Environment]) {
        let same = |tracked: &Tracked, environment: &Environment| {
            tracked.environment == environment.name && tracked.reference == environment.reference
        };
        let unchanged = self.tracked.len() == environments.len()
            && self
                .tracked
                .iter()
                .zip(environments)
                .all(|(tracked, environment)| same(tracked, environment));
        if unchanged && !self.tracked.is_empty() {
            return;
        }
        let remote = self.config.fetch.as_ref().map(|fetch| fetch.remote.as_str());
        let mut old = std::mem::take(&mut self.tracked);
        for environment in environments {
            match old.iter().position(|tracked| same(tracked, environment)) {
                Some(at) => self.tracked.push(old.swap_remove(at)),
                None => self.tracked.push(Tracked::new(environment, remote)),
            }
        }
        self.set_slots();
        if let Some(fetcher) = &self.fetcher {
            let branches =
                self.tracked.iter().filter_map(|t| RefName::new(&t.reference).ok()).collect();
            fetcher.branches(branches);
        }
    }

    fn set_slots(&self) {
        let drafts = self.drafts.iter().map(|drafts| drafts.slot.clone());
        self.hub.set_slots(
            self.tracked.iter().map(|tracked| tracked.slot.clone()).chain(drafts).collect(),
        );
    }

    fn look_at_worktree(&mut self, root: &Root, look: Look) {
        if self.tracked.is_empty() {
            self.set_slots();
        }
        if let Some(drafts) = &mut self.drafts {
            drafts.follow(&self.hub, root, look.worktree, look.poll);
        }
    }

    /// The repository is away or broken: what is served stays, and what was kept is taken up.
    fn without_repository(&mut self, why: &str) {
        if self.hub.note("repository", Some(why.to_owned())) {
            tracing::warn!("{why}");
        }
        if self.tracked.is_empty() {
            self.adopt(&Settings::default().environments);
        }
        let state_dir = self.state_dir(None);
        for tracked in &mut self.tracked {
            tracked.unreadable(why);
            tracked.restore(&self.hub, state_dir.as_deref());
        }
    }

    /// Where the last good sets are kept. Where the repository cannot be opened, its folder is guessed.
    fn state_dir(&self, common_dir: Option<&Path>) -> Option<PathBuf> {
        let service = || {
            let named = self.config.env.get("STATE_DIRECTORY")?;
            std::env::split_paths(named).next()
        };
        let guessed = || {
            let dir = &self.config.dir;
            let places = [dir.join(".git/refguard"), dir.join("refguard")];
            places.into_iter().find(|place| place.is_dir())
        };
        self.config
            .state_dir
            .clone()
            .or_else(service)
            .or_else(|| common_dir.map(|dir| dir.join("refguard")))
            .or_else(guessed)
    }

    fn watch(&mut self, root: &Root, common_dir: Option<&Path>) {
        let references: Vec<&str> = self.tracked.iter().flat_map(Tracked::references).collect();
        let mut folders = common_dir.map(|dir| ref_folders(dir, &references)).unwrap_or_default();
        let worktree = root.dir().ok().filter(|_| self.drafts.is_some());
        folders.extend(worktree.map(|dir| Folder { path: dir.to_owned(), recursive: true }));
        self.watcher.places(
            common_dir.iter().map(|dir| dir.to_path_buf()).collect(),
            worktree.map(Path::to_owned),
        );
        let trouble = self.watcher.watch(&folders).err();
        self.hub.set_polling(trouble.is_some());
        let word = trouble.map(|trouble| {
            let poll = self.config.poll.as_secs_f64();
            format!(
                "changes cannot be watched ({trouble}): the refs are read every {poll} s instead"
            )
        });
        if let (true, Some(word)) = (self.hub.note("watch", word.clone()), word) {
            tracing::warn!("{word}");
        }
    }
}
