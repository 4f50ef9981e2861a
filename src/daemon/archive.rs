//! How environments stand beside what is published, and their sets as they once were, for people
//! who ask.
//!
//! Everything here reads git: it is for threads that answer nobody else. What was read of old sets
//! is kept, a few of them, since one question about an old set is followed by others.

use std::fs;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::history::{History, NoHistory};
use super::notes::lock_unpoisoned;
use super::past::{PageKey, PastSet};
use crate::ops::{
    Address, EnvironmentStatus, Judged, LogEntry, LogPage, NoProgress, Rules, Source, TrackedSet,
    Which, Workspace,
};
use crate::repo::{CommitId, HistoryEntry};

/// Entries of an environment's history that are looked through for what is served.
const RECENT: usize = 8;
/// Sets of the past that are kept.
const MAX_PAST: usize = 4;
/// Pages of histories that are kept.
const MAX_PAGES: usize = 8;
/// Bytes of a file that is shown.
const MAX_FILE: u64 = 4 << 20;
/// Digits of a commit that tell it from others.
const MIN_COMMIT: usize = 7;

/// An environment as its repository has it.
#[derive(Debug)]
pub struct Standing {
    /// Beside the publish branch.
    pub environment: EnvironmentStatus,
    /// Its newest promotions, and what else moved it.
    pub recent: Vec<LogEntry>,
}

/// Which of an environment's sets is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    Promotion(u64),
    /// Seconds since 1970.
    Time(i64),
    /// The beginning of a commit's hash.
    Commit(String),
}

impl When {
    /// A number, a time (RFC 3339, or a date, in UTC where no zone is named), or the beginning of a
    /// commit.
    fn parse_time(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix('#').unwrap_or(text);
        if digits.len() < 10
            && let Ok(number) = digits.parse()
        {
            return Some(Self::Promotion(number));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(Self::Time(time.as_second()));
        }
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if (MIN_COMMIT..=64).contains(&text.len()) && text.bytes().all(is_hex) {
            return Some(Self::Commit(text.to_owned()));
        }
        let at_end_of_day = |date: civil::Date| date.at(23, 59, 59, 0);
        let civil = match text.contains([':', 'T']) {
            true => text.parse::<civil::DateTime>().ok(),
            false => text.parse::<civil::Date>().ok().map(at_end_of_day),
        };
        let time = civil?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Self::Time(time.as_second()))
    }
}

/// The instant that a text names: a time, or a date for the end of that day.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    match When::parse_time(text) {
        Some(When::Time(seconds)) => {
            let whole = Timestamp::from_second(seconds).ok()?;
            // An attachment may end within a second.
            Some(text.trim().parse().unwrap_or(whole))
        }
        _ => None,
    }
}

