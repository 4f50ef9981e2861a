//! The instant that a set is served as of: what is expired leaves the served set when its time has
//! come, without a commit.
//!
//! A set never goes back in time. A clock that runs backwards, after a restart too, must not revive
//! an exemption that has ended: so an instant is never before the last one at which something
//! ended, nor before the tip's commit. That last one is kept beside the state file; the state file
//! itself keeps every attachment.
//!
//! The follower compares with the wall clock every so often instead of sleeping until an instant:
//! its sleep knows nothing of a machine that was suspended or of a clock that was set. Whoever asks
//! before it has looked gets the set without what has ended all the same (`Slot::snapshot_at`).

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::private_file::read_private_file;
use super::slot::Slot;
use super::snapshot::Snapshot;
use super::state;
use super::state_folder::StateFolder;
use super::{Hub, Source};

/// The longest sleep while something is going to expire.
const TICK: Duration = Duration::from_millis(500);

/// The longest file that is read.
const MAX_BYTES: u64 = 64;

/// How long to sleep at most, so that a snapshot is left when its time is over.
pub(super) fn time_until_expiry(slot: &Slot, clock: Timestamp) -> Option<Duration> {
    let until = slot.snapshot()?.engine.valid_until()?;
    let left = until.duration_since(clock);
    // What lies in the past by this clock is due now.
    Some(Duration::try_from(left).unwrap_or_default().min(TICK))
}

/// Where something of what is served has expired by a clock, serves the set without it; where that
/// is near, makes it ready. Returns what is served then, and what was served before.
pub(super) fn leave_expired(
    hub: &Hub,
    slot: &Slot,
    clock: Timestamp,
) -> Option<(Arc<Snapshot>, Option<Arc<Snapshot>>)> {
    let served = slot.snapshot()?;
    let next = slot.snapshot_at(clock)?;
    if Arc::ptr_eq(&served, &next) {
        slot.prepare_next(clock);
        return None;
    }

    let retired = hub.publish_snapshot(slot, next.clone());
    let (expired, instant) = (
        next.engine.expired_attachments().len(),
        next.engine.instant(),
    );
    let set = &*slot.name;
    let is_draft = next.source == Source::Worktree;
    let instant = instant.map(tracing::field::display);
    tracing::info!(set, is_draft, expired, instant, "attachments expired");
    Some((next, retired))
}

/// The last instant of an environment at which something ended, as it is kept for a restart.
pub(super) struct InstantFile {
    path: PathBuf,
}

impl InstantFile {
    pub fn new(folder: &StateFolder, environment: &str) -> Self {
        Self {
            path: folder
                .path
                .join(state::file_name("instant", environment, "")),
        }
    }

    /// What was kept, if anything that can be read was.
    pub fn read_instant(&self) -> Option<Timestamp> {
        let bytes = read_private_file(&self.path, MAX_BYTES).ok()??;
        std::str::from_utf8(&bytes).ok()?.trim_end().parse().ok()
    }

