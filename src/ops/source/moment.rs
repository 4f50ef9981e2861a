//! Times as people type them: RFC 3339, a date, or so long ago.
//!
//! Owns their grammar, which is one for every verb. What documents say (`expires`, `freeze`) is
//! read by the core, which has no clock, and so takes no time that is told from now.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use refguard_core::document::{DayEdge, parse_instant};

use crate::ops::Workspace;

/// How a time is written, for messages.
pub const TIME_HELP: &str = "write a time with its offset, such as 2026-11-28T06:00:00Z, a date \
    or `yesterday` (its first moment in UTC), or so long ago, such as 24h or 7d";

/// The time that a text names.
///
/// # Errors
/// What keeps it from being one, with how times are written.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let fault = match parse_instant(text, DayEdge::Start) {
        Ok(time) => return Ok(time),
        Err(fault) => fault,
    };
    if let Some(time) = parse_day(text, now) {
        return Ok(time);
    }
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
    let is_date = bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4
        && bytes.next() == Some(b'-');
    is_date || text.ends_with(" ago") || text == "tomorrow" || text.starts_with("last ")
}

/// A time in words, as it was typed: `at 2026-11-28`, `24h ago (2026-11-27T12:00:00Z)`.
pub(in crate::ops) fn tell_typed_time(text: &str, time: Timestamp) -> String {
    let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
    let text = text.strip_suffix(" ago").unwrap_or(text);
    match (parse_day(text, time), parse_ago(text)) {
        (Some(_), _) => format!("{text} ({time})"),
        (None, Some(_)) => format!("{text} ago ({time})"),
        (None, None) => format!("at {text}"),
    }
}

/// The first moment of `today` or `yesterday` in UTC.
fn parse_day(text: &str, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = match text {
        "today" => today,
        "yesterday" => today.yesterday().ok()?,
        _ => return None,
    };
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// So long: `90m`, `24h`, `1h 30m`, `7d`, `2w`, `3 days`, each also with ` ago` behind it. A bare
/// number is none.
fn parse_ago(text: &str) -> Option<SignedDuration> {
    let text = text.strip_suffix(" ago").unwrap_or(text);
    let unit_words = text.split_once(' ');
    if let Some((number, "day" | "days")) = unit_words {
        return parse_ago(&format!("{number}d"));
    }
    if let Some((number, "week" | "weeks")) = unit_words {
        return parse_ago(&format!("{number}w"));
    }
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
                .is_ok_and(|repo| repo.resolve_revision(text, &[]).is_ok())
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
            ("3 days ago", "2026-11-25T12:00:00Z"),
            ("1 week", "2026-11-21T12:00:00Z"),
            ("2 hours ago", "2026-11-28T10:00:00Z"),
            ("today", "2026-11-28T00:00:00Z"),
            ("yesterday", "2026-11-27T00:00:00Z"),
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
            "tomorrow",
            "ago",
            "days ago",
            "2026-13-01",
            "2026-11-31",
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
