//! The fast look at what is staged: a change judged beside the documents that it concerns, where all the
//! others are known to be sound.
//!
//! It answers "sound" or "not sure", never "at fault": whatever it stumbles over is left to the judgement of
//! the whole set. What holds of the whole set and cannot be told from a few documents (one policy a name, no
//! reference into nothing, no cycle, limits of the set) is asked of the facts of all of them.

use std::cmp::Ordering;
use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::{Body, Document, Finding, Loaded};
use refguard_core::policy::{Lineage, MAX_CASES, MAX_CHAIN, REGEX_TOTAL, check_errors};
use refguard_core::resolve::{Engine, Requested};
use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::{DocumentFacts, Facts, FileFacts, Tested};
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::load::{self, LIMITS};
use crate::ops::{TestOptions, run_tests};
use crate::repo::{BlobId, Entry, Side};

/// More changed files than this are judged with the whole set, which is then known for the next time.
const MOST_CHANGES: usize = 128;

/// Where contents come from.
pub(super) trait Contents {
    fn size(&self, blob: BlobId) -> Result<u64>;
    fn read(&self, blob: BlobId) -> Result<Vec<u8>>;
}

/// A file that is not as it was when the set was found sound.
#[derive(Debug)]
pub(super) struct StagedChange<'f, 'a> {
    pub path: &'f str,
    pub old: Option<&'f FileFacts<'a>>,
    pub new: Option<Side>,
}

/// What differs between the set that is known and what is staged; both are sorted by path.
pub(super) fn changes<'f, 'a>(
    facts: &'f Facts<'a>,
    staged: &'f [(Arc<str>, Side)],
) -> Vec<StagedChange<'f, 'a>> {
    let (mut old, mut new) = (facts.files.iter().peekable(), staged.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some((path, _))) => old.path.cmp(path),
        };
        let old = if order.is_le() { old.next() } else { None };
        let new = if order.is_ge() { new.next() } else { None };
        let same =
            matches!((old, new), (Some(old), Some((_, side))) if side.blob == Some(old.blob));
        if let Some(path) =
            new.map(|(path, _)| &**path).or(old.map(|old| old.path)).filter(|_| !same)
        {
            found.push(StagedChange { path, old, new: new.map(|(_, side)| *side) });
        }
    }
}

/// Whether the set with these changes is sound and its tests pass; `false`: not sure.
pub(super) fn is_sound(
    facts: &Facts<'_>,
    changes: &[StagedChange<'_, '_>],
    from: &dyn Contents,
) -> Result<bool> {
    let Some(loaded) = read_changed(facts, changes, from)? else { return Ok(false) };
    let changed: FxHashSet<&str> = changes.iter().map(|change| change.path).collect();
    let Some(graph) = Graph::new(facts, &changed, &loaded) else { return Ok(false) };
    let tests = Tested::of(&loaded);
    let tests_run = tests_concerned(facts, changes, &loaded);
    if tests_run
        && (!facts.tested.covers(&tests)
            || facts.tested.cases.saturating_add(tests.cases) > MAX_CASES)
    {
        return Ok(false);
    }
    let company = company(facts, &changed, &graph, &loaded, tests_run);
    let documents = read_company(facts, &changed, &company, tests_run, from)?;
    let mut all = loaded;
    all.documents.extend(documents);
    judge(facts, all, tests_run)
}

/// The changed files' documents; `None` where that is not enough to tell.
fn read_changed(
    facts: &Facts<'_>,
    changes: &[StagedChange<'_, '_>],
    from: &dyn Contents,
) -> Result<Option<Loaded>> {
    let unfit = |document: &DocumentFacts<'_>| {
        matches!(document, DocumentFacts::Settings | DocumentFacts::Catalog)
    };
    let old = |change: &StagedChange<'_, '_>| {
        change.old.is_some_and(|old| old.documents.iter().any(unfit))
    };
    if changes.len() > MOST_CHANGES
        || changes.iter().any(|change| change.path == SETTINGS || old(change))
    {
        return Ok(None);
    }
    let filter = filter(facts, from)?;
    let (mut loaded, mut bytes) = (Loaded::default(), facts.bytes);
    for change in changes.iter().filter(|change| filter.admits(change.path)) {
        let Some(side) = change.new else { continue };
        let size = side.blob.map_or(Ok(0), |blob| from.size(blob))?;
        bytes = bytes.saturating_add(size);
        let entry = Entry { path: change.path.into(), kind: side.kind, size, blob: side.blob };
        loaded.append(match (load::skipped(&entry), side.blob) {
            (Some(skipped), _) => skipped,
            (None, Some(blob)) => load::parse(&entry, from.read(blob)?),
            (None, None) => return Ok(None),
        });
    }
    let whole_set =
        |document: &Document| matches!(document.body, Body::Repository(_) | Body::Catalog(_));
    let unsure = loaded.findings.iter().any(Finding::is_error)
        || !loaded.lost.is_empty()
        || loaded.documents.iter().any(whole_set)
        || facts.files.len() + changes.len() > LIMITS.files
        || bytes > LIMITS.total_bytes;
    Ok((!unsure).then_some(loaded))
}

