//! What the daemon says of itself: the object of `/v1/status`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::clients::{ClientState, ClientTally};

/// `/v1/status`
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Version of this format.
    pub version: u32,
    /// Whether requests are answered from the first set.
    pub ready: bool,
    /// Why not, or what else a person should know.
    pub notes: Vec<String>,
    /// `notify`, or `polling` where the system gives no hints.
    pub watch: &'static str,
    /// The sets, in the order of refguard.yaml, then `worktree`.
    pub sets: Vec<SetStatus>,
    /// How many clients report, by state; each of them is in `/v1/clients`.
    pub clients: ClientCounts,
}

/// How many clients report, of all sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClientCounts {
    /// Those that enforce what the daemon serves.
    pub current: u64,
    /// Those whose daemon holds back a commit that it rejected.
    pub behind: u64,
    /// Those that did not reach the daemon, or have no set yet.
    pub away: u64,
    /// Those that cannot enforce what the daemon serves.
    pub rejected: u64,
    /// Those that are silent.
    pub lost: u64,
}

impl ClientCounts {
    pub(super) fn of(tally: &ClientTally) -> Self {
        let mut counts = Self::default();
        for ((_, state), count) in &tally.states {
            *counts.of_state(*state) += count;
        }
        counts
    }

    fn of_state(&mut self, state: ClientState) -> &mut u64 {
        match state {
            ClientState::Current => &mut self.current,
            ClientState::Behind => &mut self.behind,
            ClientState::Away => &mut self.away,
            ClientState::Rejected => &mut self.rejected,
            ClientState::Lost => &mut self.lost,
        }
    }
}

/// One set.
#[derive(Debug, Clone, Serialize)]
pub struct SetStatus {
    /// An environment's name, or `worktree`.
    pub name: String,
    /// The ref that is followed; null of the work tree.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The commit that is served.
    pub commit: Option<String>,
    /// The promotion that is served.
    pub promotion: Option<u64>,
    /// The digest of the set that is served.
    pub digest: Option<String>,
    /// How many policies it has.
    pub policies: usize,
    /// How many attachments it has.
    pub attachments: usize,
    /// The last instant at which an attachment of it ended.
    pub instant: Option<Timestamp>,
    /// The next one.
    pub valid_until: Option<Timestamp>,
    /// When it was loaded.
    pub loaded_at: Option<Timestamp>,
    /// Where it was read: `commit`, `worktree` or `state-file`.
    pub source: Option<&'static str>,
    /// What the ref holds.
    pub ref_commit: Option<String>,
    /// Whether the ref holds something else than what is served.
    pub behind: bool,
    /// How many commits of the ref are not served yet, where that is known.
    pub commits_behind: Option<u64>,
    /// Seconds since the ref came to hold what is not served; 0 where it is served.
    pub lag_seconds: f64,
    /// What was rejected last, and why.
    pub rejected: Option<Rejected>,
    /// What is served although this release would refuse to promote it, because an older one did;
    /// null of any other set.
    pub outdated: Option<Outdated>,
    /// What could not be read for a passing reason, and will be tried again.
    pub failing: Option<Failing>,
    /// Whether promotion is on hold.
    pub hold: Option<Hold>,
    /// When the ref was last read (fetched) successfully.
    pub checked_at: Option<Timestamp>,
    /// Whether that is longer ago than `--max-staleness`.
    pub stale: bool,
}

/// A value of a ref that is not served, for its content.
#[derive(Debug, Clone, Serialize)]
pub struct Rejected {
    /// The commit; null of the work tree.
    pub commit: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why, in a sentence.
    pub message: String,
    /// Its errors, as `validate` prints them; the first hundred.
    pub findings: Vec<Value>,
    /// How many errors there are.
    pub errors: usize,
}

/// What the rules of this release say against a set that an older one promoted.
#[derive(Debug, Clone, Serialize)]
pub struct Outdated {
    /// The first hundred findings, as warnings.
    pub findings: Vec<Value>,
    /// How many there are.
    pub errors: usize,
}

/// A value of a ref that could not be loaded.
#[derive(Debug, Clone, Serialize)]
pub struct Failing {
    /// The commit, where the ref could be read.
    pub commit: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub message: String,
    /// Seconds between this try and the next.
    pub retry_seconds: u64,
}

/// A hold on promotions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
}
