//! `blame`: which promotion gave a request a guardrail, and which took it away.
//!
//! The line of promotions is walked from the newest back. Of each step only the files that differ
//! are read, and of their documents only those count that the request depends on ([`Part`]); what
//! the request gets is worked out anew only where one of those differs. A tree is judged as a whole
//! where that cannot be left out: at the tip, where something else than a promotion moved the ref,
//! and where the settings change which files count.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use refguard_core::document::{Body, Document, Release, is_yaml_name, load_file};
use refguard_core::policy::{Context, PolicySet};
use refguard_core::prove::Cause;
use refguard_core::questions::{
    CauseFinder, Part, TouchedDocument, Unlisted, find_guardrail, unlisted_values,
};
use refguard_core::resolve::Request;
use serde::Serialize;

use crate::ops::change::environment::nothing_at;
use crate::ops::history::log::{PassedGate, commit_of, log_entry};
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::load::{self, LIMITS, NoProgress};
use crate::ops::{Judged, TrackedSet, Workspace};
use crate::repo::{BlobId, Commit, CommitId, HistoryEntry, Repo, TreeId};

/// What is asked.
#[derive(Debug, Clone)]
pub struct BlameRequest {
    /// The environment.
    pub environment: String,
    /// The request.
    pub context: Context,
    /// The guardrail; `None`: all.
    pub guardrail: Option<String>,
    /// Nothing newer than this revision or time; `None`: from the tip on.
    pub at: Option<String>,
    /// Nothing older than this revision or time; `None`: back to the first.
    pub since: Option<String>,
}

/// Which promotions gave or took something.
#[derive(Debug, Clone, Serialize)]
pub struct Blame {
    /// Version of this format.
    pub version: u32,
    /// The environment.
    pub environment: String,
    /// The request.
    pub context: Context,
    /// The guardrail that was asked for; `None`: all.
    pub guardrail: Option<String>,
    /// What came and went, the newest first.
    pub events: Vec<BlameEvent>,
    /// Promotions and other moves that hold no valid set, the newest first: passed over.
    pub skipped: Vec<SkippedEntry>,
    /// How many promotions and other moves were looked at.
    pub looked_at: usize,
    /// Values of the request that the catalog of the newest set does not list.
    #[serde(skip)]
    pub unlisted: Vec<Unlisted>,
    /// What the request has at the end of what was looked at.
    #[serde(skip)]
    pub has: Vec<String>,
    /// The revision or time that nothing older was asked of; `None`: back to the first.
    #[serde(skip)]
    pub since: Option<String>,
    /// The revision or time that nothing newer was asked of.
    #[serde(skip)]
    pub at: Option<String>,
}

/// One guardrail that came or went.
#[derive(Debug, Clone, Serialize)]
pub struct BlameEvent {
    /// The promotion's number; `None`: something else moved the ref.
    pub promotion: Option<u64>,
    /// The tip it made.
    pub commit: String,
    /// Whether the request got the guardrail or lost it.
    pub kind: BlameKind,
    /// The guardrail.
    pub guardrail: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who; of what expired: `expiry`.
    pub author: String,
    /// Why; of what expired why it was there, of an external move the first line of its commit's
    /// message.
    pub reason: Option<String>,
    /// Gates that were passed by a flag.
    pub allowed: Vec<PassedGate>,
    /// The documents that did it.
    pub because: Vec<Cause>,
}

/// What became of a guardrail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BlameKind {
    /// The request got it.
    Gained,
    /// The request lost it.
    Lost,
}

/// An entry of the history that holds no valid set.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedEntry {
    /// The promotion's number; `None`: something else moved the ref.
    pub promotion: Option<u64>,
    /// The tip it made.
    pub commit: String,
    /// Why.
    pub message: String,
}