/// Which files count; the settings are those of the known set.
fn filter(facts: &Facts<'_>, from: &dyn Contents) -> Result<Filter> {
    let Ok(at) = facts.files.binary_search_by(|file| file.path.cmp(SETTINGS)) else {
        return Ok(Filter::default());
    };
    let Some(file) = facts.files.get(at) else { return Ok(Filter::default()) };
    Filter::of_documents(&read(file, from)?.documents)
}

fn read(file: &FileFacts<'_>, from: &dyn Contents) -> Result<Loaded> {
    let bytes = from.read(file.blob)?;
    Ok(refguard_core::document::load_file(file.path, bytes, &LIMITS))
}

/// Every policy of the set as it would be: who inherits from whom.
struct Graph<'g> {
    by_name: FxHashMap<&'g str, usize>,
    parents: Vec<Option<usize>>,
    /// By policy: its name, and its file among the facts unless it has changed.
    policies: Vec<(&'g str, Option<usize>)>,
}

impl<'g> Graph<'g> {
    /// `None` where a name stands twice, a reference leads nowhere, or a chain is a cycle or too long.
    fn new(facts: &'g Facts<'_>, changed: &FxHashSet<&str>, loaded: &'g Loaded) -> Option<Self> {
        let known = facts.files.iter().enumerate().filter(|(_, file)| !changed.contains(file.path));
        let known = known.flat_map(|(at, file)| {
            file.documents.iter().map(move |document| (Some(at), *document))
        });
        let new = loaded.documents.iter().filter_map(|document| match &document.body {
            Body::Policy(raw) => {
                let parent = raw.inherit.as_ref().map(|parent| parent.as_str());
                Some((None, DocumentFacts::Policy { name: raw.name.as_str(), parent }))
            }
            Body::Attachment(raw) => Some((
                None,
                DocumentFacts::Attachment { policy: raw.policy.as_str(), tested: false },
            )),
            _ => None,
        });
        let (mut policies, mut named_parents, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_name = FxHashMap::default();
        for (at, document) in known.chain(new) {
            match document {
                DocumentFacts::Policy { name, parent } => {
                    if by_name.insert(name, policies.len()).is_some() {
                        return None;
                    }
                    policies.push((name, at));
                    named_parents.push(parent);
                }
                DocumentFacts::Attachment { policy, .. } => owners.push(policy),
                _ => {}
            }
        }
        let find = |name: &str| by_name.get(name).copied();
        owners.into_iter().all(|policy| find(policy).is_some()).then_some(())?;
        let parents: Vec<Option<usize>> = named_parents
            .into_iter()
            .map(|parent| parent.map_or(Some(None), |name| find(name).map(Some)))
            .collect::<Option<_>>()?;
        let sound = |depth: &Option<usize>| depth.is_some_and(|depth| depth <= MAX_CHAIN);
        Lineage::new(&parents).depths.iter().all(sound).then_some(())?;
        Some(Self { by_name, parents, policies })
    }

    /// Some policies with all their ancestors; names that there are not stay out.
    fn with_ancestors<'n>(&self, names: impl Iterator<Item = &'n str>) -> FxHashSet<usize> {
        let mut found = FxHashSet::default();
        for name in names {
            let mut at = self.by_name.get(name).copied();
            while let Some(policy) = at.filter(|policy| found.insert(*policy)) {
                at = self.parents.get(policy).copied().flatten();
            }
        }
        found
    }
}

/// Whether a test may come out otherwise than it did.
fn tests_concerned(facts: &Facts<'_>, changes: &[StagedChange<'_, '_>], loaded: &Loaded) -> bool {
    let old = || changes.iter().filter_map(|change| change.old).flat_map(|old| &old.documents);
    let directly = |document: &DocumentFacts<'_>| {
        matches!(document, DocumentFacts::Test | DocumentFacts::Attachment { tested: true, .. })
    };
    if old().any(directly) {
        return true;
    }
    let new = |document: &Document| match &document.body {
        Body::Test(_) => true,
        Body::Attachment(raw) => facts.tested.may_match(raw),
        _ => false,
    };
    if loaded.documents.iter().any(new) {
        return true;
    }
    let exercised = exercised(facts);
    let old = old().filter_map(|document| match document {
        DocumentFacts::Policy { name, .. } => Some(*name),
        _ => None,
    });
    let new = loaded.documents.iter().filter_map(|document| match &document.body {
        Body::Policy(raw) => Some(raw.name.as_str()),
        _ => None,
    });
    old.chain(new).any(|name| exercised.contains(name))
}