    /// Whole or not at all, and never an earlier one over a later.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn write_instant(&self, instant: Timestamp) -> io::Result<()> {
        if self.read_instant().is_some_and(|kept| kept >= instant) {
            return Ok(());
        }
        let folder = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".instant-")
            .tempfile_in(folder)?;
        writeln!(file, "{instant}")?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use refguard_core::document::{Limits, load_file};
    use refguard_core::policy::{Levels, check_documents};
    use refguard_core::resolve::Engine;

    use super::super::state_folder::Owner;
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-12-{text}Z").parse().unwrap()
    }

    /// A slot that serves two attachments which end at the same instant, and a third that ends
    /// later.
    fn slot(clock: Timestamp) -> Arc<Slot> {
        let attachment = |team: &str, expires: &str| {
            format!(
                "---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n\
                 teams: [{team}]\nexpires: {expires}\n"
            )
        };
        let text = format!(
            "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {{add: [g]}}\n{}{}{}",
            attachment("a", "2026-12-10T12:00:00Z"),
            attachment("b", "2026-12-10T12:00:00Z"),
            attachment("c", "2026-12-20")
        );
        let loaded = load_file("set.yaml", text.into_bytes(), &Limits::DEFAULT);
        let set = check_documents(loaded, &Levels::default()).set.unwrap();
        let slot = Slot::new("production", None);
        let engine = Arc::new(Engine::new(Arc::new(set)));
        let now = slot.instant(clock);
        slot.swap_snapshot(Arc::new(Snapshot::new(
            slot.name.clone(),
            engine,
            now,
            Source::Commit,
        )));
        slot
    }

    fn left(slot: &Slot) -> usize {
        slot.snapshot().unwrap().engine.set().attachments.len()
    }

    fn hub() -> Hub {
        Hub::new(&crate::daemon::Config {
            dir: PathBuf::new(),
            env: crate::repo::GitEnv::default(),
            worktree: false,
            poll: Duration::from_secs(5),
            state_dir: None,
            fetch: None,
            max_staleness: None,
            refuse_stale: false,
        })
    }

    #[test]
    fn each_instant_is_left_once_and_to_the_second() {
        let (hub, slot) = (hub(), slot(at("01T00:00:00")));
        assert_eq!(
            (left(&slot), time_until_expiry(&slot, at("01T00:00:00"))),
            (3, Some(TICK))
        );
        assert!(leave_expired(&hub, &slot, at("10T11:59:59.999")).is_none());
        let soon = time_until_expiry(&slot, at("10T11:59:59.9"));
        assert_eq!(soon, Some(Duration::from_millis(100)));
        assert!(leave_expired(&hub, &slot, at("10T12:00:00")).is_some());
        assert_eq!(left(&slot), 1, "two ended at one instant");
        assert!(leave_expired(&hub, &slot, at("10T12:00:01")).is_none());
        // A machine that slept over an instant wakes up behind it.
        assert_eq!(
            time_until_expiry(&slot, at("25T00:00:00")),
            Some(Duration::ZERO)
        );
        assert!(leave_expired(&hub, &slot, at("25T00:00:00")).is_some());
        assert_eq!(
            (left(&slot), time_until_expiry(&slot, at("25T00:00:00"))),
            (0, None)
        );
        let full = slot.snapshot().unwrap();
        assert_eq!(
            full.set().attachments.len(),
            3,
            "the documents are all there"
        );
    }

    #[test]
    fn a_reader_that_comes_before_the_follower_gets_what_it_will_publish() {
        let (hub, slot) = (hub(), slot(at("01T00:00:00")));
        let counted = |clock| {
            let snapshot = slot.snapshot_at(clock).unwrap();
            snapshot.engine.set().attachments.len()
        };
        assert_eq!(counted(at("10T11:59:59.999")), 3);
        assert_eq!((counted(at("10T12:00:00")), left(&slot)), (1, 3));
        let first = slot.snapshot_at(at("10T12:00:00")).unwrap();
        let second = slot.snapshot_at(at("10T12:00:01")).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "made once");
        // The clock is set back before the follower looks.
        assert_eq!(counted(at("09T00:00:00")), 1);
        let (published, _) = leave_expired(&hub, &slot, at("09T00:00:00")).unwrap();
        assert!(Arc::ptr_eq(&first, &published));
        assert_eq!(counted(at("09T00:00:00")), 1);
        // Two instants in one sleep.
        assert_eq!((counted(at("25T00:00:00")), left(&slot)), (0, 1));
    }

    #[test]
    fn what_is_left_after_an_instant_is_made_before_it() {
        let (hub, slot) = (hub(), slot(at("01T00:00:00")));
        assert!(leave_expired(&hub, &slot, at("10T11:59:58")).is_none());
        let prepared = slot.made_ahead().unwrap();
        assert_eq!(prepared.engine.set().attachments.len(), 1);
        // Nobody gets it before its time.
        let before = slot.snapshot_at(at("10T11:59:59.999")).unwrap();
        assert_eq!(before.engine.set().attachments.len(), 3);
        let at_once = slot.snapshot_at(at("10T12:00:00")).unwrap();
        assert!(Arc::ptr_eq(&prepared, &at_once));
        // From then on it is past, whatever a clock says.
        let later = slot.snapshot_at(at("10T11:59:59.999")).unwrap();
        assert!(Arc::ptr_eq(&prepared, &later));
    }

    #[test]
    fn what_is_loaded_while_a_clock_runs_back_has_nothing_that_had_ended() {
        let (hub, slot) = (hub(), slot(at("01T00:00:00")));
        let reloaded = Arc::new(slot.snapshot().unwrap().as_of(at("10T11:59:59")));
        slot.snapshot_at(at("10T12:00:00")).unwrap();
        drop(hub.publish_snapshot(&slot, reloaded));
        let answering = slot.snapshot_at(at("10T11:59:59")).unwrap();
        assert_eq!(answering.engine.set().attachments.len(), 1);
    }

    #[test]
    fn a_clock_that_runs_backwards_revives_nothing() {
        let (hub, slot) = (hub(), slot(at("01T00:00:00")));
        assert!(leave_expired(&hub, &slot, at("11T00:00:00")).is_some());
        assert!(leave_expired(&hub, &slot, at("02T00:00:00")).is_none());
        // A new set is loaded by the clock that ran back.
        let again = slot
            .snapshot()
            .unwrap()
            .as_of(slot.instant(at("02T00:00:00")));
        assert_eq!(again.engine.set().attachments.len(), 1);
    }

    #[test]
    fn a_set_that_is_expired_when_it_is_loaded_is_never_served_whole() {
        assert_eq!(left(&slot(at("15T00:00:00"))), 1);
    }

    #[test]
    fn the_last_instant_is_kept_and_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner::of_folder(dir.path());
        let folder = StateFolder::find_state(&dir.path().join("state"), owner, false);
        let file = InstantFile::new(&folder, "us/production");
        assert_eq!(file.read_instant(), None);
        file.write_instant(at("10T12:00:00")).unwrap();
        file.write_instant(at("05T12:00:00")).unwrap();
        assert_eq!(file.read_instant(), Some(at("10T12:00:00")));
    }
}