impl History {
    /// How an environment stands.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn standing_at(&self, environment: &str) -> Result<Standing, NoHistory> {
        let workspace = self.open_workspace()?;
        let page = self.promotion_page(environment, None, RECENT)?;
        let environment = workspace.environment_standing(environment)?;
        Ok(Standing {
            environment,
            recent: page.log.promotions.clone(),
        })
    }

    /// A page of an environment's promotions.
    ///
    /// # Errors
    /// Where git cannot be read, or no longer has the cursor of that page.
    pub fn promotion_page(
        &self,
        environment: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Arc<LogPage>, NoHistory> {
        let workspace = self.open_workspace()?;
        let ledger = workspace.ledger_now(environment, self.known_ledger(environment))?;
        self.remember_ledger(environment, ledger.clone());
        let of = PageKey {
            environment: environment.to_owned(),
            tips: (ledger.tip, ledger.recorded),
            cursor: cursor.map(str::to_owned),
            limit,
        };
        if let Some((_, page)) = lock_unpoisoned(&self.pages)
            .iter()
            .find(|(known, _)| *known == of)
        {
            return Ok(page.clone());
        }

        // The first promotion of all brings every policy: what it changed is expensive to tell.
        let page = workspace.log_page(environment, &ledger, cursor, limit)?;
        let page = Arc::new(page.ok_or(NoHistory::Changed)?);
        let mut kept = lock_unpoisoned(&self.pages);
        kept.insert(0, (of, page.clone()));
        kept.truncate(MAX_PAGES);
        Ok(page)
    }

    /// The set that was in an environment: at a promotion, at a time, or as a tip that it once had;
    /// also a commit that is published or leads to the tip. Nothing else can be named, so that
    /// nobody sees a draft.
    ///
    /// It has all of its documents, also attachments that are expired.
    ///
    /// # Errors
    /// Where there was none, it is not valid, or git cannot be read.
    pub fn documents_at(&self, environment: &str, when: &str) -> Result<Arc<PastSet>, NoHistory> {
        let workspace = self.open_workspace()?;
        let ledger = workspace.ledger_now(environment, self.known_ledger(environment))?;
        self.remember_ledger(environment, ledger.clone());

        let entries = || ledger.list_entries().map(identify_entry);
        let found = match When::parse_time(when) {
            None => None,
            Some(When::Promotion(number)) => entries().find(|(_, of)| *of == Some(number)),
            Some(When::Time(seconds)) => ledger
                .at_time(seconds)
                .map(|it| identify_entry(HistoryEntry::Promotion(it))),
            Some(When::Commit(start)) => {
                let told = entries().find(|(commit, _)| commit.to_string().starts_with(&start));
                told.or(published_commit(&workspace, ledger.tip, &start)?.map(|it| (it, None)))
            }
        };
        let Some((commit, promotion)) = found else {
            return Err(NoHistory::NotFound(format!(
                "`{environment}` has no promotion, and nothing was in force in it, at `{when}`"
            )));
        };

        let hash = commit.to_string();
        if let Some(known) = self.known_past(environment, &hash) {
            return Ok(known);
        }
        let mut sets = TrackedSet::default();
        let source = Source::At(hash.clone());
        let (judged, _) = workspace.judge(&source, Rules::OfThen, &mut sets, &NoProgress)?;
        let engine = match judged {
            Judged::Sound(engine) | Judged::Outdated(engine, _) => engine,
            Judged::Faulty(checked) => {
                let first = checked
                    .errors()
                    .next()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                return Err(NoHistory::NotFound(format!(
                    "that set is not valid: {first}"
                )));
            }
        };
        let past = PastSet {
            environment: environment.to_owned(),
            commit: hash,
            promotion,
            engine,
        };
        let past = Arc::new(past);
        let mut kept = lock_unpoisoned(&self.past);
        kept.insert(0, past.clone());
        kept.truncate(MAX_PAST);
        Ok(past)
    }

    /// One that was read before, which becomes the last that was asked for.
    fn known_past(&self, environment: &str, commit: &str) -> Option<Arc<PastSet>> {
        let mut kept = lock_unpoisoned(&self.past);
        let at = kept
            .iter()
            .position(|it| it.environment == environment && it.commit == commit)?;
        let found = kept.remove(at);
        kept.insert(0, found.clone());
        Some(found)
    }

    /// The text of the document that has a line of a file, in a commit or the work tree.
    ///
    /// # Errors
    /// Where it cannot be read, or is too large.
    pub fn document_text(
        &self,
        commit: Option<&str>,
        file: &str,
        line: u32,
    ) -> Result<String, NoHistory> {
        let workspace = self.open_workspace()?;
        let too_large = || NoHistory::NotFound(format!("`{file}` is too large to be shown"));
        let bytes = match commit {
            Some(commit) => {
                let repo = workspace.repo()?;
                let unreadable = |error: crate::repo::RepoError| anyhow::Error::from(error);
                let tree = repo
                    .tree_of(commit.parse().map_err(anyhow::Error::from)?)
                    .map_err(unreadable)?;
                let prefix = workspace.root().prefix();
                let path = if prefix.is_empty() {
                    file.to_owned()
                } else {
                    format!("{prefix}/{file}")
                };
                let blob = repo
                    .item_at(tree, &path)
                    .map_err(unreadable)?
                    .and_then(|it| it.blob_id());
                let Some(blob) = blob else {
                    return Err(NoHistory::NotFound(format!("there is no file `{file}`")));
                };
                if repo.blob_size(blob).map_err(unreadable)? > MAX_FILE {
                    return Err(too_large());
                }
                repo.read_blob(blob).map_err(unreadable)?
            }
            None => {
                let path = workspace
                    .root()
                    .dir()
                    .map_err(anyhow::Error::from)?
                    .join(file);
                let found = fs::metadata(&path).map_err(anyhow::Error::from)?;
                if found.len() > MAX_FILE {
                    return Err(too_large());
                }
                if !found.is_file() {
                    return Err(NoHistory::Changed);
                }
                fs::read(&path).map_err(anyhow::Error::from)?
            }
        };
        Ok(cut_document(&String::from_utf8_lossy(&bytes), line))
    }

    /// The text of a version of a policy; empty where the version is its removal.
    ///
    /// # Errors
    /// As of [`Self::version_json`].
    pub fn version_text(&self, policy: &str, number: u64) -> Result<String, NoHistory> {
        let workspace = self.open_workspace()?;
        let mut history = self.history_knowing(&workspace, policy)?;
        let which = Some(Which::Number(number));
        let version = history.require_version(Address { policy, which }, &NoProgress)?;
        let Some(document) = &version.document else {
            return Ok(String::new());
        };
        let found = history.version_document(policy, document)?.document;
        let line = found.file.locate_span(found.span).line;
        Ok(cut_document(found.file.text(), line))
    }

    /// The number of a policy's version by its digest, where history is read.
    pub fn version_number(&self, policy: &str, digest: &str) -> Option<u64> {
        self.loaded_index()?.number(policy, digest)
    }

    fn open_workspace(&self) -> Result<Workspace, NoHistory> {
        Ok(Workspace::open(self.dir())?)
    }
}

