//! What to do about a ref's value: a state machine without clock, git or files.

use std::time::{Duration, Instant};

use crate::repo::CommitId;

/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait after loads that ended the process.
const LONGEST_AFTER_DEATH: Duration = Duration::from_secs(3_600);

/// What has become of the values of one ref.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Following {
    /// What was read from the repository and is served.
    served: Option<CommitId>,
    /// What was taken from the state file, and is served until a value of the ref is.
    restored: Option<CommitId>,
    /// What was rejected for its content: not tried again.
    rejected: Option<CommitId>,
    /// What failed for a passing reason: tried again.
    retry: Option<Retry>,
    /// What is known already and is judged anew, because something else than the ref has changed.
    doubted: Option<CommitId>,
}

/// A failed value and when it is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Retry {
    /// `None`: the ref itself could not be read.
    commit: Option<CommitId>,
    due: Instant,
    wait: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The value is served, or was rejected.
    Nothing,
    /// The value failed lately: not yet.
    Wait,
    /// Load it.
    Load,
}

impl Following {
    /// What to do about a value at a time. `urged`: somebody asked, so a failed value is due now.
    pub fn step_to(&self, value: CommitId, now: Instant, urged: bool) -> Step {
        let is_known = self.served == Some(value) || self.rejected == Some(value);
        if is_known && self.doubted != Some(value) {
            return Step::Nothing;
        }
        match self.retry {
            Some(retry) if retry.commit == Some(value) && now < retry.due && !urged => Step::Wait,
            _ => Step::Load,
        }
    }

    /// The value is served now.
    pub fn note_served(&mut self, value: CommitId) {
        *self = Self {
            served: Some(value),
            ..Self::default()
        };
    }

    /// The state file's set is served. The ref's value is still loaded, also where it is the same
    /// commit.
    pub fn note_restored(&mut self, value: CommitId) {
        self.restored = Some(value);
    }

    /// Loading the value has ended the process so many times. The wait grows from a minute,
    /// fourfold each time, up to an hour; it is returned.
    pub fn note_death(&mut self, value: CommitId, times: u32, now: Instant) -> Duration {
        let factor = 4_u32.saturating_pow(times.saturating_sub(1));
        let wait = LONGEST.saturating_mul(factor).min(LONGEST_AFTER_DEATH);
        self.retry = Some(Retry {
            commit: Some(value),
            due: now + wait,
            wait: LONGEST,
        });
        wait
    }

    /// The ref holds again what is served: what came between is over.
    pub fn note_settled(&mut self) {
        (self.rejected, self.retry) = (None, None);
    }

    /// The value was rejected for its content.
    pub fn note_rejected(&mut self, value: CommitId) {
        (self.rejected, self.retry, self.doubted) = (Some(value), None, None);
    }

    /// What the value was judged by has changed: it is loaded again. Served or not, it is that
    /// until then.
    pub fn doubt_value(&mut self, value: CommitId) {
        self.doubted = Some(value);
    }

    /// The value (or, without one, reading the ref) failed for a passing reason. The wait doubles
    /// from one second up to a minute; it is returned.
    pub fn note_failed(&mut self, value: Option<CommitId>, now: Instant) -> Duration {
        let wait = match self.retry {
            Some(last) if last.commit == value => (last.wait * 2).min(LONGEST),
            _ => Duration::from_secs(1),
        };
        self.retry = Some(Retry {
            commit: value,
            due: now + wait,
            wait,
        });
        wait
    }

    /// The ref could be read again.
    pub fn note_readable(&mut self) {
        self.retry = self.retry.filter(|retry| retry.commit.is_some());
    }

    /// What is served.
    pub fn current_value(&self) -> Option<CommitId> {
        self.served.or(self.restored)
    }

    /// Whether the value is served, was read from the repository, and nothing speaks against it
    /// since.
    pub fn is_served(&self, value: CommitId) -> bool {
        let against = [self.rejected, self.doubted];
        self.served == Some(value) && !against.contains(&Some(value))
    }

