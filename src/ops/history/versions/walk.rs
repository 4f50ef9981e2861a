//! Through history from the oldest commit to the newest, by what each changed.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustc_hash::FxHashMap;

use super::documents::{Changed, Documents};
use super::holding::{Edit, Holding, Now, Outcome};
use super::{Effort, PublishedTip, VersionIndex, record};
use crate::ops::source::load::{Progress, wanted};
use crate::repo::{Change, CommitId, Repo, TreeId};

/// Commits whose changed files are in memory at once: enough to keep all threads busy.
const STEPS_AT_ONCE: usize = 1_000;

/// How far a walk has come.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    steps: usize,
    of: usize,
}

/// A commit of the first-parent chain.
type Step = (CommitId, TreeId);

/// The commits from where an earlier walk ended to the tip.
struct Chain {
    /// The tree that the first step is compared with.
    base: Option<TreeId>,
    /// The oldest first.
    steps: Vec<Step>,
    /// Whether the earlier walk's end was met: its result is continued, not begun again.
    continues: bool,
}

/// Continues an earlier index where its tip is on the chain; else begins anew.
pub(super) fn read_history(
    repo: &Repo,
    published: PublishedTip<'_>,
    earlier: Option<&VersionIndex>,
    effort: Effort,
    progress: &dyn Progress,
) -> Result<Option<VersionIndex>> {
    let PublishedTip { prefix, tip } = published;
    let earlier = earlier.filter(|earlier| earlier.prefix == prefix);
    let chain = first_parents(repo, tip, earlier.map(|earlier| earlier.tip), effort)
        .context("cannot number versions")?;
    let Some(chain) = chain else { return Ok(None) };
    let (mut holding, mut changes) = match earlier.filter(|_| chain.continues) {
        Some(earlier) => (earlier.holding.clone(), earlier.changes.clone()),
        None => (Holding::default(), Vec::new()),
    };

    let mut base = chain.base;
    for (number, steps) in chain.steps.chunks(STEPS_AT_ONCE).enumerate() {
        let done = Done {
            steps: number * STEPS_AT_ONCE,
            of: chain.steps.len(),
        };
        // Opened anew, to let go of the objects that libgit2 caches for as long as a repository is
        // open.
        let repo = repo.reopen()?;
        let mut edits = Edits::read_history(&repo, prefix, &holding, base, steps, done, progress)?;
        for (commit, changed) in edits.take() {
            let edit = edits.of(&changed);
            record(&mut changes, commit, holding.edit(&edit, true));
        }
        base = steps.last().map(|(_, tree)| *tree);
    }
    Ok(Some(VersionIndex {
        tip,
        prefix: prefix.to_owned(),
        holding,
        changes,
    }))
}

/// The policies of another commit that differ from those at the index's tip, with their digests
/// there.
pub(super) fn policies_elsewhere(
    repo: &Repo,
    index: &VersionIndex,
    commit: CommitId,
) -> Result<FxHashMap<Arc<str>, Option<String>>> {
    let base = Some(repo.tree_of(index.tip)?);
    let steps = [(commit, repo.tree_of(commit)?)];
    let (done, progress) = (Done::default(), &crate::ops::NoProgress);
    let mut edits = Edits::read_history(
        repo,
        &index.prefix,
        &index.holding,
        base,
        &steps,
        done,
        progress,
    )?;
    let mut holding = index.holding.clone();
    let mut differing = FxHashMap::default();
    for (_, changed) in edits.take() {
        let edit = edits.of(&changed);
        for (name, outcome) in holding.edit(&edit, false) {
            let digest = match outcome {
                Outcome::Is(content) => Some(content.digest.to_string()),
                Outcome::Absent | Outcome::Ambiguous => None,
            };
            differing.insert(holding.names.text(name).into(), digest);
        }
    }
    Ok(differing)
}

fn first_parents(
    repo: &Repo,
    tip: CommitId,
    until: Option<CommitId>,
    effort: Effort,
) -> Result<Option<Chain>> {
    let most = match effort {
        Effort::Whole => usize::MAX,
        Effort::Continue(_) if until.is_none() => return Ok(None),
        Effort::AtMost(most) | Effort::Continue(most) => most,
    };
    let mut steps = Vec::new();
    let mut next = Some(tip);
    // As in `read`: opened anew now and then.
    let mut fresh = repo.reopen()?;
    while let Some(id) = next {
        if until == Some(id) {
            steps.reverse();
            return Ok(Some(Chain {
                base: Some(repo.tree_of(id)?),
                steps,
                continues: true,
            }));
        }
        if steps.len() == most {
            return Ok(None);
        }
        if !steps.is_empty() && steps.len().is_multiple_of(STEPS_AT_ONCE) {
            fresh = repo.reopen()?;
        }
        let link = fresh.read_link(id)?;
        steps.push((id, link.tree));
        next = link.parent;
    }
    steps.reverse();
    Ok(Some(Chain {
        base: None,
        steps,
        continues: false,
    }))
}

/// What each commit changed, and what the files that it touched say.
struct Edits {
    changed: Vec<Changed>,
    documents: Documents,
}

impl Edits {
    fn read_history(
        repo: &Repo,
        prefix: &str,
        holding: &Holding,
        base: Option<TreeId>,
        steps: &[Step],
        done: Done,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut documents = Documents::after(holding.held_paths());
        let mut changed = Vec::new();
        let (mut diffs, mut before) = (repo.tree_diffs()?, base);
        let trees = steps
            .iter()
            .zip(done.steps + 1..)
            .map(|((commit, tree), number)| {
                let found = diffs.diff_trees(before, Some(*tree), prefix, &wanted)?;
                before = Some(*tree);
                progress.step(number, done.of);
                Ok((*commit, found))
            });
        documents.read(repo, trees, &mut changed)?;
        Ok(Self { changed, documents })
    }

    fn take(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.changed)
    }

    fn of(&self, changed: &[Change]) -> Vec<Edit> {
        let edit = |change: &Change| Edit {
            path: change.path.clone(),
            now: change.new.map(|side| Now {
                docs: self.documents.get(&change.path, side),
                blob: side.blob,
            }),
        };
        changed.iter().map(edit).collect()
    }
}
