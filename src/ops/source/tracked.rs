//! The set of a tree, followed by what differs: the one engine behind the daemon, the verbs that
//! judge trees, and the hook that judges the index.
//!
//! It knows every file of the last tree by the id of its content, and the documents of those files
//! that it had to look at. From one tree to the next only the files that differ are read; what they
//! change is judged beside the few documents that it concerns ([`PolicySet::with_change`]), and the
//! whole set only where that is not enough.
//!
//! An example. The last tree held `a.yaml`, `b.yaml` and 9,998 others; the next has another
//! `b.yaml`, with a policy that inherits from one of `a.yaml`. Read are both contents of `b.yaml`,
//! and `a.yaml` if its documents are not in memory.
//!
//! What a verb came to is kept in the git directory (`kept`), so that the next one need not begin
//! with the whole tree. Must not know what a set is judged for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use refguard_core::document::{Body, Document, Loaded, Release, SourceFile};
use refguard_core::policy::{
    FileChange, PolicySet, changes_cases, check_errors, check_errors_beside, named_policies,
};
use refguard_core::resolve::Engine;

use crate::ops::source::disk::DiskFiles;
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::kept;
use crate::ops::source::load::{self, NoProgress, Progress};
use crate::ops::{Judged, Keep, Workspace};
use crate::repo::{BlobId, Change, CommitId, Entry, EntryKind, Listing, Repo, Side, TreeId};

/// So many files may differ from what is kept before it is written anew: below that, reading them
/// again costs less than writing the whole set.
const MOST_DRIFT: usize = 256;

/// More changed files than this are parsed by several threads.
const FEW_FILES: usize = 32;

/// A set that follows a tree, the index or a work tree, by what differs.
#[derive(Default)]
pub struct TrackedSet {
    known: Option<Known>,
    /// What answers for the tree that is known, where that is a sound set by the rules of now. A
    /// set that only older rules take is judged whole each time, so that what is said against it is
    /// complete.
    engine: Option<Arc<Engine>>,
    kept: KeptState,
}

/// What became of the set that is kept in the git directory.
#[derive(Default, PartialEq)]
enum KeptState {
    /// It was not looked for.
    #[default]
    Unread,
    /// There is none that is of use.
    Absent,
    /// It was read; so many files were read since.
    Read { drift: usize },
}

/// Every file of a tree that belongs to the set.
pub(super) struct Known {
    /// `None`: it was no tree of the repository but an index or a work tree.
    pub tree: Option<TreeId>,
    pub prefix: String,
    pub filter: Filter,
    pub files: BTreeMap<Arc<str>, TrackedFile>,
    /// Files with documents that are neither policies nor attachments.
    pub others: BTreeSet<Arc<str>>,
    pub bytes: u64,
}

/// One file.
pub(super) struct TrackedFile {
    pub side: Side,
    pub size: u64,
    /// What it says; `None`: nobody has asked yet.
    pub loaded: Option<Loaded>,
}

/// What is read whole, or followed.
#[derive(Clone, Copy)]
enum Target<'a> {
    Tree(TreeId),
    /// Every wanted path of an index, sorted.
    Index(&'a [(Arc<str>, Side)]),
}

/// What a set that is known already can be followed to.
#[derive(Clone, Copy)]
enum Next<'a> {
    Target(Target<'a>),
    /// A work tree. Its contents need not be objects of the repository.
    Disk(&'a DiskFiles<'a>),
}

impl Next<'_> {
    fn tree(self) -> Option<TreeId> {
        match self {
            Self::Target(Target::Tree(tree)) => Some(tree),
            Self::Target(Target::Index(_)) | Self::Disk(_) => None,
        }
    }

    /// What stands at a path of it, unparsed.
    fn fetch(self, repo: &Repo, path: &str, side: Side) -> Result<UnreadFile> {
        match self {
            Self::Target(_) => UnreadFile::fetch(repo, path, side),
            Self::Disk(files) => UnreadFile::fetch_from_disk(files, path),
        }
    }
}

/// What differs from the tree that was read before.
#[derive(Debug)]
pub struct Delta {
    /// The tree that was read before; `None`: an index or a work tree.
    pub from: Option<TreeId>,
    before: Vec<Document>,
    after: Vec<Document>,
    /// Nothing is wrong with the form of the files that differ.
    faultless: bool,
    files: usize,
}