    /// When something is due without a hint.
    pub fn due_at(&self) -> Option<Instant> {
        self.retry.map(|retry| retry.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: u8) -> CommitId {
        char::from(digit).to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn a_served_or_rejected_value_is_left_alone_and_a_new_one_is_loaded() {
        let (now, mut following) = (Instant::now(), Following::default());
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Load);
        following.note_served(commit(b'a'));
        assert_eq!(following.step_to(commit(b'a'), now, true), Step::Nothing);
        following.note_rejected(commit(b'b'));
        assert_eq!(following.step_to(commit(b'b'), now, true), Step::Nothing);
        assert_eq!(following.step_to(commit(b'c'), now, false), Step::Load);
        assert_eq!(following.current_value(), Some(commit(b'a')));
    }

    #[test]
    fn a_failed_value_is_tried_after_1_2_4_up_to_60_seconds_and_at_once_where_asked() {
        let (now, mut following) = (Instant::now(), Following::default());
        let waits: Vec<u64> = (0..8)
            .map(|_| following.note_failed(Some(commit(b'a')), now).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Wait);
        assert_eq!(following.step_to(commit(b'a'), now, true), Step::Load);
        assert_eq!(
            following.step_to(commit(b'a'), now + LONGEST, false),
            Step::Load
        );
        assert_eq!(following.step_to(commit(b'b'), now, false), Step::Load);
        assert_eq!(following.note_failed(Some(commit(b'b')), now).as_secs(), 1);
        following.note_served(commit(b'b'));
        assert_eq!(following.due_at(), None);
    }

    #[test]
    fn going_back_to_what_is_served_forgets_the_rejection() {
        let (now, mut following) = (Instant::now(), Following::default());
        following.note_served(commit(b'a'));
        following.note_rejected(commit(b'b'));
        following.note_settled();
        assert_eq!(following.step_to(commit(b'b'), now, false), Step::Load);
    }

    #[test]
    fn what_is_doubted_is_loaded_again_and_may_be_served_and_rejected_at_once() {
        let (now, mut following) = (Instant::now(), Following::default());
        following.note_served(commit(b'a'));
        following.doubt_value(commit(b'a'));
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Load);
        following.note_failed(Some(commit(b'a')), now);
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Wait);
        assert!(!following.is_served(commit(b'a')));

        following.note_rejected(commit(b'a'));
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Nothing);
        assert_eq!(
            following.current_value(),
            Some(commit(b'a')),
            "nothing better has come"
        );
        assert!(!following.is_served(commit(b'a')));

        following.doubt_value(commit(b'a'));
        following.note_served(commit(b'a'));
        assert!(following.is_served(commit(b'a')));
    }

    #[test]
    fn what_the_state_file_held_is_still_read_from_the_repository() {
        let (now, mut following) = (Instant::now(), Following::default());
        following.note_restored(commit(b'a'));
        assert_eq!(following.current_value(), Some(commit(b'a')));
        assert_eq!(following.step_to(commit(b'a'), now, false), Step::Load);
        following.note_served(commit(b'b'));
        assert_eq!(following.current_value(), Some(commit(b'b')));
    }

    #[test]
    fn a_value_whose_load_ended_the_process_waits_longer_each_time_but_not_where_asked() {
        let (now, value) = (Instant::now(), commit(b'a'));
        let mut following = Following::default();
        let waits: Vec<u64> = (1..6)
            .map(|times| following.note_death(value, times, now).as_secs())
            .collect();
        assert_eq!(waits, [60, 240, 960, 3_600, 3_600]);
        assert_eq!(following.step_to(value, now + LONGEST, false), Step::Wait);
        assert_eq!(following.step_to(value, now, true), Step::Load);
        assert_eq!(
            following.step_to(value, now + LONGEST_AFTER_DEATH, false),
            Step::Load
        );
        assert_eq!(following.step_to(commit(b'b'), now, false), Step::Load);
    }
}
