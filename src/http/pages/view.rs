//! The set that a page shows: what is in force, or what once was.

use std::sync::Arc;

use jiff::Timestamp;
use refguard_core::policy::PolicySet;
use refguard_core::resolve::Engine;

use super::Visit;
use crate::daemon::{Hub, PastSet, Snapshot, parse_instant};
use crate::http::problem::Problem;
use crate::pages::{Frame, Moved, Section, SetLink, query_of};

/// A set and where it comes from.
#[derive(Clone)]
pub(super) struct View {
    /// The environment, or `worktree`.
    pub name: Arc<str>,
    held: Held,
    /// The set as it is at the instant that is looked at.
    engine: Arc<Engine>,
    /// That instant.
    instant: Timestamp,
    /// Whether something else is shown than what is in force: then the navigation stays with it.
    stays: bool,
    /// What is in force now, where that is something else.
    moved: Option<(Option<u64>, String)>,
}

#[derive(Clone)]
enum Held {
    Now(Arc<Snapshot>),
    Past(Arc<PastSet>),
}

impl View {
    /// What is in force, as of now or another instant.
    fn of_now(snapshot: Arc<Snapshot>, wanted: Option<Timestamp>) -> Self {
        // A clock that runs back revives nothing that has ended.
        let clock = whole_second(Timestamp::now());
        let now = snapshot
            .engine
            .instant()
            .map_or(clock, |ended| clock.max(ended));
        let instant = wanted.unwrap_or(now);
        let served = &snapshot.engine;
        let is_served = served.instant().is_none_or(|ended| ended <= instant)
            && served.valid_until().is_none_or(|until| instant < until);
        let engine = if is_served {
            served.clone()
        } else {
            snapshot.full.as_of(instant)
        };

        let is_over = engine.valid_until().is_some_and(|until| until <= now);
        let moved = snapshot.commit.as_ref().filter(|_| is_over);
        let moved = moved.map(|commit| (snapshot.promotion, commit.to_string()));
        let (name, stays) = (snapshot.name.clone(), !is_served && wanted.is_some());
        Self {
            name,
            held: Held::Now(snapshot),
            engine,
            instant,
            stays,
            moved,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn set(&self) -> &PolicySet {
        self.engine().set()
    }

    /// The set with every attachment, also those that have ended.
    pub fn documents(&self) -> &PolicySet {
        match &self.held {
            Held::Now(snapshot) => snapshot.set(),
            Held::Past(past) => past.engine.set(),
        }
    }

    pub fn commit(&self) -> Option<&str> {
        match &self.held {
            Held::Now(snapshot) => snapshot.commit.as_deref(),
            Held::Past(past) => Some(&past.commit),
        }
    }

    pub fn promotion(&self) -> Option<u64> {
        match &self.held {
            Held::Now(snapshot) => snapshot.promotion,
            Held::Past(past) => past.promotion,
        }
    }

    /// The instant that what expires counts as of.
    pub fn instant(&self) -> Timestamp {
        self.instant
    }

    /// The instant, where the set has attachments that expire, so that it matters.
    pub fn instant_that_counts(&self) -> Option<String> {
        let expires = self
            .documents()
            .attachments
            .iter()
            .any(|it| it.expires.is_some());
        expires.then(|| self.instant.to_string())
    }

    /// The version of one of its policies, where history is read.
    pub fn number(&self, hub: &Hub, name: &str) -> Option<u64> {
        match &self.held {
            Held::Now(snapshot) => snapshot.number_of(hub.history(), name),
            Held::Past(past) => {
                let (_, policy) = past.engine.set().find_policy(name)?;
                hub.history().version_number(name, &policy.digest)
            }
        }
    }
}

/// What pages about a set are asked with.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted<'q> {
    /// The set; empty: the one that requests without a set are answered from.
    pub set: &'q str,
    /// A promotion, time or commit; empty: now.
    pub at: &'q str,
    /// The instant that what expires counts as of; empty: the time of `at`, else now.
    pub now: &'q str,
}

impl<'q> Wanted<'q> {
    pub fn new(set: &'q str, at: &'q str, now: &'q str) -> Self {
        Self { set, at, now }
    }