impl std::fmt::Debug for TrackedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackedSet")
            .field("tree", &self.tree())
            .finish_non_exhaustive()
    }
}

// === following ===

impl TrackedSet {
    /// Reads a commit's tree below a prefix: only what differs from the tree that was read before,
    /// which is given; `None` where all was read anew. A failure leaves what is known as it was.
    ///
    /// # Errors
    /// Where the tree or a file of it cannot be read, or it passes a limit.
    pub fn advance(
        &mut self,
        repo: &Repo,
        commit: CommitId,
        prefix: &str,
    ) -> Result<Option<Delta>> {
        self.advance_to(
            repo,
            Target::Tree(repo.tree_of(commit)?),
            prefix,
            &NoProgress,
        )
    }

    /// `progress` hears of a set that is read whole.
    fn advance_to(
        &mut self,
        repo: &Repo,
        target: Target<'_>,
        prefix: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Delta>> {
        let delta = self.read_difference(repo, Next::Target(target), prefix)?;
        if delta.is_none() {
            self.known = Some(Known::read(repo, target, prefix, progress)?);
        }
        Ok(delta)
    }

    /// Takes in what differs from what is known. `None` where all must be read: at first, where the
    /// settings that say what is read have changed, and where the known content is no longer there
    /// (another repository, or `git gc` after a forced move).
    fn read_difference(
        &mut self,
        repo: &Repo,
        next: Next<'_>,
        prefix: &str,
    ) -> Result<Option<Delta>> {
        let Some(known) = self.known.as_mut().filter(|known| known.prefix == prefix) else {
            return Ok(None);
        };
        let changes = known.find_changes(repo, next)?;
        if changes.iter().any(|change| &*change.path == SETTINGS) {
            return Ok(None);
        }
        let Some(before) = known.documents_before(repo, &changes) else {
            return Ok(None);
        };

        let files = known.read_changed(repo, next, &changes)?;
        Ok(Some(known.take_in(next.tree(), before, files)?))
    }

    /// The tree that was read last.
    pub fn tree(&self) -> Option<TreeId> {
        self.known.as_ref().and_then(|known| known.tree)
    }

    /// All documents of what was read last.
    ///
    /// # Errors
    /// Where one was not looked at yet, and cannot be read.
    pub fn load_all(&mut self, repo: &Repo) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        if let Some(known) = &mut self.known {
            known.load_all(repo)?;
            let files = known.files.values().filter_map(|file| file.loaded.as_ref());
            files.for_each(|file| loaded.append_loaded(file.clone()));
        }
        Ok(loaded)
    }

    /// The files that were looked at and have documents.
    pub fn list_sources(&self) -> Vec<SourceFile> {
        let files = self.known.iter().flat_map(|known| known.files.values());
        let loaded = files.filter_map(|file| file.loaded.as_ref());
        let loaded = loaded.filter(|loaded| !loaded.documents.is_empty());
        loaded
            .flat_map(|loaded| loaded.sources.iter().cloned())
            .collect()
    }

    /// What answers for the tree that was read last, made from what answers for the one before;
    /// `None` where the whole must be judged.
    pub fn patch_set(&self, repo: &Repo, delta: &Delta, engine: &Engine) -> Option<Engine> {
        let known = self.known.as_ref().filter(|_| delta.faultless)?;
        let set = engine.set();
        let around = known.find_company(repo, set, delta)?;
        let change = FileChange {
            before: &delta.before,
            after: &delta.after,
            around: &around,
        };
        Some(engine.with_patch(set.with_change(change)?))
    }
}

// === judging ===

