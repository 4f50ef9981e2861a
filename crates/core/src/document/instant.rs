//! Instants as documents write them: a date, or an RFC 3339 time. Must not know the clock, nor what
//! an instant is for.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Which end of a day a plain date means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayEdge {
    /// Its first moment in UTC.
    Start,
    /// The first moment after it in UTC.
    End,
}

/// The instant that a text names: an RFC 3339 time, or a date, of which `edge` says the end.
///
/// # Errors
/// What keeps it from being one, as the end of a sentence that begins with the text.
pub fn parse_instant(text: &str, edge: DayEdge) -> Result<Timestamp, String> {
    if looks_like_date(text) {
        let date: Date = text.parse().map_err(|_| absent_day(text))?;
        let date = match edge {
            DayEdge::Start => Ok(date),
            DayEdge::End => date.tomorrow(),
        };

        let start = date.and_then(|date| date.to_zoned(TimeZone::UTC));
        return Ok(start
            .map_err(|_| "lies too far ahead".to_owned())?
            .timestamp());
    }

    // A bracketed zone beside the offset could contradict it, and RFC 3339 has none.
    match text.parse::<Timestamp>() {
        Ok(instant) if !text.contains('[') => Ok(instant),
        Err(_) if is_beyond_all(text) => Err("lies too far ahead".to_owned()),
        _ => Err("is neither a date nor an RFC 3339 time".to_owned()),
    }
}

/// Why a text that is written as a date is none.
fn absent_day(text: &str) -> String {
    let first = text.get(..8).map(|month| format!("{month}01"));
    let first = first.and_then(|first| first.parse::<Date>().ok());
    match first {
        Some(first) => format!(
            "is a day that does not exist: that month has {} days",
            first.days_in_month()
        ),
        None => "is no day of the calendar: months go from 01 to 12".to_owned(),
    }
}

/// How an instant is written, for messages.
pub const INSTANT_HELP: &str =
    "write a date such as `2026-12-31`, or a time with its offset such as `2026-12-31T18:00:00Z`";

/// Whether a text is a time of the last days that a calendar of four digits has: for the sake of
/// offsets these are no instants.
fn is_beyond_all(text: &str) -> bool {
    let earlier = text
        .strip_prefix("9999-12-3")
        .map(|rest| format!("9998-12-3{rest}"));
    earlier.is_some_and(|earlier| earlier.parse::<Timestamp>().is_ok())
}

fn looks_like_date(text: &str) -> bool {
    let is_at = |at: usize, byte: u8| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };

    text.len() == 10 && text.bytes().enumerate().all(|(at, byte)| is_at(at, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_day_in_utc() {
        let at = |edge| parse_instant("2026-12-31", edge).unwrap().to_string();
        assert_eq!(at(DayEdge::Start), "2026-12-31T00:00:00Z");
        assert_eq!(at(DayEdge::End), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_time_has_an_offset_and_is_what_it_says() {
        for (text, is) in [
            ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z"),
            ("2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00Z"),
            ("2026-12-31T18:00:00.25+00:00", "2026-12-31T18:00:00.25Z"),
        ] {
            for edge in [DayEdge::Start, DayEdge::End] {
                assert_eq!(parse_instant(text, edge).unwrap().to_string(), is);
            }
        }
    }

    #[test]
    fn the_last_days_of_the_calendar_lie_too_far_ahead() {
        for text in ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-30T23:59:59Z"] {
            assert_eq!(
                parse_instant(text, DayEdge::End).unwrap_err(),
                "lies too far ahead"
            );
        }
        let said = parse_instant("9999-12-32T00:00:00Z", DayEdge::End).unwrap_err();
        assert!(said.contains("neither a date"), "{said}");
    }

    #[test]
    fn a_day_that_there_is_not_is_said_to_be_none() {
        let said = |text| parse_instant(text, DayEdge::Start).unwrap_err();
        assert_eq!(
            said("2026-11-31"),
            "is a day that does not exist: that month has 30 days"
        );
        assert!(said("2026-13-01").contains("months go from 01 to 12"));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-02-30",
            "2026-13-01",
            "2026-12-31T18:00:00",
            "2026-12-31T25:00:00Z",
            "2026-12-31T18:00:00Z[Europe/Berlin]",
            "31.12.2026",
            "9999-12-31",
            "20261231",
            "é026-12-1",
        ] {
            assert!(parse_instant(text, DayEdge::End).is_err(), "{text}");
        }
    }
}
