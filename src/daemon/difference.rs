//! What a change does: between two sets that were in an environment, and what is published but not
//! promoted yet.
//!
//! Analyses are bounded in time: what could not be looked at is said. For threads that answer
//! nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use refguard_core::diff::diff_sets;
use refguard_core::prove::{Detail, impact_from};
use refguard_core::questions::shift_from;
use refguard_core::resolve::Engine;

use super::history::{History, NoHistory};
use super::notes::lock_unpoisoned;
use super::past::{Change, Difference, DifferenceKey, PastSet};
use crate::ops::{Source, TimeBox, Workspace, budget_within, safeguards_between};

/// Time for an analysis.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a change is kept: its gates (freeze, soak) and what expires follow the clock.
const FRESH: Duration = Duration::from_secs(30);
/// Changes that are kept.
const MAX_CHANGES: usize = 4;
/// Differences that are kept.
const MAX_DIFFERENCES: usize = 8;

/// What lies between two sets with all of their documents, from now on.
///
/// # Errors
/// Where safeguards cannot be compared.
fn find_difference(before: &Arc<Engine>, after: &Arc<Engine>) -> Result<Difference, NoHistory> {
    let now = Timestamp::now();
    let diff = diff_sets(before.set(), after.set());
    let budget = budget_within(PATIENCE);
    let impact = impact_from(before, after, now, &budget, Detail::READABLE);
    let shift = shift_from(before, after, now, &impact, &budget);
    let safeguards = safeguards_between(before.set(), after.set(), now)?;
    Ok(Difference {
        diff,
        impact,
        shift,
        safeguards,
    })
}

impl History {
    /// What lies between two sets, where it is known.
    pub fn known_difference(&self, before: &PastSet, after: &PastSet) -> Option<Arc<Difference>> {
        let key = DifferenceKey::new(before, after, Timestamp::now());
        let kept = lock_unpoisoned(&self.differences);
        kept.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, difference)| difference.clone())
    }

    /// What lies between two sets.
    ///
    /// # Errors
    /// Where safeguards cannot be compared.
    pub fn difference_between(
        &self,
        before: &PastSet,
        after: &PastSet,
    ) -> Result<Arc<Difference>, NoHistory> {
        // Somebody else may have asked for it while this one waited.
        if let Some(known) = self.known_difference(before, after) {
            return Ok(known);
        }
        let key = DifferenceKey::new(before, after, Timestamp::now());
        let difference = Arc::new(find_difference(&before.engine, &after.engine)?);
        let mut kept = lock_unpoisoned(&self.differences);
        kept.insert(0, (key, difference.clone()));
        kept.truncate(MAX_DIFFERENCES);
        Ok(difference)
    }

    /// What would come into an environment with the next promotion, where it is known.
    ///
    /// # Errors
    /// Where git cannot be read, or there is no such environment or source.
    pub fn known_change(&self, environment: &str) -> Result<Option<Arc<Change>>, NoHistory> {
        let workspace = Workspace::open(self.dir())?;
        let coming = workspace.coming_to(environment)?;
        let tip = coming.tip.map(|tip| tip.to_string());
        Ok(self.kept_change(environment, &coming.head.to_string(), tip.as_ref()))
    }

    fn kept_change(
        &self,
        environment: &str,
        head: &str,
        tip: Option<&String>,
    ) -> Option<Arc<Change>> {
        let kept = lock_unpoisoned(&self.changes);
        let is_known = |known: &&Arc<Change>| {
            let is_same = known.environment == environment && known.head == head;
            is_same && known.tip.as_ref() == tip && known.made.elapsed() < FRESH
        };
        kept.iter().find(is_known).cloned()
    }

    /// What would come into an environment with the next promotion.
    ///
    /// # Errors
    /// Where git cannot be read, or there is no such environment or source.
    pub fn change_of(&self, environment: &str) -> Result<Arc<Change>, NoHistory> {
        let workspace = Workspace::open(self.dir())?;
        let coming = workspace.coming_to(environment)?;
        let (source, head) = (coming.source, coming.head.to_string());
        let tip = coming.tip.map(|tip| tip.to_string());

        if let Some(known) = self.kept_change(environment, &head, tip.as_ref()) {
            return Ok(known);
        }
        let review = match (&tip, coming.is_new) {
            (Some(tip), true) => Some(workspace.review(
                Some(tip),
                &Source::At(head.clone()),
                Timestamp::now(),
                TimeBox::begin(PATIENCE),
                Detail::READABLE,
                None,
            )?),
            _ => None,
        };
        let (environment, is_gone) = (environment.to_owned(), coming.is_gone);
        let made = Instant::now();
        let change = Arc::new(Change {
            environment,
            source,
            head,
            tip,
            is_gone,
            review,
            made,
        });
        let mut kept = lock_unpoisoned(&self.changes);
        kept.insert(0, change.clone());
        kept.truncate(MAX_CHANGES);
        Ok(change)
    }
}