impl TrackedSet {
    /// Reads and judges the set of a tree by the rules of a release; of a tree like one that was
    /// judged before, only what differs.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn judge_tree(
        &mut self,
        workspace: &Workspace,
        tree: TreeId,
        as_of: Release,
        progress: &dyn Progress,
    ) -> Result<Judged> {
        Ok(self
            .judge_set(workspace, Target::Tree(tree), as_of, progress)?
            .0)
    }

    /// The same of the index that git names, given as every wanted path of it; with how many files
    /// were read, where not all were.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn judge_index(
        &mut self,
        workspace: &Workspace,
        staged: &[(Arc<str>, Side)],
        progress: &dyn Progress,
    ) -> Result<(Judged, Option<usize>)> {
        self.judge_set(workspace, Target::Index(staged), Release::CURRENT, progress)
    }

    /// The same of a work tree, which need not be one of git's. What it holds is not kept for the
    /// next run: git may never come to hold it.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn judge_disk(
        &mut self,
        workspace: &Workspace,
        listing: Listing<'_>,
        progress: &dyn Progress,
    ) -> Result<Judged> {
        if let Some(engine) = self.follow_to_disk(workspace, &listing)? {
            self.engine = Some(Arc::clone(&engine));
            return Ok(Judged::Sound(engine));
        }

        // The ids of what is read from now on are not known, so there is nothing to follow from.
        (self.known, self.engine) = (None, None);
        Ok(Judged::from(check_errors(
            load::read(listing, progress)?,
            Release::CURRENT,
        )))
    }

    /// What answers for a work tree, made from what answers for the tree that was read before;
    /// `None` where the whole must be judged.
    fn follow_to_disk(
        &mut self,
        workspace: &Workspace,
        listing: &Listing<'_>,
    ) -> Result<Option<Arc<Engine>>> {
        let Ok(repo) = workspace.repo() else {
            return Ok(None);
        };
        self.begin_from_kept(workspace);
        let Some((known, before)) = self.known.as_ref().zip(self.engine.take()) else {
            return Ok(None);
        };

        let files = DiskFiles::identify(listing, &known.filter)?;
        let delta = self.read_difference(repo, Next::Disk(&files), workspace.root().prefix())?;
        Ok(self
            .patch_engine(repo, delta, Some(before))
            .map(|(engine, _)| engine))
    }

    /// As [`Self::judge_tree`], with all documents of the tree, for those who judge on.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn judge_and_read(
        &mut self,
        workspace: &Workspace,
        tree: TreeId,
        as_of: Release,
        progress: &dyn Progress,
    ) -> Result<(Judged, Loaded)> {
        let judged = self.judge_tree(workspace, tree, as_of, progress)?;
        Ok((judged, self.load_all(workspace.repo()?)?))
    }

    fn judge_set(
        &mut self,
        workspace: &Workspace,
        target: Target<'_>,
        as_of: Release,
        progress: &dyn Progress,
    ) -> Result<(Judged, Option<usize>)> {
        let (repo, prefix) = (workspace.repo()?, workspace.root().prefix());
        self.begin_from_kept(workspace);

        let before = self.engine.take();
        let delta = self.advance_to(repo, target, prefix, progress)?;
        let (judged, files_read) = match self.patch_engine(repo, delta, before.clone()) {
            Some((engine, files)) => (Judged::Sound(engine), Some(files)),
            None => {
                let known = before.as_ref().map(|before| &**before.set());
                let checked = check_errors_beside(self.load_all(repo)?, as_of, known);
                (Judged::from(checked), None)
            }
        };

        if let Judged::Sound(engine) = &judged {
            self.engine = Some(Arc::clone(engine));
            self.keep_set(workspace, files_read);
        }
        Ok((judged, files_read))
    }

    /// What answers for the tree that was read last, and how many files were read for it; `None`
    /// where the whole must be judged.
    fn patch_engine(
        &self,
        repo: &Repo,
        delta: Option<Delta>,
        before: Option<Arc<Engine>>,
    ) -> Option<(Arc<Engine>, usize)> {
        let (delta, before) = (delta?, before?);
        match delta.files {
            0 => Some((before, 0)),
            files => Some((Arc::new(self.patch_set(repo, &delta, &before)?), files)),
        }
    }

    /// Begins from the set that an earlier run kept; says whether there was one. Never for a
    /// judgement that those who may write into the repository must not sway.
    pub(in crate::ops) fn begin_from_kept(&mut self, workspace: &Workspace) -> bool {
        if self.kept == KeptState::Unread && workspace.keep() == Keep::InGitDir {
            self.kept = KeptState::Absent;
            let kept = workspace
                .repo()
                .ok()
                .and_then(|repo| kept::read_kept(repo, workspace.root().prefix()));
            if let Some((known, set)) = kept {
                self.known = Some(known);
                self.engine = Some(Arc::new(Engine::new(Arc::new(set))));
                self.kept = KeptState::Read { drift: 0 };
            }
        }
        matches!(self.kept, KeptState::Read { .. })
    }

    /// Keeps the sound set at hand for the next run, unless what is kept is near enough.
    fn keep_set(&mut self, workspace: &Workspace, files_read: Option<usize>) {
        if workspace.keep() != Keep::InGitDir {
            return;
        }
        let drift = match (&self.kept, files_read) {
            (KeptState::Read { drift }, Some(files)) => drift + files,
            _ => usize::MAX,
        };
        let (Some(known), Some(engine), Ok(repo)) = (&self.known, &self.engine, workspace.repo())
        else {
            return;
        };
        if drift > MOST_DRIFT {
            kept::write_kept(repo, known, engine.set());
        }
        self.kept = KeptState::Read {
            drift: if drift > MOST_DRIFT { 0 } else { drift },
        };
    }
}

