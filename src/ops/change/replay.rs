//! `replay`: what a change would have done to the requests of logs.

use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use refguard_core::prove::Impact;
use refguard_core::resolve::Engine;
use refguard_core::traffic::{
    Asked, Decider, LogPlace, Replay, RowReader, Tally, Unclear, replay_traffic,
};

use crate::ops::LogSelection;

/// Answers the requests of logs by two sets, as of `now` and from later instants on. The engines
/// have every attachment, expired or not; `impact` is what the change does to every request from
/// `now` on, in all detail; `base_commit` is the commit of the set before.
///
/// # Errors
/// Where a log cannot be read, or holds nothing that can.
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
    let tally = rows.read(&reader)?;
    refuse_foreign(&tally)?;
    Ok(replay_traffic(base, head, now, impact, &tally))
}

/// Refuses logs none of whose lines could be read: that none of them changes would be no answer. A
/// row that the selection passes over was read.
fn refuse_foreign(tally: &Tally) -> Result<()> {
    let is_foreign = |why: &Unclear| matches!(why, Unclear::Unreadable | Unclear::TooLong);
    let unread: Vec<_> = tally
        .unclear
        .iter()
        .filter(|(why, _)| is_foreign(why))
        .collect();
    let lines: u64 = unread.iter().map(|(_, (lines, _))| lines).sum();
    let first = unread.iter().map(|(_, (_, place))| place).min();
    let Some(LogPlace { log, line }) = first.filter(|_| lines == tally.rows && tally.passed == 0)
    else {
        return Ok(());
    };
    let lines = if lines == 1 {
        "1 line".to_owned()
    } else {
        format!("{lines} lines")
    };
    bail!(
        "no row of a log was found: {lines} could not be read, the first is {log}:{line}; a row \
         is one of the decision \
         log, of LiteLLM's spend log as JSON lines, or a request as `resolve --batch` takes it"
    )
}
