//! `replay`: what a change would have done to the requests of logs.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::prove::Impact;
use refguard_core::resolve::Engine;
use refguard_core::traffic::{Asked, Decider, Replay, RowReader, replay_traffic};

use crate::ops::LogSelection;

/// Answers the requests of logs by two sets, as of `now` and from later instants on. The engines have every attachment,
/// expired or not; `impact` is what the change does to every request from `now` on, in all detail; `base_commit` is the
/// commit of the set before.
///
/// # Errors
/// Where a log cannot be read.
pub fn replay_logs(
    (base, head): (&Arc<Engine>, &Arc<Engine>),
    base_commit: Option<String>,
    now: Timestamp,
    impact: &Impact,
    rows: &LogSelection,
) -> Result<Replay> {
    let decider = base_commit.map(|commit| Decider {
        commit,
        asked: Asked::asked_by(base.set(), head.set()),
        expiries: base.set().expiries_after(Timestamp::MIN),
    });
    let reader = RowReader {
        asked: Asked::asked_by(base.as_of(now).set(), head.as_of(now).set()),
        base: decider,
        since: rows.since,
        set: rows.set.clone(),
    };
    Ok(replay_traffic(base, head, now, impact, &rows.read(&reader)?))
}