impl Known {
    /// Reads every file of a tree or an index.
    fn read(
        repo: &Repo,
        target: Target<'_>,
        prefix: &str,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (tree, mut listing) = match target {
            Target::Tree(tree) => (Some(tree), repo.list_tree(tree, prefix, &load::wanted)?),
            Target::Index(sides) => (None, repo.list_sides(sides)?),
        };
        let filter = load::filter(&listing)?;
        let parts = load::read_parts(&mut listing, &filter, progress)?;
        let mut known = Self {
            tree,
            prefix: prefix.to_owned(),
            filter,
            files: BTreeMap::new(),
            others: BTreeSet::new(),
            bytes: 0,
        };
        for (entry, loaded) in listing.entries.iter().zip(parts) {
            let side = Side {
                kind: entry.kind,
                blob: entry.blob,
            };
            let file = TrackedFile {
                side,
                size: entry.size,
                loaded: Some(loaded),
            };
            known.put_file(entry.path.clone(), Some(file));
        }
        Ok(known)
    }

    /// The paths that differ, among those that count.
    fn find_changes(&self, repo: &Repo, next: Next<'_>) -> Result<Vec<Change>> {
        let changes = match (next, self.tree) {
            (Next::Target(Target::Tree(tree)), Some(known)) => {
                let found = repo.diff_trees(Some(known), Some(tree), &self.prefix, &load::wanted);
                // The known tree may be gone from the repository; the ids of its files are not.
                match found {
                    Ok(changes) => changes,
                    Err(_) => self.compare_entry(&self.sides_of(repo, tree)?),
                }
            }
            (Next::Target(Target::Tree(tree)), None) => {
                self.compare_entry(&self.sides_of(repo, tree)?)
            }
            (Next::Target(Target::Index(sides)), _) => self.compare_entry(sides),
            (Next::Disk(files), _) => self.compare_entry(&files.sides),
        };
        Ok(changes
            .into_iter()
            .filter(|change| self.filter.admits(&change.path))
            .collect())
    }

    fn sides_of(&self, repo: &Repo, tree: TreeId) -> Result<Vec<(Arc<str>, Side)>> {
        Ok(repo.tree_sides(tree, &self.prefix, &load::wanted)?)
    }

    /// What differs between the known files and some others, which are sorted. A file without an id
    /// always does.
    fn compare_entry(&self, sides: &[(Arc<str>, Side)]) -> Vec<Change> {
        let mut old = self.files.iter().peekable();
        let mut changes = Vec::new();
        let change = |path: &Arc<str>, old: Option<Side>, new: Option<Side>| Change {
            path: path.clone(),
            old,
            new,
        };
        for (path, side) in sides {
            while let Some((gone, file)) = old.next_if(|(known, _)| *known < path) {
                changes.push(change(gone, Some(file.side), None));
            }
            let before = old
                .next_if(|(known, _)| *known == path)
                .map(|(_, file)| file.side);
            let is_unknown = side.kind == EntryKind::File && side.blob.is_none();
            if before != Some(*side) || is_unknown {
                changes.push(change(path, before, Some(*side)));
            }
        }
        changes.extend(old.map(|(path, file)| change(path, Some(file.side), None)));
        changes
    }

