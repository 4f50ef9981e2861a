//! The ledger of an environment: its promotions down to number 1, what else moved its ref, and what
//! the next promotion builds on.

use std::collections::BTreeMap;
use std::fmt;

use super::{Commit, CommitId, Expected, Promotion, Record, RefName, Repo, RepoError};

/// What one look at an environment found. All work of a verb is on this; only the compare-and-swap
/// looks again.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The environment's ref.
    pub ref_name: RefName,
    /// Where its last promotion is kept beside it.
    pub ledger_name: RefName,
    /// What the environment's ref held.
    pub tip: Option<CommitId>,
    /// What the ledger's ref held; behind the tip after a crash, or where only the branch was
    /// fetched.
    pub recorded: Option<CommitId>,
    /// The promotions, the newest first, without gaps: of the branch and the ledger the chain that
    /// reaches the greater number, the ledger's where both reach the same.
    pub promotions: Vec<Promotion>,
    /// The shorter chain, where neither contains the other: the branch holds promotions that the
    /// ledger does not know. Its holds and its *older* marks count too.
    pub rival: Vec<Promotion>,
}

/// The last promotions of an environment, read without all that went before them.
#[derive(Debug, Clone, Default)]
pub struct NewestPromotions {
    /// The newest of the branch's own chain.
    on_branch: Option<Promotion>,
    /// The one that the ledger's ref names.
    recorded: Option<Promotion>,
    /// Neither chain is part of the other.
    are_rivals: bool,
}

/// A ledger that went back: the newest promotion that was known is none of those that the newest of
/// now follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retreat {
    /// The environment.
    pub environment: String,
    /// The number of the newest promotion that was known.
    pub from: u64,
    /// The number of the newest one of those that is left; 0: none.
    pub to: u64,
    /// Why it said that no promotion may follow, if it did.
    pub hold: Option<String>,
}

impl fmt::Display for Retreat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            environment,
            from,
            to,
            hold,
        } = self;
        let to = if *to == 0 {
            "nothing".to_owned()
        } else {
            format!("promotion {to}")
        };
        write!(
            f,
            "the ledger of `{environment}` went back from promotion {from} to {to}"
        )?;
        match hold {
            Some(reason) => write!(f, ", and with it a hold was lost: {reason}"),
            None => Ok(()),
        }
    }
}

/// One line of an environment's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryEntry<'l> {
    /// A promotion.
    Promotion(&'l Promotion),
    /// Something else moved the ref, perhaps more than once; this is where it stood at the end.
    External(CommitId),
}

impl HistoryEntry<'_> {
    /// Where the ref stood after it.
    pub fn commit(&self) -> CommitId {
        match self {
            Self::Promotion(promotion) => promotion.commit.id,
            Self::External(commit) => *commit,
        }
    }
}

impl Repo {
    /// Reads an environment: its ref, its ledger, its promotions.
    ///
    /// The last promotion is the one that the ledger's ref names, or a newer one that the branch
    /// holds and that follows it: then the ledger's ref is merely behind, and the next promotion
    /// moves it on.
    pub fn read_ledger(&self, environment: &str, ref_name: &RefName) -> Result<Ledger, RepoError> {
        let (tip, recorded) = (
            self.read_ref(ref_name)?,
            self.read_ref(&RefName::of_ledger(environment)?)?,
        );
        self.ledger_from(environment, ref_name, tip, recorded)
    }

    /// As [`Self::read_ledger`], for values that the two refs have elsewhere: on a remote, as just
    /// fetched.
    pub fn ledger_from(
        &self,
        environment: &str,
        ref_name: &RefName,
        tip: Option<CommitId>,
        recorded: Option<CommitId>,
    ) -> Result<Ledger, RepoError> {
        let on_branch = match tip {
            Some(tip) => self.newest_on_branch(environment, tip)?,
            None => Vec::new(),
        };
        let is_on_branch =
            |id: CommitId| on_branch.iter().any(|promotion| promotion.commit.id == id);
        let kept = match recorded {
            Some(recorded) if !is_on_branch(recorded) => {
                self.read_promotions(environment, recorded)?
            }
            _ => Vec::new(),
        };
        let (promotions, rival) = choose_chain(on_branch, kept);
        let (ref_name, ledger_name) = (ref_name.clone(), RefName::of_ledger(environment)?);
        Ok(Ledger {
            ref_name,
            ledger_name,
            tip,
            recorded,
            promotions,
            rival,
        })
    }