impl Workspace {
    /// Which promotions of an environment gave a request its guardrails or took them away.
    ///
    /// # Errors
    /// Where there is no such environment, nothing was promoted to it, the guardrail is known to no
    /// set that is at hand, or git cannot be read.
    pub fn blame(&self, asked: &BlameRequest) -> Result<Blame> {
        let ledger = self.environment(&asked.environment)?.ledger;
        let mut entries: Vec<HistoryEntry<'_>> = ledger.list_entries().collect();
        if entries.is_empty() {
            match self.never_fetched(&asked.environment)? {
                Some(sentence) => bail!(sentence),
                None => bail!("nothing was promoted to `{}` yet", asked.environment),
            }
        }
        let repo = self.repo()?;
        let since_time = asked.since.as_ref().and_then(|text| self.time_of(text));
        let mut shown = match (&asked.since, since_time) {
            (None, _) => entries.len(),
            (Some(_), Some(time)) => count_since(repo, &entries, time)?,
            (Some(text), None) => self.find_entry(&asked.environment, &entries, text)? + 1,
        };
        let mut replaced = None;
        if let Some(at) = &asked.at {
            let at = self.find_entry(&asked.environment, &entries, at)?;
            if since_time.is_none() && shown <= at {
                bail!("`--since` names something newer than `--at`");
            }
            let newer = entries.drain(..at).next_back();
            replaced = newer.map(|newer| commit_of(repo, &newer)).transpose()?;
            shown = shown.saturating_sub(at);
        }

        let commits: Vec<Commit> = entries
            .iter()
            .map(|entry| commit_of(repo, entry))
            .collect::<Result<_>>()?;
        let asked_time = asked.at.as_ref().and_then(|at| self.time_of(at));
        // What was replaced by then ended with that, whatever of it would have expired later.
        let replaced =
            replaced.and_then(|it| Timestamp::from_second(it.committer.time.seconds).ok());
        let ends = asked_time.or(replaced).unwrap_or_else(Timestamp::now);
        let mut walk = Walk::new(self, asked, &entries, &commits, ends);
        walk.run(shown)?;
        if let Some(name) = &asked.guardrail {
            walk.refuse_unknown(name)?;
        }
        let newest = walk.seen.first();
        let unlisted = newest.map(|set| unlisted_values(&set.catalog, &asked.context));
        let unlisted = unlisted.unwrap_or_default();
        let Walk {
            mut found,
            mut skipped,
            has,
            ..
        } = walk;
        // What was in force at a time that is asked about may have expired since then.
        let is_since = |event: &BlameEvent| {
            let time: Option<Timestamp> = event.time.parse().ok();
            time.zip(since_time)
                .is_some_and(|(time, since)| time >= since)
        };
        found.retain(|(at, event)| *at < shown || is_since(event));
        skipped.retain(|(at, _)| *at < shown);
        Ok(Blame {
            version: 1,
            environment: asked.environment.clone(),
            context: asked.context.clone(),
            guardrail: asked.guardrail.clone(),
            events: found.into_iter().map(|(_, event)| event).collect(),
            skipped: skipped.into_iter().map(|(_, skipped)| skipped).collect(),
            looked_at: shown,
            unlisted,
            has,
            since: asked.since.clone(),
            at: asked.at.clone(),
        })
    }

    /// The entry that a revision or a time names: the one with that commit, or the newest at that
    /// time.
    fn find_entry(
        &self,
        environment: &str,
        entries: &[HistoryEntry<'_>],
        text: &str,
    ) -> Result<usize> {
        let repo = self.repo()?;
        if let Some(time) = self.time_of(text) {
            for (at, entry) in entries.iter().enumerate() {
                if commit_of(repo, entry)?.committer.time.seconds <= time.as_second() {
                    return Ok(at);
                }
            }
            let ledger = self.environment(environment)?.ledger;
            bail!(nothing_at(&ledger, environment, text, time));
        }
        let (commit, _) = self.revision(text)?;
        let source = |entry: &HistoryEntry<'_>| match entry {
            HistoryEntry::Promotion(promotion) => Some(promotion.record.source),
            HistoryEntry::External(_) => None,
        };
        let is = |entry: &&HistoryEntry<'_>| entry.commit() == commit;
        let by_tip = entries.iter().position(|entry| is(&entry));
        let found = by_tip.or_else(|| entries.iter().position(|it| source(it) == Some(commit)));
        found.ok_or_else(|| {
            anyhow::anyhow!("`{text}` is no promotion of `{environment}`, and none promoted it")
        })
    }
}

