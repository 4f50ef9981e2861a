//! What a replay found, as the JSON of the command line has it.

use jiff::Timestamp;
use serde::Serialize;

use crate::policy::Context;
use crate::prove::Region;

/// What a change would have done to the requests of a log.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The version of the format.
    pub version: u32,
    /// The revision of the set before.
    pub base: String,
    /// The revision of the set after.
    pub head: String,
    /// The instant as of which both sets answered the rows.
    pub now: Timestamp,
    /// Rows that were looked at.
    pub rows: u64,
    /// Distinct requests among them.
    pub distinct: u64,
    /// Rows whose guardrails or pipelines change.
    pub changed: u64,
    /// Rows that lose a guardrail.
    pub lost: u64,
    /// Rows that gain a guardrail.
    pub gained: u64,
    /// Rows that do not tell their request.
    pub unclear: u64,
    /// Why not.
    pub unclear_because: Vec<UnclearRows>,
    /// The rows that change, by team, model and what they lose and gain: losses first, then what
    /// has most rows.
    pub groups: Vec<Group>,
    /// How many more groups there are.
    pub groups_left_out: usize,
    /// The regions of the impact that some row lies in.
    pub regions: Vec<RegionTraffic>,
    /// Those that none lies in, now or from a later instant on.
    pub quiet_regions: Vec<RegionTraffic>,
    /// What becomes of the same rows from later instants on, where that differs from what was
    /// before.
    pub later: Vec<LaterRows>,
    /// Whether every region is known.
    pub exact: bool,
    /// What is not, each in a sentence.
    pub not_analysed: Vec<String>,
}

/// Rows that do not tell their request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnclearRows {
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// The first of them: `FILE:LINE`; null where many rows have the place.
    pub first: Option<String>,
}

/// Rows that lose and gain the same.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Whose they are.
    pub context: GroupContext,
    /// How many.
    pub rows: u64,
    /// How many distinct requests.
    pub distinct: u64,
    /// What they lose.
    pub lost: Vec<String>,
    /// What they gain.
    pub gained: Vec<String>,
    /// Whether their pipelines change.
    pub pipelines: bool,
    /// The region of the impact that they lie in, by its place in the impact's list, from 0.
    pub region: Option<usize>,
    /// The request that was seen most.
    pub example: Context,
    /// The policies that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<String>,
}

/// What the rows of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct GroupContext {
    /// Their team.
    pub team: Option<String>,
    /// Their model.
    pub model: Option<String>,
}

/// A region and the rows whose groups name it.
#[derive(Debug, Clone, Serialize)]
pub struct RegionTraffic {
    /// Its place in the impact's list, from 0; regions that only rows told apart come behind that
    /// list.
    pub region: usize,
    /// How many rows.
    pub rows: u64,
    /// The region.
    #[serde(rename = "requests")]
    pub told: Region,
}

/// What becomes of the rows from an instant on at which something expires.
#[derive(Debug, Clone, Serialize)]
pub struct LaterRows {
    /// The instant.
    pub at: Timestamp,
    /// Rows whose guardrails or pipelines differ from then on.
    pub changed: u64,
    /// Rows that lose a guardrail.
    pub lost: u64,
    /// Rows that gain a guardrail.
    pub gained: u64,
    /// The regions that begin then and that some row lies in.
    pub regions: Vec<RegionTraffic>,
}