    /// What [`Self::ledger_from`] would say of the last promotions. Its cost grows with the commits
    /// on top of them and with the promotions that lie between both refs, not with all that there
    /// are.
    pub fn newest_promotions(
        &self,
        environment: &str,
        tip: CommitId,
        recorded: Option<CommitId>,
    ) -> Result<NewestPromotions, RepoError> {
        let on_branch = self.newest_promotion(environment, tip)?;
        let recorded = match (recorded, &on_branch) {
            (Some(recorded), Some(last)) if last.commit.id == recorded => Some(last.clone()),
            (Some(recorded), _) => self.promotion_at(environment, recorded)?,
            (None, _) => None,
        };
        let are_rivals = match (&on_branch, &recorded) {
            (Some(one), Some(other)) => !self.is_one_chain(one, other)?,
            _ => false,
        };
        Ok(NewestPromotions {
            on_branch,
            recorded,
            are_rivals,
        })
    }

    /// Whether one of two promotions follows the other, directly or not.
    fn is_one_chain(&self, one: &Promotion, other: &Promotion) -> Result<bool, RepoError> {
        let is_newer = one.record.number >= other.record.number;
        let (newer, older) = if is_newer { (one, other) } else { (other, one) };
        let mut next = newer.clone();
        while next.record.number > older.record.number {
            match self.promotion_before(&next)? {
                Some(before) => next = before,
                None => return Ok(false),
            }
        }
        Ok(next.commit.id == older.commit.id)
    }

    /// Whether a ledger went back since a promotion was its newest one.
    ///
    /// # Errors
    /// Where the promotions of now cannot be read. Those of before may be gone.
    pub fn find_retreat(
        &self,
        before: &Promotion,
        now: Option<&Promotion>,
    ) -> Result<Option<Retreat>, RepoError> {
        // All that the newest one of now follows, and itself, down to the number of the one before.
        let mut followed = BTreeMap::new();
        let mut next = now.cloned();
        while let Some(promotion) = next {
            if promotion.commit.id == before.commit.id {
                return Ok(None);
            }
            next = match self.promotion_before(&promotion) {
                // What lies behind the boundary of a shallow clone is not known here: only one of
                // a greater number may follow what was known.
                Err(RepoError::Shallow { .. })
                    if promotion.record.number > before.record.number =>
                {
                    return Ok(None);
                }
                Err(RepoError::Shallow { .. }) => None,
                read => read?,
            };
            followed.insert(promotion.record.number, promotion.commit.id);
        }

        let mut common = Ok(Some(before.clone()));
        while let Ok(Some(promotion)) = &common
            && followed.get(&promotion.record.number) != Some(&promotion.commit.id)
        {
            common = self.promotion_before(promotion);
        }
        // What was cut off may be collected already: then the newest of now is all that can be
        // said.
        let to = match common {
            Ok(common) => common.map_or(0, |common| common.record.number),
            Err(_) => now.map_or(0, |now| now.record.number.min(before.record.number)),
        };
        let Record {
            number,
            environment,
            hold,
            ..
        } = &before.record;
        let (environment, hold) = (environment.clone(), hold.clone());
        Ok(Some(Retreat {
            environment,
            from: *number,
            to,
            hold,
        }))
    }

    /// What a tip and a ledger's tip say that they are, where what they follow cannot be read.
    pub fn claimed_promotions(
        &self,
        environment: &str,
        tip: CommitId,
        recorded: Option<CommitId>,
    ) -> NewestPromotions {
        let claimed = |commit| self.recorded_at(environment, commit).ok().flatten();
        NewestPromotions {
            on_branch: claimed(tip),
            recorded: recorded.and_then(claimed),
            are_rivals: false,
        }
    }

    /// As [`Self::promotion_at`]; at the boundary of a shallow clone, as the commit itself says.
    pub fn promotion_as_known(
        &self,
        environment: &str,
        commit: CommitId,
    ) -> Result<Option<Promotion>, RepoError> {
        match self.promotion_at(environment, commit) {
            Err(RepoError::Shallow { .. }) => self.recorded_at(environment, commit),
            read => read,
        }
    }

    /// What a commit records for an environment, if it is a promotion as far as the commit itself
    /// and the one before it can tell; for the whole truth see [`Self::read_ledger`].
    pub fn promotion_at(
        &self,
        environment: &str,
        commit: CommitId,
    ) -> Result<Option<Promotion>, RepoError> {
        let Some(promotion) = self.recorded_at(environment, commit)? else {
            return Ok(None);
        };
        let first = promotion.record.number == 1;
        Ok(if first || self.promotion_before(&promotion)?.is_some() {
            Some(promotion)
        } else {
            None
        })
    }

