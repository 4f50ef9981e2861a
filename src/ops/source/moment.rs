//! Times as people type them: RFC 3339, a date, or so long ago.
//!
//! Owns their grammar, which is one for every verb. What documents say (`expires`, `freeze`) is
//! read by the core, which has no clock, and so takes no time that is told from now.

use jiff::{SignedDuration, Timestamp};
use refguard_core::document::{DayEdge, parse_instant};

use crate::ops::Workspace;

/// How a time is written, for messages.
pub const TIME_HELP: &str = "write a time with its offset, such as 2026-11-28T06:00:00Z, a date \
    (its first moment in \
     UTC), or so long ago, such as 24h or 7d";

/// The time that a text names.
///
/// # Errors
/// What keeps it from being one, with how times are written.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let fault = match parse_instant(text, DayEdge::Start) {
        Ok(time) => return Ok(time),
        Err(fault) => fault,
    };
    if let Some(ago) = parse_ago(text) {
        return now
            .checked_sub(ago)
            .map_err(|_| format!("`{text}` ago lies before all time"));
    }
    // What looks like a date says what is wrong with it; of another text that would only repeat the
    // grammar.
    let fault = if looks_like_time(text) {
        fault
    } else {
        "is no time".to_owned()
    };
    Err(format!("`{text}` {fault}: {TIME_HELP}"))
}

/// Whether somebody may have meant a date or a time by a text.
pub(in crate::ops) fn looks_like_time(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4 && bytes.next() == Some(b'-')
}

/// So long: `90m`, `24h`, `1h 30m`, `7d`, `2w`. A bare number is none.
fn parse_ago(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let hours = match unit {
        "d" => 24,
        "w" => 7 * 24,
        _ => 0,
    };
    let ago = match number.parse::<u32>() {
        Ok(number) if hours > 0 => SignedDuration::from_hours(hours * i64::from(number)),
        _ if !text.starts_with(|c: char| c.is_ascii_digit()) => return None,
        _ => text.parse().ok()?,
    };
    ago.is_positive().then_some(ago)
}

impl Workspace {
    /// The time that a text means where a revision may stand as well: what the repository has by
    /// that name is no date.
    pub fn time_of(&self, text: &str) -> Option<Timestamp> {
        let time = parse_time(text, Timestamp::now()).ok()?;
        let is_whole = text.contains(['T', 't', ' ']) && text.contains(':');
        let is_named = || {
            self.repo()
                .is_ok_and(|repo| repo.resolve(text, &[]).is_ok())
        };
        (is_whole || !is_named()).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_grammar() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-11-28T06:00:00Z", "2026-11-28T06:00:00Z"),
            ("2026-11-28T06:00:00+01:00", "2026-11-28T05:00:00Z"),
            ("2026-11-28", "2026-11-28T00:00:00Z"),
            ("24h", "2026-11-27T12:00:00Z"),
            ("1h 30m", "2026-11-28T10:30:00Z"),
            ("7d", "2026-11-21T12:00:00Z"),
            ("2w", "2026-11-14T12:00:00Z"),
        ] {
            assert_eq!(
                parse_time(text, now).as_ref().map(Timestamp::to_string),
                Ok(time.to_owned()),
                "{text}"
            );
        }
        for bad in [
            "",
            "5",
            "d",
            "-1h",
            "0h",
            "main",
            "yesterday",
            "2026-13-01",
            "2026-11-28T06:00",
        ] {
            let said = parse_time(bad, now).unwrap_err();
            assert!(
                said.starts_with(&format!("`{bad}` is ")) && said.contains(TIME_HELP),
                "{said}"
            );
        }
    }
}