/// How many of some entries, the newest first, were made at a time or after it.
fn count_since(repo: &Repo, entries: &[HistoryEntry<'_>], time: Timestamp) -> Result<usize> {
    for (at, entry) in entries.iter().enumerate() {
        if commit_of(repo, entry)?.committer.time.seconds < time.as_second() {
            return Ok(at);
        }
    }
    Ok(entries.len())
}

/// What one file says on one side of a step.
#[derive(Debug, Clone, Default)]
struct FileSide {
    documents: Vec<Document>,
    /// The first fault of its form.
    fault: Option<String>,
}

/// A file that differs between an entry and the one before it.
#[derive(Debug, Clone)]
struct Step {
    path: Arc<str>,
    older: Arc<FileSide>,
    newer: Arc<FileSide>,
}

/// The entries that are compared at once: each thread takes some.
const CHUNK: usize = 64;

/// The set of one entry as far as the request depends on it.
struct State {
    /// The whole set of the last tree that was judged: policies that no step touched since stand
    /// there still.
    whole: Arc<PolicySet>,
    tree: TreeId,
    filter: Filter,
    part: Part,
    /// The policies that the request depends on.
    names: BTreeSet<String>,
    answer: Option<Vec<String>>,
    /// Files with a fault of form.
    faults: BTreeMap<Arc<str>, String>,
}

/// The newest entry that has not been compared with the valid one before it yet.
struct Pending {
    entry: usize,
    /// When it came: what it gave and took is told as of then.
    begins: Timestamp,
    answer: Vec<String>,
    part: Option<Part>,
    /// What the files that differ since say: at that entry, and now.
    files: BTreeMap<Arc<str>, (Arc<FileSide>, Arc<FileSide>)>,
}

struct Walk<'a> {
    workspace: &'a Workspace,
    request: Request,
    guardrail: Option<&'a str>,
    entries: &'a [HistoryEntry<'a>],
    commits: &'a [Commit],
    sets: TrackedSet,
    found: Vec<(usize, BlameEvent)>,
    skipped: Vec<(usize, SkippedEntry)>,
    /// Sets that were seen whole: where a guardrail's name is looked for.
    seen: Vec<Arc<PolicySet>>,
    /// Until when the entry that is looked at was in force.
    ends: Timestamp,
    /// What the newest valid entry gives at the end.
    has: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(
        workspace: &'a Workspace,
        asked: &'a BlameRequest,
        entries: &'a [HistoryEntry<'a>],
        commits: &'a [Commit],
        ends: Timestamp,
    ) -> Self {
        Self {
            workspace,
            request: Request {
                context: asked.context.clone(),
                policies: Vec::new(),
            },
            guardrail: asked.guardrail.as_deref(),
            entries,
            commits,
            sets: TrackedSet::default(),
            found: Vec::new(),
            skipped: Vec::new(),
            seen: Vec::new(),
            ends,
            has: Vec::new(),
        }
    }

    /// Looks at the first entries, as many as are shown, and on to the next valid one: it tells what
    /// the last of them changed.
    fn run(&mut self, shown: usize) -> Result<()> {
        let mut state: Option<State> = None;
        let mut pending: Option<Pending> = None;
        let mut steps: Vec<Vec<Step>> = Vec::new();
        for entry in 0..self.commits.len() {
            let fault = self.fault_at(entry, &mut state)?;
            match (fault, &state) {
                (None, Some(state)) => {
                    match pending.take() {
                        Some(newer) => self.compare_steps(newer, state)?,
                        None => self.has = self.answer_at(state, self.ends),
                    }
                    let begins = self.begins_at(entry);
                    self.tell_expiries(entry, &state.part, begins);
                    let answer = self.answer_at(state, begins);
                    let files = BTreeMap::new();
                    pending = Some(Pending {
                        entry,
                        begins,
                        answer,
                        part: None,
                        files,
                    });
                    self.ends = begins;
                    if entry >= shown {
                        return Ok(());
                    }
                }
                (fault, _) => self.skip_equal(entry, fault.unwrap_or_default()),
            }

            if entry % CHUNK == 0 {
                steps = self.read_steps(entry)?;
            }
            let step = steps
                .get_mut(entry % CHUNK)
                .map(std::mem::take)
                .unwrap_or_default();
            if entry + 1 < self.commits.len() {
                self.go_back(entry, step, &mut state, &mut pending)?;
            }
        }
        if let (Some(first), Some(state)) = (pending, state) {
            self.tell_first(&first, &state.part);
        }
        Ok(())
    }

    /// What is wrong with the set of an entry. Judges it as a whole where it must be.
    fn fault_at(&mut self, entry: usize, state: &mut Option<State>) -> Result<Option<String>> {
        let external = matches!(self.entries.get(entry), Some(HistoryEntry::External(_)));
        let Some(commit) = self.commits.get(entry) else {
            return Ok(None);
        };
        if let Some(state) = state {
            if let Some(fault) = state.faults.values().next() {
                return Ok(Some(fault.clone()));
            }
            if state.answer.is_some() && !external {
                return Ok(None);
            }
        }

        match self
            .sets
            .judge_tree(self.workspace, commit.tree, Release::FIRST, &NoProgress)?
        {
            Judged::Faulty(checked) => {
                let first = checked.errors().next();
                Ok(Some(first.map_or_else(
                    || "it is no valid set".to_owned(),
                    ToString::to_string,
                )))
            }
            Judged::Sound(engine) | Judged::Outdated(engine, _) => {
                let set = engine.set();
                if state.as_ref().is_none_or(|state| state.answer.is_none()) {
                    *state = Some(self.state_of(set.clone(), commit.tree)?);
                }
                self.seen.push(set.clone());
                Ok(None)
            }
        }
    }

    fn state_of(&self, whole: Arc<PolicySet>, tree: TreeId) -> Result<State> {
        let filter = Filter::of_settings(&whole.settings)?;
        let context = &self.request.context;
        let matching = whole.attachments.iter().filter(|attachment| {
            attachment.everywhere || attachment.targets.matches_context(context)
        });
        let files: BTreeSet<Arc<str>> = matching
            .map(|attachment| attachment.place.file.clone())
            .collect();

        let mut part = Part::default();
        for file in files {
            for document in self.read_file(tree, &file)? {
                if !matches!(document.body, Body::Policy(_)) {
                    part.add_document(&document, context);
                }
            }
        }
        let mut state = State {
            whole,
            tree,
            filter,
            part,
            names: BTreeSet::new(),
            answer: None,
            faults: BTreeMap::new(),
        };
        self.answer_anew(&mut state)?;
        Ok(state)
    }

    /// Works out what the request gets, with the policies that are not known yet.
    fn answer_anew(&self, state: &mut State) -> Result<()> {
        loop {
            let unknown = state.part.unknown_policies(&self.request);
            if unknown.is_empty() {
                break;
            }
            for name in unknown {
                state.part.know_policy(&name);
                let Some((_, policy)) = state.whole.find_policy(&name) else {
                    continue;
                };
                for document in self.read_file(state.tree, &policy.place.file)? {
                    let is_it =
                        matches!(&document.body, Body::Policy(raw) if raw.name.as_str() == name);
                    if is_it {
                        state.part.add_document(&document, &self.request.context);
                    }
                }
            }
        }
        state.names = state.part.reached_policies(&self.request);
        state.answer = state.part.answer_request(&self.request);
        Ok(())
    }

    fn read_file(&self, tree: TreeId, path: &Arc<str>) -> Result<Vec<Document>> {
        let repo = self.workspace.repo()?;
        let prefix = self.workspace.root().prefix();
        let full = if prefix.is_empty() {
            path.to_string()
        } else {
            format!("{prefix}/{path}")
        };
        let Some(blob) = repo.item_at(tree, &full)?.and_then(|item| item.blob_id()) else {
            return Ok(Vec::new());
        };
        Ok(load_file(path.clone(), repo.read_blob(blob)?, &LIMITS).documents)
    }

    /// What differs between each of some entries and the one before it.
    fn read_steps(&self, from: usize) -> Result<Vec<Vec<Step>>> {
        let prefix = self.workspace.root().prefix();
        let end = self.commits.len().min(from + CHUNK + 1);
        let trees: Vec<TreeId> = self
            .commits
            .get(from..end)
            .unwrap_or_default()
            .iter()
            .map(|it| it.tree)
            .collect();
        // A repository is read by one thread, so each part gets one of its own.
        let threads = rayon::current_num_threads().max(1);
        let size = trees.len().div_ceil(threads).max(1);
        let mut parts = Vec::new();
        for start in (0..trees.len()).step_by(size) {
            let end = trees.len().min(start + size + 1);
            parts.push((
                self.workspace.repo()?.reopen()?,
                trees.get(start..end).unwrap_or_default(),
            ));
        }
        let read = |(repo, trees): (Repo, &[TreeId])| read_part(&repo, prefix, trees, size);
        let found: Vec<Vec<Vec<Step>>> = parts.into_par_iter().map(read).collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// From an entry to the one before it.
    fn go_back(
        &mut self,
        entry: usize,
        mut steps: Vec<Step>,
        state: &mut Option<State>,
        pending: &mut Option<Pending>,
    ) -> Result<()> {
        let Some(at) = state.as_mut() else {
            return Ok(());
        };
        if let Some(settings) = steps.iter().find(|step| &*step.path == SETTINGS) {
            let before = Filter::of_documents(&settings.older.documents)?;
            if before != at.filter {
                return self.begin_anew(entry + 1, state, pending);
            }
        }
        steps.retain(|step| at.filter.admits(&step.path));

        let touches = |document: &Document| Part::is_touched_by(document, &self.request, &at.names);
        let mut documents = steps
            .iter()
            .flat_map(|it| it.older.documents.iter().chain(&it.newer.documents));
        let is_touched = documents.any(touches);
        if let Some(pending) = pending {
            if is_touched && pending.part.is_none() {
                pending.part = Some(at.part.clone());
            }
            for Step { path, older, newer } in &steps {
                let sides = pending.files.entry(path.clone());
                sides.or_insert_with(|| (newer.clone(), older.clone())).1 = older.clone();
            }
        }

        let context = &self.request.context;
        for Step { path, older, newer } in &steps {
            for document in &newer.documents {
                at.part.remove_document(document);
                if let Body::Policy(raw) = &document.body {
                    at.part.know_policy(raw.name.as_str());
                }
            }
            match &older.fault {
                Some(fault) => at.faults.insert(path.clone(), fault.clone()),
                None => at.faults.remove(path),
            };
        }
        for document in steps.iter().flat_map(|step| &step.older.documents) {
            at.part.add_document(document, context);
        }
        if is_touched {
            let Some(state) = state.as_mut() else {
                return Ok(());
            };
            self.answer_anew(state)?;
        }
        Ok(())
    }

    /// Where the settings say otherwise which files count: all documents may have come or gone.
    fn begin_anew(
        &mut self,
        entry: usize,
        state: &mut Option<State>,
        pending: &mut Option<Pending>,
    ) -> Result<()> {
        let Some(commit) = self.commits.get(entry) else {
            return Ok(());
        };
        let newer = state.take();
        if let Judged::Sound(engine) | Judged::Outdated(engine, _) =
            self.sets
                .judge_tree(self.workspace, commit.tree, Release::FIRST, &NoProgress)?
        {
            *state = Some(self.state_of(engine.set().clone(), commit.tree)?);
        }
        if let (Some(pending), Some(newer)) = (pending, newer) {
            pending.part.get_or_insert(newer.part);
        }
        Ok(())
    }

    fn skip_equal(&mut self, entry: usize, message: String) {
        let Some((number, commit)) = self.identify_entry(entry) else {
            return;
        };
        let skipped = SkippedEntry {
            promotion: number,
            commit: commit.to_string(),
            message,
        };
        self.skipped.push((entry, skipped));
    }

    /// When an entry came.
    fn begins_at(&self, entry: usize) -> Timestamp {
        let made = self
            .commits
            .get(entry)
            .map(|commit| commit.committer.time.seconds);
        made.and_then(|seconds| Timestamp::from_second(seconds).ok())
            .unwrap_or(Timestamp::MIN)
    }

    /// What the request gets from the set of a valid entry at an instant.
    fn answer_at(&self, state: &State, instant: Timestamp) -> Vec<String> {
        let answer = match state.part.expiries().is_empty() {
            true => state.answer.clone(),
            false => state.part.as_of(instant).answer_request(&self.request),
        };
        answer.unwrap_or_default()
    }

    /// Tells what came and went because something ended while an entry was in force, the newest
    /// first.
    fn tell_expiries(&mut self, entry: usize, part: &Part, begins: Timestamp) {
        let expiries = part.expiries();
        let in_force = expiries.range((
            Bound::Excluded(begins),
            Bound::Included(self.ends.max(begins)),
        ));
        for (instant, because) in in_force.rev() {
            let Ok(just_before) = instant.checked_sub(SignedDuration::from_nanos(1)) else {
                continue;
            };
            let answer = |at| {
                part.as_of(at)
                    .answer_request(&self.request)
                    .unwrap_or_default()
            };
            let (before, after) = (answer(just_before), answer(*instant));
            let (gained, lost) = (
                subtract_lists(&after, &before),
                subtract_lists(&before, &after),
            );
            for (kind, guardrails) in [(BlameKind::Lost, lost), (BlameKind::Gained, gained)] {
                for guardrail in guardrails {
                    if self.guardrail.is_some_and(|asked| asked != guardrail) {
                        continue;
                    }
                    self.tell_change(entry, kind, guardrail, because.clone());
                    if let Some((_, event)) = self.found.last_mut() {
                        event.time = instant.to_string();
                        event.author = "expiry".to_owned();
                        event.reason = part.reason_of_expiry(*instant);
                        event.allowed = Vec::new();
                    }
                }
            }
        }
    }

    fn identify_entry(&self, entry: usize) -> Option<(Option<u64>, CommitId)> {
        let found = self.entries.get(entry)?;
        let number = match found {
            HistoryEntry::Promotion(promotion) => Some(promotion.record.number),
            HistoryEntry::External(_) => None,
        };
        Some((number, found.commit()))
    }

    /// Tells what came and went from the valid entry before to `newer`.
    fn compare_steps(&mut self, newer: Pending, older: &State) -> Result<()> {
        let before = self.answer_at(older, newer.begins);
        let (gained, lost) = (
            subtract_lists(&newer.answer, &before),
            subtract_lists(&before, &newer.answer),
        );
        let is_asked = |list: &[String]| match self.guardrail {
            Some(asked) => list.iter().any(|name| name == asked),
            None => !list.is_empty(),
        };
        if !is_asked(&gained) && !is_asked(&lost) {
            return Ok(());
        }

        let sides = newer.files.values();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (after, before) in sides {
            new.extend(after.documents.iter().cloned());
            old.extend(before.documents.iter().cloned());
        }
        let touched = TouchedDocument::pair_documents(&old, &new);
        let after = newer
            .part
            .as_ref()
            .unwrap_or(&older.part)
            .as_of(newer.begins);
        let before = older.part.as_of(newer.begins);
        let finder = CauseFinder::new(&before, &after, &touched, &self.request);
        for (kind, guardrails) in [(BlameKind::Lost, lost), (BlameKind::Gained, gained)] {
            for guardrail in guardrails {
                if self.guardrail.is_some_and(|asked| asked != guardrail) {
                    continue;
                }
                let because = finder.causes_of(&guardrail);
                self.tell_change(newer.entry, kind, guardrail, because);
            }
        }
        Ok(())
    }

    /// Tells what the request got from the first promotion on.
    fn tell_first(&mut self, first: &Pending, part: &Part) {
        let part = &first.part.as_ref().unwrap_or(part).as_of(first.begins);
        let touched = TouchedDocument::pair_documents(&[], &part.part_documents(&self.request));
        let asked = |guardrail: &String| self.guardrail.is_none_or(|asked| asked == *guardrail);
        let guardrails: Vec<String> = first
            .answer
            .iter()
            .filter(|it| asked(it))
            .cloned()
            .collect();
        if guardrails.is_empty() {
            return;
        }
        let finder = CauseFinder::new(&Part::default(), part, &touched, &self.request);
        for guardrail in guardrails {
            let because = finder.causes_of(&guardrail);
            self.tell_change(first.entry, BlameKind::Gained, guardrail, because);
        }
    }

    fn tell_change(
        &mut self,
        entry: usize,
        kind: BlameKind,
        guardrail: String,
        because: Vec<Cause>,
    ) {
        let (Some(found), Some(commit)) = (self.entries.get(entry), self.commits.get(entry)) else {
            return;
        };
        let logged = log_entry(found, commit, false, Vec::new());
        self.found.push((
            entry,
            BlameEvent {
                promotion: logged.number,
                commit: logged.commit,
                kind,
                guardrail,
                time: logged.time,
                author: logged.author,
                reason: logged.reason.or(logged.message),
                allowed: logged.allowed,
                because,
            },
        ));
    }

    /// A guardrail that came or went is known; of another the sets that were seen whole must tell.
    fn refuse_unknown(&self, name: &str) -> Result<()> {
        if !self.found.is_empty() {
            return Ok(());
        }
        let mut unknown = None;
        for set in &self.seen {
            match find_guardrail(set, name) {
                Ok(_) => return Ok(()),
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        unknown.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn subtract_lists(list: &[String], other: &[String]) -> Vec<String> {
    list.iter()
        .filter(|name| !other.contains(name))
        .cloned()
        .collect()
}

/// The steps between neighbours of some trees, at most `count`.
fn read_part(repo: &Repo, prefix: &str, trees: &[TreeId], count: usize) -> Result<Vec<Vec<Step>>> {
    let mut known: HashMap<(Arc<str>, BlobId), Arc<FileSide>> = HashMap::new();
    let mut found = Vec::new();
    for (at, newer) in trees.iter().enumerate().take(count) {
        let mut steps = Vec::new();
        if let Some(older) = trees.get(at + 1).filter(|older| *older != newer) {
            for change in repo.diff_trees(Some(*older), Some(*newer), prefix, &load::wanted)? {
                let path = change.path;
                let mut side = |side: Option<crate::repo::Side>| -> Result<Arc<FileSide>> {
                    let blob = side
                        .and_then(|side| side.blob)
                        .filter(|_| is_yaml_name(&path));
                    match blob {
                        Some(blob) => read_side(repo, &path, blob, &mut known),
                        None => Ok(Arc::default()),
                    }
                };
                let (older, newer) = (side(change.old)?, side(change.new)?);
                steps.push(Step { path, older, newer });
            }
        }
        found.push(steps);
    }
    Ok(found)
}

fn read_side(
    repo: &Repo,
    path: &Arc<str>,
    blob: BlobId,
    known: &mut HashMap<(Arc<str>, BlobId), Arc<FileSide>>,
) -> Result<Arc<FileSide>> {
    if let Some(side) = known.get(&(path.clone(), blob)) {
        return Ok(side.clone());
    }
    let loaded = load_file(path.clone(), repo.read_blob(blob)?, &LIMITS);
    let fault = loaded
        .findings
        .iter()
        .find(|finding| finding.is_error_as_of(Release::FIRST));
    let side = FileSide {
        documents: loaded.documents,
        fault: fault.map(ToString::to_string),
    };
    let side = Arc::new(side);
    known.insert((path.clone(), blob), side.clone());
    Ok(side)
}