/// A commit by its hash, or as much of it as no other object has, if it is in the history of what
/// is published or of an environment's tip: where something else than promotions moves an
/// environment, nothing else tells what it once held.
fn published_commit(
    workspace: &Workspace,
    tip: Option<CommitId>,
    hash: &str,
) -> Result<Option<CommitId>, NoHistory> {
    let repo = workspace.repo()?;
    let Some(commit) = repo.commit_by_prefix(hash) else {
        return Ok(None);
    };
    for branch in [workspace.published().ok(), tip].into_iter().flatten() {
        let base = repo
            .merge_base(commit, branch)
            .map_err(anyhow::Error::from)?;
        if base == Some(commit) {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

fn identify_entry(entry: HistoryEntry<'_>) -> (CommitId, Option<u64>) {
    match entry {
        HistoryEntry::Promotion(promotion) => (promotion.commit.id, Some(promotion.record.number)),
        HistoryEntry::External(commit) => (commit, None),
    }
}

/// The document of a YAML file that has a line, without the lines that part documents.
fn cut_document(text: &str, line: u32) -> String {
    let parts = |line: &str| line == "---" || line.starts_with("--- ") || line == "...";
    let lines: Vec<&str> = text.lines().collect();
    let at = usize::try_from(line.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(lines.len());
    let (before, after) = lines.split_at(at);
    let start = before
        .iter()
        .rposition(|line| parts(line))
        .map_or(0, |index| index + 1);
    let end = after
        .iter()
        .skip(1)
        .position(|line| parts(line))
        .map(|index| at + 1 + index);
    let cut = lines
        .get(start..end.unwrap_or(lines.len()))
        .unwrap_or_default();
    cut.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_number_a_time_or_a_commit() {
        assert_eq!(When::parse_time("12"), Some(When::Promotion(12)));
        assert_eq!(When::parse_time(" #3 "), Some(When::Promotion(3)));
        assert_eq!(
            When::parse_time("1970-01-01T00:01:00Z"),
            Some(When::Time(60))
        );
        assert_eq!(When::parse_time("1970-01-01T00:01"), Some(When::Time(60)));
        assert_eq!(When::parse_time("1970-01-01"), Some(When::Time(86_399)));
        let within = "1970-01-01T00:01:00.5Z";
        assert_eq!(parse_instant(within), within.parse().ok());
        assert_eq!(
            parse_instant("1970-01-01T00:01"),
            Timestamp::from_second(60).ok()
        );
        assert_eq!(parse_instant("12"), None);
        assert_eq!(
            When::parse_time("1234567890"),
            Some(When::Commit("1234567890".to_owned()))
        );
        for text in ["", "main", "HEAD~1", "abc", "production", "refs/heads/x"] {
            assert_eq!(When::parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn the_document_of_a_line_is_cut_out() {
        let text = "a: 1\n---\n# b\nb: 2\n---\nc: 3\n";
        for (line, cut) in [
            (1, "a: 1"),
            (4, "# b\nb: 2"),
            (3, "# b\nb: 2"),
            (6, "c: 3"),
            (99, "c: 3"),
        ] {
            assert_eq!(cut_document(text, line), cut, "{line}");
        }
        assert_eq!(cut_document("", 1), "");
    }
}