    /// The nearest promotion on the first-parent chain, as [`Self::promotion_at`] tells it.
    pub fn newest_promotion(
        &self,
        environment: &str,
        tip: CommitId,
    ) -> Result<Option<Promotion>, RepoError> {
        for commit in self.first_parents(tip) {
            let commit = match commit {
                Ok(commit) => commit,
                // What lies behind the boundary of a shallow clone is not known here.
                Err(RepoError::Shallow { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            if let Some(found) = self.promotion_at(environment, commit.id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The promotions of the nearest promotion on the first-parent chain.
    fn newest_on_branch(
        &self,
        environment: &str,
        tip: CommitId,
    ) -> Result<Vec<Promotion>, RepoError> {
        for commit in self.first_parents(tip) {
            let commit = commit?;
            if matches!(Record::parse(&commit.message, environment), Ok(Some(_))) {
                let found = self.read_promotions(environment, commit.id)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        Ok(Vec::new())
    }

    /// A promotion and all before it; empty unless they reach down to number 1.
    fn read_promotions(
        &self,
        environment: &str,
        from: CommitId,
    ) -> Result<Vec<Promotion>, RepoError> {
        let mut found = Vec::new();
        let mut next = self.recorded_at(environment, from)?;
        while let Some(promotion) = next {
            let first = promotion.record.number == 1;
            next = if first {
                None
            } else {
                self.promotion_before(&promotion)?
            };
            found.push(promotion);
            if first {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The promotion that one follows: the one that it names, which must be among its parents so
    /// that it stays reachable; of an older one its first parent, or its last where something else
    /// had moved the ref.
    pub fn promotion_before(&self, promotion: &Promotion) -> Result<Option<Promotion>, RepoError> {
        let Promotion { commit, record } = promotion;
        if commit.parents.is_empty() && self.shallow_commits().contains(&commit.id) {
            return Err(RepoError::Shallow { at: commit.id });
        }
        let named = record
            .previous
            .map(|previous| commit.parents.contains(&previous));
        let candidates = match (record.previous, named) {
            (Some(previous), Some(true)) => [Some(previous), None],
            (Some(_), _) => [None, None],
            (None, _) => [
                commit.parents.first().copied(),
                commit.parents.last().copied(),
            ],
        };
        for parent in candidates.into_iter().flatten() {
            let found = self.recorded_at(&record.environment, parent)?;
            let follows = |it: &Promotion| it.record.number.checked_add(1) == Some(record.number);
            if let Some(found) = found.filter(follows) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn recorded_at(
        &self,
        environment: &str,
        commit: CommitId,
    ) -> Result<Option<Promotion>, RepoError> {
        let commit = self.find_commit(commit)?;
        let record = Record::parse(&commit.message, environment).ok().flatten();
        Ok(record.map(|record| Promotion { record, commit }))
    }
}

impl NewestPromotions {
    /// The promotion that a commit is.
    pub fn promotion_at(&self, commit: CommitId) -> Option<&Promotion> {
        self.on_branch
            .as_ref()
            .filter(|promotion| promotion.commit.id == commit)
    }

    /// The last promotion: the one of the greater number, the ledger's where both have the same.
    pub fn last_promotion(&self) -> Option<&Promotion> {
        let number = |promotion: &Option<Promotion>| promotion.as_ref().map(|it| it.record.number);
        let is_recorded = number(&self.recorded) >= number(&self.on_branch);
        if is_recorded {
            self.recorded.as_ref()
        } else {
            self.on_branch.as_ref()
        }
    }

    /// Why no promotion may follow; as [`Ledger::standing_hold`].
    pub fn standing_hold(&self) -> Option<(&Promotion, &str)> {
        let rivals = [&self.recorded, &self.on_branch].into_iter().flatten();
        let rivals = rivals.filter(|_| self.are_rivals);
        let mut counting = self.last_promotion().into_iter().chain(rivals);
        counting.find_map(|last| Some((last, last.record.hold.as_deref()?)))
    }

    /// Whether what is said of a tip would be another with another ledger.
    pub fn lean_on_ledger(&self, tip: CommitId) -> bool {
        self.are_rivals
            || self
                .last_promotion()
                .is_none_or(|last| last.commit.id != tip)
    }
}

impl Ledger {
    /// The last promotion.
    pub fn last_promotion(&self) -> Option<&Promotion> {
        self.promotions.first()
    }

    /// The number of the next promotion.
    pub fn next_number(&self) -> u64 {
        self.last_promotion()
            .map_or(1, |last| last.record.number.saturating_add(1))
    }

    /// The tip, if it is no promotion: something else moved the ref.
    pub fn external_tip(&self) -> Option<CommitId> {
        let last = self.last_promotion().map(|last| last.commit.id);
        self.tip.filter(|tip| Some(*tip) != last)
    }

    /// Whether the ledger's ref does not name the last promotion.
    pub fn is_behind(&self) -> bool {
        self.recorded != self.last_promotion().map(|last| last.commit.id)
    }

    /// What the ledger's ref names, if that is none of the promotions: somebody else has set it.
    pub fn unfounded_tip(&self) -> Option<CommitId> {
        self.recorded
            .filter(|id| self.all_promotions().all(|known| known.commit.id != *id))
    }

    /// Why no promotion may follow, if the last one says so. An external move does not end a hold.
    pub fn standing_hold(&self) -> Option<(&Promotion, &str)> {
        let newest = [self.promotions.first(), self.rival.first()];
        newest
            .into_iter()
            .flatten()
            .find_map(|last| Some((last, last.record.hold.as_deref()?)))
    }

    /// Every promotion that is known, also those of a rival chain.
    pub fn all_promotions(&self) -> impl Iterator<Item = &Promotion> {
        self.promotions.iter().chain(&self.rival)
    }

    /// The parents of the next promotion: the old tip, the promoted commit, and the last promotion
    /// where something else has moved the ref since. A rollback has no promoted commit.
    pub fn next_parents(&self, source: Option<CommitId>) -> Vec<CommitId> {
        let last = self.last_promotion().map(|last| last.commit.id);
        let base = self.tip.or(last);
        let mut parents: Vec<CommitId> = Vec::new();
        for parent in [base, source, last].into_iter().flatten() {
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        parents
    }

    /// What both refs must hold for the next promotion: the environment's, then the ledger's.
    pub fn expected_refs(&self) -> (Expected, Expected) {
        (self.tip.into(), self.recorded.into())
    }

    /// A promotion by its number.
    pub fn find_promotion(&self, number: u64) -> Option<&Promotion> {
        self.promotions
            .iter()
            .find(|promotion| promotion.record.number == number)
    }

    /// The promotion that was in force at a time, in seconds since 1970.
    pub fn at_time(&self, seconds: i64) -> Option<&Promotion> {
        self.promotions
            .iter()
            .find(|promotion| promotion.commit.committer.time.seconds <= seconds)
    }

    /// All that happened to the ref, the newest first.
    pub fn list_entries(&self) -> impl Iterator<Item = HistoryEntry<'_>> {
        let before = self
            .promotions
            .iter()
            .skip(1)
            .map(Some)
            .chain(std::iter::once(None));
        let rest = self
            .promotions
            .iter()
            .zip(before)
            .flat_map(|(promotion, before)| {
                let external = moved_between(&promotion.commit, before).map(HistoryEntry::External);
                std::iter::once(HistoryEntry::Promotion(promotion)).chain(external)
            });
        self.external_tip()
            .map(HistoryEntry::External)
            .into_iter()
            .chain(rest)
    }
}

/// The chain that numbers go on from, and the other one where it is no part of it.
fn choose_chain(
    on_branch: Vec<Promotion>,
    kept: Vec<Promotion>,
) -> (Vec<Promotion>, Vec<Promotion>) {
    let reach = |chain: &[Promotion]| chain.first().map_or(0, |last| last.record.number);
    let (longer, shorter) = if reach(&kept) >= reach(&on_branch) {
        (kept, on_branch)
    } else {
        (on_branch, kept)
    };
    // A branch that was set back to an earlier promotion has no chain of its own.
    let is_part = shorter.first().is_none_or(|first| {
        longer
            .iter()
            .any(|known| known.commit.id == first.commit.id)
    });
    if is_part {
        (longer, Vec::new())
    } else {
        (longer, shorter)
    }
}

/// Where the ref stood when a promotion was made, if the promotion before had not put it there.
fn moved_between(commit: &Commit, before: Option<&Promotion>) -> Option<CommitId> {
    let base = *commit.parents.first()?;
    match before {
        Some(before) => Some(base).filter(|base| *base != before.commit.id),
        // The first promotion of a branch that was there already.
        None => Some(base).filter(|_| commit.parents.len() > 1),
    }
}