    /// What the files said that differ now; `None` where it cannot be read any more.
    fn documents_before(&self, repo: &Repo, changes: &[Change]) -> Option<Vec<Document>> {
        let mut documents = Vec::new();
        for change in changes
            .iter()
            .filter(|change| self.files.contains_key(&change.path))
        {
            let loaded = self.loaded_file(repo, &change.path)?;
            documents.extend(loaded.documents.iter().cloned());
        }
        Some(documents)
    }

    /// The new contents, in the order of the changes.
    fn read_changed(
        &self,
        repo: &Repo,
        next: Next<'_>,
        changes: &[Change],
    ) -> Result<Vec<(Arc<str>, Option<TrackedFile>)>> {
        let unread = changes.iter().map(|change| {
            let file = change.new.map(|side| next.fetch(repo, &change.path, side));
            Ok((change.path.clone(), file.transpose()?))
        });
        let unread: Vec<(Arc<str>, Option<UnreadFile>)> = unread.collect::<Result<_>>()?;
        let parse =
            |(path, file): (Arc<str>, Option<UnreadFile>)| (path, file.map(UnreadFile::parse_file));
        Ok(match unread.len() > FEW_FILES {
            true => unread.into_par_iter().map(parse).collect(),
            false => unread.into_iter().map(parse).collect(),
        })
    }

    fn take_in(
        &mut self,
        tree: Option<TreeId>,
        before: Vec<Document>,
        files: Vec<(Arc<str>, Option<TrackedFile>)>,
    ) -> Result<Delta> {
        let from = std::mem::replace(&mut self.tree, tree);
        let (count, after) = (files.len(), Vec::new());
        let mut delta = Delta {
            from,
            before,
            after,
            faultless: true,
            files: count,
        };
        for (path, file) in files {
            if let Some(loaded) = file.as_ref().and_then(|file| file.loaded.as_ref()) {
                delta.after.extend(loaded.documents.iter().cloned());
                delta.faultless &= loaded.findings.is_empty();
            }
            self.put_file(path, file);
        }
        load::within_limits(self.files.len(), self.bytes)?;
        Ok(delta)
    }

    /// Puts a file in the place of another, or takes it away.
    fn put_file(&mut self, path: Arc<str>, file: Option<TrackedFile>) {
        match file.as_ref().and_then(|file| file.loaded.as_ref()) {
            Some(loaded) if loaded.documents.iter().any(is_other) => {
                self.others.insert(path.clone());
            }
            _ => {
                self.others.remove(&path);
            }
        }
        self.bytes += file.as_ref().map_or(0, |file| file.size);
        let old = match file {
            Some(file) => self.files.insert(path, file),
            None => self.files.remove(&path),
        };
        self.bytes -= old.map_or(0, |old| old.size);
    }

    /// Reads the files that nobody has asked for yet.
    fn load_all(&mut self, repo: &Repo) -> Result<()> {
        let unread: Vec<(Arc<str>, Side)> = self
            .files
            .iter()
            .filter(|(_, file)| file.loaded.is_none())
            .map(|(path, file)| (path.clone(), file.side))
            .collect();
        if unread.is_empty() {
            return Ok(());
        }
        let mut listing = repo.list_sides(&unread)?;
        let parts = load::read_parts(&mut listing, &self.filter, &NoProgress)?;
        for (entry, loaded) in listing.entries.iter().zip(parts) {
            if let Some(file) = self.files.get_mut(&entry.path) {
                file.loaded = Some(loaded);
            }
        }
        Ok(())
    }

