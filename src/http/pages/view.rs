//! The set that a page shows: what is in force, or what once was.

use std::sync::Arc;

use refguard_core::policy::PolicySet;
use refguard_core::resolve::Engine;

use super::Visit;
use crate::daemon::{Hub, PastSet, Snapshot};
use crate::http::problem::Problem;
use crate::pages::{Frame, Moved, Section, SetLink, query_of};

/// A set and where it comes from.
#[derive(Clone)]
pub(super) struct View {
    /// The environment, or `worktree`.
    pub name: Arc<str>,
    held: Held,
    /// What is in force now, where that is something else.
    moved: Option<(Option<u64>, String)>,
}

#[derive(Clone)]
enum Held {
    Now(Arc<Snapshot>),
    Past(Arc<PastSet>),
}

impl View {
    pub fn engine(&self) -> &Engine {
        match &self.held {
            Held::Now(snapshot) => &snapshot.engine,
            Held::Past(past) => &past.engine,
        }
    }

    pub fn set(&self) -> &PolicySet {
        self.engine().set()
    }

    /// The set with every attachment, also those that have ended, where that is known.
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

    /// The version of one of its policies, where history is read.
    pub fn number(&self, hub: &Hub, name: &str) -> Option<u64> {
        match &self.held {
            Held::Now(snapshot) => snapshot.number(hub.history(), name),
            Held::Past(past) => {
                let (_, policy) = past.engine.set().find(name)?;
                hub.history().version_number(name, &policy.digest)
            }
        }
    }

    /// What links to other pages of this set have to name; empty where it is in force, so that they follow it.
    pub fn at(&self) -> &str {
        match &self.held {
            Held::Now(_) => "",
            Held::Past(past) => &past.commit,
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
}

impl Visit {
    /// The set that is wanted.
    ///
    /// # Errors
    /// 404 where there is none, 503 where it is not ready.
    pub(super) async fn view(&self, wanted: Wanted<'_>) -> Result<View, Problem> {
        let hub = &self.app.hub;
        let name = hub.set_name(Some(wanted.set).filter(|name| !name.is_empty()))?;
        let current = hub.snapshot(Some(&name));
        if wanted.at.trim().is_empty() {
            return Ok(View { name, held: Held::Now(current?), moved: None });
        }

        let current = current.ok();
        let is_now = |snapshot: &&Arc<Snapshot>| {
            snapshot.commit.as_deref().is_some_and(|commit| commit == wanted.at)
        };
        if let Some(snapshot) = current.as_ref().filter(is_now) {
            return Ok(View { name, held: Held::Now(snapshot.clone()), moved: None });
        }
        if current.as_ref().is_some_and(|snapshot| snapshot.commit.is_none()) {
            return Err(Problem::not_found("the work tree has no past"));
        }
        let (hub, at, of) = (hub.clone(), wanted.at.to_owned(), name.clone());
        let past = self.app.historians.run(move || Ok(hub.history().set_at(&of, &at)?)).await?;
        let moved =
            current.and_then(|now| Some((now.promotion, now.commit.as_deref()?.to_owned())));
        match moved {
            Some((promotion, commit)) if commit != past.commit => {
                let moved = Some((promotion, commit));
                Ok(View { name, held: Held::Past(past), moved })
            }
            _ => Ok(View { name, held: Held::Past(past), moved: None }),
        }
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
            let pairs: Vec<_> = [("set", set)].into_iter().chain(query.iter().copied()).collect();
            format!("{path}{}", query_of(&pairs))
        };
        let names = self.app.hub.status().sets.into_iter().map(|set| set.name);
        let sets = names.map(|name| SetLink { address: address(&name), name }).collect();
        let moved = view.moved.as_ref().map(|(promotion, commit)| Moved {
            promotion: *promotion,
            commit: commit.clone(),
            address: address(&view.name),
        });
        Frame {
            set: Some(view.name.to_string()),
            commit: view.commit().map(str::to_owned),
            at: view.at().to_owned(),
            sets,
            moved,
            ..self.frame(title, section)
        }
    }

    /// The name of an environment; the work tree has no history.
    ///
    /// # Errors
    /// 404 where there is none.
    pub(super) fn environment(&self, set: &str) -> Result<String, Problem> {
        let status = self.app.hub.set_status(Some(set).filter(|name| !name.is_empty()))?;
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
        let sets = self.app.hub.status().sets.into_iter().filter(|set| set.reference.is_some());
        let sets = sets.map(|set| SetLink {
            address: format!("{path}{}", query_of(&[("set", &set.name)])),
            name: set.name,
        });
        Frame { set: Some(name.to_owned()), sets: sets.collect(), ..self.frame(title, section) }
    }
}
