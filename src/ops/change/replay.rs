//! `replay`: what a change would have done to the requests of logs.

use anyhow::Result;
use refguard_core::prove::Impact;
use refguard_core::resolve::Engine;
use refguard_core::traffic::{Asked, Replay, RowReader, replay};

use crate::ops::LogSelection;

/// Answers the requests of logs by two sets. `impact` is what the change does to every request, in all detail;
/// `base_commit` is the commit of the set before.
///
/// # Errors
/// Where a log cannot be read.
pub fn replay_logs(
    base: &Engine,
    head: &Engine,
    base_commit: Option<String>,
    impact: &Impact,
    rows: &LogSelection,
) -> Result<Replay> {
    let reader = RowReader {
        asked: Asked::by(base.set(), head.set()),
        base_commit,
        since: rows.since,
        set: rows.set.clone(),
    };
    Ok(replay(base, head, impact, &rows.read(&reader)?))
}