/// The policies that a case may get or asks for, with all their ancestors, as the known set has them.
fn exercised<'f>(facts: &'f Facts<'_>) -> FxHashSet<&'f str> {
    let mut found: FxHashSet<&str> = FxHashSet::default();
    if facts.tested.cases == 0 {
        return found;
    }
    let documents = || facts.files.iter().flat_map(|file| &file.documents);
    let parents: FxHashMap<&str, Option<&str>> = documents()
        .filter_map(|document| match document {
            DocumentFacts::Policy { name, parent } => Some((*name, *parent)),
            _ => None,
        })
        .collect();
    let attached = documents().filter_map(|document| match document {
        DocumentFacts::Attachment { policy, tested: true } => Some(*policy),
        _ => None,
    });
    for name in attached.chain(facts.tested.requested.iter().copied()) {
        let mut at = Some(name);
        while let Some(name) = at.filter(|name| found.insert(name)) {
            at = parents.get(name).copied().flatten();
        }
    }
    found
}

/// The policies that must be at hand: those that the changed documents name, and where tests run, those that
/// a case may get or asks for; all with their ancestors.
fn company(
    facts: &Facts<'_>,
    changed: &FxHashSet<&str>,
    graph: &Graph<'_>,
    loaded: &Loaded,
    tests_run: bool,
) -> FxHashMap<usize, FxHashSet<String>> {
    let named = loaded.documents.iter().filter_map(|document| match &document.body {
        Body::Policy(raw) => Some(raw.name.as_str()),
        Body::Attachment(raw) => Some(raw.policy.as_str()),
        _ => None,
    });
    let unchanged = facts.files.iter().filter(|file| tests_run && !changed.contains(file.path));
    let tested = unchanged.flat_map(|file| &file.documents).filter_map(|document| match document {
        DocumentFacts::Attachment { policy, tested: true } => Some(*policy),
        _ => None,
    });
    let asked = Tested::of(loaded);
    let requested =
        facts.tested.requested.iter().chain(&asked.requested).copied().filter(|_| tests_run);
    let mut by_file: FxHashMap<usize, FxHashSet<String>> = FxHashMap::default();
    for policy in graph.with_ancestors(named.chain(tested).chain(requested)) {
        if let Some((name, Some(file))) = graph.policies.get(policy) {
            by_file.entry(*file).or_default().insert((*name).to_owned());
        }
    }
    by_file
}

/// The documents of the company, the catalogs, and where tests run, the tests and all that they may match.
fn read_company(
    facts: &Facts<'_>,
    changed: &FxHashSet<&str>,
    company: &FxHashMap<usize, FxHashSet<String>>,
    tests_run: bool,
    from: &dyn Contents,
) -> Result<Vec<Document>> {
    let mut found = Vec::new();
    for (at, file) in
        facts.files.iter().enumerate().filter(|(_, file)| !changed.contains(file.path))
    {
        let takes = |document: &DocumentFacts<'_>| match document {
            DocumentFacts::Catalog => true,
            DocumentFacts::Test => tests_run,
            DocumentFacts::Attachment { tested, .. } => tests_run && *tested,
            _ => false,
        };
        let names = company.get(&at);
        if names.is_none() && !file.documents.iter().any(takes) {
            continue;
        }
        let due = |document: &Document| match &document.body {
            Body::Policy(raw) => names.is_some_and(|names| names.contains(raw.name.as_str())),
            Body::Attachment(raw) => tests_run && facts.tested.may_match(raw),
            Body::Catalog(_) => true,
            Body::Test(_) => tests_run,
            Body::Repository(_) | Body::Invariant(_) => false,
        };
        found.extend(read(file, from)?.documents.into_iter().filter(due));
    }
    Ok(found)
}

fn judge(facts: &Facts<'_>, loaded: Loaded, tests_run: bool) -> Result<bool> {
    let checked = check_errors(loaded);
    let Some(set) = checked.set else { return Ok(false) };
    let sizes = set.conditions.iter().map(|condition| condition.compiled_size() as u64);
    if facts.regex.saturating_add(sizes.sum()) > REGEX_TOTAL as u64 {
        return Ok(false);
    }
    if !tests_run {
        return Ok(true);
    }
    let engine = Engine::new(Arc::new(set));
    // A test that asks for a version is judged with the whole set only.
    let mut named = |name: &str| match name.contains('@') {
        true => Ok(Requested::Missing(name.to_owned())),
        false => Ok(Requested::Named(name.to_owned())),
    };
    Ok(run_tests(&engine, &TestOptions { fail_fast: true, ..TestOptions::default() }, &mut named)?
        .failed
        == 0)
}