    fn loaded_file(&self, repo: &Repo, path: &str) -> Option<Cow<'_, Loaded>> {
        let file = self.files.get(path)?;
        match &file.loaded {
            Some(loaded) => Some(Cow::Borrowed(loaded)),
            None => {
                let unread = UnreadFile::fetch(repo, path, file.side).ok()?;
                unread.parse_file().loaded.map(Cow::Owned)
            }
        }
    }

    /// The documents in whose company a change can be judged: catalogs and settings, the policies
    /// that it names, and all above them; where tests or invariants change, all others of those.
    fn find_company(&self, repo: &Repo, set: &PolicySet, delta: &Delta) -> Option<Vec<Document>> {
        let cases = changes_cases(&delta.before) || changes_cases(&delta.after);
        let is_company = |document: &&Document| match document.body {
            Body::Catalog(_) | Body::Repository(_) => true,
            Body::Test(_) | Body::Invariant(_) => cases,
            Body::Policy(_) | Body::Attachment(_) => false,
        };
        let changed: BTreeSet<&str> = delta.after.iter().map(|d| &**d.file.path()).collect();
        let mut company: Vec<Document> = Vec::new();
        for path in self
            .others
            .iter()
            .filter(|path| !changed.contains(&***path))
        {
            let loaded = self.loaded_file(repo, path)?;
            company.extend(loaded.documents.iter().filter(is_company).cloned());
        }

        let mut here: BTreeSet<String> = delta
            .after
            .iter()
            .filter_map(policy_name)
            .map(str::to_owned)
            .collect();
        let mut wanted: Vec<String> = named_policies(&delta.after).map(str::to_owned).collect();
        while let Some(name) = wanted.pop() {
            if here.insert(name.clone()) {
                let document = self.find_policy(repo, set, &name)?;
                wanted.extend(named_policies(std::slice::from_ref(&document)).map(str::to_owned));
                company.push(document);
            }
        }
        Some(company)
    }

    /// The document of a policy of a set that was made from what is known, or from the tree before.
    fn find_policy(&self, repo: &Repo, set: &PolicySet, name: &str) -> Option<Document> {
        let (_, policy) = set.find_policy(name)?;
        let loaded = self.loaded_file(repo, &policy.place.file)?;
        loaded
            .documents
            .iter()
            .find(|document| policy_name(document) == Some(name))
            .cloned()
    }
}

fn policy_name(document: &Document) -> Option<&str> {
    match &document.body {
        Body::Policy(raw) => Some(raw.name.as_str()),
        _ => None,
    }
}

/// Whether a document is neither a policy nor an attachment.
fn is_other(document: &Document) -> bool {
    !matches!(document.body, Body::Policy(_) | Body::Attachment(_))
}

/// A file whose content is at hand and not parsed.
struct UnreadFile {
    entry: Entry,
    /// What it comes to unread, or its content.
    content: Result<Vec<u8>, Loaded>,
}

impl UnreadFile {
    fn fetch(repo: &Repo, path: &str, side: Side) -> Result<Self> {
        let size = side.blob.map_or(Ok(0), |blob| repo.blob_size(blob))?;
        let entry = Entry {
            path: path.into(),
            kind: side.kind,
            size,
            blob: side.blob,
        };
        let content = match (load::skipped(&entry), side.blob) {
            (Some(skipped), _) => Err(skipped),
            (None, Some(blob)) => Ok(read_content(repo, path, blob)?),
            // A file of a tree has a blob; what has none is no file.
            (None, None) => Err(Loaded::not_a_file(path, EntryKind::Special.describe())),
        };
        Ok(Self { entry, content })
    }

    fn fetch_from_disk(files: &DiskFiles<'_>, path: &str) -> Result<Self> {
        let (entry, content) = files
            .read(path)?
            .with_context(|| format!("cannot read `{path}`"))?;
        let content = load::skipped(&entry).map_or(Ok(content), Err);
        Ok(Self { entry, content })
    }

    fn parse_file(self) -> TrackedFile {
        let Self { entry, content } = self;
        let loaded = match content {
            Ok(bytes) => load::parse(&entry, bytes),
            Err(skipped) => skipped,
        };
        let side = Side {
            kind: entry.kind,
            blob: entry.blob,
        };
        TrackedFile {
            side,
            size: entry.size,
            loaded: Some(loaded),
        }
    }
}

fn read_content(repo: &Repo, path: &str, blob: BlobId) -> Result<Vec<u8>> {
    repo.read_blob(blob)
        .with_context(|| format!("cannot read `{path}`"))
}

#[cfg(test)]
mod tests;