    /// The instant that is asked for: a time that the set is of is the instant too.
    fn instant(&self) -> Result<Option<Timestamp>, Problem> {
        if let Some(instant) = parse_instant(self.at) {
            return Ok(Some(instant));
        }
        match self.now.trim() {
            "" => Ok(None),
            text => parse_instant(text).map(Some).ok_or_else(|| {
                Problem::bad_request("an instant is a time, such as 2026-11-28T07:00")
            }),
        }
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl Visit {
    /// The set that is wanted.
    ///
    /// # Errors
    /// 404 where there is none, 503 where it is not ready.
    pub(super) async fn make_view(&self, wanted: Wanted<'_>) -> Result<View, Problem> {
        let hub = &self.app.hub;
        let name = hub.set_name(Some(wanted.set).filter(|name| !name.is_empty()))?;
        let instant = wanted.instant()?;
        let current = hub.snapshot_of(Some(&name));
        if wanted.at.trim().is_empty() {
            let current = current?;
            return self
                .app
                .page_makers
                .run_work(move || Ok(View::of_now(current, instant)))
                .await;
        }

        let current = current.ok();
        let is_now = |snapshot: &&Arc<Snapshot>| {
            snapshot
                .commit
                .as_deref()
                .is_some_and(|commit| commit == wanted.at)
        };
        if let Some(snapshot) = current.as_ref().filter(is_now) {
            let current = snapshot.clone();
            return self
                .app
                .page_makers
                .run_work(move || Ok(View::of_now(current, instant)))
                .await;
        }
        if current
            .as_ref()
            .is_some_and(|snapshot| snapshot.commit.is_none())
        {
            return Err(Problem::not_found("the work tree has no past"));
        }
        let (hub, at, of) = (hub.clone(), wanted.at.to_owned(), name.clone());
        let instant = instant.unwrap_or_else(|| whole_second(Timestamp::now()));
        let read = self.app.historians.run_work(move || {
            let past = hub.history().documents_at(&of, &at)?;
            Ok((past.engine.as_of(instant), past))
        });
        let (engine, past) = read.await?;
        let moved =
            current.and_then(|now| Some((now.promotion, now.commit.as_deref()?.to_owned())));
        let moved = moved.filter(|(_, commit)| *commit != past.commit);
        Ok(View {
            name,
            held: Held::Past(past),
            engine,
            instant,
            stays: true,
            moved,
        })
    }

    /// A frame for a page of a set; `query` is what the page's address has beside `set` and `at`.
    pub(super) fn frame_of(
        &self,
        title: impl Into<String>,
        section: Section,
        view: &View,
        (path, query): (&str, &[(&str, &str)]),
    ) -> Frame {
        let address = |set: &str| {
            let pairs: Vec<_> = [("set", set)]
                .into_iter()
                .chain(query.iter().copied())
                .collect();
            format!("{path}{}", query_of(&pairs))
        };
        let names = self.app.hub.sets().into_iter().map(|set| set.name);
        let sets = names
            .map(|name| SetLink {
                address: address(&name),
                name,
            })
            .collect();
        let moved = view.moved.as_ref().map(|(promotion, commit)| Moved {
            promotion: *promotion,
            commit: commit.clone(),
            address: address(&view.name),
        });
        Frame {
            set: Some(view.name.to_string()),
            commit: view.commit().map(str::to_owned),
            now: view.instant_that_counts().unwrap_or_default(),
            stays: view.stays,
            sets,
            moved,
            ..self.frame(title, section)
        }
    }

    /// The name of an environment; the work tree has no history.
    ///
    /// # Errors
    /// 404 where there is none.
    pub(super) fn find_environment(&self, set: &str) -> Result<String, Problem> {
        let status = self
            .app
            .hub
            .set_status(Some(set).filter(|name| !name.is_empty()))?;
        match status.reference {
            Some(_) => Ok(status.name),
            None => Err(Problem::not_found("the work tree has no promotions")),
        }
    }

    /// A frame for a page of an environment, whatever is served of it.
    pub(super) fn frame_about(
        &self,
        title: impl Into<String>,
        section: Section,
        name: &str,
        path: &str,
    ) -> Frame {
        let sets = self
            .app
            .hub
            .sets()
            .into_iter()
            .filter(|set| set.reference.is_some());
        let sets = sets.map(|set| SetLink {
            address: format!("{path}{}", query_of(&[("set", &set.name)])),
            name: set.name,
        });
        Frame {
            set: Some(name.to_owned()),
            sets: sets.collect(),
            ..self.frame(title, section)
        }
    }
}
